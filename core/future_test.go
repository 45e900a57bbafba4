package core_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

// E-FUT-01: a thousand goroutines wait for one future, half of them with a
// context that ends first.
func TestFuture_E_FUT_01_ManyWaiters(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	gate, runs := make(chan struct{}), make(chan struct{})
	f := must(t, e, core.Func(func(context.Context) (int, error) {
		close(runs)
		<-gate
		return 7, nil
	}))
	<-runs
	mine := errors.New("mine")
	ends, end := context.WithCancelCause(context.Background())
	var impatient, patient sync.WaitGroup
	for range 500 {
		impatient.Go(func() {
			if _, err := f.Await(ends); !errors.Is(err, mine) {
				t.Errorf("impatient: %v", err)
			}
		})
	}
	for i := range 500 {
		patient.Go(func() {
			var v int
			var err error
			switch i % 4 {
			case 0:
				v, err = f.Get()
			case 1:
				v, err = f.Await(soon(t))
			case 2:
				v, err = f.GetWithTimeout(patience)
			case 3:
				<-f.Done()
				v, err = f.Get()
			}
			if v != 7 || err != nil {
				t.Errorf("patient: %d, %v", v, err)
			}
		})
	}
	end(mine)
	impatient.Wait()
	if f.IsDone() || e.Stats().Running != 1 {
		t.Error("those who gave up have touched the task")
	}
	close(gate)
	patient.Wait()
}

// E-FUT-03: OnDone runs each function once, in the order of registration, also
// when it is registered afterwards, twice, or from inside another.
func TestOnDone_E_FUT_03(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	gate := make(chan struct{})
	f := must(t, e, core.Func(func(context.Context) (int, error) { <-gate; return 7, io.EOF }))
	var order []int // of one future's functions, which never overlap
	done := make(chan struct{})
	note := func(i int) func(int, error) {
		return func(v int, err error) {
			if v != 7 || !errors.Is(err, io.EOF) {
				t.Errorf("function %d: %d, %v", i, v, err)
			}
			order = append(order, i)
		}
	}
	same := note(0)
	f.OnDone(same)
	f.OnDone(nil) // nothing
	f.OnDone(same)
	f.OnDone(func(int, error) {
		order = append(order, 1)
		f.OnDone(func(int, error) { order = append(order, 3); close(done) })
	})
	f.OnDone(note(2))
	close(gate)
	receive(t, done, "call")
	again := make(chan struct{})
	f.OnDone(note(4))
	f.OnDone(func(int, error) { close(again) })
	receive(t, again, "call")
	if diff := cmp.Diff([]int{0, 0, 1, 2, 3, 4}, order); diff != "" {
		t.Error(diff)
	}
}

// Registration from many goroutines while the future is being resolved: each
// function runs exactly once, and those of one goroutine in order.
func TestOnDone_E_FUT_03_Race(t *testing.T) {
	var before, after atomic.Int64
	for range 300 {
		e := engineFor(t, core.WithWorkers(2))
		gate := make(chan struct{})
		f := must(t, e, core.Func(func(context.Context) (int, error) { <-gate; return 1, nil }))
		var registrars sync.WaitGroup
		var last [4]int
		for g := range last {
			registrars.Go(func() {
				<-gate
				for range rand.IntN(8) {
					runtime.Gosched()
				}
				for i := 1; i <= 8; i++ {
					if f.IsDone() {
						after.Add(1)
					} else {
						before.Add(1)
					}
					f.OnDone(func(int, error) {
						if last[g] != i-1 {
							t.Errorf("function %d came after %d", i, last[g])
						}
						last[g] = i
					})
				}
			})
		}
		close(gate)
		registrars.Wait()
		if err := e.Shutdown(soon(t)); err != nil { // waits for the functions
			t.Fatal(err)
		}
		if last != [4]int{8, 8, 8, 8} {
			t.Fatalf("ran up to %v", last)
		}
	}
	if before.Load() == 0 || after.Load() == 0 {
		unseen(t, "an allowed outcome never occurred: %d before, %d after", before.Load(), after.Load())
	}
}

// A panic or a Goexit of one function does not stop the next.
func TestOnDone_PanicAndGoexit(t *testing.T) {
	log := new(logbook)
	e := engineFor(t, core.WithWorkers(1), log.option())
	f := must(t, e, value(1))
	var ran atomic.Int64
	f.OnDone(func(int, error) { ran.Add(1); panic("in OnDone") })
	f.OnDone(func(int, error) { ran.Add(1); runtime.Goexit() })
	f.OnDone(func(int, error) { ran.Add(1); panic(nil) }) //nolint:govet // on purpose
	done := make(chan struct{})
	f.OnDone(func(int, error) { close(done) })
	receive(t, done, "call")
	if v, err := f.Get(); v != 1 || err != nil || ran.Load() != 3 {
		t.Errorf("%d, %v; %d ran", v, err, ran.Load())
	}
	if text := log.String(); !contains(text, "OnDone callback", "in OnDone") {
		t.Errorf("the log says %q", text)
	}
}

// E-FUT-05: a function of OnDone may wait for the only worker.
func TestOnDone_E_FUT_05_WaitsForFuture(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	gate := make(chan struct{})
	result := make(chan int, 1)
	first := must(t, e, value(1))
	second := must(t, e, core.Func(func(context.Context) (int, error) { <-gate; return 2, nil }))
	first.OnDone(func(int, error) {
		close(gate)
		v, _ := second.Await(context.Background())
		result <- v
	})
	if v := receive(t, result, "result"); v != 2 {
		t.Errorf("got %d", v)
	}
}

// Shutdown waits for the functions of OnDone.
func TestOnDone_ShutdownWaits(t *testing.T) {
	e := engineFor(t)
	plain := 0
	started := make(chan struct{})
	must(t, e, value(1)).OnDone(func(int, error) {
		close(started)
		for range 100 {
			runtime.Gosched()
		}
		plain = 1
	})
	if err := e.Shutdown(soon(t)); err != nil {
		t.Fatal(err)
	}
	if plain != 1 {
		t.Error("Shutdown has not waited")
	}
	receive(t, started, "start")
}

// E-FUT-07: a resolved future answers with its value, whatever the context says.
func TestFuture_E_FUT_07_ValueWins(t *testing.T) {
	e := engineFor(t)
	f := must(t, e, value(7))
	<-f.Done()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for range 1000 {
		if v, err := f.Await(ended); v != 7 || err != nil {
			t.Fatalf("Await: %d, %v", v, err)
		}
		if v, err := f.GetWithTimeout(-1); v != 7 || err != nil {
			t.Fatalf("GetWithTimeout: %d, %v", v, err)
		}
	}
	var noContext context.Context
	if v, err := f.Await(noContext); v != 7 || err != nil {
		t.Errorf("Await(nil): %d, %v", v, err)
	}
}

func TestFuture_GivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(1))
		release := occupy(t, e, 1)
		f := must(t, e, value(7))
		begin := time.Now()
		if _, err := f.GetWithTimeout(time.Hour); !errors.Is(err, core.ErrWaitTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("GetWithTimeout: %v", err)
		}
		if waited := time.Since(begin); waited != time.Hour {
			t.Errorf("it waited %v", waited)
		}
		for _, d := range []time.Duration{0, -1, -1 << 63} {
			if _, err := f.GetWithTimeout(d); !errors.Is(err, core.ErrWaitTimeout) {
				t.Errorf("GetWithTimeout(%d): %v", d, err)
			}
		}
		var noContext context.Context
		if _, err := f.Await(noContext); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("Await(nil): %v", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := f.Await(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Await: %v", err)
		}
		if time.Since(begin) != time.Hour+time.Minute || f.IsDone() {
			t.Error("the waits have changed something")
		}
		release()
		if v, err := f.Get(); v != 7 || err != nil {
			t.Errorf("Get: %d, %v", v, err)
		}
	})
}

// E-FUT-10: a future that nobody keeps is no leak, its error no secret.
func TestFuture_E_FUT_10_Dropped(t *testing.T) {
	var failed atomic.Int64
	e := engineFor(t, core.WithHooks(core.Hooks{Ended: func(end core.EndInfo) {
		if end.Outcome == core.OutcomeFailed && errors.Is(end.Err, io.EOF) {
			failed.Add(1)
		}
	}}))
	for range 100 {
		must(t, e, core.Func(func(context.Context) (int, error) { return 0, io.EOF }))
	}
	if err := e.Shutdown(soon(t)); err != nil {
		t.Fatal(err)
	}
	if failed.Load() != 100 || e.Stats().Failed != 100 {
		t.Errorf("%d reported, %+v", failed.Load(), e.Stats())
	}
}

// E-FUT-11: a result of any type is delivered as it is, many types on one engine.
func TestFuture_E_FUT_11_ResultTypes(t *testing.T) {
	e := engineFor(t)
	if v, err := core.Run[error](soon(t), e, value[error](nil)); v != nil || err != nil {
		t.Errorf("nil interface: %v, %v", v, err)
	}
	var typedNil *pointerTask
	if v, err := core.Run(soon(t), e, value[any](typedNil)); v == nil || v != any(typedNil) || err != nil {
		t.Errorf("typed nil: %v, %v", v, err)
	}
	if v, err := core.Run(soon(t), e, value(struct{}{})); v != struct{}{} || err != nil {
		t.Errorf("struct{}: %v, %v", v, err)
	}
	var huge [1 << 17]int
	huge[len(huge)-1] = 9
	if v, err := core.Run(soon(t), e, value(huge)); v != huge || err != nil {
		t.Errorf("huge array: %v", err)
	}
	if v, err := core.Run(soon(t), e, value(func() int { return 5 })); v() != 5 || err != nil {
		t.Errorf("func: %v", err)
	}
	if v, err := core.Run(soon(t), e, value(map[string]chan int(nil))); v != nil || err != nil {
		t.Errorf("map: %v, %v", v, err)
	}
	if v, err := core.Run(soon(t), e, value(core.Func(func(context.Context) (int, error) { return 3, nil }))); v == nil || err != nil {
		t.Errorf("a task: %v", err)
	}
	// A value beside an error is delivered too.
	v, err := core.Run(soon(t), e, core.Func(func(context.Context) (string, error) { return "half", io.ErrUnexpectedEOF }))
	if v != "half" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("value and error: %q, %v", v, err)
	}
}

// E-FUT-16: all who wait for a task that is discarded or displaced are told at
// once why.
func TestFuture_E_FUT_16_Discarded(t *testing.T) {
	for _, policy := range []core.RejectPolicy{core.RejectDiscardOldest, core.RejectDisplaceLowest} {
		e := engineFor(t, core.WithName("small"), core.WithWorkers(1), core.WithQueueCapacity(1), core.WithReject(policy))
		release := occupy(t, e, 1)
		victim := must(t, e, value(1))
		var waiters, ready sync.WaitGroup
		for i := range 60 {
			ready.Add(1)
			waiters.Go(func() {
				ready.Done()
				var err error
				switch i % 3 {
				case 0:
					_, err = victim.Get()
				case 1:
					<-victim.Done()
					_, err = victim.Await(soon(t))
				case 2:
					told := make(chan error, 1)
					victim.OnDone(func(_ int, err error) { told <- err })
					err = receive(t, told, "call")
				}
				var refused *core.RefusedError
				if !errors.Is(err, core.ErrDiscarded) || !errors.As(err, &refused) || refused.Engine != "small" {
					t.Errorf("%v", err)
				}
			})
		}
		ready.Wait()
		if _, err := core.SubmitWith(context.Background(), e, core.Attributes{Priority: core.Critical}, value(2)); err != nil {
			t.Fatal(err)
		}
		waiters.Wait() // while the worker is still busy
		release()
		endEngine(t, e)
	}
}

// A future is never reused: it says the same after many more tasks.
func TestFuture_NotReused(t *testing.T) {
	e := engineFor(t)
	f := must(t, e, value(7))
	<-f.Done()
	for i := range 20_000 {
		if i%10 == 0 {
			must(t, e, value(8))
		} else if err := e.Go(func() {}); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := f.Get(); v != 7 || err != nil || !f.IsDone() {
		t.Errorf("%d, %v", v, err)
	}
}
