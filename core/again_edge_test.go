package core_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

func TestAgain_QueuedTaskIsToldOfItsContext(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Millisecond} {
		e := engineFor(t, core.WithWorkers(1))
		ctx, cancel := context.WithCancel(context.Background())
		run := make(chan struct{})
		f, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
			<-run
			return 0, core.Again(delay, nil)
		}))
		if err != nil {
			t.Fatal(err)
		}
		gate := make(chan struct{})
		must(t, e, core.Func(func(context.Context) (int, error) { <-gate; return 1, nil }))
		done := f.Done()
		close(run)
		for s := e.Stats(); s.Retried == 0 || s.Delayed > 0 || s.Queued != 1; s = e.Stats() {
			runtime.Gosched()
		}
		cancel()
		select {
		case <-done:
		case <-soon(t).Done():
			t.Errorf("delay %v: the queued task is not told", delay)
		}
		close(gate)
	}
}

func TestAgain_OldContextStaysEnded(t *testing.T) {
	for _, asked := range []bool{false, true} {
		e := engineFor(t, core.WithWorkers(1))
		var old, derived []context.Context
		var done []<-chan struct{}
		ctx := context.WithValue(context.Background(), ctxKey("a"), 1)
		f, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
			n := core.Attempt(ctx)
			if n != len(old) || core.Attempt(context.WithValue(ctx, ctxKey("b"), 2)) != n {
				t.Errorf("attempt %d is called %d", len(old), n)
			}
			if ctx.Err() != nil || context.Cause(ctx) != nil || ctx.Value(ctxKey("a")) != 1 {
				t.Errorf("attempt %d begins with %v", n, ctx.Err())
			}
			for i, c := range append(old, derived...) {
				if c.Err() != context.Canceled || context.Cause(c) == nil || c.Value(ctxKey("a")) != nil || c.Value(ctxKey("b")) != nil && i < len(old) {
					t.Errorf("in attempt %d that of %d: %v, %v, %v", n, i%len(old), c.Err(), context.Cause(c), c.Value(ctxKey("a")))
				}
				receive(t, c.Done(), "end")
				if core.Attempt(c) != i%len(old) {
					t.Errorf("the attempt of %d is %d", i%len(old), core.Attempt(c))
				}
			}
			for i, d := range done {
				if d != old[i].Done() {
					t.Error("another channel")
				}
			}
			old, derived = append(old, ctx), append(derived, context.WithValue(ctx, ctxKey("b"), 2))
			if asked {
				done = append(done, ctx.Done())
			}
			if n < 3 {
				return 0, core.Again(0, nil)
			}
			return core.Run(ctx, e, value(n)) // on one worker: it runs here
		}))
		if err != nil {
			t.Fatal(err)
		}
		if v, err := f.Await(soon(t)); v != 3 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		for i, d := range done {
			if d != old[i].Done() {
				t.Error("another channel afterwards")
			}
		}
	}
}

func TestAgain_CancelReachesChildOfEarlierRun(t *testing.T) {
	for _, look := range []string{"done", "poll"} {
		e := engineFor(t, core.WithWorkers(3))
		told := make(chan struct{})
		running := make(chan struct{})
		f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			if core.Attempt(ctx) > 0 {
				close(running)
				<-ctx.Done()
				return 0, ctx.Err()
			}
			asked := make(chan struct{})
			_, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
				if look == "done" {
					ctx.Done()
				}
				close(asked)
				for look == "poll" && ctx.Err() == nil {
					runtime.Gosched()
				}
				<-ctx.Done()
				close(told)
				return 0, nil
			}))
			if err != nil {
				return 0, err
			}
			<-asked
			return 0, core.Again(0, nil)
		}))
		receive(t, running, "second run")
		select {
		case <-told:
			t.Error("the child has ended with the first run")
		default:
		}
		f.Cancel()
		receive(t, told, "end of the child")
	}
}

func TestAgain_WishNotGranted(t *testing.T) {
	mine := errors.New("mine")
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(1))
		f, err := core.SubmitWith(context.Background(), e, core.Attributes{RunLimit: time.Second}, core.Func(func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, core.Again(time.Second, mine)
		}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Get()
		var late *core.TimeoutError
		var wish *core.AgainError
		if !errors.As(err, &late) || late.Err != mine || errors.As(err, &wish) {
			t.Errorf("%v", err)
		}
	})
}

func TestAgain_ValueOfEarlierRunIsDropped(t *testing.T) {
	for name, c := range map[string]struct {
		second func() (int, error)
		skip   bool
		want   error
	}{
		"panics":       {second: func() (int, error) { panic("x") }, want: core.ErrPanicked},
		"exits":        {second: func() (int, error) { runtime.Goexit(); return 1, nil }, want: core.ErrGoexit},
		"skipped":      {skip: true, want: core.ErrSkipped},
		"cancelled":    {want: context.Canceled},
		"comes to end": {second: func() (int, error) { return 0, nil }},
	} {
		t.Run(name, func(t *testing.T) {
			delay := time.Duration(0)
			if name == "cancelled" {
				delay = time.Hour
			}
			e := engineFor(t, quietly(), core.WithInterceptors(func(next core.Handler) core.Handler {
				return func(ctx context.Context, job core.Job) error {
					if c.skip && job.Attempt() > 0 {
						return nil
					}
					return next(ctx, job)
				}
			}))
			f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
				if core.Attempt(ctx) == 0 {
					return 5, core.Again(delay, nil)
				}
				return c.second()
			}))
			if name == "cancelled" {
				for e.Stats().Delayed == 0 {
					runtime.Gosched()
				}
				f.Cancel()
			}
			if v, err := f.Await(soon(t)); v != 0 || !errors.Is(err, c.want) {
				t.Errorf("%d, %v", v, err)
			}
		})
	}
}

func TestIntercept_ValueOfEarlierCallIsDropped(t *testing.T) {
	calls := 0
	e := engineFor(t, quietly(), core.WithInterceptors(func(next core.Handler) core.Handler {
		return func(ctx context.Context, job core.Job) error {
			_ = next(ctx, job)
			return next(ctx, job)
		}
	}))
	f := must(t, e, core.Func(func(context.Context) (int, error) {
		if calls++; calls == 2 {
			panic("x")
		}
		return 5, nil
	}))
	if v, err := f.Await(soon(t)); v != 0 || !errors.Is(err, core.ErrPanicked) {
		t.Errorf("%d, %v", v, err)
	}
}
