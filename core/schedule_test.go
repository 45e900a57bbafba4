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
