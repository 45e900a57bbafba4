package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// hostile is a disk on which something happens before a file or directory is
// opened.
type hostile struct {
	disk
	before func(path string) error
	wrap   func(path string, f fs.File) fs.File
}

func (h hostile) ReadDir(path string) ([]fs.DirEntry, error) {
	if err := h.before(path); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return h.disk.ReadDir(path)
}

func (h hostile) Open(path string) (fs.File, error) {
	if err := h.before(path); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f, err := h.disk.Open(path)
	if err == nil && h.wrap != nil {
		f = h.wrap(path, f)
	}
	return f, err
}

// at calls do when one path is opened.
func at(where string, do func() error) func(string) error {
	return func(path string) error {
		if path == where {
			return do()
		}
		return nil
	}
}

func never(string) error { return nil }

// names returns the files of a summary in order.
func names(sum summary) []string {
	out := []string{}
	for _, f := range sum.files {
		out = append(out, f.path)
	}
	slices.Sort(out)
	return out
}

func TestTroubleIsReportedAndTheRestGoesOn(t *testing.T) {
	files := map[string]string{"a": "1\n", "b/c": "2\n", "b/d/e": "3\n", "f": "4\n"}
	for _, test := range []struct {
		name    string
		trouble func(root string) source
		want    problem
		files   []string
	}{
		{
			"vanished file",
			func(root string) source {
				return hostile{disk(root), at("b/c", func() error { return os.Remove(filepath.Join(root, "b", "c")) }), nil}
			},
			problem{"b/c", "open: " + syscall.ENOENT.Error()},
			[]string{"a", "b/d/e", "f"},
		},
		{
			"vanished directory",
			func(root string) source {
				return hostile{disk(root), at("b/d", func() error { return os.RemoveAll(filepath.Join(root, "b", "d")) }), nil}
			},
			problem{"b/d", "open: " + syscall.ENOENT.Error()},
			[]string{"a", "b/c", "f"},
		},
		{
			"vanished root",
			func(root string) source {
				return hostile{disk(root), at("", func() error { return os.RemoveAll(root) }), nil}
			},
			problem{".", "open: " + syscall.ENOENT.Error()},
			[]string{},
		},
		{
			"unreadable file",
			func(root string) source {
				return hostile{disk(root), at("f", func() error { return fs.ErrPermission }), nil}
			},
			problem{"f", "open: permission denied"},
			[]string{"a", "b/c", "b/d/e"},
		},
		{
			"unreadable directory",
			func(root string) source {
				return hostile{disk(root), at("b", func() error { return fs.ErrPermission }), nil}
			},
			problem{"b", "open: permission denied"},
			[]string{"a", "f"},
		},
		{
			"file became a directory",
			func(root string) source {
				return hostile{disk(root), at("a", func() error {
					return errors.Join(os.Remove(filepath.Join(root, "a")), os.Mkdir(filepath.Join(root, "a"), 0o755))
				}), nil}
			},
			problem{"a", "is no longer a regular file"},
			[]string{"b/c", "b/d/e", "f"},
		},
		{
			"reading panics",
			func(root string) source {
				return hostile{disk(root), at("a", func() error { panic("broken driver") }), nil}
			},
			problem{"a", "PANIC"},
			[]string{"b/c", "b/d/e", "f"},
		},
		{
			"listing panics",
			func(root string) source {
				return hostile{disk(root), at("b", func() error { panic("broken driver") }), nil}
			},
			problem{"b", "PANIC"},
			[]string{"a", "f"},
		},
		{
			"half of a directory",
			func(root string) source { return half{disk(root)} },
			problem{"b", "readdir: input/output error"},
			[]string{"a", "b/c", "f"},
		},
	} {
		for _, workers := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s, %d workers", test.name, workers), func(t *testing.T) {
				sum, err := newWalk(test.trouble(plant(t, files))).sum(t.Context(), workers)
				if err != nil {
					t.Fatal(err)
				}
				if len(sum.errors) == 1 && strings.Contains(sum.errors[0].Error, "panicked: broken driver") {
					sum.errors[0].Error = "PANIC"
				}
				if diff := cmp.Diff([]problem{test.want}, sum.errors); diff != "" {
					t.Errorf("errors (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(test.files, names(sum)); diff != "" {
					t.Errorf("files (-want +got):\n%s", diff)
				}
				if r := newReport(sum, 0); r.good() || r.Interrupted {
					t.Errorf("the report takes it for %+v", r)
				}
			})
		}
	}
}

// half is a disk that fails in the middle of the directory b.
type half struct{ disk }

func (h half) ReadDir(path string) ([]fs.DirEntry, error) {
	entries, err := h.disk.ReadDir(path)
	if path == "b" {
		entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.IsDir() })
		err = &fs.PathError{Op: "readdir", Path: path, Err: errors.New("input/output error")}
	}
	return entries, err
}

// unsteady is a file whose reads and facts can be tampered with.
type unsteady struct {
	fs.File
	read func(p []byte) (int, error)
	stat func(call int) error
	call int
}

func (u *unsteady) Read(p []byte) (int, error) {
	if u.read != nil {
		return u.read(p)
	}
	return u.File.Read(p)
}

func (u *unsteady) Stat() (fs.FileInfo, error) {
	u.call++
	if u.stat != nil {
		if err := u.stat(u.call); err != nil {
			return nil, err
		}
	}
	return u.File.Stat()
}

// TestChangingFiles changes the file x, of two bytes, while it is read.
func TestChangingFiles(t *testing.T) {
	for _, test := range []struct {
		name   string
		tamper func(file string) *unsteady
		want   string
	}{
		{"grows for ever", func(string) *unsteady {
			return &unsteady{read: func(p []byte) (int, error) { return len(p), nil }}
		}, "grew beyond its 2 bytes while it was read"},
		{"shrinks", func(file string) *unsteady {
			return &unsteady{read: func([]byte) (int, error) { return 0, io.EOF }}
		}, "shrank from 2 to 0 bytes while it was read"},
		{"is written anew", func(file string) *unsteady {
			return &unsteady{stat: func(call int) error {
				if call == 2 {
					return os.Chtimes(file, time.Time{}, time.Unix(1, 0))
				}
				return nil
			}}
		}, "was changed while it was read"},
		{"grows afterwards", func(file string) *unsteady {
			return &unsteady{stat: func(call int) error {
				if call == 2 {
					return os.WriteFile(file, []byte("longer"), 0o644)
				}
				return nil
			}}
		}, "was changed while it was read"},
		{"fails", func(string) *unsteady {
			return &unsteady{read: func([]byte) (int, error) { return 0, errors.New("input/output error") }}
		}, "input/output error"},
		{"has no facts", func(string) *unsteady {
			return &unsteady{stat: func(int) error { return errors.New("stale handle") }}
		}, "stale handle"},
		{"has no facts afterwards", func(string) *unsteady {
			return &unsteady{stat: func(call int) error {
				if call == 2 {
					return errors.New("stale handle")
				}
				return nil
			}}
		}, "stale handle"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := plant(t, map[string]string{"x": "1\n", "y": "2\n"})
			tree := hostile{disk(root), never, func(path string, f fs.File) fs.File {
				if path != "x" {
					return f
				}
				u := test.tamper(filepath.Join(root, "x"))
				u.File = f
				return u
			}}
			sum, err := newWalk(tree).sum(t.Context(), 2)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]problem{{"x", test.want}}, sum.errors); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"y"}, names(sum)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

// grove plants 20 directories of 20 files.
func grove(t *testing.T) (root string, all []string) {
	files := map[string]string{}
	for i := range 20 {
		for j := range 20 {
			name := fmt.Sprintf("d%02d/f%02d", i, j)
			files[name] = name
			all = append(all, name)
		}
	}
	return plant(t, files), all
}

// TestInterruptKeepsWhatWasRead interrupts the walk when the 100th file is
// opened. Each file is then either read, or undone, or below a directory that
// is undone, and none is both.
func TestInterruptKeepsWhatWasRead(t *testing.T) {
	for _, workers := range []int{1, 2, 64} {
		root, all := grove(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var opened atomic.Int64
		tree := hostile{disk(root), func(path string) error {
			if strings.Contains(path, "/") && opened.Add(1) == 100 {
				cancel()
			}
			return nil
		}, nil}
		sum, err := newWalk(tree).sum(ctx, workers)
		if err != nil {
			t.Fatal(err)
		}
		if len(sum.errors) > 0 {
			t.Errorf("%d workers: errors %v", workers, sum.errors)
		}
		read := names(sum)
		if n := len(read); n < 100-workers || n > 99+workers {
			t.Errorf("%d workers: %d files were read before the interrupt, want about 99", workers, n)
		}
		for _, name := range all {
			_, isRead := slices.BinarySearch(read, name)
			isUndone := slices.Contains(sum.undone, name) || slices.Contains(sum.undone, path.Dir(name))
			if isRead == isUndone {
				t.Errorf("%d workers: %s: read %v, undone %v", workers, name, isRead, isUndone)
			}
		}
		r := newReport(sum, time.Second)
		if !r.Interrupted || r.good() || r.Undone != len(sum.undone) || len(r.UndoneNames) != most {
			t.Errorf("%d workers: report %+v", workers, r)
		}
	}
}

func TestInterruptWithinALargeFile(t *testing.T) {
	root := plant(t, map[string]string{"large": strings.Repeat("x", 1<<20)})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tree := hostile{disk(root), never, func(path string, f fs.File) fs.File {
		return &unsteady{File: f, read: func(p []byte) (int, error) {
			cancel()
			return f.Read(p)
		}}
	}}
	sum, err := newWalk(tree).sum(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"large"}, sum.undone); diff != "" || len(sum.files) != 0 {
		t.Errorf("%d files read, undone (-want +got):\n%s", len(sum.files), diff)
	}
}

// TestNoMoreThanTheWorkersRun counts what is open at a time.
func TestNoMoreThanTheWorkersRun(t *testing.T) {
	for _, workers := range []int{1, 2, 7} {
		root, all := grove(t)
		busy := &busy{disk: disk(root)}
		sum, err := newWalk(busy).sum(t.Context(), workers)
		if err != nil || len(sum.files) != len(all) {
			t.Errorf("%d files, %v", len(sum.files), err)
		}
		if busy.most > workers {
			t.Errorf("%d workers had %d files and directories open at a time", workers, busy.most)
		}
	}
}

// busy counts the files and directories that are open at a time.
type busy struct {
	disk
	mu        sync.Mutex
	now, most int
}

func (b *busy) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now += n
	b.most = max(b.most, b.now)
}

func (b *busy) ReadDir(path string) ([]fs.DirEntry, error) {
	b.add(1)
	defer b.add(-1)
	return b.disk.ReadDir(path)
}

func (b *busy) Open(path string) (fs.File, error) {
	b.add(1)
	f, err := b.disk.Open(path)
	return counted{f, b}, err
}

type counted struct {
	fs.File
	busy *busy
}

func (c counted) Close() error {
	c.busy.add(-1)
	return c.File.Close()
}

func TestWorkersTheEngineRefuses(t *testing.T) {
	if _, err := newWalk(disk(t.TempDir())).sum(t.Context(), -1); err == nil {
		t.Error("no error for -1 workers")
	}
	opts := options{dir: "x", workers: -1}
	if r, err := survey(t.Context(), disk(t.TempDir()), opts, io.Discard); err == nil || r != nil {
		t.Errorf("report %v, error %v", r, err)
	}
}
