package core_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

// The run limit of a task that has returned in time must not end the child that it
// submitted with a derived context.
func TestContext_RunLimitOfReturnedParent(t *testing.T) {
	for _, look := range []string{"done", "poll"} {
		t.Run(look, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := engineFor(t, core.WithWorkers(2))
				var child *core.Future[int]
				parent, err := core.SubmitWith(context.Background(), e, core.Attributes{RunLimit: time.Second},
					core.Func(func(ctx context.Context) (int, error) {
						var err error
						child, err = core.Submit(context.WithValue(ctx, ctxKey("a"), 1), e, core.Func(func(ctx context.Context) (int, error) {
							if look == "done" {
								ctx.Done()
							}
							time.Sleep(time.Minute)
							return 1, ctx.Err()
						}))
						return 1, err
					}))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := parent.Get(); err != nil {
					t.Error(err)
				}
				if _, err := child.Get(); err != nil {
					t.Errorf("child: %v", err)
				}
			})
		})
	}
}

// Grandparent runs, parent has returned, child goes on "under the context that it
// was submitted with": the grandparent's cancellation must reach it.
func TestContext_CancelReachesGrandchild(t *testing.T) {
	for _, derive := range []bool{false, true} {
		for _, look := range []string{"done early", "done late", "poll"} {
			t.Run(look+map[bool]string{true: " derived"}[derive], func(t *testing.T) {
				e := engineFor(t, core.WithWorkers(4))
				child := make(chan *core.Future[int], 1)
				var wg sync.WaitGroup
				wg.Add(1)
				gate := make(chan struct{})
				t.Cleanup(sync.OnceFunc(func() { close(gate) }))
				ended := make(chan error, 1)
				grand := must(t, e, core.Func(func(ctx context.Context) (int, error) {
					parent, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
						asked := make(chan struct{})
						if derive {
							ctx = context.WithValue(ctx, ctxKey("a"), 1)
						}
						f, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
							if look == "done early" {
								ctx.Done()
							}
							close(asked)
							wg.Wait() // the parent has returned
							if look == "poll" {
								for ctx.Err() == nil {
									select {
									case <-gate:
										return 0, nil
									default:
										runtime.Gosched()
									}
								}
							} else {
								select {
								case <-ctx.Done():
								case <-gate:
									return 0, nil
								}
							}
							ended <- ctx.Err()
							return 0, ctx.Err()
						}))
						<-asked
						child <- f
						return 1, err
					}))
					if err != nil {
						return 0, err
					}
					for !parent.IsDone() {
						runtime.Gosched()
					}
					wg.Done()
					<-gate
					return 1, nil
				}))
				wg.Wait()
				<-child
				grand.Cancel()
				select {
				case <-ended: //nolint:errcheck // that it has come is enough
				case <-soon(t).Done():
					t.Error("the child was not told")
				}
			})
		}
	}
}

// A child polls Err: the cause of its parent's cancellation must be there too.
func TestContext_CauseOfParentsCancelWhenPolled(t *testing.T) {
	mine := errors.New("mine")
	e := engineFor(t, core.WithWorkers(2))
	started := make(chan struct{})
	cause := make(chan error, 1)
	parent := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		f, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
			close(started)
			for ctx.Err() == nil {
				runtime.Gosched()
			}
			cause <- context.Cause(ctx)
			return 0, nil
		}))
		if err != nil {
			return 0, err
		}
		<-started
		return f.Await(context.WithoutCancel(ctx))
	}))
	<-started
	parent.CancelCause(mine)
	if err := receive(t, cause, "cause"); !errors.Is(err, mine) {
		t.Errorf("Err is not nil, the cause is %v", err)
	}
}

// The submitter's value wins over that of the base context, also after the task
// has returned: in Detach, and for a child with a derived context.
func TestContext_ValuesAfterReturn(t *testing.T) {
	base := context.WithValue(context.Background(), ctxKey("k"), "base")
	e := engineFor(t, core.WithWorkers(2), core.WithBaseContext(base))
	gate := make(chan struct{})
	var detached context.Context
	var child *core.Future[any]
	parent, err := core.Submit(context.WithValue(context.Background(), ctxKey("k"), "mine"), e, core.Func(func(ctx context.Context) (any, error) {
		detached = core.Detach(ctx)
		var err error
		child, err = core.Submit(context.WithValue(ctx, ctxKey("other"), 1), e, core.Func(func(ctx context.Context) (any, error) {
			<-gate
			return ctx.Value(ctxKey("k")), nil
		}))
		return detached.Value(ctxKey("k")), err
	}))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := parent.Get(); v != "mine" || err != nil {
		t.Errorf("inside: %v, %v", v, err)
	}
	if v := detached.Value(ctxKey("k")); v != "mine" {
		t.Errorf("Detach, afterwards: %v", v)
	}
	close(gate)
	if v, err := child.Get(); v != "mine" || err != nil {
		t.Errorf("child, afterwards: %v, %v", v, err)
	}
}

// A task submitted to another engine with a task's context: values of the first
// engine's base context, and its end.
func TestContext_OfAnotherEngine(t *testing.T) {
	base, cancel := context.WithCancel(context.WithValue(context.Background(), ctxKey("k"), "a"))
	defer cancel()
	a := engineFor(t, core.WithName("a"), core.WithWorkers(1), core.WithBaseContext(base))
	b := engineFor(t, core.WithName("b"), core.WithWorkers(1))
	started := make(chan any, 1)
	gate := make(chan struct{})
	t.Cleanup(sync.OnceFunc(func() { close(gate) }))
	told := make(chan error, 1)
	must(t, a, core.Func(func(ctx context.Context) (int, error) {
		if ctx.Value(ctxKey("k")) != "a" {
			t.Error("not even in a")
		}
		_, err := core.Submit(ctx, b, core.Func(func(ctx context.Context) (int, error) {
			started <- ctx.Value(ctxKey("k"))
			for ctx.Err() == nil {
				select {
				case <-gate:
					return 0, nil
				default:
					runtime.Gosched()
				}
			}
			told <- ctx.Err()
			return 0, nil
		}))
		if err != nil {
			t.Error(err)
		}
		<-gate
		return 0, nil
	}))
	if v := receive(t, started, "start"); v != "a" {
		t.Errorf("the value of the context given to Submit is %v in the task", v)
	}
	cancel() // ends the context that was given to Submit
	select {
	case <-told: //nolint:errcheck // that it has come is enough
	case <-soon(t).Done():
		t.Error("the end of the context given to Submit does not reach the task")
	}
}

// A wait outside sees the end of the submitter's context at once while the task is
// queued: on the first attempt, and on the second.
// A child's future that is kept keeps its parent's future, and so the parent's
// value, alive.
// Nor do chains of tasks keep each other: what is kept is one future, of a task
// far down, of a task in the middle, or of a batch.
// A chain of tasks that submit each other and return is as long as it likes.
// The grandparent is cancelled while ever more tasks above have returned, and
// others climb past them at the same time.
func TestContext_CancelReachesLateDescendants(t *testing.T) {
	for range 50 {
		e := engineFor(t, core.WithWorkers(4))
		const width = 8
		begun, told := make(chan struct{}, width), make(chan error, width)
		gate := make(chan struct{})
		var descend func(level int) core.Task[int]
		descend = func(level int) core.Task[int] {
			return core.Func(func(ctx context.Context) (int, error) {
				if level == 0 {
					done := ctx.Done()
					begun <- struct{}{}
					<-done
					told <- context.Cause(ctx)
					return 0, nil
				}
				if level%2 == 0 {
					_, err := core.SubmitAll(ctx, e, []core.Task[int]{descend(level - 1)})
					return 0, err
				}
				_, err := core.Submit(ctx, e, descend(level-1))
				return 0, err
			})
		}
		mine := errors.New("mine")
		ready := make(chan struct{})
		top := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			for range width {
				if _, err := core.Submit(ctx, e, descend(3)); err != nil {
					t.Error(err)
				}
			}
			close(ready)
			<-gate
			return 0, nil
		}))
		receive(t, ready, "start")
		if err := e.Resize(width + 1); err != nil {
			t.Fatal(err)
		}
		for range width {
			receive(t, begun, "start")
		}
		top.CancelCause(mine)
		for range width {
			if err := receive(t, told, "end"); err != mine {
				t.Errorf("the cause is %v", err)
			}
		}
		close(gate)
		endEngine(t, e)
	}
}

// What package context promises: once the deadline has passed the error is
// DeadlineExceeded, here and in what is derived, and it stays so.
func TestContext_RunLimitIsADeadline(t *testing.T) {
	for _, from := range []string{"background", "cancellable", "derived"} {
		for _, before := range []string{"nothing", "waited for", "done", "again"} {
			t.Run(from+"/"+before, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e := engineFor(t, core.WithWorkers(1))
					ctx, cancel := context.Background(), context.CancelFunc(func() {})
					if from == "cancellable" {
						ctx, cancel = context.WithCancel(ctx)
					}
					defer cancel()
					var kept context.Context
					task := core.Func(func(ctx context.Context) (int, error) {
						if before == "done" {
							ctx.Done()
						}
						if before == "again" && core.Attempt(ctx) == 0 {
							ctx.Done()
							return 0, core.Again(0, nil)
						}
						kept = ctx
						derived, cancel := context.WithCancel(context.WithValue(ctx, ctxKey("a"), 1))
						defer cancel()
						<-derived.Done()
						for _, c := range []context.Context{ctx, derived} {
							if end, ok := c.Deadline(); !ok || end.After(time.Now()) {
								t.Errorf("it has ended before its deadline %v", end)
							}
							if c.Err() != context.DeadlineExceeded || context.Cause(c) != core.ErrTaskTimeout {
								t.Errorf("%v, %v", c.Err(), context.Cause(c))
							}
						}
						return 0, derived.Err()
					})
					limit := core.Attributes{RunLimit: time.Second}
					var f *core.Future[int]
					var err error
					var release func()
					if from == "derived" {
						gate := make(chan struct{})
						release = func() { close(gate) }
						made := make(chan struct{})
						must(t, e, core.Func(func(ctx context.Context) (int, error) {
							f, err = core.SubmitWith(context.WithValue(ctx, ctxKey("b"), 2), e, limit, task)
							close(made)
							<-gate
							return 0, nil
						}))
						<-made
					} else {
						release = occupy(t, e, 1)
						f, err = core.SubmitWith(ctx, e, limit, task)
					}
					if err != nil {
						t.Fatal(err)
					}
					if before == "waited for" {
						f.Done()
					}
					release()
					var timeout *core.TimeoutError
					if _, err := f.Get(); !errors.As(err, &timeout) || timeout.Late || errors.Is(err, context.Canceled) {
						t.Errorf("%v", err)
					}
					if kept.Err() != context.DeadlineExceeded || context.Cause(kept) != core.ErrTaskTimeout {
						t.Errorf("afterwards: %v, %v", kept.Err(), context.Cause(kept))
					}
				})
			})
		}
	}
}

// A task that sees the end of its limit and returns at once is over its limit,
// whichever clock was first.
func TestContext_RunLimitIsSeenByBothClocks(t *testing.T) {
	e := engineFor(t, core.WithWorkers(4))
	for i := range 300 {
		f, err := core.SubmitWith(context.Background(), e, core.Attributes{RunLimit: time.Duration(i%10+1) * 20 * time.Microsecond},
			core.Func(func(ctx context.Context) (int, error) { <-ctx.Done(); return 7, ctx.Err() }))
		if err != nil {
			t.Fatal(err)
		}
		if v, err := f.Get(); v != 7 || !errors.Is(err, core.ErrTaskTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d, %v", v, err)
		}
	}
}

// The context of a run that asked for another stays ended while the next runs.
// A task that was submitted by an earlier run is cancelled with the later one.
// A wish that is not granted is not passed on.
// The value of a run that asked for another is not that of the future.
// An interceptor repeats a task, which then panics.
// structContext and mapContext are contexts whose interface word is nil.
type structContext struct{ m map[string]int }

func (structContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (structContext) Done() <-chan struct{}       { return nil }
func (structContext) Err() error                  { return nil }
func (c structContext) Value(key any) any {
	if key == ctxKey("a") {
		return len(c.m)
	}
	return nil
}

type mapContext map[any]any

func (mapContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (mapContext) Done() <-chan struct{}       { return nil }
func (mapContext) Err() error                  { return nil }
func (c mapContext) Value(key any) any         { return c[key] }

// A context of a struct type that holds one nil pointer is no nil context; a nil
// pointer is.
func TestContext_OfOneNilWord(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	see := core.Func(func(ctx context.Context) (any, error) { return ctx.Value(ctxKey("a")), nil })
	if v, err := core.Run(structContext{}, e, see); v != 0 || err != nil {
		t.Errorf("%v, %v", v, err)
	}
	if v, err := core.Run(mapContext(nil), e, see); v != nil || err != nil {
		t.Errorf("%v, %v", v, err)
	}
	var none *hostile
	for _, ctx := range []context.Context{nil, none} {
		if _, err := core.Run(ctx, e, see); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%v", err)
		}
	}
}

// A context that somebody has ended with the cause of a task's context ends the
// task that was submitted with it.
func TestContext_EndedByHandWithATasksCause(t *testing.T) {
	for _, parent := range []string{"outside", "inside"} {
		e := engineFor(t, core.WithWorkers(1))
		kept, err := core.Run(soon(t), e, core.Func(func(ctx context.Context) (context.Context, error) { ctx.Done(); return ctx, nil }))
		if err != nil {
			t.Fatal(err)
		}
		submit := func(ctx context.Context) {
			ctx, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			f, err := core.Submit(ctx, e, core.Func(func(context.Context) (int, error) { t.Error("it ran"); return 0, nil }))
			if err != nil {
				t.Error(err)
				return
			}
			done := f.Done()
			cancel(context.Cause(kept))
			receive(t, done, "end")
		}
		release := occupy(t, e, 1)
		if parent == "outside" {
			submit(context.Background())
		} else {
			release()
			if _, err := core.Run(soon(t), e, core.Func(func(ctx context.Context) (int, error) { submit(ctx); return 0, nil })); err != nil {
				t.Error(err)
			}
		}
		release()
	}
}
