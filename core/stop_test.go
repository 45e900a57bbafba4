package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

// freshEngine is an engine that the test ends by itself.
func freshEngine(t testing.TB, options ...core.Option) *core.Engine {
	t.Helper()
	e, err := core.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// over demands that e is at its end and adds up, and returns its figures.
func over(t testing.TB, e *core.Engine) core.Stats {
	t.Helper()
	s := e.Stats()
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	if s.Queued != 0 || s.Running != 0 || s.Blocked != 0 || !e.IsClosed() || !e.IsShutdown() || e.IsRunning() {
		t.Errorf("not at its end: closed %v, shutdown %v, running %v; %+v", e.IsClosed(), e.IsShutdown(), e.IsRunning(), s)
	}
	return s
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errGone)
	return ctx
}

var errGone = errors.New("the caller is gone")

func TestShutdown_E_STOP_03_Concurrent(t *testing.T) {
	outcomes := map[string]int{}
	for round := range 300 {
		e := freshEngine(t, core.WithWorkers(2), core.WithCancelGrace(patience))
		var ran atomic.Int64
		for range 100 {
			if err := e.Go(func() { ran.Add(1) }); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		start := make(chan struct{})
		patient := soon(t)
		for i := range 8 {
			ctx := patient
			if i%2 == 1 && round%2 == 0 {
				ctx = ended()
			}
			wg.Go(func() {
				<-start
				for range (i * round) % 5 {
					runtime.Gosched()
				}
				err := e.Shutdown(ctx)
				var report *core.ShutdownError
				verdict := "nil"
				switch {
				case err == nil:
					// A call after a forced end is told nil too.
					if n := ran.Load(); n != 100 && round%2 == 1 {
						t.Errorf("an early nil: %d of 100 ran", n)
					}
				case !errors.As(err, &report) || !errors.Is(err, core.ErrShutdown):
					t.Errorf("%v", err)
				case report.Draining:
					verdict = "draining"
					if !errors.Is(err, errGone) {
						t.Errorf("without its own cause: %v", err)
					}
				default:
					verdict = "forced"
				}
				if verdict != "nil" && ctx == patient && round%2 == 1 {
					t.Errorf("a patient caller among patient ones: %v", err)
				}
				mu.Lock()
				outcomes[verdict]++
				mu.Unlock()
			})
		}
		close(start)
		wg.Wait()
		if s := over(t, e); s.Succeeded+s.Undone != 100 || s.Succeeded != uint64(ran.Load()) {
			t.Errorf("%d ran: %+v", ran.Load(), s)
		}
	}
	if len(outcomes) != 3 {
		unseen(t, "an outcome never occurred: %v", outcomes)
	}
}

func TestShutdown_E_STOP_04_Afterwards(t *testing.T) {
	e := freshEngine(t, core.WithWorkers(2))
	must(t, e, value(1))
	for range 3 {
		if err := e.Shutdown(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	before := over(t, e)
	if err := e.Close(ended()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := e.Shutdown(ended()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := e.WaitIdle(soon(t)); err != nil {
		t.Errorf("WaitIdle: %v", err)
	}
	for name, call := range map[string]func() error{
		"Resize":           func() error { return e.Resize(3) },
		"SetQueueCapacity": func() error { return e.SetQueueCapacity(3) },
		"Reconfigure":      func() error { return e.Reconfigure() },
		"Pause":            e.Pause,
		"Resume":           e.Resume,
	} {
		if err := call(); !errors.Is(err, core.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(before, e.Stats()); diff != "" {
		t.Errorf("the figures changed after the end:\n%s", diff)
	}
	if _, err := core.Submit(context.Background(), e, value(1)); !errors.Is(err, core.ErrClosed) {
		t.Errorf("Submit: %v", err)
	}
	if err := e.Go(func() {}); !errors.Is(err, core.ErrClosed) {
		t.Errorf("Go: %v", err)
	}
	if s := e.Stats(); s.Rejected.Closed != 2 || s.Accepted != 1 {
		t.Errorf("%+v", s)
	}
}

func TestShutdown_E_STOP_05_RunsTheQueue(t *testing.T) {
	e := freshEngine(t, core.WithWorkers(2), core.WithUnboundedQueue())
	ran := make([]bool, 10_000) // plain memory: the race detector watches
	for i := range ran {
		if err := e.Go(func() { ran[i] = true }); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Shutdown(soon(t)); err != nil {
		t.Fatal(err)
	}
	for i, done := range ran {
		if !done {
			t.Fatalf("task %d did not run", i)
		}
	}
	over(t, e)
}

func TestShutdown_E_STOP_07_ContextLivesWhileDraining(t *testing.T) {
	e := freshEngine(t, core.WithWorkers(1), core.WithCancelGrace(patience))
	running, look, alive := make(chan struct{}), make(chan struct{}), make(chan struct{})
	f := must(t, e, core.Func(func(ctx context.Context) (string, error) {
		close(running)
		select {
		case <-ctx.Done():
			return "cancelled early", context.Cause(ctx)
		case <-look:
		}
		if ctx.Err() != nil {
			return "ended early", ctx.Err()
		}
		close(alive)
		<-ctx.Done()
		return "obeyed", context.Cause(ctx)
	}))
	receive(t, running, "start")
	ctx, cancel := context.WithCancelCause(context.Background())
	verdict := make(chan error, 1)
	go func() { verdict <- e.Shutdown(ctx) }()
	synchronise(t, "drain", e.IsShutdown)
	var report *core.ShutdownError
	if err := e.Shutdown(ended()); !errors.As(err, &report) || !report.Draining || !errors.Is(err, errGone) {
		t.Errorf("an impatient caller: %v", err)
	}
	_, err := core.Submit(context.Background(), e, value(1))
	if !errors.Is(err, core.ErrClosed) {
		t.Errorf("Submit while draining: %v", err)
	}
	close(look)
	receive(t, alive, "look at the context")
	cancel(errGone)
	if err := receive(t, verdict, "verdict"); !errors.As(err, &report) || !errors.Is(err, errGone) {
		t.Fatalf("%v", err)
	}
	if report.Canceled != 1 || len(report.Undone) != 0 || len(report.Ignoring) != 0 || report.Draining {
		t.Errorf("%+v", report)
	}
	if got, err := f.Get(); got != "obeyed" || !errors.Is(err, core.ErrShutdown) || !errors.Is(err, context.Canceled) {
		t.Errorf("%q, %v", got, err)
	}
	if s := over(t, e); s.Canceled != 1 {
		t.Errorf("%+v", s)
	}
}

func TestShutdown_E_STOP_08_ChildrenWhileDraining(t *testing.T) {
	for round := range 100 {
		accept := round%2 == 0
		t.Run(fmt.Sprint(accept), func(t *testing.T) {
			e := freshEngine(t, core.WithConfig(core.Config{Workers: 1, AcceptChildren: accept}))
			running, drains := make(chan struct{}), make(chan struct{})
			var generations atomic.Int64
			var next func(left int) core.Task[int]
			next = func(left int) core.Task[int] {
				return core.Func(func(ctx context.Context) (int, error) {
					if generations.Add(1) == 1 {
						close(running)
						<-drains
					}
					if left == 0 {
						return 0, nil
					}
					_, err := core.Submit(ctx, e, next(left-1)) // nobody awaits it
					return left, err
				})
			}
			f := must(t, e, next(50))
			receive(t, running, "start")
			verdict := make(chan error, 1)
			go func() { verdict <- e.Shutdown(soon(t)) }()
			for !e.IsShutdown() { // no step between the announcement and the refusal
			}
			if _, err := core.Submit(context.Background(), e, value(1)); !errors.Is(err, core.ErrClosed) {
				t.Errorf("from outside: %v", err)
			}
			close(drains)
			if err := receive(t, verdict, "verdict"); err != nil {
				t.Error(err)
			}
			_, err := f.Get()
			switch {
			case accept && (err != nil || generations.Load() != 51):
				t.Errorf("%d generations, %v", generations.Load(), err)
			case !accept && (!errors.Is(err, core.ErrClosed) || generations.Load() != 1):
				t.Errorf("%d generations, %v", generations.Load(), err)
			}
			over(t, e)
		})
	}
}

func TestShutdown_E_STOP_10_WhilePaused(t *testing.T) {
	e := freshEngine(t, core.WithWorkers(2))
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	f := must(t, e, value(8))
	if err := e.Shutdown(soon(t)); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Get(); n != 8 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	over(t, e)
}

func TestWaitIdle_E_STOP_17_SelfFeeding(t *testing.T) {
	for _, workers := range []int{1, 2} {
		e := engineFor(t, core.WithWorkers(workers))
		var ran atomic.Int64
		var feed func()
		feed = func() {
			if ran.Add(1) < 100 {
				if err := e.Go(feed); err != nil {
					t.Error(err)
				}
			}
		}
		if err := e.Go(feed); err != nil {
			t.Fatal(err)
		}
		idle(t, e)
		if n := ran.Load(); n != 100 {
			t.Errorf("WaitIdle returned after %d", n)
		}
		release := occupy(t, e, 1)
		if err := e.WaitIdle(ended()); !errors.Is(err, errGone) {
			t.Errorf("WaitIdle with an ended context: %v", err)
		}
		release()
	}
}

// synchronise waits until cond holds, for things that nobody announces.
func synchronise(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for ctx := soon(t); !cond(); {
		if ctx.Err() != nil {
			t.Fatalf("no %s within %v", what, patience)
		}
		runtime.Gosched()
	}
}

// allIdle waits until no worker holds a slot. After WaitIdle one may still look for work.
func allIdle(t testing.TB, e *core.Engine) {
	t.Helper()
	synchronise(t, "idle workers alone", func() bool { s := e.Stats(); return s.Idle == s.Workers })
}

func TestStop_InsideTask(t *testing.T) {
	calls := map[string]func(*core.Engine, context.Context) error{
		"Shutdown": (*core.Engine).Shutdown,
		"Close":    (*core.Engine).Close,
		"WaitIdle": (*core.Engine).WaitIdle,
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			e := freshEngine(t, core.WithWorkers(1))
			f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
				if err := call(e, ctx); !errors.Is(err, core.ErrInsideTask) {
					return 0, fmt.Errorf("it returned %w", err)
				}
				return 1, nil
			}))
			if n, err := f.Await(soon(t)); n != 1 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			if begun := e.IsShutdown(); begun != (name != "WaitIdle") {
				t.Errorf("IsShutdown is %v", begun)
			}
			if err := e.Shutdown(soon(t)); err != nil && name != "Close" {
				t.Error(err)
			}
			over(t, e)
		})
	}
}
