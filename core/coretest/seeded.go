package coretest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

// Horizon is how far [Stepper.Run] lets the bubble's clock go on without a task that
// is queued, run again or ended, before it calls the engine hanging.
const Horizon = 7 * 24 * time.Hour

// TraceLimit is how many starts [Stepper.Trace] remembers, the first.
const TraceLimit = 10_000

// Stepper is an engine that starts nothing by itself: each Step starts one queued
// task, chosen by a seed. See [Seeded].
type Stepper struct {
	// Engine is the engine, for the code under test.
	Engine *core.Engine

	t     testing.TB
	seed  uint64
	order *order
}

// Seeded makes an engine whose tasks run one at a time, in an order that seed
// chooses. It works in a bubble of testing/synctest alone, with the bubble's t:
//
//	synctest.Test(t, func(t *testing.T) {
//		s := coretest.Seeded(t, coretest.Seed(t))
//		service := NewService(s.Engine)
//		...
//		s.Run()
//	})
//
// Tasks run on a goroutine of the engine, while Step waits until the whole bubble
// is at rest: until the task has ended, or waits. That is why there must be a
// bubble: outside nobody can tell a task that will go on in a moment from one that
// waits.
//
// The same seed gives the same order, in the same program with the same release of
// Go, if the bubble's goroutines do not race: what is deterministic is which of
// the queued tasks each Step starts, counted in the order in which they were
// queued, and that nothing else starts. A task that awaits a queued task runs it at
// once, as always. What is not deterministic:
//
//   - several goroutines that submit at the same time, be they of the test or of a
//     task: the order in which their tasks are queued is that of the Go scheduler;
//   - several tasks that wait inside (for one that does not run on their own
//     stack, for room, with a context that has an end of its own) and can go on after
//     the same step: they go on one at a time, in any order;
//   - timers of the same instant, such as equal delays of core.Again;
//   - what a task takes from elsewhere: files, the network, other random numbers, the
//     order of maps.
//
// Seeded sets the number of workers, 1, and the Scheduler, after options; a
// Scheduler among options ends the test, since its order would not be tested.
// Policies count as they do elsewhere: a Submit of the test's own goroutine that
// waits for room, or an Await before the task was run, waits for ever, because
// nobody calls Step. core.RejectCallerRuns runs a task at once, outside the order.
//
// At the end of the test what is queued runs, and the end of the engine is checked
// as [New] does it. Shutdown itself runs nothing, so call Run before, or step while
// another goroutine waits for it. If the test fails the seed and the order are
// logged.
func Seeded(t testing.TB, seed uint64, options ...core.Option) *Stepper {
	t.Helper()
	if !inBubble() {
		t.Fatalf("coretest: Seeded must be called inside a bubble: synctest.Test(t, func(t *testing.T) { ... })")
	}
	o := newOrder(seed)
	given := false
	mine := func(c *core.Config) {
		given = c.Scheduler != nil
		c.Workers, c.Scheduler = 1, o
		c.Hooks = append(slices.Clip(c.Hooks), o.hooks())
	}
	engine, err := core.New(append(append(defaults(t), options...), mine)...)
	if err != nil {
		t.Fatalf("coretest: %v", err)
	}
	s := &Stepper{Engine: engine, t: t, seed: seed, order: o}
	t.Cleanup(s.end)
	if given {
		t.Fatalf("coretest: Seeded orders the tasks itself and takes no Scheduler")
	}
	return s
}

// inBubble reports whether the caller may call synctest.Wait.
func inBubble() (ok bool) {
	defer func() { ok = recover() == nil }()
	synctest.Wait()
	return true
}

// end runs what is left and checks the end of the engine.
func (s *Stepper) end() {
	s.t.Helper()
	if s.t.Failed() {
		// What is left would only tell the same again.
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		_ = s.Engine.Close(ctx)
	} else {
		if _, ok := s.run(); !ok {
			s.t.Errorf("%s", s.hanging())
		}
		end(s.t, s.Engine)
	}
	if s.t.Failed() {
		s.t.Logf("coretest: the order of seed %d was: %s", s.seed, strings.Join(s.Trace(), ", "))
	}
}

// Step starts one queued task, chosen by the seed, and waits until the bubble is at
// rest: until the task has ended, has asked to be run again, or waits for something.
// It reports false if it started none: none is queued, the engine is paused or has
// ended, or a task holds the worker because it waits for something that the engine
// does not know of, such as a channel or the time.
//
// Time stands still meanwhile. A task that waits for room, or to be run again later,
// is not queued. Call Step and Run from one goroutine at a time, inside the bubble
// and outside of tasks.
func (s *Stepper) Step() bool {
	synctest.Wait()
	s.order.open()
	synctest.Wait()
	return s.order.shut()
}

// Run steps until nothing is queued, delayed or running, and returns how many steps
// that took. Where all that is left waits for the time it lets the bubble's clock go
// on, for at most [Horizon] at once; then it ends the test, with the stacks of the
// tasks that run. On a paused engine it leaves what is queued. It must be called on
// the goroutine of the test.
func (s *Stepper) Run() int {
	s.t.Helper()
	n, ok := s.run()
	if !ok {
		s.t.Fatalf("%s", s.hanging())
	}
	return n
}

// run is Run; it reports false if the engine hangs.
func (s *Stepper) run() (n int, ok bool) {
	for {
		for s.Step() {
			n++
		}
		if st := s.Engine.Stats(); st.Running == 0 && st.Delayed == 0 {
			return n, true
		}
		timer := time.NewTimer(Horizon)
		select {
		case <-s.order.changed:
			timer.Stop()
		case <-timer.C:
			return n, false
		}
	}
}

func (s *Stepper) hanging() string {
	return fmt.Sprintf("coretest: engine %s: nothing has happened for %v\n%s%s",
		s.Engine.Name(), Horizon, figures(s.Engine.Stats()), stacks())
}

// Trace returns the names of the tasks in the order in which they have started,
// those that were run by a task that awaits them included; "name#1" is the first
// time that a task was run again. It remembers the first [TraceLimit]. It may be
// called by any goroutine.
func (s *Stepper) Trace() []string {
	s.order.mu.Lock()
	defer s.order.mu.Unlock()
	return slices.Clone(s.order.trace)
}
