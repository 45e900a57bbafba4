// Command mutate makes small mistakes of concurrency in a module's code, one at a
// time, and runs the module's tests against each. A mistake that no test tells is
// a hole in the tests, or code that nobody needs. Tools for ordinary code change
// signs and conditions; this one drops what publishes, wakes, locks and looks
// again.
//
// Run it from .ci/tools, with the workspace off, because the tools are not part of
// it:
//
//	GOWORK=off go run ./mutate -dir ../../core -files park.go -run 'Park|Stress'
//	GOWORK=off go run ./mutate -dir ../../core -changed HEAD~1 -min 90
//
// The operators are
//
//	delete-*     a call, assignment, send, receive, increment, defer or go; or what
//	             empties a place: x = nil, clear(x), x = T{}, x.Store(nil)
//	swap         two neighbouring statements, if another goroutine may notice
//	swap-stores  the same of two stores, one of them atomic
//	drop-lock    Lock with all its Unlocks
//	cas-store    CompareAndSwap becomes Store, and reports success
//	split-*      Add, And, Or, Swap become a load and a store
//	signal       Broadcast becomes Signal
//	negate, always, never  what an if asks
//	clause       one operand of && or || left out
//	boundary     < becomes <=, and so on, of integers
//	equality     == becomes !=, of integers, but not where a loop may not end
//	loop-once    a loop that looks again looks once
//
// Calls of a package named point, by which tests steer the code, are left alone.
// Statements on both sides of one are neighbours.
//
// A mutant is killed by a failing test, by a report of the race detector, or by
// not ending in time. Those that no test can tell are listed with a reason in
// .ci/mutants/<module>.txt and are not run. The files in the tree are never
// changed. The exit status is 1 if the rate of killed ones
// is below -min.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// settings are the flags.
type settings struct {
	trial
	dir, files, skip, changed, known string
	operators                        string
	sample, jobs                     int
	seed                             uint64
	min                              float64
	asJSON, list, verbose            bool
}

// errBelow means that too many mutants survived; the report says so.
var errBelow = errors.New("the rate is below -min")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errBelow):
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
}

// parseFlags reads the command line.
func parseFlags(args []string, stderr io.Writer) (*settings, error) {
	s := &settings{}
	f := flag.NewFlagSet("mutate", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&s.dir, "dir", ".", "the module")
	f.StringVar(&s.files, "files", "", "only these files, separated by commas; patterns are allowed")
	f.StringVar(&s.operators, "operators", "", "only these operators, separated by commas; patterns are allowed")
	f.StringVar(&s.run, "run", "", "only the tests that match")
	f.StringVar(&s.tags, "tags", "", "build the code and the tests with these tags, separated by commas")
	f.BoolVar(&s.race, "race", false, "run the tests under the race detector")
	f.BoolVar(&s.short, "short", true, "run the tests with -short")
	f.DurationVar(&s.timeout, "timeout", time.Minute, "how long the tests may take for one mutant")
	f.Int64Var(&s.memory, "memory", 4<<30, "how many bytes the tests of one mutant may use; 0 is no limit")
	f.IntVar(&s.sample, "sample", 0, "try only so many mutants, chosen by -seed")
	f.Uint64Var(&s.seed, "seed", 1, "chooses the sample")
	f.IntVar(&s.jobs, "jobs", 1, "how many mutants are tried at a time")
	f.StringVar(&s.skip, "skip", "", "a file of ids that are not tried, for example the output of a run that was stopped")
	f.StringVar(&s.changed, "changed", "", "only mutants of lines that changed since this git revision")
	f.StringVar(&s.known, "known", "", "the file of equivalents (default .ci/mutants/<module>.txt)")
	f.Float64Var(&s.min, "min", 0, "the least rate of killed mutants, in percent")
	f.BoolVar(&s.asJSON, "json", false, "write a report in JSON; the lines go to standard error")
	f.BoolVar(&s.list, "list", false, "only list the mutants")
	f.BoolVar(&s.verbose, "v", false, "print the end of what the tests of each killed mutant said")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	dir, err := filepath.Abs(s.dir)
	s.dir = dir
	return s, err
}

// run makes the mutants, tries them and reports.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	progress := stdout
	if s.asJSON {
		progress = stderr
	}
	m, err := load(ctx, s.dir, s.flags())
	if err != nil {
		return err
	}
	c, err := choose(ctx, s, m)
	if err != nil {
		return err
	}
	if s.list {
		for _, m := range c.todo {
			fmt.Fprintf(stdout, "%s  line %d: %s\n", m.ID, m.Line, m.Change)
		}
		return nil
	}
	fmt.Fprintf(progress, "%d mutants made, %d to try\n", len(c.made), len(c.todo))
	if s.temp, err = os.MkdirTemp("", "mutate"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(s.temp) }()
	s.cache = &cache{dir: filepath.Join(s.temp, "cache")}
	if err := s.tryAll(ctx, c.todo, progress); err != nil && ctx.Err() == nil {
		return err
	}
	r := newReport(filepath.Base(m.dir), c.made)
	r.Stale = c.stale
	if s.asJSON {
		err = r.json(stdout)
	} else {
		err = r.text(stdout)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && r.Rate < s.min {
		err = fmt.Errorf("%w: %.1f %% of %.1f %%", errBelow, r.Rate, s.min)
	}
	return err
}

// matches reports whether name, or the last part of it, matches one of the
// patterns; no patterns match everything.
func matches(patterns, name string) (bool, error) {
	if patterns == "" {
		return true, nil
	}
	for pattern := range strings.SplitSeq(patterns, ",") {
		for _, n := range []string{name, filepath.Base(name)} {
			if ok, err := filepath.Match(pattern, n); ok || err != nil {
				return ok, err
			}
		}
	}
	return false, nil
}
