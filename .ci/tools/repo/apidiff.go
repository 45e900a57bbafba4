package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"go/types"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/exp/apidiff"
	"golang.org/x/mod/semver"
	"golang.org/x/tools/go/packages"
)

// runAPIDiff is the command 'apidiff'.
func runAPIDiff(ctx context.Context, a *app, args []string) error {
	if _, err := a.parseFlags(flag.NewFlagSet("apidiff", flag.ContinueOnError), args, 0); err != nil {
		return err
	}
	return a.apidiff(ctx)
}

// apidiff prints how the API of each library differs from its last release,
// and fails when a planned version does not allow that difference.
func (a *app) apidiff(ctx context.Context) error {
	failed := false
	for _, m := range a.repo.Modules {
		if m.Kind != Library {
			continue
		}
		ok, err := a.compareAPI(ctx, m)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Dir, err)
		}
		failed = failed || !ok
	}
	if failed {
		return errFound
	}
	return nil
}

// compareAPI compares one module with its last release and reports whether its
// planned version is high enough.
func (a *app) compareAPI(ctx context.Context, m *Module) (bool, error) {
	last, err := a.repo.lastRelease(ctx, m.Dir)
	if err != nil {
		return false, err
	}
	if last == "" {
		a.printf("apidiff: %s: no tag yet\n", m.Dir)
		return true, nil
	}
	report, err := a.repo.apiChanges(ctx, m, last)
	if err != nil {
		return false, err
	}
	incompatible := 0
	for _, c := range report.Changes {
		word := "compatible"
		if !c.Compatible {
			word = "INCOMPATIBLE"
			incompatible++
		}
		a.printf("apidiff: %s: %s: %s\n", m.Dir, word, c.Message)
	}
	smallest := smallestVersion(last, len(report.Changes) > 0, incompatible > 0)
	a.printf("apidiff: %s: %d change(s) since %s, %d incompatible; planned %s, smallest legal version %s\n",
		m.Dir, len(report.Changes), last, incompatible, m.Version, smallest)
	return incompatible == 0 || semver.Compare(m.Version, smallest) >= 0, nil
}

// smallestVersion returns the lowest version that may follow last. A change
// that breaks users needs a new minor version below v1 and a new major version
// from v1 on; an addition needs a new patch version below v1 and a new minor
// version from v1 on.
func smallestVersion(last string, changed, incompatible bool) string {
	var major, minor, patch int
	if _, err := fmt.Sscanf(semver.Canonical(last), "v%d.%d.%d", &major, &minor, &patch); err != nil {
		return last
	}
	switch {
	case incompatible && major > 0:
		major, minor, patch = major+1, 0, 0
	case incompatible, changed && major > 0:
		minor, patch = minor+1, 0
	case changed:
		patch++
	}
	return fmt.Sprintf("v%d.%d.%d", major, minor, patch)
}

// apiChanges compares the module as it is in the work tree with its release.
func (r *Repo) apiChanges(ctx context.Context, m *Module, release string) (_ apidiff.Report, err error) {
	temp, err := os.MkdirTemp("", "goman-apidiff-")
	if err != nil {
		return apidiff.Report{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if err := r.export(ctx, "refs/tags/"+m.Dir+"/"+release, temp); err != nil {
		return apidiff.Report{}, err
	}
	before, err := loadAPI(ctx, filepath.Join(temp, filepath.FromSlash(m.Dir)), modulePath(m.Dir, release))
	if err != nil {
		return apidiff.Report{}, fmt.Errorf("at %s: %w", release, err)
	}
	now, err := loadAPI(ctx, filepath.Join(r.Root, filepath.FromSlash(m.Dir)), m.Path())
	if err != nil {
		return apidiff.Report{}, err
	}
	return apidiff.ModuleChanges(before, now), nil
}

// loadAPI loads the types of the packages that users can import from the
// module in dir, which is built alone, with its replacements.
func loadAPI(ctx context.Context, dir, modPath string) (*apidiff.Module, error) {
	loaded, err := packages.Load(&packages.Config{
		Context: ctx,
		Mode:    packages.NeedName | packages.NeedTypes,
		Dir:     dir,
		Env:     append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false", "PWD="+dir),
	}, "./...")
	if err != nil {
		return nil, err
	}
	var (
		public []*types.Package
		errs   []error
	)
	for _, p := range loaded {
		for _, e := range p.Errors {
			errs = append(errs, e)
		}
		if p.Name != "main" && !isInternal(p.PkgPath) && p.Types != nil {
			public = append(public, p.Types)
		}
	}
	return &apidiff.Module{Path: modPath, Packages: public}, errors.Join(errs...)
}

// export writes the files of the whole repository at rev below dir, so that a
// module of that time meets its siblings of that time.
func (r *Repo) export(ctx context.Context, rev, dir string) error {
	archive, err := r.git(ctx, "archive", "--format=tar", rev)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	err = unpack(root, tar.NewReader(bytes.NewReader([]byte(archive))))
	return errors.Join(err, root.Close())
}

// unpack writes the directories and regular files of an archive below root.
func unpack(root *os.Root, archive *tar.Reader) error {
	for {
		entry, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch entry.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(entry.Name, 0o755)
		case tar.TypeReg:
			var data []byte
			if data, err = io.ReadAll(archive); err == nil {
				err = root.WriteFile(entry.Name, data, 0o644)
			}
		}
		if err != nil {
			return err
		}
	}
}
