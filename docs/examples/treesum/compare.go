package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// timing is one way of walking the tree, measured. A way that was tried several
// times shows its shortest time and otherwise the worst.
type timing struct {
	Way        string  `json:"way"`
	Seconds    float64 `json:"seconds"`
	Goroutines int64   `json:"goroutines"` // the most that were seen at once
	Errors     int     `json:"errors"`
	TreeSHA256 string  `json:"tree_sha256"`
	Same       bool    `json:"same"` // the digest is the report's
}

// The ways take turns: three times each, or fewer if the tree is large.
const (
	turns  = 3
	enough = 5 * time.Second
)

// compare walks the tree in three ways and adds the timings to the report r of
// the walk before, which has brought the files into memory, if they fit. An
// interrupt leaves out the ways that were not finished.
func compare(ctx context.Context, tree source, r *report, progress io.Writer) error {
	ways := []struct {
		name string
		sum  func(*walk) (summary, error)
	}{
		{"one after the other", func(w *walk) (summary, error) { return w.serial(ctx, ""), nil }},
		{"a goroutine for each", func(w *walk) (summary, error) { return w.unbounded(ctx, ""), nil }},
		{"goman, " + plural(r.Workers, "worker", "workers"), func(w *walk) (summary, error) { return w.sum(ctx, r.Workers) }},
	}
	began := time.Now()
	for turn := 0; turn < turns && (turn == 0 || time.Since(began) < enough); turn++ {
		for i, way := range ways {
			if turn == 0 {
				fmt.Fprintf(progress, "treesum: again: %s\n", way.name)
			}
			sampled := &sampled{source: tree}
			runtime.GC() // nobody pays for the garbage of the one before
			start := time.Now()
			sum, err := way.sum(newWalk(sampled))
			took := time.Since(start)
			if err != nil {
				return err
			}
			if ctx.Err() != nil {
				return errors.New("interrupted before the comparison was finished")
			}
			if turn == 0 {
				r.Compare = append(r.Compare, timing{Way: way.name, Seconds: took.Seconds(), TreeSHA256: r.TreeSHA256, Same: true})
			}
			r.Compare[i].add(newReport(sum, took), sampled.peak.Load())
		}
	}
	return nil
}

// add takes one more try into account.
func (t *timing) add(r *report, goroutines int64) {
	t.Seconds = min(t.Seconds, r.Seconds)
	t.Goroutines = max(t.Goroutines, goroutines)
	t.Errors = max(t.Errors, len(r.Errors))
	if r.TreeSHA256 != t.TreeSHA256 {
		t.TreeSHA256, t.Same = r.TreeSHA256, false
	}
}

// serial is the walk without any concurrency.
func (w *walk) serial(ctx context.Context, path string) summary {
	var sum summary
	files, dirs := w.list(path, &sum)
	for _, path := range files {
		f, err := w.read(ctx, path)
		sum.addFile(path, f, err)
	}
	for _, path := range dirs {
		sum.addTree(path, w.serial(ctx, path), nil)
	}
	return sum
}

// unbounded is the walk with a goroutine for each file and each directory: as
// short, but a large tree on a slow disk takes a thread and an open file for
// each of them too.
func (w *walk) unbounded(ctx context.Context, path string) summary {
	var (
		sum   summary
		mu    sync.Mutex // guards sum
		group sync.WaitGroup
	)
	files, dirs := w.list(path, &sum)
	for _, path := range files {
		group.Go(func() {
			f, err := w.read(ctx, path)
			mu.Lock()
			defer mu.Unlock()
			sum.addFile(path, f, err)
		})
	}
	for _, path := range dirs {
		group.Go(func() {
			tree := w.unbounded(ctx, path)
			mu.Lock()
			defer mu.Unlock()
			sum.addTree(path, tree, nil)
		})
	}
	group.Wait()
	return sum
}

// sampled is a source that notes how many goroutines there are whenever a file
// is opened.
type sampled struct {
	source
	peak atomic.Int64
}

func (s *sampled) Open(path string) (fs.File, error) {
	now := int64(runtime.NumGoroutine())
	for peak := s.peak.Load(); now > peak && !s.peak.CompareAndSwap(peak, now); {
		peak = s.peak.Load()
	}
	return s.source.Open(path)
}

// writeTimings writes the ways side by side; the first is the measure.
func writeTimings(w io.Writer, timings []timing) {
	if len(timings) == 0 {
		return
	}
	fmt.Fprintf(w, "\n  %-22s %9s %9s %11s %7s  %s\n", "the same tree again", "seconds", "speed", "goroutines", "errors", "digest")
	for _, t := range timings {
		verdict := "the same"
		if !t.Same {
			verdict = "DIFFERENT"
		}
		fmt.Fprintf(w, "  %-22s %9.3f %8.2fx %11s %7s  %s\n", t.Way, t.Seconds, timings[0].Seconds/t.Seconds,
			count(t.Goroutines), count(t.Errors), verdict)
	}
}
