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

// What the loop of TestNth has found.

// exitingError ends the goroutine of whoever compares it.
type exitingError struct{}

func (exitingError) Error() string { return "exits" }
func (exitingError) Is(error) bool { runtime.Goexit(); return false }

// The error of a task that ran on its waiter's goroutine calls Goexit: the future was
// never resolved, and the engine never came to its end.
func TestPanic_GoexitOfErrorInline(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), quietly())
	below := make(chan *core.Future[int], 1)
	above := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		f, err := core.Submit(ctx, e, core.Func(func(context.Context) (int, error) { return 1, exitingError{} }))
		if err != nil {
			return 0, err
		}
		below <- f
		return f.Await(ctx)
	}))
	for _, f := range []*core.Future[int]{receive(t, below, "child"), above} {
		if _, err := f.Await(soon(t)); !errors.Is(err, core.ErrGoexit) {
			t.Error(err)
		}
	}
	idle(t, e)
}

// A task asks to be run again, and the scheduler fails to take it: its future was never
// resolved.
func TestAgain_PushFails(t *testing.T) {
	for name, boom := range map[string]func(){"panic": func() { panic("full") }, "goexit": runtime.Goexit} {
		var pushes atomic.Int32
		s := &faulty{before: func(method string) {
			if method == "Push" && pushes.Add(1) == 2 {
				boom()
			}
		}}
		e := engineFor(t, core.WithWorkers(1), core.WithScheduler(s), quietly())
		f := must(t, e, core.Func(again(time.Microsecond)))
		if _, err := f.Await(soon(t)); !errors.Is(err, core.ErrPanicked) && !errors.Is(err, core.ErrGoexit) {
			t.Errorf("%s: %v", name, err)
		}
		idle(t, e)
		if s := e.Stats(); s.Failed != 1 || s.Queued != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// A hook that hears of the end calls Goexit, after a task was abandoned: Shutdown waited
// for ever.
func TestStopFaults_GoexitInShutdownEndedAfterAbandoned(t *testing.T) {
	e := freshEngine(t, core.WithWorkers(1), core.WithHooks(core.Hooks{Changed: func(c core.Change) {
		if c == core.ChangeShutdownEnded {
			runtime.Goexit()
		}
	}}))
	started, gate := make(chan struct{}), make(chan struct{})
	defer close(gate)
	must(t, e, core.Func(func(context.Context) (int, error) { close(started); <-gate; return 1, nil }))
	receive(t, started, "start")
	lost := make(chan struct{})
	go func() { defer close(lost); _ = e.Close(endedContext()) }()
	receive(t, lost, "end of the goroutine")
	ended := make(chan error, 1)
	go func() { ended <- e.Shutdown(context.Background()) }()
	if err := receive(t, ended, "return of Shutdown"); err != nil {
		t.Error(err) // it is a call after the end
	}
}

// E-CORE-33: the library asks a context that the run limit hangs from on a goroutine of
// its own: its panic ended the process.
func TestContext_E_CORE_33_Clock(t *testing.T) {
	for _, alien := range []bool{false, true} {
		for _, method := range []string{"Value", "Done", "Err"} {
			synctest.Test(t, func(t *testing.T) {
				e := engineFor(t, core.WithWorkers(1), quietly())
				parent, cancel := context.WithCancel(context.Background())
				defer cancel()
				h := hostile{parent, method, new(atomic.Bool)}
				var ctx context.Context = h
				if alien {
					ctx = foreign{h}
				}
				f, err := core.SubmitWith(ctx, e, core.Attributes{RunLimit: time.Minute}, core.Func(func(ctx context.Context) (int, error) {
					done := ctx.Done()
					h.armed.Store(true)
					if alien { // its end is told by the library, too
						cancel()
					}
					<-done
					h.armed.Store(false)
					return 1, ctx.Err()
				}))
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait() // who waits for a queued task asks the context, too
				if _, err := f.Await(context.Background()); !errors.Is(err, core.ErrTaskTimeout) && !errors.Is(err, context.Canceled) {
					t.Errorf("%s: %v", method, err)
				}
			})
		}
	}
}

// foreign hides the standard context below.
type foreign struct{ context.Context }

func (f foreign) Value(key any) any {
	if _, ok := key.(*int); ok {
		return nil
	}
	return f.Context.Value(key)
}
