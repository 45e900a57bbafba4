package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// git runs git at the root and returns what it wrote.
func (r *Repo) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.Root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

// files returns the names of all files that are tracked, or would be after
// 'git add', and that exist; relative to the root, with slashes.
func (r *Repo) files(ctx context.Context) ([]string, error) {
	all, err := r.git(ctx, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	deleted, err := r.git(ctx, "ls-files", "-z", "--deleted")
	if err != nil {
		return nil, err
	}
	gone := splitNul(deleted)
	names := slices.DeleteFunc(splitNul(all), func(name string) bool { return slices.Contains(gone, name) })
	slices.Sort(names)
	return slices.Compact(names), nil
}

// splitNul splits a list whose elements each end with a zero byte.
func splitNul(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == 0 })
}

// dirty reports whether the work tree differs from HEAD.
func (r *Repo) dirty(ctx context.Context) (bool, error) {
	out, err := r.git(ctx, "status", "--porcelain")
	return out != "", err
}

// versionsOf returns the tagged versions of the module in dir, oldest first.
func (r *Repo) versionsOf(ctx context.Context, dir string) ([]string, error) {
	out, err := r.git(ctx, "tag", "--list", dir+"/v*")
	if err != nil {
		return nil, err
	}
	var versions []string
	for tag := range strings.FieldsSeq(out) {
		if v := strings.TrimPrefix(tag, dir+"/"); semver.Canonical(v) == v && v != "" {
			versions = append(versions, v)
		}
	}
	semver.Sort(versions)
	return versions, nil
}

// lastRelease returns the newest tagged version of the module in dir that is
// not a pre-release, or "" when there is none.
func (r *Repo) lastRelease(ctx context.Context, dir string) (string, error) {
	versions, err := r.versionsOf(ctx, dir)
	if err != nil {
		return "", err
	}
	for _, v := range slices.Backward(versions) {
		if semver.Prerelease(v) == "" {
			return v, nil
		}
	}
	return "", nil
}

// commit returns the abbreviated id and the time of the commit that rev names.
func (r *Repo) commit(ctx context.Context, rev string) (id string, when time.Time, err error) {
	out, err := r.git(ctx, "log", "-1", "--format=%h %cI", rev, "--")
	if err != nil {
		return "", time.Time{}, err
	}
	id, stamp, _ := strings.Cut(strings.TrimSpace(out), " ")
	when, err = time.Parse(time.RFC3339, stamp)
	return id, when.UTC(), err
}

// changed reports whether the module differs between rev and HEAD, leaving out
// the modules nested in it.
func (r *Repo) changed(ctx context.Context, rev string, m *Module) (bool, error) {
	args := []string{"diff", "--name-only", rev, "HEAD", "--", m.Dir}
	for _, o := range r.Modules {
		if o != m && hasPathPrefix(o.Dir, m.Dir) {
			args = append(args, ":(exclude)"+o.Dir)
		}
	}
	out, err := r.git(ctx, args...)
	return out != "", err
}
