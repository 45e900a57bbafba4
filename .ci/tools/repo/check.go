package main

import (
	"context"
	"flag"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// A checker looks at one kind of rule and returns a line for each place where
// it is broken.
type checker struct {
	name string
	find func(ctx context.Context, r *Repo, files []string) ([]string, error)
}

// checkers are the rules of 'repo check', in the order of their reports.
var checkers = []checker{
	{"modules", checkModules},
	{"versions", checkVersions},
	{"go lines", checkGoLines},
	{"requirements", checkRequires},
	{"replacements", checkReplaces},
	{"imports", checkImports},
	{"links", checkLinks},
	{"top level", checkTopLevel},
}

// runCheck is the command 'check'.
func runCheck(ctx context.Context, a *app, args []string) error {
	if _, err := a.parseFlags(flag.NewFlagSet("check", flag.ContinueOnError), args, 0); err != nil {
		return err
	}
	files, err := a.repo.files(ctx)
	if err != nil {
		return err
	}
	total := 0
	for _, c := range checkers {
		problems, err := c.find(ctx, a.repo, files)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		for _, p := range problems {
			a.printf("%s: %s\n", c.name, p)
		}
		total += len(problems)
	}
	if total > 0 {
		a.printf("check: %d problem(s)\n", total)
		return errFound
	}
	a.printf("check: %d modules, %d files: ok\n", len(a.repo.Modules), len(files))
	return nil
}

// checkModules holds .ci/versions.txt, go.work and the go.mod files in the
// tree against each other.
func checkModules(_ context.Context, r *Repo, files []string) ([]string, error) {
	var problems []string
	var used []string
	for _, u := range r.Work.Use {
		used = append(used, path.Clean(u.Path))
	}
	var listed []string
	for _, m := range r.Modules {
		listed = append(listed, m.Dir)
		if !slices.Contains(used, m.Dir) {
			problems = append(problems, fmt.Sprintf("%s is not used by go.work", m.Dir))
		}
		if got := m.File.Module.Mod.Path; got != m.Path() {
			problems = append(problems, fmt.Sprintf("%s: the module is called %s, not %s", m.goModName(), got, m.Path()))
		}
	}
	for _, dir := range used {
		if !slices.Contains(listed, dir) {
			problems = append(problems, fmt.Sprintf("go.work uses %s, which %s does not list", dir, versionsFile))
		}
	}
	for _, name := range files {
		if path.Base(name) != "go.mod" || outsideModules(name) {
			continue
		}
		if dir := path.Dir(name); !slices.Contains(listed, dir) {
			problems = append(problems, fmt.Sprintf("%s: %s does not list this module", name, versionsFile))
		}
	}
	return problems, nil
}

// outsideModules reports whether a file is in a place that the go command
// leaves out of every module: below a directory that begins with a dot or an
// underscore, or that is called testdata.
func outsideModules(name string) bool {
	for dir := range strings.SplitSeq(path.Dir(name), "/") {
		if dir == "testdata" || len(dir) > 1 && (dir[0] == '.' || dir[0] == '_') {
			return true
		}
	}
	return false
}

// checkVersions holds the planned versions against the tags.
func checkVersions(ctx context.Context, r *Repo, _ []string) ([]string, error) {
	var problems []string
	for _, m := range r.Modules {
		if err := module.Check(m.Path(), m.Version); err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", m.Dir, err))
		}
		tagged, err := r.versionsOf(ctx, m.Dir)
		if err != nil {
			return nil, err
		}
		if n := len(tagged); n > 0 && semver.Compare(m.Version, tagged[n-1]) < 0 {
			problems = append(problems, fmt.Sprintf("%s: planned %s is older than the tag %s/%s", m.Dir, m.Version, m.Dir, tagged[n-1]))
		}
	}
	return problems, nil
}

// checkGoLines wants the go line of go.work in every go.mod, the tools' too.
func checkGoLines(_ context.Context, r *Repo, _ []string) ([]string, error) {
	if r.Work.Go == nil {
		return []string{"go.work: no go line"}, nil
	}
	want := r.Work.Go.Version
	tools, err := readGoMod(r.Root, toolsDir+"/go.mod")
	if err != nil {
		return nil, err
	}
	var problems []string
	compare := func(name, got string) {
		if got != want {
			problems = append(problems, fmt.Sprintf("%s: go %s, but go.work says go %s", name, got, want))
		}
	}
	for _, m := range r.Modules {
		got := "line missing"
		if m.File.Go != nil {
			got = m.File.Go.Version
		}
		compare(m.goModName(), got)
		if m.File.Toolchain != nil {
			problems = append(problems, m.goModName()+": a toolchain line forces a version on users")
		}
	}
	if tools.Go != nil {
		compare(toolsDir+"/go.mod", tools.Go.Version)
	}
	return problems, nil
}

// checkRequires wants every requirement of a sibling to name its planned version.
func checkRequires(_ context.Context, r *Repo, _ []string) ([]string, error) {
	var problems []string
	for _, m := range r.Modules {
		for _, req := range m.File.Require {
			if !hasPathPrefix(req.Mod.Path, Prefix) {
				continue
			}
			sibling := r.byPath(req.Mod.Path)
			switch {
			case sibling == nil:
				problems = append(problems, fmt.Sprintf("%s: requires %s, which %s does not list", m.goModName(), req.Mod.Path, versionsFile))
			case req.Mod.Version != sibling.Version:
				problems = append(problems, fmt.Sprintf("%s: requires %s %s, planned is %s", m.goModName(), req.Mod.Path, req.Mod.Version, sibling.Version))
			}
		}
	}
	return problems, nil
}

// checkReplaces wants the replacements of each module to be exactly those that
// wantReplaces names.
func checkReplaces(_ context.Context, r *Repo, _ []string) ([]string, error) {
	var problems []string
	for _, m := range r.Modules {
		want := r.wantReplaces(m)
		for _, rep := range m.File.Replace {
			dir, ok := want[rep.Old.Path]
			delete(want, rep.Old.Path)
			switch {
			case m.Kind == Program:
				problems = append(problems, fmt.Sprintf("%s: replaces %s, so 'go install' would refuse its programs", m.goModName(), rep.Old.Path))
			case !ok:
				problems = append(problems, fmt.Sprintf("%s: replaces %s, which is no sibling that it needs", m.goModName(), rep.Old.Path))
			case rep.New.Path != dir || rep.Old.Version != "":
				problems = append(problems, fmt.Sprintf("%s: %s must be replaced, at all versions, by %s", m.goModName(), rep.Old.Path, dir))
			}
		}
		for p, dir := range want {
			problems = append(problems, fmt.Sprintf("%s: no replacement of %s by %s", m.goModName(), p, dir))
		}
	}
	slices.Sort(problems)
	return problems, nil
}

// topLevel are the names allowed at the root, besides names that begin with a dot.
var topLevel = []string{
	"go.work", "go.work.sum", "core", "queue", "scheduler", "monitor", "middleware", "plugins", "contrib", "docs",
	"README.md", "LICENSE", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "Makefile",
}

// checkTopLevel wants nothing at the root that is not in topLevel.
func checkTopLevel(_ context.Context, _ *Repo, files []string) ([]string, error) {
	var problems []string
	seen := make(map[string]bool)
	for _, name := range files {
		first, _, _ := strings.Cut(name, "/")
		if first[0] == '.' || seen[first] || slices.Contains(topLevel, first) {
			continue
		}
		seen[first] = true
		problems = append(problems, first+" has no place at the top level")
	}
	return problems, nil
}
