package core_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

// A paused engine that drains would never end: Pause is refused then.
func TestShutdown_PauseWhileDraining(t *testing.T) {
	for range rounds(500) {
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
	if len(report.Undone) != 2*k || report.Canceled != 1 || len(report.Ignoring) != 0 {
		t.Errorf("%d undone, %d cancelled, %d ignoring", len(report.Undone), report.Canceled, len(report.Ignoring))
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
	if len(report.Undone) != 1 || len(report.Ignoring) != 2 || report.Canceled != 0 {
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
