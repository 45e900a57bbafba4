package main

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"

	"github.com/uptutu/goman/core"
)

// walk is one survey of one tree.
type walk struct {
	tree    source
	seen    counters  // what the progress display shows
	scratch sync.Pool // *scratch, one for each file being read
}

// sum walks the tree at no more than the given number of workers.
//
// The queue is unbounded: a directory submits its children and then waits for
// them, so the queue never holds more than has been listed and not yet read,
// and a queued task is far smaller than a goroutine that waits for room.
func (w *walk) sum(ctx context.Context, workers int) (summary, error) {
	engine, err := core.New(core.WithName("treesum"), core.WithWorkers(workers), core.WithUnboundedQueue())
	if err != nil {
		return summary{}, err
	}
	tree, err := submit(ctx, engine, "", directory{w, engine, "", whole}).await(ctx)
	var sum summary
	sum.addTree("", tree, err)
	return sum, engine.Shutdown(context.WithoutCancel(ctx))
}

// directory is the task of one directory: it submits a task for each child,
// waits for all of them, and returns the summary of everything below it.
type directory struct {
	*walk
	engine *core.Engine
	path   string // relative to the root of the tree, with slashes
	share  int64  // of the progress bar
}

// Execute may run on any worker, also on the one that waits for it: with a
// single worker the whole tree is walked on one stack, at any depth.
func (d directory) Execute(ctx context.Context) (summary, error) {
	var sum summary
	names, dirs := d.list(d.path, &sum)
	share, rest := split(d.share, len(names)+len(dirs))

	subtrees := make([]child[summary], 0, len(dirs))
	for _, path := range dirs {
		subtrees = append(subtrees, submit(ctx, d.engine, path, directory{d.walk, d.engine, path, share}))
	}
	files := make([]child[file], 0, len(names))
	for _, path := range names {
		files = append(files, submit(ctx, d.engine, path, core.Func(func(ctx context.Context) (file, error) {
			return d.read(ctx, path)
		})))
	}

	// A worker takes its own newest task first and thieves take the oldest, so
	// waiting backwards mostly meets tasks that are still queued here, and
	// those the waiter simply runs itself.
	for _, child := range slices.Backward(files) {
		f, err := child.await(ctx)
		sum.addFile(child.path, f, err)
		d.seen.passed(ctx, share)
	}
	for _, child := range slices.Backward(subtrees) {
		tree, err := child.await(ctx)
		sum.addTree(child.path, tree, err)
	}
	d.seen.passed(ctx, rest)
	return sum, nil
}

// child is a task that a directory has submitted, or failed to submit.
type child[T any] struct {
	path   string
	future *core.Future[T]
	err    error
}

func submit[T any](ctx context.Context, engine *core.Engine, path string, task core.Task[T]) child[T] {
	future, err := core.Submit(ctx, engine, task)
	return child[T]{path, future, err}
}

// await returns the child's result. ctx is the waiting task's own: by it the
// engine knows who waits. It runs the child here if that is still queued, and
// lends the worker to other tasks if the child runs elsewhere.
func (c child[T]) await(ctx context.Context) (T, error) {
	if c.err != nil {
		var none T
		return none, c.err
	}
	result, err := c.future.Await(ctx)
	if ctx.Err() != nil {
		// An interrupt ends the wait, and soon the child as well. What that
		// has read until then is still wanted.
		return c.future.Await(context.WithoutCancel(ctx))
	}
	return result, err
}

// list sorts the entries of a directory by what is to be done with them: files
// and directories are for the caller, all others are only counted, in sum.
func (w *walk) list(path string, sum *summary) (files, dirs []string) {
	entries, err := w.tree.ReadDir(path)
	if err != nil {
		sum.fail(path, err)
	} else {
		sum.directories++
	}
	for _, entry := range entries {
		name := entry.Name()
		if path != "" {
			name = path + "/" + name
		}
		switch kind := entry.Type(); {
		case kind.IsRegular():
			files = append(files, name)
		case kind.IsDir():
			dirs = append(dirs, name)
		case kind&fs.ModeSymlink != 0:
			sum.links++
			if w.tree.Ring(name) {
				sum.rings = append(sum.rings, name)
			}
		default:
			sum.skipped++
		}
	}
	return files, dirs
}

// summary is what is known of a directory and everything below it. Its lists
// are in no order until the end.
type summary struct {
	files       []file
	directories int
	links       int
	rings       []string // links that lead back to where they are
	skipped     int      // pipes, sockets, devices
	errors      []problem
	undone      []string // known, but not read before the interrupt
}

// addFile adds the result of a file.
func (s *summary) addFile(path string, f file, err error) {
	if err != nil {
		s.fail(path, err)
		return
	}
	s.files = append(s.files, f)
}

// addTree adds the result of a directory.
func (s *summary) addTree(path string, t summary, err error) {
	if err != nil {
		s.fail(path, err)
		return
	}
	s.files = join(s.files, t.files)
	s.directories += t.directories
	s.links += t.links
	s.rings = join(s.rings, t.rings)
	s.skipped += t.skipped
	s.errors = join(s.errors, t.errors)
	s.undone = join(s.undone, t.undone)
}

// fail notes that the file or directory at path has no result.
func (s *summary) fail(path string, err error) {
	if path == "" {
		path = "."
	}
	if errors.Is(err, context.Canceled) {
		s.undone = append(s.undone, path)
		return
	}
	s.errors = append(s.errors, problem{Path: path, Error: reason(err)})
}

// join appends the shorter list to the longer one, so that a tree of n files
// costs n log n copies however deep it is.
func join[E any](a, b []E) []E {
	if len(a) < len(b) {
		a, b = b, a
	}
	return append(a, b...)
}
