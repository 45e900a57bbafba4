package core_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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
		t.Errorf("an outcome never occurred: %v", outcomes)
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
	if report.Cancelled != 1 || len(report.Undone) != 0 || len(report.Ignoring) != 0 || report.Draining {
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

// A paused engine that drains would never end: Pause is refused then.
func TestShutdown_PauseWhileDraining(t *testing.T) {
	for range 500 {
		e := freshEngine(t, core.WithWorkers(2))
		var ran atomic.Int64
		for range 20 {
			if err := e.Go(func() { ran.Add(1) }); err != nil {
				t.Fatal(err)
			}
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if err := e.Pause(); err != nil && !errors.Is(err, core.ErrClosed) {
						t.Error(err)
					}
				}
			}
		})
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := e.Shutdown(ctx)
		cancel()
		close(stop)
		wg.Wait()
		if err != nil || ran.Load() != 20 {
			t.Fatalf("%d ran, %v", ran.Load(), err)
		}
		over(t, e)
	}
}

func TestShutdown_E_STOP_14_BaseContextEnds(t *testing.T) {
	base, cancel := context.WithCancelCause(context.Background())
	e := freshEngine(t, core.WithWorkers(1), core.WithBaseContext(base))
	running := make(chan struct{})
	first := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		close(running)
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}))
	receive(t, running, "start")
	var queued []*core.Future[int]
	for range 50 {
		queued = append(queued, must(t, e, value(1)))
	}
	cancel(errGone)
	for _, f := range append(queued, first) {
		if _, err := f.Await(soon(t)); !errors.Is(err, errGone) || !errors.Is(err, context.Canceled) {
			t.Fatalf("%v", err)
		}
	}
	if err := e.Shutdown(soon(t)); err != nil {
		t.Error(err)
	}
	if s := over(t, e); s.Canceled != 51 {
		t.Errorf("%+v", s)
	}
}

func TestShutdown_E_STOP_15_UndoneRunElsewhere(t *testing.T) {
	e := freshEngine(t, core.WithWorkers(1))
	release := occupy(t, e, 1)
	const k = 40
	starts := make([]atomic.Int64, 2*k)
	attributes := core.Attributes{Name: "typed", Priority: core.High, Key: "lane"}
	for i := range k {
		f, err := core.SubmitWith(context.Background(), e, attributes, core.Func(func(context.Context) (int, error) {
			return i, errors.Join(nil, func() error { starts[i].Add(1); return nil }())
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if _, err := f.Get(); !errors.Is(err, core.ErrUndone) {
				t.Errorf("task %d: %v", i, err)
			}
		}()
		if err := e.Go(func() { starts[k+i].Add(1) }); err != nil {
			t.Fatal(err)
		}
	}
	verdict := make(chan error, 1)
	go func() { verdict <- e.Close(soon(t)) }()
	synchronise(t, "stop", func() bool { return e.Stats().Queued == 0 })
	release()
	var report *core.ShutdownError
	if err := receive(t, verdict, "verdict"); !errors.As(err, &report) {
		t.Fatal(err)
	}
	over(t, e)
	if len(report.Undone) != 2*k || report.Cancelled != 1 || len(report.Ignoring) != 0 {
		t.Errorf("%d undone, %d cancelled, %d ignoring", len(report.Undone), report.Cancelled, len(report.Ignoring))
	}
	other := engineFor(t, core.WithWorkers(2))
	for i, u := range report.Undone {
		if want := [...]string{"typed", "func()"}[i%2]; u.Name() != want {
			t.Errorf("undone %d is %q", i, u.Name())
		}
		if i%2 == 0 {
			if diff := cmp.Diff(attributes, u.Attributes()); diff != "" {
				t.Error(diff)
			}
		}
		if err := u.Resubmit(context.Background(), other); err != nil {
			t.Error(err)
		}
	}
	idle(t, other)
	for i := range starts {
		if n := starts[i].Load(); n != 1 {
			t.Errorf("task %d started %d times", i, n)
		}
	}
	if err := (core.Undone{}).Resubmit(context.Background(), other); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("zero Undone: %v", err)
	}
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

// E-CORE-24: every worker hangs in a system call.
func TestShutdown_E_CORE_24_StuckInSystemCall(t *testing.T) {
	e := freshEngine(t, core.WithWorkers(2), core.WithCancelGrace(time.Millisecond), quietly())
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	started := make(chan struct{}, 2)
	var stuck []*core.Future[int]
	for range 2 {
		f, err := core.SubmitWith(context.Background(), e, core.Attributes{Name: "reader"},
			core.Func(func(context.Context) (int, error) {
				started <- struct{}{}
				return r.Read(make([]byte, 1))
			}))
		if err != nil {
			t.Fatal(err)
		}
		stuck = append(stuck, f)
		receive(t, started, "start")
	}
	queued := must(t, e, value(1))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	var report *core.ShutdownError
	if err := e.Shutdown(ctx); !errors.As(err, &report) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if len(report.Undone) != 1 || len(report.Ignoring) != 2 || report.Cancelled != 0 {
		t.Errorf("%v", report)
	}
	for _, i := range report.Ignoring {
		if i.Name != "reader" || !strings.Contains(i.Stack, "StuckInSystemCall") {
			t.Errorf("%q is stuck at:\n%s", i.Name, i.Stack)
		}
	}
	for _, f := range stuck {
		if _, err := f.Get(); !errors.Is(err, core.ErrAbandoned) {
			t.Errorf("%v", err)
		}
	}
	if _, err := queued.Get(); !errors.Is(err, core.ErrUndone) {
		t.Errorf("%v", err)
	}
	if s := over(t, e); s.Abandoned != 2 || s.Undone != 1 || s.Late != 0 {
		t.Errorf("%+v", s)
	}
	// They come back late: counted, and their results are lost.
	w.Close()
	synchronise(t, "late ends", func() bool { s := e.Stats(); return s.Late == 2 && s.Goroutines == 0 })
	if _, err := stuck[0].Get(); !errors.Is(err, core.ErrAbandoned) {
		t.Errorf("the verdict changed: %v", err)
	}
	over(t, e)
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

func TestShutdown_HandsDelayedBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := freshEngine(t, core.WithWorkers(1))
		f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			if core.Attempt(ctx) == 0 {
				return 0, core.Again(time.Hour, errGone)
			}
			return 1, nil
		}))
		synctest.Wait()
		if s := e.Stats(); s.Delayed != 1 || s.Queued != 1 || s.Retried != 1 || s.Running != 0 {
			t.Errorf("%+v", s)
		}
		began := time.Now()
		var report *core.ShutdownError
		if err := e.Shutdown(t.Context()); !errors.As(err, &report) || len(report.Undone) != 1 || report.Cause != nil {
			t.Errorf("%v", err)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("Shutdown took %v", d)
		}
		if _, err := f.Get(); !errors.Is(err, core.ErrUndone) {
			t.Errorf("%v", err)
		}
		if s := over(t, e); s.Undone != 1 {
			t.Errorf("%+v", s)
		}
	})
}
