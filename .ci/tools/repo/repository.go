package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// Prefix begins the path of every module of the repository.
const Prefix = "github.com/uptutu/goman"

// Where the versions and the tools are, relative to the root.
const (
	versionsFile = ".ci/versions.txt"
	toolsDir     = ".ci/tools"
)

// Kind says what a module is for, and so which rules it is under.
type Kind string

// The kinds of modules, as written in .ci/versions.txt.
const (
	// Library modules are imported by users.
	Library Kind = "library"
	// Examples are programs to be read and run inside the repository.
	Examples Kind = "examples"
	// Program modules are installed with 'go install', which refuses a module
	// that replaces anything.
	Program Kind = "program"
)

// A Module is one module of the repository that gets tags.
type Module struct {
	Dir     string // relative to the root, with slashes
	Version string // the planned version
	Kind    Kind
	File    *modfile.File // the parsed go.mod
}

// Path returns the module path that belongs to the planned version.
func (m *Module) Path() string { return modulePath(m.Dir, m.Version) }

// Tag returns the tag of the planned version.
func (m *Module) Tag() string { return m.Dir + "/" + m.Version }

// goModName returns the name of the module's go.mod, relative to the root.
func (m *Module) goModName() string { return path.Join(m.Dir, "go.mod") }

// modulePath returns the path of the module in dir for one of its versions:
// from v2 on the major version is part of it.
func modulePath(dir, version string) string {
	p := Prefix + "/" + dir
	if major := semver.Major(version); major != "v0" && major != "v1" {
		p += "/" + major
	}
	return p
}

// A Repo is the repository with its parsed module files.
type Repo struct {
	Root    string
	Work    *modfile.WorkFile
	Modules []*Module // in the order of .ci/versions.txt
}

// Load reads go.work, .ci/versions.txt and the go.mod files it lists. An empty
// root means the nearest directory upwards that holds a go.work.
func Load(root string) (*Repo, error) {
	root, err := findRoot(root)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(root, "go.work"))
	if err != nil {
		return nil, err
	}
	work, err := modfile.ParseWork("go.work", data, nil)
	if err != nil {
		return nil, err
	}
	data, err = os.ReadFile(filepath.Join(root, filepath.FromSlash(versionsFile)))
	if err != nil {
		return nil, err
	}
	modules, err := parseVersions(data)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, m := range modules {
		if m.File, err = readGoMod(root, m.goModName()); err != nil {
			errs = append(errs, fmt.Errorf("%s is listed in %s: %w", m.Dir, versionsFile, err))
		}
	}
	return &Repo{Root: root, Work: work, Modules: modules}, errors.Join(errs...)
}

// findRoot returns dir as an absolute path, or for an empty dir the nearest
// directory upwards from the current one that holds a go.work.
func findRoot(dir string) (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir = start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.work in %s or above it", start)
		}
	}
}

// readGoMod parses the go.mod file called name, relative to root.
func readGoMod(root, name string) (*modfile.File, error) {
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	file, err := modfile.Parse(name, data, nil)
	if err != nil {
		return nil, err
	}
	if file.Module == nil {
		return nil, fmt.Errorf("%s: no module line", name)
	}
	return file, nil
}

// parseVersions reads .ci/versions.txt: directory, version and kind on a line,
// '#' begins a comment. It reports all faults at once.
func parseVersions(data []byte) ([]*Module, error) {
	var (
		modules []*Module
		errs    []error
		number  int
	)
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		number++
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		m, err := parseVersion(fields)
		if err == nil && slices.ContainsFunc(modules, func(o *Module) bool { return o.Dir == m.Dir }) {
			err = fmt.Errorf("%s is listed twice", m.Dir)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", versionsFile, number, err))
			continue
		}
		modules = append(modules, m)
	}
	if len(modules) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s lists no module", versionsFile))
	}
	return modules, errors.Join(errs...)
}

// parseVersion reads the fields of one line of .ci/versions.txt.
func parseVersion(fields []string) (*Module, error) {
	if len(fields) != 3 {
		return nil, fmt.Errorf("want 'directory version kind', got %q", strings.Join(fields, " "))
	}
	m := &Module{Dir: fields[0], Version: fields[1], Kind: Kind(fields[2])}
	if !filepath.IsLocal(filepath.FromSlash(m.Dir)) || path.Clean(m.Dir) != m.Dir || m.Dir == "." {
		return nil, fmt.Errorf("%q is not the directory of a module", m.Dir)
	}
	if semver.Canonical(m.Version) != m.Version {
		return nil, fmt.Errorf("%s: %q is not a version of the form vX.Y.Z", m.Dir, m.Version)
	}
	switch m.Kind {
	case Library, Examples, Program:
		return m, nil
	}
	return nil, fmt.Errorf("%s: kind %q is none of library, examples, program", m.Dir, m.Kind)
}

// byPath returns the module with this path, or nil.
func (r *Repo) byPath(modPath string) *Module {
	for _, m := range r.Modules {
		if m.Path() == modPath {
			return m
		}
	}
	return nil
}

// owner returns the module that holds the package, or nil.
func (r *Repo) owner(pkg string) *Module {
	var found *Module
	for _, m := range r.Modules {
		if hasPathPrefix(pkg, m.Path()) && (found == nil || len(m.Dir) > len(found.Dir)) {
			found = m
		}
	}
	return found
}

// holder returns the module that holds the file, or nil.
func (r *Repo) holder(name string) *Module {
	var found *Module
	for _, m := range r.Modules {
		if hasPathPrefix(name, m.Dir) && (found == nil || len(m.Dir) > len(found.Dir)) {
			found = m
		}
	}
	return found
}

// hasPathPrefix reports whether p is prefix or lies below it.
func hasPathPrefix(p, prefix string) bool {
	rest, ok := strings.CutPrefix(p, prefix)
	return ok && (rest == "" || rest[0] == '/')
}
