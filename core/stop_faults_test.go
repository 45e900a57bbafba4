package core_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

func endedContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// "It returns nil when everything has run and no goroutine of the engine is left":
// an OnDone callback, for which Shutdown waits, outlasts the context.
func TestStopFaults_ShutdownNilWithGoroutine(t *testing.T) {
	for _, call := range []string{"Shutdown", "Close"} {
		e, err := core.New(core.WithWorkers(1), core.WithCancelGrace(time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		gate, inside := make(chan struct{}), make(chan struct{})
		f := must(t, e, value(1))
		f.OnDone(func(int, error) { close(inside); <-gate })
		<-inside
		idle(t, e)
		if call == "Shutdown" {
			err = e.Shutdown(endedContext())
		} else {
			err = e.Close(endedContext())
		}
		if n := e.Stats().Goroutines; err == nil && n > 0 {
			t.Errorf("%s returns nil, and a callback is still running (%d goroutines)", call, n)
		}
		close(gate)
	}
}

// An engine that has ended well must not be called "still draining".
func TestStopFaults_ShutdownVerdictOfEnded(t *testing.T) {
	for i := range 200 {
		e, err := core.New(core.WithCancelGrace(-1))
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Shutdown(endedContext()); err != nil {
			t.Fatalf("round %d: nothing ran and nothing was queued: %v", i, err)
		}
	}
}

// A Changed hook that calls Goexit (t.FailNow in a hook) at the end of the engine.
func TestStopFaults_GoexitInShutdownEnded(t *testing.T) {
	e, err := core.New(core.WithWorkers(1), core.WithHooks(core.Hooks{Changed: func(c core.Change) {
		if c == core.ChangeShutdownEnded {
			runtime.Goexit()
		}
	}}))
	if err != nil {
		t.Fatal(err)
	}
	gate := make(chan struct{})
	must(t, e, core.Func(func(context.Context) (int, error) { <-gate; return 1, nil }))
	got := make(chan error, 1)
	go func() { got <- e.Shutdown(context.Background()) }()
	for !e.IsShutdown() {
		runtime.Gosched()
	}
	close(gate)
	select {
	case err := <-got:
		if err != nil {
			t.Error(err)
		}
	case <-soon(t).Done():
		t.Errorf("Shutdown hangs: closed %v, %+v", e.IsClosed(), e.Stats())
	}
}

// A goroutine that an Ended hook ends by Goexit in the middle of a forced stop: the
// other tasks' futures must be resolved, and other callers must get an answer.
func TestStopFaults_GoexitInForcedStop(t *testing.T) {
	var stopped atomic.Bool
	e := freshEngine(t, core.WithWorkers(1), core.WithCancelGrace(time.Millisecond), core.WithHooks(core.Hooks{
		Ended: func(i core.EndInfo) {
			if i.Outcome == core.OutcomeUndone && stopped.CompareAndSwap(false, true) {
				runtime.Goexit()
			}
		}}))
	defer occupy(t, e, 1)()
	first, second := must(t, e, value(1)), must(t, e, value(2))
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = e.Close(endedContext())
	}()
	<-gone
	for i, f := range []*core.Future[int]{first, second} {
		if _, err := f.Await(soon(t)); !errors.Is(err, core.ErrUndone) {
			t.Errorf("task %d: %v", i, err)
		}
	}
	if err := e.Close(soon(t)); errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second Close: %v", err)
	}
}

// A Shutdown whose goroutine a ShutdownBegun hook has ended stays "patient" for ever:
// no other Shutdown can stop by force any more.
func TestStopFaults_GoexitInShutdownBegun(t *testing.T) {
	e := freshEngine(t, core.WithWorkers(1), core.WithCancelGrace(time.Millisecond), core.WithHooks(core.Hooks{
		Changed: func(c core.Change) {
			if c == core.ChangeShutdownBegun {
				runtime.Goexit()
			}
		}}))
	defer occupy(t, e, 1)()
	gone := make(chan struct{})
	go func() { defer close(gone); _ = e.Shutdown(context.Background()) }()
	<-gone
	var report *core.ShutdownError
	if err := e.Shutdown(endedContext()); !errors.As(err, &report) || report.Draining {
		t.Errorf("%v: nobody else is waiting", err)
	}
	_ = e.Close(endedContext())
}

// Shutdown hands delayed tasks back one by one; Close comes in between; the delay
// of one that is not handed back yet passes then. Its future is never resolved.
func TestStopFaults_DelayedLostBetweenShutdownAndClose(t *testing.T) {
	inHook, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	e, err := core.New(core.WithWorkers(2), core.WithCancelGrace(time.Millisecond), core.WithHooks(core.Hooks{
		Ended: func(i core.EndInfo) {
			if i.Outcome == core.OutcomeUndone {
				once.Do(func() { close(inHook); <-goOn })
			}
		}}))
	if err != nil {
		t.Fatal(err)
	}
	again := core.Func(func(context.Context) (int, error) { return 0, core.Again(300*time.Millisecond, nil) })
	all := []*core.Future[int]{must(t, e, again), must(t, e, again), must(t, e, again)}
	for e.Stats().Delayed < len(all) {
		runtime.Gosched()
	}
	drained := make(chan error, 1)
	go func() { drained <- e.Shutdown(context.Background()) }()
	<-inHook
	closed := make(chan error, 1)
	short, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	go func() { closed <- e.Close(short) }()
	t.Log("Close:", receive(t, closed, "Close"))
	for end := time.Now().Add(patience); e.Stats().Delayed > 0 && time.Now().Before(end); {
		runtime.Gosched()
	}
	close(goOn)
	t.Log("Shutdown:", receive(t, drained, "Shutdown"))
	for i, f := range all {
		if _, err := f.Await(soon(t)); !errors.Is(err, core.ErrUndone) {
			t.Errorf("task %d: %v; %+v", i, err, e.Stats())
		}
	}
}

// blocking is a context that, when armed, blocks once whoever no longer wants to be told
// of its end: it stands for a goroutine that loses its processor there.
type blocking struct {
	context.Context
	armed           *atomic.Bool
	inside, release chan struct{}
}

func (b blocking) AfterFunc(f func()) func() bool {
	stop := context.AfterFunc(b.Context, f)
	return func() bool {
		if b.armed.CompareAndSwap(true, false) {
			close(b.inside)
			<-b.release
		}
		return stop()
	}
}

// Value hides the standard context below, which the library would use instead.
func (b blocking) Value(any) any { return nil }

// P-C7: when Shutdown, or WaitIdle, has returned nil every future is resolved. A
// cancelled queued task is counted before its future is resolved, and its context,
// which is the user's, may take its time in between.
func TestStopFaults_ShutdownBeforeResolved(t *testing.T) {
	for _, call := range []string{"Shutdown", "WaitIdle"} {
		synctest.Test(t, func(t *testing.T) {
			e, err := core.New(core.WithWorkers(1))
			if err != nil {
				t.Fatal(err)
			}
			gate := make(chan struct{})
			must(t, e, core.Func(func(context.Context) (int, error) { <-gate; return 1, nil }))
			parent, cancel := context.WithCancel(context.Background())
			defer cancel()
			b := blocking{parent, new(atomic.Bool), make(chan struct{}), make(chan struct{})}
			f, err := core.Submit(b, e, value(1))
			if err != nil {
				t.Fatal(err)
			}
			f.Done()
			b.armed.Store(true)
			go f.Cancel()
			<-b.inside
			close(gate)
			returned := make(chan error, 1)
			go func() {
				if call == "Shutdown" {
					returned <- e.Shutdown(context.Background())
				} else {
					returned <- e.WaitIdle(context.Background())
				}
			}()
			synctest.Wait()
			if len(returned) > 0 {
				t.Errorf("%s has returned %v, and the future is not resolved", call, <-returned)
			}
			close(b.release)
			if err := <-returned; err != nil || !f.IsDone() {
				t.Errorf("%s: %v, resolved %v", call, err, f.IsDone())
			}
			if err := e.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

// The same by chance.
func TestStopFaults_ShutdownBeforeResolvedChance(t *testing.T) {
	missed := 0
	for range rounds(3000) {
		e, err := core.New(core.WithWorkers(1))
		if err != nil {
			t.Fatal(err)
		}
		gate := make(chan struct{})
		must(t, e, core.Func(func(context.Context) (int, error) { <-gate; return 1, nil }))
		var all []*core.Future[int]
		for range 4 {
			all = append(all, must(t, e, value(1)))
		}
		go func() {
			close(gate)
			for _, f := range all {
				f.Cancel()
			}
		}()
		if err := e.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if !f.IsDone() {
				missed++
			}
		}
	}
	if missed > 0 {
		t.Errorf("%d futures were not resolved when Shutdown had returned nil", missed)
	}
}

// Arguments, then the engine, then the context: also with AcceptChildren.
func TestStopFaults_OrderOfChecks(t *testing.T) {
	e, err := core.New(core.WithAcceptChildren())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Shutdown(soon(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := core.Submit(endedContext(), e, value(1)); !errors.Is(err, core.ErrClosed) {
		t.Errorf("on a closed engine: %v", err)
	}
}

// A hook that blocks a worker, or stops the engine itself, after the last task has
// ended: Close must not wait for it beyond its context, and says what is left.
func TestStopFaults_HookOutlastsClose(t *testing.T) {
	for _, call := range []string{"outside", "inside"} {
		gate, inside := make(chan struct{}), make(chan struct{})
		got := make(chan error, 1)
		var e *core.Engine
		end := func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			got <- e.Close(ctx)
		}
		e, err := core.New(core.WithWorkers(1), core.WithHooks(core.Hooks{Ended: func(core.EndInfo) {
			close(inside)
			if call == "inside" {
				end()
			}
			<-gate
		}}))
		if err != nil {
			t.Fatal(err)
		}
		must(t, e, value(1))
		<-inside
		if call == "outside" {
			go end()
		}
		var s *core.ShutdownError
		if err := receive(t, got, "Close returns"); !errors.As(err, &s) || s.Callbacks != 1 {
			t.Errorf("%s: %v", call, err)
		}
		close(gate)
		endEngine(t, e)
	}
}
