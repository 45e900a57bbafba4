package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// closure returns the siblings that m requires, directly or through other
// siblings, in the order of .ci/versions.txt. m itself is not among them.
func (r *Repo) closure(m *Module) []*Module {
	reached := map[*Module]bool{m: true}
	for todo := []*Module{m}; len(todo) > 0; {
		next := todo[0]
		todo = todo[1:]
		for _, req := range next.File.Require {
			if s := r.byPath(req.Mod.Path); s != nil && !reached[s] {
				reached[s] = true
				todo = append(todo, s)
			}
		}
	}
	var siblings []*Module
	for _, s := range r.Modules {
		if s != m && reached[s] {
			siblings = append(siblings, s)
		}
	}
	return siblings
}

// wantReplaces returns the replacements that m has to have: every sibling in
// its closure by its directory, or none at all in a module of programs.
//
// They make each module build from the tree, alone as well as in the
// workspace, although the planned versions of its siblings are not tagged yet.
// Users are not affected: a replacement holds in the main module only.
func (r *Repo) wantReplaces(m *Module) map[string]string {
	want := make(map[string]string)
	if m.Kind == Program {
		return want
	}
	for _, s := range r.closure(m) {
		want[s.Path()] = relative(m.Dir, s.Dir)
	}
	return want
}

// relative returns the path from one module to another in the form that
// replacements need: it begins with ./ or ../.
func relative(from, to string) string {
	rel, err := filepath.Rel(filepath.FromSlash(from), filepath.FromSlash(to))
	if err != nil {
		panic(err) // both are relative and clean: parseVersion saw to it
	}
	if rel = filepath.ToSlash(rel); !strings.HasPrefix(rel, "../") {
		rel = "./" + rel
	}
	return rel
}

// runFix is the command 'fix'.
func runFix(_ context.Context, a *app, args []string) error {
	if _, err := a.parseFlags(flag.NewFlagSet("fix", flag.ContinueOnError), args, 0); err != nil {
		return err
	}
	changed := 0
	for _, m := range a.repo.Modules {
		wrote, err := a.repo.fix(m)
		if err != nil {
			return fmt.Errorf("%s: %w", m.goModName(), err)
		}
		if wrote {
			a.printf("fix: %s rewritten\n", m.goModName())
			changed++
		}
	}
	a.printf("fix: %d of %d modules changed; then run 'go mod tidy' in those\n", changed, len(a.repo.Modules))
	return nil
}

// fix sets the go line, the requirements of siblings and the replacements of
// one module, and reports whether that changed its go.mod.
func (r *Repo) fix(m *Module) (bool, error) {
	f := m.File
	if r.Work.Go != nil {
		if err := f.AddGoStmt(r.Work.Go.Version); err != nil {
			return false, err
		}
	}
	if err := r.fixRequires(f); err != nil {
		return false, err
	}
	want := r.wantReplaces(m)
	if err := fixReplaces(f, want); err != nil {
		return false, err
	}
	f.SortBlocks()
	f.Cleanup()
	data, err := f.Format()
	if err != nil {
		return false, err
	}
	name := filepath.Join(r.Root, filepath.FromSlash(m.goModName()))
	old, err := os.ReadFile(name)
	if err != nil || bytes.Equal(old, data) {
		return false, err
	}
	return true, os.WriteFile(name, data, 0o644)
}

// fixRequires sets the version of every sibling that f requires to the
// planned one.
func (r *Repo) fixRequires(f *modfile.File) error {
	for _, req := range slices.Clone(f.Require) {
		if s := r.byPath(req.Mod.Path); s != nil {
			if err := f.AddRequire(s.Path(), s.Version); err != nil {
				return err
			}
		}
	}
	return nil
}

// fixReplaces makes the replacements of f those in want.
func fixReplaces(f *modfile.File, want map[string]string) error {
	for _, rep := range slices.Clone(f.Replace) {
		if dir, ok := want[rep.Old.Path]; ok && dir == rep.New.Path && rep.Old.Version == "" {
			continue
		}
		if !hasPathPrefix(rep.Old.Path, Prefix) {
			continue // check reports it; only a person can know what is meant
		}
		if err := f.DropReplace(rep.Old.Path, rep.Old.Version); err != nil {
			return err
		}
	}
	for modPath, dir := range want {
		if err := f.AddReplace(modPath, "", dir, ""); err != nil {
			return err
		}
	}
	return nil
}
