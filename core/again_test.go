package core_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

// A task that asks for it is run again after the delay, with its attributes and
// the same future, and the worker is free meanwhile.
func TestAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(1))
		begin := time.Now()
		var starts []time.Duration
		f, err := core.SubmitWith(context.Background(), e, core.Attributes{Name: "stubborn", Key: "k"}, core.Func(func(ctx context.Context) (int, error) {
			starts = append(starts, time.Since(begin))
			if n := core.Attempt(ctx); n != len(starts)-1 {
				t.Errorf("attempt %d of %d", n, len(starts))
			}
			if len(starts) < 4 {
				return len(starts), core.Again(time.Duration(len(starts))*time.Minute, io.EOF)
			}
			return 40, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := e.Stats(); s.Queued != 1 || s.Delayed != 1 || s.Running != 0 || s.Retried != 1 || s.Accepted != 1 || f.IsDone() {
			t.Errorf("%+v", s)
		}
		if v, err := core.Run(context.Background(), e, value(1)); v != 1 || err != nil { // E-MID-02: the slot is free
			t.Errorf("%d, %v", v, err)
		}
		if v, err := f.Get(); v != 40 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		if diff := cmp.Diff([]time.Duration{0, time.Minute, 3 * time.Minute, 6 * time.Minute}, starts); diff != "" {
			t.Error(diff)
		}
		idle(t, e)
		if s := e.Stats(); s.Retried != 3 || s.Accepted != 2 || s.Succeeded != 2 || s.Delayed != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A delay of zero, or less, is at once; the wish may be wrapped.
func TestAgain_AtOnce(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2), core.WithQueueCapacity(1))
	wishes := []error{core.Again(0, nil), core.Again(-time.Hour, nil), &core.AgainError{After: -1},
		fmt.Errorf("wrapped: %w", core.Again(0, io.EOF)), errors.Join(io.EOF, core.Again(0, nil))}
	n := 0
	f := must(t, e, core.Func(func(context.Context) (int, error) {
		if n++; n <= len(wishes) {
			return 0, wishes[n-1]
		}
		return n, nil
	}))
	if v, err := f.Await(soon(t)); v != len(wishes)+1 || err != nil {
		t.Errorf("%d, %v", v, err)
	}
}

// Again needs no room: it is let in though the queue is full and submitters wait.
func TestAgain_NeedsNoRoom(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1), core.WithReject(core.RejectFail))
	started, gate := make(chan struct{}), make(chan struct{})
	f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		if core.Attempt(ctx) < 3 {
			if core.Attempt(ctx) == 0 {
				close(started)
				<-gate
			}
			return 0, core.Again(0, nil)
		}
		return 9, nil
	}))
	receive(t, started, "start")
	fill(t, e, 1)
	close(gate)
	if v, err := f.Await(soon(t)); v != 9 || err != nil {
		t.Errorf("%d, %v", v, err)
	}
	idle(t, e)
	capacityIs(t, e, 1)
}

// capacityIs demands that exactly n tasks find room in the queue of e, which has
// one worker.
func capacityIs(t testing.TB, e *core.Engine, n int) {
	t.Helper()
	release := occupy(t, e, 1)
	fill(t, e, n)
	if err := e.TryGo(func() {}); !errors.Is(err, core.ErrQueueFull) {
		t.Errorf("more than %d tasks find room: %v", n, err)
	}
	release()
	idle(t, e)
}

// between is a scheduler whose Completed says when it is called, and waits: a task
// that asked to be run again is then neither running nor delayed.
type between struct {
	counting
	called, goOn chan struct{}
}

func (b *between) Completed(core.Job) {
	b.called <- struct{}{}
	<-b.goOn
}

// A cancellation between the end of a run and the delay is not lost.
func TestAgain_CancelBetween(t *testing.T) {
	b := &between{counting: counting{out: map[core.Job]int{}}, called: make(chan struct{}), goOn: make(chan struct{})}
	e := engineFor(t, core.WithWorkers(1), core.WithScheduler(b))
	f := must(t, e, core.Func(func(context.Context) (int, error) { return 0, core.Again(time.Hour, nil) }))
	receive(t, b.called, "call")
	won := make(chan bool, 1)
	go func() { won <- f.Cancel() }()
	for range 1000 {
		runtime.Gosched()
	}
	close(b.goOn)
	if !receive(t, won, "end of Cancel") || !f.IsDone() {
		t.Error("the cancellation is lost")
	}
}

// A delayed task can be cancelled at once, by its future and by its context.
func TestAgain_Cancelled(t *testing.T) {
	mine := errors.New("mine")
	for _, how := range []string{"future", "context", "base context"} {
		synctest.Test(t, func(t *testing.T) {
			base, cancelBase := context.WithCancelCause(context.Background())
			e := engineFor(t, core.WithWorkers(1), core.WithBaseContext(base))
			ctx, cancel := context.WithCancelCause(context.Background())
			runs := 0
			f, err := core.Submit(ctx, e, core.Func(func(context.Context) (int, error) {
				runs++
				return 0, core.Again(time.Hour, io.EOF)
			}))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			begin := time.Now()
			switch how {
			case "future":
				if !f.CancelCause(mine) || f.Cancel() {
					t.Error("not exactly one cancellation has made the difference")
				}
			case "context":
				cancel(mine)
			case "base context":
				cancelBase(mine)
			}
			_, err = f.Get()
			var c *core.CancelError
			if !errors.Is(err, mine) || !errors.Is(err, context.Canceled) || !errors.As(err, &c) {
				t.Error(err)
			}
			if took := time.Since(begin); took != 0 || runs != 1 {
				t.Errorf("%s: %v, %d runs", how, took, runs)
			}
			idle(t, e)
			if s := e.Stats(); s.Canceled != 1 || s.Delayed != 0 {
				t.Errorf("%+v", s)
			}
			cancel(nil)
			cancelBase(nil)
		})
	}
}

// Cancel races with the wish: whenever it says that it made the difference the
// task ends, and it always does while the task goes round.
func TestAgain_CancelRace(t *testing.T) {
	for round := range 500 {
		e := engineFor(t, core.WithWorkers(2))
		var runs atomic.Int64
		f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			runs.Add(1)
			if round%2 == 0 {
				ctx.Done()
			}
			if core.Attempt(ctx) > round%3+2 {
				<-ctx.Done()
			}
			return 0, core.Again(0, nil)
		}))
		for runs.Load() < int64(round%5) {
			runtime.Gosched()
		}
		var won atomic.Int64
		var callers sync.WaitGroup
		for range 2 {
			callers.Go(func() {
				if f.Cancel() {
					won.Add(1)
				}
			})
		}
		callers.Wait()
		if won.Load() != 1 {
			t.Fatalf("round %d: %d cancellations have made the difference", round, won.Load())
		}
		if _, err := f.Await(soon(t)); !errors.Is(err, context.Canceled) {
			t.Fatalf("round %d: %v", round, err)
		}
		endEngine(t, e)
	}
}

// The run limit counts for each run; the queue limit does not count the delay.
func TestAgain_Limits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(1))
		f, err := core.SubmitWith(context.Background(), e, core.Attributes{RunLimit: time.Minute, QueueLimit: time.Minute},
			core.Func(func(ctx context.Context) (int, error) {
				time.Sleep(40 * time.Second)
				if ctx.Err() != nil {
					t.Errorf("attempt %d is over its limit", core.Attempt(ctx))
				}
				if core.Attempt(ctx) < 5 {
					return 0, core.Again(time.Hour, nil)
				}
				return 1, nil
			}))
		if err != nil {
			t.Fatal(err)
		}
		if v, err := f.Get(); v != 1 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		// Over the limit the wish is not granted.
		f, err = core.SubmitWith(context.Background(), e, core.Attributes{RunLimit: time.Minute},
			core.Func(func(context.Context) (int, error) {
				time.Sleep(time.Hour)
				return 3, core.Again(0, io.EOF)
			}))
		if err != nil {
			t.Fatal(err)
		}
		if v, err := f.Get(); v != 3 || !errors.Is(err, core.ErrTaskTimeout) || !errors.Is(err, io.EOF) {
			t.Errorf("%d, %v", v, err)
		}
		// In the queue for the second time the queue limit counts again.
		var release func()
		f, err = core.SubmitWith(context.Background(), e, core.Attributes{QueueLimit: time.Minute},
			core.Func(func(context.Context) (int, error) { return 0, core.Again(time.Second, nil) }))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		release = occupy(t, e, 1)
		begin := time.Now()
		if _, err := f.Get(); !errors.Is(err, core.ErrQueueTimeout) || time.Since(begin) != 61*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		release()
	})
}

// A delayed task is handed back as undone by Shutdown, at once, and can be
// submitted elsewhere.
func TestAgain_Shutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := core.New(core.WithWorkers(1))
		if err != nil {
			t.Fatal(err)
		}
		runs := 0
		f, err := core.SubmitWith(context.Background(), e, core.Attributes{Name: "later"}, core.Func(func(ctx context.Context) (int, error) {
			if runs++; runs == 1 {
				return 0, core.Again(time.Hour, nil)
			}
			return 2, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begin := time.Now()
		var report *core.ShutdownError
		if err := e.Shutdown(context.Background()); !errors.As(err, &report) || len(report.Undone) != 1 || report.Undone[0].Name() != "later" {
			t.Fatalf("%v", err)
		}
		if _, err := f.Get(); !errors.Is(err, core.ErrUndone) || time.Since(begin) != 0 {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		if s := e.Stats(); s.Undone != 1 || s.Check() != nil || s.Queued != 0 {
			t.Errorf("%+v", s)
		}
		other := engineFor(t)
		if err := report.Undone[0].Resubmit(context.Background(), other); err != nil {
			t.Error(err)
		}
		idle(t, other)
		if runs != 2 {
			t.Errorf("%d runs", runs)
		}
	})
}

// An interceptor may ask too; for a plain function, which has nothing to come
// back to, the wish is a failure like any other.
func TestAgain_FromInterceptor(t *testing.T) {
	e := engineFor(t, core.WithInterceptors(func(next core.Handler) core.Handler {
		return func(ctx context.Context, job core.Job) error {
			err := next(ctx, job)
			if job.Attempt() < 3 && (err != nil || job.Name() == "func()") {
				return core.Again(0, err)
			}
			return err
		}
	}), quietly())
	calls := 0
	f := must(t, e, core.Func(func(context.Context) (int, error) {
		if calls++; calls%2 == 0 {
			panic("again")
		}
		return calls, io.EOF
	}))
	if _, err := f.Await(soon(t)); !errors.Is(err, core.ErrPanicked) || calls != 4 {
		t.Errorf("%v after %d calls", err, calls)
	}
	var functions atomic.Int64
	if err := e.Go(func() { functions.Add(1) }); err != nil {
		t.Fatal(err)
	}
	idle(t, e)
	if s := e.Stats(); s.Retried != 3 || s.Panicked != 1 || s.Failed != 1 || functions.Load() != 1 {
		t.Errorf("%+v", s)
	}
}

// Many tasks that go round, are cancelled and expire, with the figures checked
// all the time.
func TestAgain_Chaos(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2), core.WithQueueCapacity(16), quietly())
	stop := sampler(t, e)
	var submitters sync.WaitGroup
	var again atomic.Int64
	for g := range 3 {
		submitters.Go(func() {
			for i := range 300 {
				want := (i + g) % 4
				f, err := core.SubmitWith(soon(t), e, core.Attributes{RunLimit: time.Hour, QueueLimit: time.Hour}, core.Func(func(ctx context.Context) (int, error) {
					if core.Attempt(ctx) < want {
						again.Add(1)
						return 0, core.Again(time.Duration(i%3)*time.Microsecond, nil)
					}
					return core.Attempt(ctx), nil
				}))
				if err != nil {
					t.Error(err)
					return
				}
				if i%7 == 0 {
					f.Cancel()
				}
				if v, err := f.Await(soon(t)); err == nil && v != want || err != nil && (i%7 != 0 || !errors.Is(err, context.Canceled)) {
					t.Errorf("%d, %v", v, err)
				}
			}
		})
	}
	submitters.Wait()
	idle(t, e)
	stop()
	if s := e.Stats(); s.Accepted != 900 || s.Succeeded+s.Canceled != 900 || s.Retried > uint64(again.Load()) {
		t.Errorf("%d wishes; %+v", again.Load(), s)
	}
}

func TestAgainError(t *testing.T) {
	err := core.Again(time.Minute, io.EOF)
	if !errors.Is(err, io.EOF) || err.Error() != "core: run again after 1m0s: EOF" || core.Again(0, nil).Error() != "core: run again after 0s" {
		t.Errorf("%v", err)
	}
	if core.Attempt(context.Background()) != 0 {
		t.Error("an attempt outside")
	}
}
