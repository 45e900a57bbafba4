//go:build goman_points

package core_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/internal/point"
)

// schedules returns how many schedules of a scenario are run.
func schedules(n int) int {
	switch {
	case testing.Short():
		return n / 20
	case raceEnabled:
		return n / 10
	}
	return n
}

// scheduled makes an engine that is ended with the scenario: without a time-out,
// which would hide a Shutdown that nobody wakes.
func scheduled(c *point.Controller, options ...core.Option) *core.Engine {
	e, err := core.New(append(options, quietly())...)
	if err != nil {
		c.Fatalf("New: %v", err)
	}
	c.Cleanup(func() {
		if err := e.Shutdown(context.Background()); err != nil {
			c.Errorf("Shutdown: %v", err)
		}
		endEngine(c, e)
	})
	return e
}

// Submission against parking, from the first worker on: every task runs without a
// further event, and the engine comes to its end. (P-C5)
func TestSchedule_SubmitAgainstPark(t *testing.T) {
	for workers := 1; workers <= 2; workers++ {
		for _, faults := range []float64{0, 0.1} {
			s := point.Check(t, point.Config{Faults: faults}, schedules(3000), func(c *point.Controller) {
				e := scheduled(c, core.WithWorkers(workers))
				c.Go("function", func() {
					for range 2 {
						done := make(chan struct{})
						if err := e.Go(func() { close(done) }); err != nil {
							c.Fatalf("Go: %v", err)
						}
						<-done // without end: a hang is found, a time-out would hide it
						point.At(point.Actor)
					}
				})
				c.Go("task", func() {
					for range 2 {
						f := must(c, e, value(1))
						point.At(point.Actor)
						if _, err := f.Await(context.Background()); err != nil {
							c.Errorf("Await: %v", err)
						}
					}
				})
			})
			t.Logf("%d workers, faults %v:\n%v", workers, faults, &s.Coverage)
		}
	}
}

// Cancel against a worker's claim: either the task never starts and says so, or it
// runs and its context ends, or it has ended before. Nothing in between. (P-C6, P-F1)
func TestSchedule_CancelAgainstClaim(t *testing.T) {
	var seen tally
	s := point.Check(t, point.Config{Faults: 0.05}, schedules(5000), func(c *point.Controller) {
		e := scheduled(c, core.WithWorkers(1))
		var starts atomic.Int64
		f := must(c, e, core.Func(func(ctx context.Context) (int, error) {
			starts.Add(1)
			point.At(point.Actor)
			return 1, context.Cause(ctx)
		}))
		made := false
		c.Go("canceller", func() { made = f.Cancel() })
		point.At(point.Actor)
		v, err := f.Await(context.Background())
		c.Join()
		var cancelled *core.CancelError
		switch {
		case errors.As(err, &cancelled) && !cancelled.Started && made && starts.Load() == 0:
			seen.add("never started")
		case errors.As(err, &cancelled) && cancelled.Started && made && starts.Load() == 1:
			seen.add("cancelled while it ran")
		case err == nil && v == 1 && starts.Load() == 1 && made:
			seen.add("cancelled too late to be noticed")
		case err == nil && v == 1 && starts.Load() == 1 && !made:
			seen.add("ended before")
		default:
			c.Errorf("%d, %v; Cancel said %v; started %d times", v, err, made, starts.Load())
		}
	})
	seen.want(t, "never started", "cancelled while it ran", "cancelled too late to be noticed", "ended before")
	t.Logf("%v\n%v", seen.counts, &s.Coverage)
}

// The same seed gives the same schedule of the real engine.
func TestSchedule_RepeatsItself(t *testing.T) {
	body := func(c *point.Controller) {
		e := scheduled(c, core.WithWorkers(2), core.WithQueueCapacity(1))
		for _, name := range []string{"a", "b"} {
			c.Go(name, func() {
				f := must(c, e, tree(e, new(gauge), 2))
				if n, err := f.Await(context.Background()); n != 3 || err != nil {
					c.Errorf("%d, %v", n, err)
				}
			})
		}
	}
	for seed := range uint64(200) {
		config := point.Config{Seed: seed, Faults: 0.1}
		first, second := point.Run(t, config, body), point.Run(t, config, body)
		if first.Failed() {
			t.Fatalf("seed %d fails: %v", seed, first)
		}
		if a, b := point.TraceText(first.Trace), point.TraceText(second.Trace); a != b {
			t.Fatalf("seed %d has two traces:\n%s\n%s", seed, a, b)
		}
	}
}

// The first look at Done against the end of the task: the channel is closed, whoever
// comes first.
func TestSchedule_DoneAgainstEnd(t *testing.T) {
	s := point.Check(t, point.Config{}, schedules(3000), func(c *point.Controller) {
		e := scheduled(c, core.WithWorkers(1))
		given := make(chan context.Context, 1)
		c.Go("asker", func() {
			ctx := <-given
			point.At(point.Actor)
			done := ctx.Done()
			point.At(point.Actor)
			<-done // without end
		})
		must(c, e, core.Func(func(ctx context.Context) (int, error) {
			given <- ctx
			point.At(point.Actor)
			return 1, nil
		}))
		c.Join()
	})
	t.Logf("%v", &s.Coverage)
}

// Everything that can be asked of a future, against the short end of its task.
func TestSchedule_AllObservers(t *testing.T) {
	point.Check(t, point.Config{Faults: 0.05}, schedules(3000), func(c *point.Controller) {
		e := scheduled(c, core.WithWorkers(1))
		base, cancel := context.WithCancel(context.Background())
		defer cancel()
		f, err := core.Submit(base, e, core.Func(func(ctx context.Context) (int, error) {
			point.At(point.Actor)
			return 7, nil
		}))
		if err != nil {
			c.Fatal(err)
		}
		want := func(what string, v int, err error) {
			if v != 7 || err != nil {
				c.Errorf("%s: %d, %v", what, v, err)
			}
		}
		c.Go("await", func() { v, err := f.Await(context.Background()); want("await", v, err) })
		c.Go("any", func() {
			if i, err := core.AwaitAny(context.Background(), f, f); i != 0 || err != nil {
				c.Errorf("any %d %v", i, err)
			}
			v, err := f.Get()
			want("any", v, err)
		})
		called := make(chan struct{})
		c.Go("callback", func() { f.OnDone(func(v int, err error) { want("callback", v, err); close(called) }) })
		c.Go("done", func() { <-f.Done(); v, err := f.Get(); want("done", v, err) })
		c.Go("idle", func() {
			if err := e.WaitIdle(context.Background()); err != nil {
				c.Error(err)
			}
			if s := e.Stats(); s.Succeeded != 1 || s.Running != 0 {
				c.Errorf("%+v", s)
			}
		})
		c.Join()
		<-called
	})
}

// Forced stop against the short end.
func TestSchedule_CloseAgainstEnd(t *testing.T) {
	point.Check(t, point.Config{Faults: 0.05}, schedules(4000), func(c *point.Controller) {
		e, err := core.New(core.WithWorkers(1), core.WithCancelGrace(-1), quietly())
		if err != nil {
			c.Fatal(err)
		}
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		var fs []*core.Future[int]
		for range 2 {
			fs = append(fs, must(c, e, core.Func(func(ctx context.Context) (int, error) {
				g, err := core.Submit(ctx, e, value(3))
				if err != nil {
					return 0, nil
				}
				point.At(point.Actor)
				_, _ = core.AwaitAny(ctx, g)
				return 7, nil
			})))
		}
		c.Go("close", func() {
			err := e.Close(ended)
			var s *core.ShutdownError
			if err != nil && !errors.As(err, &s) {
				c.Error(err)
			}
			if err := e.Stats().Check(); err != nil {
				c.Error(err)
			}
			for i, f := range fs {
				if !f.IsDone() && (s == nil || s.Canceled == 0) {
					c.Errorf("task %d is unresolved after %v", i, err)
				}
			}
		})
		c.Go("stats", func() {
			for range 3 {
				if err := e.Stats().Check(); err != nil {
					c.Error(err)
				}
				point.At(point.Actor)
			}
		})
		c.Join()
		for _, f := range fs {
			<-f.Done()
		}
		_ = e.Shutdown(context.Background())
		// A child that was about to be resolved when the engine gave up waiting is
		// resolved by its worker, which nobody waits for any more.
		for e.Stats().Running > 0 {
			point.Yield(point.Actor)
		}
		s := e.Stats()
		if err := s.Check(); err != nil || s.Running+s.Queued != 0 || s.Ended() != s.Accepted {
			c.Errorf("%v %+v", err, s)
		}
	})
}

// The cancel of a task reaches the child of a child that returns at the moment.
func TestSchedule_CancelThroughReturned(t *testing.T) {
	point.Check(t, point.Config{}, schedules(3000), func(c *point.Controller) {
		e := scheduled(c, core.WithWorkers(3))
		leaf := make(chan *core.Future[int], 1)
		top := must(c, e, core.Func(func(ctx context.Context) (int, error) {
			mid, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
				f, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
					point.At(point.Actor)
					<-ctx.Done() // by the cancel of top alone
					return 0, ctx.Err()
				}))
				leaf <- f
				return 0, err
			}))
			if err != nil {
				return 0, err
			}
			_ = mid
			<-ctx.Done()
			return 0, ctx.Err()
		}))
		l := <-leaf
		c.Go("cancel", func() { point.At(point.Actor); top.Cancel() })
		c.Go("leaf", func() {
			if _, err := l.Await(context.Background()); !errors.Is(err, context.Canceled) {
				c.Error(err)
			}
		})
		c.Join()
	})
}
