package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"
)

// runOutside is the command 'outside'.
func runOutside(ctx context.Context, a *app, args []string) error {
	flags := flag.NewFlagSet("outside", flag.ContinueOnError)
	tests := flags.Bool("tests", false, "also run the tests of the libraries from outside; needs what their tests need")
	fallback := flags.String("proxy", "off", "where to look for modules that are not in the local module cache")
	if _, err := a.parseFlags(flags, args, 0); err != nil {
		return err
	}
	return a.outside(ctx, *fallback, *tests)
}

// outside builds the planned versions of the libraries the way their users
// will get them. In the repository itself a module always meets its siblings
// as they are now, so a requirement of a version that is too old goes
// unnoticed there; here it fails.
func (a *app) outside(ctx context.Context, fallback string, tests bool) (err error) {
	var libraries []*Module
	for _, m := range a.repo.Modules {
		if m.Kind == Library {
			libraries = append(libraries, m)
		}
	}
	if len(libraries) == 0 {
		a.printf("outside: no libraries\n")
		return nil
	}
	temp, err := os.MkdirTemp("", "goman-outside-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	proxies, err := a.proxies(ctx, filepath.Join(temp, "proxy"), fallback)
	if err != nil {
		return err
	}
	all, err := newConsumer(filepath.Join(temp, "all"), a.repo.Work.Go.Version, proxies)
	if err != nil {
		return err
	}
	if err := a.useAll(ctx, all, libraries, tests); err != nil {
		return err
	}
	var problems []string
	for i, m := range libraries {
		c, err := newConsumer(filepath.Join(temp, fmt.Sprint("alone", i)), a.repo.Work.Go.Version, proxies)
		if err != nil {
			return err
		}
		found, err := a.useAlone(ctx, c, m)
		if err != nil {
			return err
		}
		problems = append(problems, found...)
	}
	for _, p := range problems {
		a.printf("outside: %s\n", p)
	}
	if len(problems) > 0 {
		return errFound
	}
	a.printf("outside: ok\n")
	return nil
}

// proxies writes the file proxy of the planned versions and returns a value of
// GOPROXY: that proxy, then the module cache of this machine, whose download
// folder is laid out like a proxy, then fallback.
func (a *app) proxies(ctx context.Context, dir, fallback string) (string, error) {
	if err := a.writeProxy(ctx, dir); err != nil {
		return "", err
	}
	cache, err := a.repo.goEnv(ctx, "GOMODCACHE")
	if err != nil {
		return "", err
	}
	return fileURL(dir) + "," + fileURL(filepath.Join(cache, "cache", "download")) + "," + fallback, nil
}

// goEnv returns a setting of the go command in the repository.
func (r *Repo) goEnv(ctx context.Context, name string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", name)
	cmd.Dir = r.Root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go env %s: %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// fileURL returns the address of a directory of this machine.
func fileURL(dir string) string {
	dir = filepath.ToSlash(dir)
	if !strings.HasPrefix(dir, "/") {
		dir = "/" + dir // C:/x becomes file:///C:/x
	}
	return "file://" + dir
}

// useAll imports every package of every library into one program.
func (a *app) useAll(ctx context.Context, c *consumer, libraries []*Module, tests bool) error {
	if err := c.get(ctx, libraries); err != nil {
		return err
	}
	packages, err := c.importable(ctx, libraries)
	if err != nil {
		return err
	}
	binary, err := c.use(ctx, packages)
	if err != nil {
		return err
	}
	linked, err := linkedIn(binary)
	if err != nil {
		return err
	}
	fetched, err := c.downloaded()
	if err != nil {
		return err
	}
	a.printf("outside: %d packages of all libraries: built and vetted\n", len(packages))
	a.printf("outside:   downloaded %s\n", join(fetched))
	a.printf("outside:   linked     %s\n", join(linked))
	if !tests {
		return nil
	}
	if _, err := c.goTool(ctx, "mod", "tidy"); err != nil {
		return err
	}
	out, err := c.goTool(ctx, append([]string{"test"}, packages...)...)
	if err != nil {
		return err
	}
	a.printf("%s", out)
	return nil
}

// useAlone imports the packages of one library only, and returns what comes
// along although the table of layers does not allow it.
func (a *app) useAlone(ctx context.Context, c *consumer, m *Module) ([]string, error) {
	if err := c.get(ctx, []*Module{m}); err != nil {
		return nil, err
	}
	packages, err := c.importable(ctx, []*Module{m})
	if err != nil {
		return nil, err
	}
	packages = slices.DeleteFunc(packages, func(p string) bool { return a.repo.owner(p) != m })
	binary, err := c.use(ctx, packages)
	if err != nil {
		return nil, err
	}
	linked, err := linkedIn(binary)
	if err != nil {
		return nil, err
	}
	fetched, err := c.downloaded()
	if err != nil {
		return nil, err
	}
	foreign, err := c.foreign(ctx)
	if err != nil {
		return nil, err
	}
	a.printf("outside: %s alone: downloaded %s; linked %s\n", m.Dir, join(fetched), join(linked))
	return a.repo.unwanted(m, foreign, linked, fetched), nil
}

// unwanted holds what a program that imports only m consists of against the
// table of layers: its packages, its modules, and for a leaf also what had to
// be downloaded.
func (r *Repo) unwanted(m *Module, packages []string, linked, fetched []module.Version) []string {
	var problems []string
	for _, p := range packages {
		if !r.mayComeAlong(m, p) {
			problems = append(problems, fmt.Sprintf("a program that imports only %s contains the package %s", m.Dir, p))
		}
	}
	for _, v := range linked {
		if !r.mayComeAlong(m, v.Path) {
			problems = append(problems, fmt.Sprintf("a program that imports only %s links %s", m.Dir, v))
		}
	}
	if row, _ := layerOf(m.Dir); !row.leaf {
		return problems
	}
	for _, v := range fetched {
		if !r.mayComeAlong(m, v.Path) {
			problems = append(problems, fmt.Sprintf("a user who imports only %s downloads %s", m.Dir, v))
		}
	}
	return problems
}

// mayComeAlong reports whether a package or module, given by its path, may be
// part of a program that imports only m. Siblings must be in the row of m.
// What comes along with the foreign code that a row allows is not judged,
// unless the row is a leaf.
func (r *Repo) mayComeAlong(m *Module, path string) bool {
	row, _ := layerOf(m.Dir)
	if s := r.owner(path); s != nil {
		return row.mayImport(m.Dir, s.Dir, false)
	}
	if row.leaf {
		return slices.ContainsFunc(row.others, func(o string) bool { return hasPathPrefix(path, o) || hasPathPrefix(o, path) })
	}
	for _, s := range append(r.closure(m), m) {
		if l, _ := layerOf(s.Dir); len(l.others) > 0 && row.mayImport(m.Dir, s.Dir, false) {
			return true
		}
	}
	return false
}

// join lists modules in one line.
func join(modules []module.Version) string {
	if len(modules) == 0 {
		return "nothing"
	}
	names := make([]string, len(modules))
	for i, v := range modules {
		names[i] = strings.TrimPrefix(v.Path, Prefix+"/") + "@" + v.Version
	}
	return strings.Join(names, " ")
}
