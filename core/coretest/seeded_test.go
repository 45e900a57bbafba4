package coretest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/core/flow"
)

// medley is a run with all that a task can do: end, fail, panic, submit, await, hand
// its slot over, be run again, be cancelled, sleep.
func medley(t *testing.T, seed uint64) (trace string) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		note := func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) }
		s := coretest.Seeded(t, seed, core.WithWorkers(9), core.WithLogger(quiet))
		e := s.Engine
		for i := range 8 {
			submit(t, e, fmt.Sprint("plain", i), func(context.Context) error { note("plain%d", i); return nil })
		}
		submit(t, e, "panics", func(context.Context) error { panic("ouch") })
		submit(t, e, "parent", func(ctx context.Context) error {
			var children []*core.Future[int]
			for i := range 3 {
				f, err := core.SubmitWith(ctx, e, named(fmt.Sprint("child", i)), core.Func(func(context.Context) (int, error) {
					note("child%d", i)
					return i, nil
				}))
				if err != nil {
					return err
				}
				children = append(children, f)
			}
			_, err := children[2].Await(ctx) // runs it here
			note("parent has child 2: %v", err)
			_, err = flow.All(ctx, children) // sleeps
			note("parent has all: %v", err)
			return err
		})
		submit(t, e, "impatient", func(ctx context.Context) error {
			f, err := core.SubmitWith(ctx, e, named("grandchild"), core.Func(func(context.Context) (int, error) { return 0, nil }))
			if err != nil {
				return err
			}
			own, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			_, err = f.Await(own) // hands its slot over
			note("impatient goes on: %v", err)
			return err
		})
		submit(t, e, "again", func(ctx context.Context) error {
			note("again %d", core.Attempt(ctx))
			if n := core.Attempt(ctx); n < 3 {
				return core.Again(time.Duration(n)*time.Minute, nil)
			}
			return nil
		})
		submit(t, e, "sleeper", func(context.Context) error { time.Sleep(time.Second); note("woke"); return nil })
		doomed := submit(t, e, "doomed", func(context.Context) error { t.Error("a cancelled task ran"); return nil })
		doomed.Cancel()
		n := s.Run()
		if st := e.Stats(); st.Succeeded != 16 || st.Panicked != 1 || st.Canceled != 1 {
			t.Errorf("seed %d: %+v", seed, st)
		}
		note("%d steps", n)
		trace = strings.Join(s.Trace(), " ") + "\n" + strings.Join(log, "\n")
	})
	return trace
}

func TestSeeded_Replays(t *testing.T) {
	orders := make(map[string]bool)
	for seed := range uint64(100) {
		first, second := medley(t, seed), medley(t, seed)
		if first != second {
			t.Fatalf("seed %d:\n%s\n\nand then:\n%s", seed, first, second)
		}
		orders[first] = true
	}
	if len(orders) < 99 {
		t.Errorf("100 seeds gave %d orders", len(orders))
	}
}

func TestSeeded_Step(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coretest.Seeded(t, 1)
		if s.Step() {
			t.Error("there was nothing to step")
		}
		ran := 0
		f := submit(t, s.Engine, "a", func(context.Context) error { ran++; return nil })
		submit(t, s.Engine, "b", func(context.Context) error { ran++; return nil })
		synctest.Wait()
		if ran != 0 {
			t.Error("a task has run without a step")
		}
		for want := 1; want <= 2; want++ {
			if !s.Step() || ran != want || s.Engine.Stats().Ended() != uint64(want) {
				t.Errorf("after step %d %d have run: %+v", want, ran, s.Engine.Stats())
			}
		}
		if s.Step() || !f.IsDone() {
			t.Error("there was one step too many")
		}
	})
}

func TestSeeded_StepSkipsTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coretest.Seeded(t, 1)
		for range 20 {
			submit(t, s.Engine, "dead", nothing).Cancel()
		}
		submit(t, s.Engine, "live", nothing)
		if !s.Step() || s.Engine.Stats().Succeeded != 1 {
			t.Errorf("the first step: %+v", s.Engine.Stats())
		}
		if s.Step() {
			t.Error("a step for a dead entry")
		}
	})
}

// The same function twice is two entries.
func TestSeeded_Functions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coretest.Seeded(t, 1)
		ran := 0
		fn := func() { ran++ }
		for range 10 {
			if err := s.Engine.Go(fn); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.Run(); n != 10 || ran != 10 {
			t.Errorf("%d steps, %d have run", n, ran)
		}
		if got := s.Trace(); len(got) != 10 || got[0] != "func()" {
			t.Errorf("trace %q", got)
		}
	})
}

func TestSeeded_AwaitFromOutsideRunsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coretest.Seeded(t, 1)
		for i := range 1000 { // until the engine knows that its tasks are tiny
			f := submit(t, s.Engine, "tiny", nothing)
			done := make(chan struct{})
			go func() { _, _ = f.Await(context.Background()); close(done) }()
			synctest.Wait()
			if f.IsDone() {
				t.Fatalf("task %d ran without a step", i)
			}
			s.Run()
			<-done
		}
	})
}

// What a task runs because it awaits it takes no step.
func TestSeeded_AwaitInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coretest.Seeded(t, 1)
		submit(t, s.Engine, "parent", func(ctx context.Context) error {
			_, err := core.RunWith(ctx, s.Engine, named("child"), core.Func(func(context.Context) (int, error) { return 0, nil }))
			return err
		})
		if n := s.Run(); n != 1 || !slices.Equal(s.Trace(), []string{"parent", "child"}) {
			t.Errorf("%d steps: %q", n, s.Trace())
		}
	})
}

// A step takes into account what was begun before it.
func TestSeeded_StepWaitsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coretest.Seeded(t, 1)
		go submit(t, s.Engine, "a", nothing)
		if !s.Step() {
			t.Error("the submission was overtaken")
		}
	})
}

// A task that waits for what the engine does not know holds the worker.
func TestSeeded_HeldWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coretest.Seeded(t, 1)
		gate := make(chan struct{})
		submit(t, s.Engine, "holds", func(context.Context) error { <-gate; return nil })
		if !s.Step() {
			t.Error("it was not started")
		}
		submit(t, s.Engine, "behind", nothing)
		if s.Step() {
			t.Error("another was started beside it")
		}
		close(gate)
		synctest.Wait()
		if s.Engine.Stats().Succeeded != 1 {
			t.Error("the unused step was kept")
		}
		if n := s.Run(); n != 1 {
			t.Errorf("%d steps", n)
		}
	})
}

func TestSeeded_Paused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coretest.Seeded(t, 1)
		if err := s.Engine.Pause(); err != nil {
			t.Fatal(err)
		}
		submit(t, s.Engine, "a", nothing)
		if n := s.Run(); n != 0 {
			t.Errorf("%d steps on a paused engine", n)
		}
		if err := s.Engine.Resume(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := s.Run(); n != 1 {
			t.Errorf("%d steps after Resume", n)
		}
	})
}

// What a forced end hands back is in the order of submission.
func TestSeeded_HandsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coretest.Seeded(t, 1)
		for i := range 20 {
			submit(t, s.Engine, fmt.Sprint(i), nothing)
		}
		s.Step()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		report, ok := errors.AsType[*core.ShutdownError](s.Engine.Shutdown(ctx))
		if !ok || len(report.Undone) != 19 {
			t.Fatalf("report %+v", report)
		}
		var names []string
		for i := range 20 {
			if name := fmt.Sprint(i); name != s.Trace()[0] {
				names = append(names, name)
			}
		}
		for i, undone := range report.Undone {
			if undone.Name() != names[i] {
				t.Errorf("undone %d is %s, want %s", i, undone.Name(), names[i])
			}
		}
	})
}

func TestSeeded_Drain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coretest.Seeded(t, 1)
		for range 5 {
			submit(t, s.Engine, "a", nothing)
		}
		ended := make(chan error, 1)
		go func() { ended <- s.Engine.Shutdown(context.Background()) }()
		synctest.Wait()
		if n := s.Run(); n != 5 {
			t.Errorf("%d steps", n)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestSeeded_Discards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coretest.Seeded(t, 1, core.WithQueueCapacity(2), core.WithReject(core.RejectDiscardOldest))
		first := submit(t, s.Engine, "first", nothing)
		submit(t, s.Engine, "second", nothing)
		submit(t, s.Engine, "third", nothing)
		if _, err := first.Get(); !errors.Is(err, core.ErrDiscarded) {
			t.Errorf("the oldest: %v", err)
		}
		if n := s.Run(); n != 2 || slices.Contains(s.Trace(), "first") {
			t.Errorf("%d steps: %q", n, s.Trace())
		}
	})
}

func TestSeeded_TellsTheSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTB{}
		text := f.run(func() {
			s := coretest.Seeded(f, 4711)
			submit(t, s.Engine, "a", nothing)
			submit(t, s.Engine, "a", nothing)
			s.Step()
			f.Errorf("wrong")
		})
		f.want(t, true, text, "wrong", "the order of seed 4711 was: a\n")
		if strings.Contains(text, "not started") {
			t.Errorf("a test that has failed is told what was left: %s", text)
		}
	})
}

func TestSeeded_LeftToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTB{}
		ran := 0
		text := f.run(func() {
			s := coretest.Seeded(f, 1)
			submit(t, s.Engine, "a", func(ctx context.Context) error {
				if core.Attempt(ctx) == 0 {
					return core.Again(time.Hour, nil)
				}
				ran++
				return nil
			})
		})
		if f.want(t, false, text); text != "" || ran != 1 {
			t.Errorf("%q, %d have run", text, ran)
		}
	})
}

func TestSeeded_Hangs(t *testing.T) {
	for _, run := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeTB{}
			gate := make(chan struct{})
			text := f.run(func() {
				s := coretest.Seeded(f, 1)
				submit(t, s.Engine, "stuck", func(ctx context.Context) error { return hangHere(ctx, gate, false) })
				if run {
					s.Run()
					t.Error("Run returned")
				}
			})
			f.want(t, true, text, "nothing has happened for 168h0m0s", "hangHere", "the order of seed 1 was: stuck")
			close(gate)
		})
	}
}

func TestSeeded_Refuses(t *testing.T) {
	f := &fakeTB{}
	f.want(t, true, f.run(func() { coretest.Seeded(f, 1) }), "inside a bubble")
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTB{}
		f.want(t, true, f.run(func() { coretest.Seeded(f, 1, core.WithScheduler(noScheduler{})) }), "takes no Scheduler")
		f = &fakeTB{}
		f.want(t, true, f.run(func() { coretest.Seeded(f, 1, core.WithQueueCapacity(-7)) }), "QueueCapacity")
	})
}

type noScheduler struct{}

func (noScheduler) Push(core.Job)                 {}
func (noScheduler) Pop(int) (j core.Job, ok bool) { return j, ok }
func (noScheduler) Len() int                      { return 0 }

func TestSeed(t *testing.T) {
	t.Run("given", func(t *testing.T) {
		t.Setenv(coretest.SeedVariable, "0xff")
		f := &fakeTB{}
		text := f.run(func() {
			if seed := coretest.Seed(f); seed != 255 {
				t.Errorf("the seed is %d", seed)
			}
			f.Errorf("wrong")
		})
		f.want(t, true, text, "GOMAN_SEED=255")
	})
	t.Run("drawn", func(t *testing.T) {
		t.Setenv(coretest.SeedVariable, "")
		f := &fakeTB{}
		text := f.run(func() {
			if a, b := coretest.Seed(f), coretest.Seed(f); a == b {
				t.Errorf("drew %d twice", a)
			}
		})
		if f.want(t, false, text); text != "" {
			t.Errorf("a test that passes says %q", text)
		}
	})
	t.Run("no number", func(t *testing.T) {
		t.Setenv(coretest.SeedVariable, "x")
		f := &fakeTB{}
		f.want(t, true, f.run(func() { coretest.Seed(f) }), "GOMAN_SEED")
	})
}
