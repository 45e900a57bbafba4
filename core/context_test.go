package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

type ctxKey string

// E-CORE-18: a task's context ends with the cause of the submitter's while it
// runs; afterwards nothing changes any more.
func TestContext_E_CORE_18_Cancelled(t *testing.T) {
	mine := errors.New("mine")
	for _, how := range []string{"done", "poll"} {
		t.Run(how, func(t *testing.T) {
			e := engineFor(t, core.WithWorkers(1))
			ctx, cancel := context.WithCancelCause(context.Background())
			started := make(chan struct{})
			f, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
				if ctx.Err() != nil || context.Cause(ctx) != nil {
					t.Error("it has ended already")
				}
				close(started)
				if how == "done" {
					<-ctx.Done()
				}
				for ctx.Err() == nil {
					runtime.Gosched()
				}
				if !errors.Is(ctx.Err(), context.Canceled) {
					t.Errorf("Err is %v", ctx.Err())
				}
				return 1, context.Cause(ctx)
			}))
			if err != nil {
				t.Fatal(err)
			}
			receive(t, started, "start")
			cancel(mine)
			v, err := f.Await(soon(t))
			var c *core.CancelError
			if v != 1 || !errors.Is(err, mine) || !errors.Is(err, context.Canceled) || !errors.As(err, &c) || !c.Started || c.Cause != mine {
				t.Errorf("%d, %v", v, err)
			}
			ctx, cancel = context.WithCancelCause(context.Background())
			f, err = core.Submit(ctx, e, value(7))
			if err != nil {
				t.Fatal(err)
			}
			<-f.Done()
			cancel(mine)
			if v, err := f.Get(); v != 7 || err != nil || f.Cancel() {
				t.Errorf("%d, %v", v, err)
			}
		})
	}
}

// A context that ends while the task is queued: it never starts, and whoever
// waits is told at once, though the worker is busy.
func TestContext_E_CORE_18_CancelledWhileQueued(t *testing.T) {
	mine := errors.New("mine")
	for _, wait := range []string{"Await", "Get", "Done", "OnDone", "nobody"} {
		t.Run(wait, func(t *testing.T) {
			e := engineFor(t, core.WithWorkers(1))
			release := occupy(t, e, 1)
			ctx, cancel := context.WithCancelCause(context.Background())
			f, err := core.Submit(ctx, e, core.Func(func(context.Context) (int, error) { t.Error("it ran"); return 0, nil }))
			if err != nil {
				t.Fatal(err)
			}
			told := make(chan error, 1)
			waiting := make(chan struct{})
			go func() {
				switch wait {
				case "Await":
					close(waiting)
					_, err := f.Await(soon(t))
					told <- err
				case "Get":
					close(waiting)
					_, err := f.Get()
					told <- err
				case "Done":
					done := f.Done()
					close(waiting)
					<-done
					_, err := f.Get()
					told <- err
				case "OnDone":
					f.OnDone(func(_ int, err error) { told <- err })
					close(waiting)
				case "nobody":
					close(waiting)
				}
			}()
			receive(t, waiting, "wait")
			cancel(mine)
			if wait == "nobody" {
				release()
				_, err := f.Await(soon(t))
				told <- err
			}
			err = receive(t, told, "end")
			var c *core.CancelError
			if !errors.Is(err, mine) || !errors.Is(err, context.Canceled) || !errors.As(err, &c) || c.Started {
				t.Errorf("%v", err)
			}
			if s := e.Stats(); s.Canceled != 1 {
				t.Errorf("%+v", s)
			}
			release()
		})
	}
}

// E-CORE-19: values reach the task; without cancellation if that was taken off.
func TestContext_E_CORE_19_Values(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithBaseContext(context.WithValue(context.Background(), ctxKey("base"), "b")))
	release := occupy(t, e, 1)
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), ctxKey("own"), "o"))
	see := core.Func(func(ctx context.Context) (string, error) {
		derived, stop := context.WithCancel(ctx)
		defer stop()
		return fmt.Sprint(ctx.Value(ctxKey("own")), ctx.Value(ctxKey("base")), derived.Value(ctxKey("own")),
			derived.Value(ctxKey("base")), ctx.Value(ctxKey("none"))), ctx.Err()
	})
	kept, err := core.Submit(context.WithoutCancel(ctx), e, see)
	if err != nil {
		t.Fatal(err)
	}
	cancelled, err := core.Submit(ctx, e, see)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	release()
	if v, err := kept.Await(soon(t)); v != "obob<nil>" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
	if _, err := cancelled.Await(soon(t)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if v, err := core.Run(context.Background(), e, see); v != "<nil>b<nil>b<nil>" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}

// Deadline is the earlier of the submitter's and the run limit's.
func TestContext_Deadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t)
		get := core.Func(func(ctx context.Context) (time.Duration, error) {
			d, ok := ctx.Deadline()
			if !ok {
				return -1, nil
			}
			return time.Until(d), nil
		})
		for _, c := range []struct{ own, limit, want time.Duration }{
			{0, 0, -1}, {time.Hour, 0, time.Hour}, {0, time.Minute, time.Minute},
			{time.Hour, time.Minute, time.Minute}, {time.Minute, time.Hour, time.Minute},
		} {
			ctx, cancel := context.Background(), context.CancelFunc(func() {})
			if c.own > 0 {
				ctx, cancel = context.WithTimeout(ctx, c.own)
			}
			f, err := core.SubmitWith(ctx, e, core.Attributes{RunLimit: c.limit}, get)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := f.Await(context.Background()); got != c.want || err != nil {
				t.Errorf("%v and %v: %v, %v", c.own, c.limit, got, err)
			}
			cancel()
		}
	})
}

// The context ends when Execute returns, for a goroutine that the task left
// behind; with Again, at the end of each run.
func TestContext_EndsWithTheTask(t *testing.T) {
	e := engineFor(t)
	left := make(chan error, 2)
	f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		done := ctx.Done()
		go func() { <-done; left <- context.Canceled }()
		if core.Attempt(ctx) == 0 {
			return 0, core.Again(0, nil)
		}
		if ctx.Err() != nil {
			t.Errorf("the second run begins with %v", ctx.Err())
		}
		return 1, nil
	}))
	if _, err := f.Await(soon(t)); err != nil {
		t.Error(err)
	}
	_ = receive(t, left, "end of the context")
	_ = receive(t, left, "end of the context")
	var kept context.Context
	if _, err := core.Run(soon(t), e, core.Func(func(ctx context.Context) (int, error) { kept = ctx; return 1, nil })); err != nil {
		t.Error(err)
	}
	if kept.Err() == nil {
		t.Error("Err is nil after the end")
	}
	receive(t, kept.Done(), "end")
	if kept.Value(ctxKey("x")) != nil || core.Attempt(kept) != 0 {
		t.Error("it has values")
	}
	if text := fmt.Sprint(kept); !contains(text, "goman") {
		t.Errorf("it is called %q", text)
	}
}

// Whatever way a task looks, a forced end shows with its cause.
func TestContext_CauseOfShutdown(t *testing.T) {
	for _, parent := range []string{"background", "cancellable", "values"} {
		for _, look := range []string{"done", "poll", "derived", "cause"} {
			t.Run(parent+"/"+look, func(t *testing.T) {
				e, err := core.New(core.WithWorkers(1))
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.Background(), context.CancelFunc(func() {})
				switch parent {
				case "cancellable":
					ctx, cancel = context.WithCancel(ctx)
				case "values":
					ctx = context.WithValue(ctx, ctxKey("a"), 1)
				}
				defer cancel()
				started := make(chan struct{})
				f, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
					close(started)
					switch look {
					case "done":
						<-ctx.Done()
					case "poll":
						for ctx.Err() == nil {
							runtime.Gosched()
						}
					case "derived":
						derived, stop := context.WithTimeout(ctx, time.Hour)
						defer stop()
						<-derived.Done()
						if cause := context.Cause(derived); !errors.Is(cause, core.ErrShutdown) {
							t.Errorf("the derived context's cause is %v", cause)
						}
					case "cause":
						for context.Cause(ctx) == nil {
							runtime.Gosched()
						}
					}
					if !errors.Is(ctx.Err(), context.Canceled) {
						t.Errorf("Err is %v", ctx.Err())
					}
					return 0, context.Cause(ctx)
				}))
				if err != nil {
					t.Fatal(err)
				}
				receive(t, started, "start")
				var report *core.ShutdownError
				if err := e.Close(soon(t)); !errors.As(err, &report) || report.Canceled != 1 {
					t.Errorf("Close: %v", err)
				}
				var c *core.CancelError
				if _, err := f.Get(); !errors.Is(err, core.ErrShutdown) || !errors.As(err, &c) || !errors.Is(c.Err, core.ErrShutdown) {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// Detach keeps the values, ends never, and is outside the task.
func TestContext_Detach(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithBaseContext(context.WithValue(context.Background(), ctxKey("base"), "b")))
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), ctxKey("own"), "o"))
	detached, err := core.Run(ctx, e, core.Func(func(ctx context.Context) (context.Context, error) {
		return core.Detach(context.WithValue(ctx, ctxKey("inner"), "i")), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if got := fmt.Sprint(detached.Value(ctxKey("own")), detached.Value(ctxKey("inner"))); got != "oi" {
		t.Errorf("values are %s", got)
	}
	if _, ok := detached.Deadline(); ok || detached.Err() != nil || detached.Done() != nil {
		t.Error("it ends")
	}
	if err := e.WaitIdle(detached); err != nil {
		t.Errorf("it is still inside the task: %v", err)
	}
	outside := core.Detach(ctx)
	if outside.Err() != nil || outside.Value(ctxKey("own")) != "o" || core.Attempt(outside) != 0 {
		t.Error("outside a task it is not WithoutCancel")
	}
}
