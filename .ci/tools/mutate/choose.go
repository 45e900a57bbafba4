package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// choice is which mutants there are and which of them are to be tried.
type choice struct {
	made  []*mutant
	todo  []*mutant
	stale []string
}

// choose makes the mutants, throws out what is not a program, and takes from the
// rest what the settings ask for.
func choose(ctx context.Context, s *settings, m *module) (*choice, error) {
	known := s.known
	if known == "" {
		known = equivalentsOf(ctx, m.dir)
	}
	equal, err := readIDs(known, true)
	if err != nil {
		return nil, err
	}
	skip := make(map[string]string)
	if s.skip != "" {
		if skip, err = readIDs(s.skip, false); err != nil {
			return nil, err
		}
	}
	var changed map[string]lines
	if s.changed != "" {
		if changed, err = changedSince(ctx, m.dir, s.changed); err != nil {
			return nil, err
		}
	}
	c := &choice{}
	var files []*source
	for _, p := range m.packages {
		for _, src := range p.files {
			if ok, err := matches(s.files, src.name); err != nil {
				return nil, err
			} else if ok {
				files = append(files, src)
				c.made = append(c.made, src.mutants()...)
			}
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no file in %s matches -files %q", s.dir, s.files)
	}
	c.stale = stale(equal, c.made, files)
	slices.Sort(c.stale)
	if c.made, err = keep(c.made, s.operators, changed); err != nil {
		return nil, err
	}
	c.judge(equal, skip)
	c.sample(s.sample, s.seed)
	return c, ctx.Err()
}

// keep leaves out the mutants of other operators and of lines that did not change.
func keep(made []*mutant, operators string, changed map[string]lines) ([]*mutant, error) {
	var kept []*mutant
	for _, m := range made {
		ok, err := matches(operators, m.Operator)
		if err != nil {
			return nil, err
		}
		if ok && (changed == nil || m.touches(changed)) {
			kept = append(kept, m)
		}
	}
	return kept, nil
}

// judge gives a verdict on those that need not be tried.
func (c *choice) judge(equal, skip map[string]string) {
	for _, m := range c.made {
		reason, isEqual := equal[m.ID]
		_, isSkipped := skip[m.ID]
		switch {
		case isEqual:
			m.outcome = outcome{Verdict: equivalent, Reason: reason}
		case isSkipped:
			m.Verdict = skipped
		case !m.compiles():
			m.Verdict = notCompiled
		default:
			m.Verdict = untried
			c.todo = append(c.todo, m)
		}
	}
}

// sample leaves n mutants to try, the same ones for the same seed, in order.
func (c *choice) sample(n int, seed uint64) {
	if n <= 0 || n >= len(c.todo) {
		return
	}
	chosen := rand.New(rand.NewPCG(seed, 0)).Perm(len(c.todo))[:n]
	slices.Sort(chosen)
	todo := make([]*mutant, 0, n)
	for _, i := range chosen {
		todo = append(todo, c.todo[i])
	}
	c.todo = todo
}

// tryAll tries the mutants, some at a time, and prints a line for each. First the
// tests have to pass as the code is: otherwise they would kill everything.
func (s *settings) tryAll(ctx context.Context, todo []*mutant, out io.Writer) error {
	var checked []*pkg
	for _, m := range todo {
		p := m.src.pkg
		if slices.Contains(checked, p) || !p.tested {
			continue
		}
		checked = append(checked, p)
		o, log, err := s.try(ctx, p, nil)
		if err != nil {
			return err
		}
		if o.Verdict != survived {
			return fmt.Errorf("the tests of %s do not pass without a mutant (%s %s):\n%s", p.path, o.Verdict, o.How, log)
		}
		fmt.Fprintf(out, "%s: the tests pass, %.1f s with the build\n", p.path, o.Seconds)
	}
	if err := s.cache.freeze(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan *mutant)
	var mu sync.Mutex // of out
	var group sync.WaitGroup
	for range max(s.jobs, 1) {
		group.Go(func() {
			for m := range queue {
				if err := s.tryOne(ctx, m, out, &mu); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, m := range todo {
		select {
		case queue <- m:
		case <-ctx.Done():
		}
	}
	close(queue)
	group.Wait()
	return context.Cause(ctx)
}

// tryOne tries a mutant and prints what became of it: the id first, so that the
// output can be given to -skip.
func (s *settings) tryOne(ctx context.Context, m *mutant, out io.Writer, mu *sync.Mutex) error {
	o, log := outcome{Verdict: survived}, "" // what has no tests survives them
	if m.src.pkg.tested {
		var err error
		if o, log, err = s.try(ctx, m.src.pkg, m); err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
	}
	m.outcome = o
	verdict := strings.TrimSpace(o.Verdict + " " + o.How)
	mu.Lock()
	defer mu.Unlock()
	fmt.Fprintf(out, "%s  %-16s %5.1f s  line %d: %s\n", m.ID, verdict, o.Seconds, m.Line, m.Change)
	if s.verbose && o.Verdict == killed {
		fmt.Fprintln(out, tail(log, 12))
	}
	return nil
}

// tail returns the first line that says what failed, and those after it.
func tail(log string, n int) string {
	all := strings.Split(log, "\n")
	for i, line := range all {
		if strings.Contains(line, "FAIL") || strings.Contains(line, "panic:") || strings.Contains(line, "DATA RACE") {
			all = all[i:]
			break
		}
	}
	return "    " + filepath.ToSlash(strings.Join(all[:min(n, len(all))], "\n    "))
}
