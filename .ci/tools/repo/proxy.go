package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// A served version is one that the file proxy holds.
type served struct {
	module  *Module
	version string
	rev     string // the tag, or HEAD
	commit  string
}

// runProxy is the command 'proxy'.
func runProxy(ctx context.Context, a *app, args []string) error {
	rest, err := a.parseFlags(flag.NewFlagSet("proxy", flag.ContinueOnError), args, 1)
	if err != nil {
		return err
	}
	return a.writeProxy(ctx, rest[0])
}

// writeProxy fills dir with a module proxy made of files: every version that
// has a tag from that tag, and every planned version that has none from HEAD.
// A published version can never change, so the tag must win: whoever builds on
// a module as it is now has to plan a new version of it first.
func (a *app) writeProxy(ctx context.Context, dir string) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty", dir)
	}
	if err := a.warnDirty(ctx); err != nil {
		return err
	}
	for _, m := range a.repo.Modules {
		versions, err := a.repo.versionsOf(ctx, m.Dir)
		if err != nil {
			return err
		}
		tagged := len(versions)
		if !slices.Contains(versions, m.Version) {
			versions = append(versions, m.Version)
		}
		for i, v := range versions {
			s := served{module: m, version: v, rev: "HEAD"}
			if i < tagged {
				s.rev = "refs/tags/" + m.Dir + "/" + v
			}
			if err := a.repo.serve(ctx, dir, &s); err != nil {
				return fmt.Errorf("%s %s: %w", m.Dir, v, err)
			}
			a.printf("proxy: %s %s from %s (%s)\n", modulePath(m.Dir, v), v, strings.TrimPrefix(s.rev, "refs/tags/"), s.commit)
		}
	}
	return nil
}

// warnDirty says so when there are changes that HEAD does not hold.
func (a *app) warnDirty(ctx context.Context) error {
	if _, _, err := a.repo.commit(ctx, "HEAD"); err != nil {
		return fmt.Errorf("nothing is committed: %w", err)
	}
	dirty, err := a.repo.dirty(ctx)
	if dirty {
		_, _ = fmt.Fprintln(a.err, "warning: the work tree has changes that are not committed; they are left out")
	}
	return err
}

// serve writes the four files of one version: its line in the list, .info,
// .mod and .zip.
func (r *Repo) serve(ctx context.Context, dir string, s *served) error {
	modPath := modulePath(s.module.Dir, s.version)
	escaped, err := module.EscapePath(modPath)
	if err != nil {
		return err
	}
	id, when, err := r.commit(ctx, s.rev)
	if err != nil {
		return err
	}
	s.commit = id
	goMod, err := r.git(ctx, "show", s.rev+":"+s.module.goModName())
	if err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{s.version, when})
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := zip.CreateFromVCS(&archive, module.Version{Path: modPath, Version: s.version}, r.Root, s.rev, s.module.Dir); err != nil {
		return err
	}
	folder := filepath.Join(dir, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	base := filepath.Join(folder, s.version)
	return errors.Join(
		os.WriteFile(base+".info", info, 0o644),
		os.WriteFile(base+".mod", []byte(goMod), 0o644),
		os.WriteFile(base+".zip", archive.Bytes(), 0o644),
		appendLine(filepath.Join(folder, "list"), s.version),
	)
}

// appendLine adds a line to a file, which it makes if need be.
func appendLine(name, line string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}
