package core_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

// uncomparable is a context that cannot be compared, as a user's may be.
type uncomparable struct {
	context.Context
	_ []int
}

// Contexts of any type may be given to Submit and to Await, the same or another.
func TestContext_Uncomparable(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	mine := uncomparable{Context: ctx}
	release := occupy(t, e, 1)
	f, err := core.Submit(mine, e, value(7))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan any, 1)
	go func() { done <- panics(func() { _, _ = f.Await(mine) }) }()
	for e.Stats().Queued != 1 {
		runtime.Gosched()
	}
	release()
	if v := receive(t, done, "end"); v != nil {
		t.Errorf("it panics: %v", v)
	}
	for range 20 {
		f, err := core.Submit(mine, e, value(7))
		if err != nil {
			t.Fatal(err)
		}
		if v := panics(func() { _, _ = f.Await(uncomparable{Context: ctx}) }); v != nil {
			t.Fatalf("it panics: %v", v)
		}
	}
}

// hostile is a context of which one method panics, from a certain moment on.
type hostile struct {
	context.Context
	method string
	armed  *atomic.Bool
}

func (h hostile) touch(method string) {
	if h.armed.Load() && method == h.method {
		panic("hostile " + method)
	}
}

func (h hostile) Value(key any) any           { h.touch("Value"); return h.Context.Value(key) }
func (h hostile) Err() error                  { h.touch("Err"); return h.Context.Err() }
func (h hostile) Done() <-chan struct{}       { h.touch("Done"); return h.Context.Done() }
func (h hostile) Deadline() (time.Time, bool) { h.touch("Deadline"); return h.Context.Deadline() }

// E-CORE-33: the panic of a user's context reaches whoever caused the call, or
// the task's own future; the engine, all its workers and the process live on.
func TestContext_E_CORE_33_Hostile(t *testing.T) {
	for _, method := range []string{"Value", "Err", "Done", "Deadline"} {
		for _, when := range []string{"at submit", "at full queue", "while queued", "while running"} {
			t.Run(method+" "+when, func(t *testing.T) {
				e := engineFor(t, core.WithWorkers(2), core.WithQueueCapacity(1), quietly())
				parent, cancel := context.WithCancel(context.Background())
				defer cancel()
				h := hostile{parent, method, new(atomic.Bool)}
				attrs := core.Attributes{RunLimit: time.Hour, QueueLimit: time.Hour}
				gate, started := make(chan struct{}), make(chan struct{}, 1)
				body := core.Func(func(ctx context.Context) (int, error) {
					started <- struct{}{}
					<-gate
					ctx.Deadline()
					ctx.Value(ctxKey("x"))
					_ = ctx.Err()
					select {
					case <-ctx.Done():
					default:
					}
					return 0, context.Canceled
				})
				release := func() {}
				if when == "at full queue" || when == "while queued" {
					release = occupy(t, e, 2)
				}
				if when == "at full queue" {
					fill(t, e, 1)
				}
				if when == "at submit" || when == "at full queue" {
					h.armed.Store(true)
				}
				var f *core.Future[int]
				var err error
				result := make(chan any, 1)
				go func() {
					result <- panics(func() { f, err = core.SubmitWith(h, e, attrs, body) })
				}()
				if when == "at full queue" && (method == "Deadline") {
					for e.Stats().Blocked != 1 {
						runtime.Gosched()
					}
					release()
				}
				v := receive(t, result, "end of Submit")
				if v != nil && (f != nil || err != nil) {
					t.Errorf("%v and %v, %v", v, f, err)
				}
				if when == "while running" {
					receive(t, started, "start")
				}
				h.armed.Store(true)
				if f != nil {
					_ = panics(func() { _, _ = f.GetWithTimeout(time.Microsecond) })
					_ = panics(func() { f.Done() })
					_ = panics(func() { f.OnDone(func(int, error) {}) })
				}
				close(gate)
				release()
				if f != nil {
					_ = panics(func() { f.Cancel() })
					_ = panics(func() { _, _ = f.Await(soon(t)) })
				}
				_ = panics(func() { _ = e.GoContext(h, func() {}) })
				idle(t, e)
				if f != nil && !f.IsDone() {
					t.Error("the future is not resolved")
				}
				if f == nil && e.Stats().Ended() != e.Stats().Accepted {
					t.Errorf("%+v", e.Stats())
				}
				occupy(t, e, 2)()
			})
		}
	}
}

// E-CORE-33: a task refused by a panic in the wait for room is not run later.
func TestContext_E_CORE_33_WaitForRoom(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1))
	release := occupy(t, e, 1)
	fill(t, e, 1)
	h := hostile{context.Background(), "Done", new(atomic.Bool)}
	h.armed.Store(true)
	if v := panics(func() {
		_, _ = core.Submit(h, e, core.Func(func(context.Context) (int, error) { t.Error("it ran"); return 0, nil }))
	}); v == nil {
		t.Error("no panic")
	}
	if s := e.Stats(); s.Blocked != 0 || s.Accepted != 2 {
		t.Errorf("%+v", s)
	}
	release()
}

// E-CORE-33: the run limit of a task whose context panics, on a timer's goroutine
// where nobody could recover.
func TestContext_E_CORE_33_RunLimit(t *testing.T) {
	for _, method := range []string{"Value", "Err", "Done"} {
		synctest.Test(t, func(t *testing.T) {
			e := engineFor(t, core.WithWorkers(1), quietly())
			h := hostile{context.WithValue(context.Background(), ctxKey("a"), 1), method, new(atomic.Bool)}
			f, err := core.SubmitWith(h, e, core.Attributes{RunLimit: time.Second}, core.Func(func(context.Context) (int, error) {
				h.armed.Store(true)
				time.Sleep(time.Minute)
				return 7, nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			v, err := f.Await(context.Background())
			var late *core.TimeoutError
			if v != 7 || !errors.As(err, &late) || !late.Late {
				t.Errorf("%s: %d, %v", method, v, err)
			}
			occupy(t, e, 1)()
		})
	}
}

// E-CORE-33: a wait inside a task that panics half way gives everything back.
func TestContext_E_CORE_33_WaitInside(t *testing.T) {
	for _, method := range []string{"Value", "Err", "Done"} {
		t.Run(method, func(t *testing.T) {
			e := engineFor(t, core.WithWorkers(2), quietly())
			gate := make(chan struct{})
			other := must(t, e, core.Func(func(context.Context) (int, error) { <-gate; return 1, nil }))
			f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
				h := hostile{ctx, method, new(atomic.Bool)}
				h.armed.Store(true)
				return other.Await(h)
			}))
			ended := make(chan error, 1)
			go func() { _, err := f.Await(soon(t)); ended <- err }()
			if method == "Err" { // which Await need not ask
				close(gate)
			}
			err := receive(t, ended, "end")
			if method != "Err" {
				if !errors.Is(err, core.ErrPanicked) {
					t.Error(err)
				}
				close(gate)
			}
			idle(t, e)
			occupy(t, e, 2)()
			if s := e.Stats(); s.Waiting != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// E-CORE-33: the same while the slot is given away: the context of the awaited
// task panics when it is to be watched.
func TestContext_E_CORE_33_WaitInsideAway(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), quietly())
	h := hostile{context.WithValue(context.Background(), ctxKey("a"), 1), "Done", new(atomic.Bool)}
	f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		if err := e.Pause(); err != nil { // so that the other stays queued
			t.Error(err)
		}
		other, err := core.Submit(h, e, value(1))
		if err != nil {
			return 0, err
		}
		h.armed.Store(true)
		derived, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		return other.Await(derived)
	}))
	ended := make(chan error, 1)
	f.OnDone(func(_ int, err error) { ended <- err })
	if err := receive(t, ended, "end"); !errors.Is(err, core.ErrPanicked) {
		t.Error(err)
	}
	h.armed.Store(false)
	if err := e.Resume(); err != nil {
		t.Error(err)
	}
	idle(t, e)
	occupy(t, e, 1)()
	idle(t, e)
	if s := e.Stats(); s.Waiting != 0 || s.Running != 0 {
		t.Errorf("%+v", s)
	}
}

// asking is a context whose methods use the engine, so they must not be called
// under its locks.
type asking struct {
	context.Context
	engine *core.Engine
}

func (a asking) Value(key any) any     { _ = a.engine.Stats(); return a.Context.Value(key) }
func (a asking) Err() error            { _ = a.engine.Stats(); return a.Context.Err() }
func (a asking) Done() <-chan struct{} { _ = a.engine.Stats(); return a.Context.Done() }

func TestContext_NotAskedUnderLock(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1))
	mine := errors.New("mine")
	done := make(chan struct{})
	go func() {
		defer close(done)
		ctx, cancel := context.WithCancelCause(context.Background())
		a := asking{ctx, e}
		release := occupy(t, e, 1)
		f, err := core.SubmitWith(a, e, core.Attributes{QueueLimit: time.Hour, RunLimit: time.Hour}, value(1))
		if err != nil {
			t.Error(err)
		}
		go func() {
			for e.Stats().Blocked == 0 {
				runtime.Gosched()
			}
			cancel(mine)
		}()
		if _, err := core.Submit(a, e, value(2)); !errors.Is(err, mine) {
			t.Error(err)
		}
		if _, err := f.Await(a); !errors.Is(err, mine) {
			t.Error(err)
		}
		release()
	}()
	receive(t, done, "end: a context is asked under a lock")
}

// E-CORE-34: a task may be submitted from a cleanup function and from OnDone.
func TestSubmit_E_CORE_34_FromCallbacks(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1))
	got := make(chan int, 2)
	func() {
		object := new([64]byte)
		runtime.AddCleanup(object, func(int) {
			f, err := core.Submit(context.Background(), e, value(3))
			if err != nil {
				t.Error(err)
				return
			}
			f.OnDone(func(v int, _ error) { got <- v })
		}, 0)
	}()
	for len(got) == 0 {
		runtime.GC()
	}
	receive(t, got, "result")
	f := must(t, e, value(1))
	f.OnDone(func(int, error) {
		child, err := core.Submit(context.Background(), e, value(4))
		if err != nil {
			t.Error(err)
			return
		}
		f.OnDone(func(int, error) { _ = e.Stats() })
		child.OnDone(func(v int, _ error) {
			if err := e.SetQueueCapacity(3); err != nil {
				t.Error(err)
			}
			got <- v
		})
	})
	if v := receive(t, got, "result"); v != 4 {
		t.Errorf("got %d", v)
	}
}
