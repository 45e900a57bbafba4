package schedulertest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/uptutu/goman/core"
)

// Run tests the scheduler that the Spec describes, each property as a subtest. The
// documentation of the package tells which there are.
func Run(t *testing.T, spec Spec) {
	t.Helper()
	e, err := effortFromEnv(testing.Short())
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.validate(); err != nil {
		t.Fatal(err)
	}
	spec = spec.complete()
	for _, p := range properties {
		if p.applies(&spec) {
			t.Run(p.name, func(t *testing.T) {
				if err := p.run(t, &spec, e); err != nil {
					t.Errorf("%v\n%s=%d repeats what can be repeated", err, seedEnv, e.seed)
				}
			})
		}
	}
}

// The variables of the environment that change a run.
const (
	scaleEnv = "GOMAN_SCHEDULERTEST_SCALE"
	seedEnv  = "GOMAN_SCHEDULERTEST_SEED"
)

// effort is how much is done, and from which seed.
type effort struct {
	scale float64
	seed  uint64
}

// effortFromEnv reads the variables; -short is a tenth of what they say.
func effortFromEnv(short bool) (effort, error) {
	e := effort{scale: 1, seed: rand.Uint64()}
	if text := os.Getenv(scaleEnv); text != "" {
		scale, err := strconv.ParseFloat(text, 64)
		if err != nil || !(scale > 0 && scale <= 1e6) {
			return e, fmt.Errorf("schedulertest: %s=%q: want a number above 0 and up to a million", scaleEnv, text)
		}
		e.scale = scale
	}
	if text := os.Getenv(seedEnv); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return e, fmt.Errorf("schedulertest: %s=%q: want a number", seedEnv, text)
		}
		e.seed = seed
	}
	if short {
		e.scale /= 10
	}
	return e, nil
}

func (e effort) rounds(n int) int { return max(int(float64(n)*e.scale), 1) }

// property is one that a scheduler has or has not. check returns what is wrong.
type property struct {
	name    string
	applies func(*Spec) bool
	bubble  bool // time passes in it
	check   func(*Spec, effort) error
}

// run calls check. A scheduler that panics has failed the property.
func (p *property) run(t *testing.T, s *Spec, e effort) (err error) {
	guarded := func() {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("a panic: %v", v)
			}
		}()
		err = p.check(s, e)
	}
	if p.bubble && s.Step > 0 {
		synctest.Test(t, func(*testing.T) { guarded() })
	} else {
		guarded()
	}
	return err
}

func always(*Spec) bool     { return true }
func direct(s *Spec) bool   { return s.New != nil }
func modelled(s *Spec) bool { return s.New != nil && s.Model != nil }

var properties = []property{
	{"Conservation", direct, false, sequences(faultLost, mix{push: 4, pop: 3, complete: 3, again: 1, claim: 1, resize: 1})},
	{"ExactlyOnce", direct, false, sequences(faultTwice, mix{push: 4, pop: 4, complete: 3, again: 2, claim: 2, sweep: 1})},
	{"Len", direct, false, sequences(faultLen, mix{push: 4, pop: 3, complete: 3, claim: 1, sweep: 1})},
	{"Order", modelled, false, sequences(faultOrder, mix{push: 5, pop: 4, complete: 9})},
	{"WorkConserving", modelled, false, sequences(faultIdle, mix{push: 4, pop: 4, complete: 3, sweep: 1})},
	{"Completion", modelled, false, sequences(faultOrder|faultIdle, mix{push: 5, pop: 6, complete: 2, again: 1})},
	{"Claim", direct, false, sequences(faultClaim|faultOrder|faultTwice, mix{push: 4, pop: 2, complete: 2, again: 1, claim: 4})},
	{"Sweep", sweeps, false, sequences(faultSweep|faultOrder|faultTwice|faultLost, mix{push: 6, pop: 2, complete: 2, sweep: 1, claim: 1})},
	{"Waits", direct, false, sequences(faultLost|faultTwice, mix{push: 4, pop: 5, complete: 2, again: 1, claim: 3, yield: 2})},
	{"Resize", direct, false, sequences(faultLost|faultTwice, mix{push: 4, pop: 3, complete: 3, resize: 3})},
	{"Bound", func(s *Spec) bool { return s.Bound != nil }, true, checkBound},
	{"Nesting", func(s *Spec) bool { return s.Nest != nil }, false, checkNesting},
	{"Order/Engine", func(s *Spec) bool { return s.New == nil && s.Model != nil }, false, checkEngineOrder},
	{"Engine/ExactlyOnce", always, false, checkEngine},
	{"Engine/Full", always, false, checkFull},
	{"Engine/Close", always, false, checkClose},
}

func sweeps(s *Spec) bool {
	if s.New == nil {
		return false
	}
	made, err := s.New()
	if err != nil {
		return true // which the property reports
	}
	_, ok := made.(core.Sweeper)
	return ok
}

// mix is how often each call is made, in proportion.
type mix struct{ push, pop, complete, again, claim, sweep, resize, yield int }

// sequences checks random sequences of calls, short ones first.
func sequences(judged fault, m mix) func(*Spec, effort) error {
	return func(s *Spec, e effort) error {
		jobs, err := newMint(s)
		if err != nil {
			return err
		}
		defer jobs.close()
		for round := range e.rounds(300) {
			random := rand.New(rand.NewPCG(e.seed, uint64(round)))
			d, err := newDriver(s, jobs, random, judged)
			if err != nil {
				return err
			}
			pool := random.Perm(len(jobs.jobs))
			for range 4 + round/2 {
				d.step(m, &pool)
				if d.found != nil {
					return d.found
				}
			}
			if m.resize > 0 {
				d.resized(1)
			}
			if d.drain(); d.found != nil {
				return d.found
			}
		}
		return nil
	}
}

func (d *driver) completeAny(again bool) {
	if n := len(d.running); n > 0 {
		d.complete(d.random.IntN(n), again)
	}
}

// enoughJobs is from how many on no new ones are made as long as there are others.
const enoughJobs = 1000

// step makes one call. pool are the jobs that can be pushed.
func (d *driver) step(m mix, pool *[]int) {
	n := d.random.IntN(m.push + m.pop + m.complete + m.again + m.claim + m.sweep + m.resize + m.yield)
	is := func(share int) bool {
		n -= share
		return n < 0 && n >= -share
	}
	switch {
	case is(m.push):
		if len(*pool) == 0 || len(d.mint.jobs) < enoughJobs && d.random.IntN(2) == 0 {
			d.push(d.mint.job(d.random.IntN(d.mint.spec.Kinds)))
			return
		}
		d.push(d.mint.jobs[(*pool)[0]])
		*pool = (*pool)[1:]
	case is(m.pop):
		d.pop()
	case is(m.complete):
		d.completeAny(false)
	case is(m.again):
		d.completeAny(true)
	case is(m.claim):
		if len(d.order) > 0 {
			d.claim(d.order[d.random.IntN(len(d.order))])
		}
	case is(m.sweep):
		share := d.random.IntN(4)
		chosen := map[core.Job]bool{}
		d.sweep(func(job core.Job) bool {
			if _, ok := chosen[job]; !ok {
				chosen[job] = d.random.IntN(4) < share
			}
			return chosen[job]
		})
	case is(m.yield):
		d.yield()
	case is(m.resize):
		d.resized(1 + d.random.IntN(4))
	}
}
