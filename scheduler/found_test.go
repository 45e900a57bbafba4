package scheduler_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/queue"
	"github.com/uptutu/goman/scheduler"
)

// A nil pointer in an interface is no scheduler and no queue either.
func TestInvalid_TypedNil(t *testing.T) {
	none := func() (*scheduler.FIFO, error) { return nil, nil }
	var line *queue.Deque[core.Job]
	for want, err := range map[string]error{
		"schedulers in a Priority has": second(scheduler.NewPriority(scheduler.Strict(), none)),
		"schedulers in a Fair has":     second(scheduler.NewFairWith(scheduler.FairConfig{}, none)),
		"schedulers in a Keyed has":    second(scheduler.NewKeyed(1, none)),
		"the queue is nil":             second(scheduler.FromQueue(line)),
	} {
		if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// An aging that no job lives to see is as good as strict.
func TestPriority_AgingForEver(t *testing.T) {
	for _, d := range []time.Duration{math.MaxInt64, math.MaxInt64 / 2, math.MaxInt64 / 3, math.MaxInt64 / 4} {
		s := must(scheduler.NewPriority(scheduler.Aging(d), scheduler.NewFIFO))
		order := queued(t, s, func(e *core.Engine, l *runs) {
			for p := core.Low; p <= core.Critical; p++ {
				must(core.SubmitWith(t.Context(), e, core.Attributes{Priority: p}, l.task(p.String())))
			}
		})
		if want := []string{"critical", "high", "normal", "low"}; !slices.Equal(order, want) {
			t.Errorf("an aging of %v: ran %v", d, order)
		}
	}
}

// Of cancelled jobs that were swept the times are gone, not those of others: what is
// left is no older than it is.
func TestPriority_AgingSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := must(scheduler.NewPriority(scheduler.Aging(time.Minute), scheduler.NewFIFO))
		order := queued(t, s, func(e *core.Engine, l *runs) {
			low := core.Attributes{Priority: core.Low}
			var given []*core.Future[int]
			for range 100 {
				given = append(given, must(core.SubmitWith(t.Context(), e, low, l.task("cancelled"))))
			}
			time.Sleep(10 * time.Minute)
			must(core.SubmitWith(t.Context(), e, core.Attributes{Priority: core.Normal}, l.task("normal")))
			time.Sleep(10 * time.Minute)
			must(core.SubmitWith(t.Context(), e, low, l.task("low")))
			for _, f := range given {
				f.Cancel()
			}
		})
		if want := []string{"normal", "low"}; !slices.Equal(order, want) {
			t.Errorf("ran %v, want %v", order, want)
		}
	})
}

// storesAndPanics stores a job of this name and panics all the same.
type storesAndPanics struct{ scheduler.FIFO }

func (s *storesAndPanics) Push(job core.Job) {
	s.FIFO.Push(job)
	if job.Name() == "panic" {
		panic("after storing")
	}
}

// A level's scheduler that fails to take a job does not make the Priority forget
// another.
func TestPriority_AgingInnerPanics(t *testing.T) {
	inner := func() (*storesAndPanics, error) { return new(storesAndPanics), nil }
	s := must(scheduler.NewPriority(scheduler.Aging(time.Second), inner))
	e := coretest.New(t, core.WithWorkers(1), core.WithScheduler(s), core.WithLogger(slog.New(slog.DiscardHandler)))
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	_, err := core.SubmitWith(soon(t), e, core.Attributes{Name: "panic"}, new(runs).task(""))
	if !errors.Is(err, core.ErrPanicked) {
		t.Fatal(err)
	}
	f := must(core.Submit(soon(t), e, new(runs).task("")))
	if err := e.Resume(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Await(soon(t)); err != nil {
		t.Errorf("the other task: %v", err)
	}
}

// ByTime, tasks that take hours do not overflow the credit of a heavy tenant.
func TestFair_ByTimeOfHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := must(scheduler.NewFairWith(scheduler.FairConfig{
			ByTime: true,
			Weight: func(tenant string) int {
				if tenant == "heavy" {
					return math.MaxInt
				}
				return 1
			},
		}, scheduler.NewFIFO))
		e := coretest.New(t, core.WithWorkers(1), core.WithUnboundedQueue(), core.WithScheduler(s))
		if err := e.Pause(); err != nil {
			t.Fatal(err)
		}
		var order []string
		for range 20 {
			for _, tenant := range []string{"heavy", "light"} {
				must(core.SubmitWith(t.Context(), e, core.Attributes{Tenant: tenant}, core.Func(func(context.Context) (int, error) {
					order = append(order, tenant)
					time.Sleep(1000 * time.Hour)
					return 0, nil
				})))
			}
		}
		if err := e.Resume(); err != nil {
			t.Fatal(err)
		}
		if err := e.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
		light := 0
		for _, tenant := range order[:20] {
			if tenant == "light" {
				light++
			}
		}
		if light > 2 {
			t.Errorf("of a million times the weight, %d of the first 20 are the other's: %v", light, order)
		}
	})
}

// fickle fails to take a job for a while.
type fickle struct {
	scheduler.FIFO
	fails bool
}

func (s *fickle) Push(job core.Job) {
	if s.fails {
		s.fails = false
		panic("not now")
	}
	s.FIFO.Push(job)
}

// If the nested scheduler fails to take the next of a key, that one is not lost: it
// starts when another of its key has come.
func TestKeyed_InnerPanics(t *testing.T) {
	inner := new(fickle)
	s := must(scheduler.NewKeyed(1, func() (*fickle, error) { return inner, nil }))
	e := coretest.New(t, core.WithWorkers(1), core.WithScheduler(s), core.WithLogger(slog.New(slog.DiscardHandler)))
	l := new(runs)
	submit := func(name string) *core.Future[int] {
		return must(core.SubmitWith(soon(t), e, core.Attributes{Key: "k"}, l.task(name)))
	}
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	submit("1")
	second := submit("2")
	other := must(core.Submit(soon(t), e, l.task("no key")))
	inner.fails = true
	if err := e.Resume(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Await(soon(t)); err != nil { // by now the scheduler was told that 1 has ended
		t.Fatal(err)
	}
	third := submit("3")
	for _, f := range []*core.Future[int]{second, third} {
		if _, err := f.Await(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"1", "no key", "2", "3"}; !slices.Equal(l.names, want) {
		t.Errorf("ran %v, want %v", l.names, want)
	}
}

// If the nested scheduler fails while heads of several keys are swept, the other keys go
// on, and the next sweep finds all of them in order.
func TestKeyed_InnerPanicsInSweep(t *testing.T) {
	inner := new(fickle)
	s := must(scheduler.NewKeyed(1, func() (*fickle, error) { return inner, nil }))
	e := coretest.New(t, core.WithWorkers(1), core.WithScheduler(s))
	l := new(runs)
	sweep := func() (failed any) {
		defer func() { failed = recover() }()
		s.Sweep(func(job core.Job) bool { return !job.IsQueued() })
		return nil
	}
	for _, fails := range []bool{true, false} {
		if err := e.Pause(); err != nil {
			t.Fatal(err)
		}
		var seconds []*core.Future[int]
		for _, key := range []string{"a", "b", "c"} {
			attributes := core.Attributes{Key: key}
			first := must(core.SubmitWith(soon(t), e, attributes, l.task(key)))
			seconds = append(seconds, must(core.SubmitWith(soon(t), e, attributes, l.task(key))))
			first.Cancel()
		}
		inner.fails = fails
		if failed := sweep(); (failed != nil) != fails {
			t.Fatalf("Sweep panicked with %v", failed)
		}
		if err := e.Resume(); err != nil {
			t.Fatal(err)
		}
		for _, f := range seconds[1:] {
			if _, err := f.Await(soon(t)); err != nil {
				t.Fatal(err)
			}
		}
		if fails { // a's has to be let in by another of its key
			must(core.SubmitWith(soon(t), e, core.Attributes{Key: "a"}, l.task("a")))
		}
		if _, err := seconds[0].Await(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.WaitIdle(soon(t)); err != nil {
		t.Fatal(err)
	}
	if n := s.Keys(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}
