package core_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

// What the model of the engine has found, each as a case of its own.

// A submission from outside, while an engine that lets children in drains, is refused
// because of that, even if its context has ended too.
func TestModel_Found_DrainBeforeContext(t *testing.T) {
	var told atomic.Int64
	e := engineFor(t, core.WithWorkers(1), core.WithAcceptChildren(), core.WithHooks(core.Hooks{Rejected: func(core.RejectInfo) { told.Add(1) }}))
	release := occupy(t, e, 1)
	down := make(chan error, 1)
	go func() { down <- e.Shutdown(context.Background()) }()
	for !e.IsShutdown() {
		e.Stats()
	}
	if _, err := core.Submit(endedContext(), e, value(1)); !errors.Is(err, core.ErrClosed) {
		t.Errorf("%v", err)
	}
	if s := e.Stats(); s.Rejected.Closed != 1 || s.Rejected.Context != 0 || told.Load() != 1 {
		t.Errorf("%+v", s.Rejected)
	}
	release()
	if err := receive(t, down, "Shutdown returns"); err != nil {
		t.Error(err)
	}
}

// Go under RejectDiscardNewest says that the function will not run, also where default
// limits make a record of it.
func TestModel_Found_GoDiscardedWithLimits(t *testing.T) {
	for _, limit := range []time.Duration{0, time.Hour} {
		e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1), core.WithReject(core.RejectDiscardNewest), core.WithRunLimit(limit))
		release := occupy(t, e, 1)
		fill(t, e, 1)
		if err := e.Go(func() { t.Error("it runs") }); !errors.Is(err, core.ErrDiscarded) {
			t.Errorf("limit %v: %v", limit, err)
		}
		if s := e.Stats(); s.Rejected.Discard != 1 || s.Discarded != 0 || s.Accepted != 2 {
			t.Errorf("limit %v: %+v", limit, s)
		}
		release()
	}
}

// A task that is run again takes its place by force, and may make the queue longer
// than it should be. Then nobody gets in, the children of running tasks included.
func TestModel_Found_ChildOfOverfullQueue(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1))
	started, gate := make(chan struct{}), make(chan struct{})
	again := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		if core.Attempt(ctx) == 0 {
			close(started)
			<-gate
			return 0, core.Again(0, nil)
		}
		return 1, nil
	}))
	receive(t, started, "start")
	parent := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		s := e.Stats()
		_, err := core.TrySubmit(ctx, e, value(1))
		if !errors.Is(err, core.ErrQueueFull) {
			t.Errorf("%d of %d are queued, and a child is let in: %v", s.Queued, s.Capacity, err)
		}
		return 1, nil
	}))
	close(gate)
	for _, f := range []*core.Future[int]{again, parent} {
		if _, err := f.Await(soon(t)); err != nil {
			t.Error(err)
		}
	}
}

// A function that a forced stop has given up has ended once, for the hooks too. If it
// panics later, that is reported.
func TestModel_Found_LateEnd(t *testing.T) {
	for _, function := range []bool{true, false} {
		var mu sync.Mutex
		var ends []core.Outcome
		panicked := make(chan struct{})
		e, err := core.New(core.WithWorkers(1), core.WithCancelGrace(-1), core.WithOnPanic(func(*core.PanicError) { close(panicked) }),
			core.WithHooks(core.Hooks{Ended: func(info core.EndInfo) {
				mu.Lock()
				defer mu.Unlock()
				ends = append(ends, info.Outcome)
			}}))
		if err != nil {
			t.Fatal(err)
		}
		started, gate := make(chan struct{}), make(chan struct{})
		body := func() { close(started); <-gate; panic("late") }
		if function {
			err = e.Go(body)
		} else {
			_, err = core.Submit(context.Background(), e, core.Func(func(context.Context) (int, error) { body(); return 0, nil }))
		}
		if err != nil {
			t.Fatal(err)
		}
		receive(t, started, "start")
		if err := e.Close(endedContext()); !errors.Is(err, core.ErrShutdown) {
			t.Errorf("%v", err)
		}
		close(gate)
		receive(t, panicked, "report of the panic")
		for e.Stats().Goroutines > 0 {
			e.Stats()
		}
		mu.Lock()
		if !slices.Equal(ends, []core.Outcome{core.OutcomeAbandoned}) || e.Stats().Late != 1 {
			t.Errorf("function %v: told %v; %+v", function, ends, e.Stats())
		}
		mu.Unlock()
	}
}

// RejectDisplaceLowest gives up the newest of the least urgent, whichever worker has
// it in its batch.
func TestModel_Found_NewestOfBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(2), core.WithQueueCapacity(5))
		gates := [3]chan struct{}{make(chan struct{}), make(chan struct{}), make(chan struct{})}
		waits := func(gate chan struct{}) core.Task[int] {
			return core.Func(func(context.Context) (int, error) { <-gate; return 1, nil })
		}
		for i := range 2 { // two workers have been busy, and the second goes to sleep last
			must(t, e, waits(gates[i]))
			synctest.Wait()
		}
		if err := e.Pause(); err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			close(gates[i])
			synctest.Wait()
		}
		all, err := core.SubmitAll(context.Background(), e, slices.Repeat([]core.Task[int]{waits(gates[2])}, 5))
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Resume(); err != nil { // so it is the first to take a batch
			t.Fatal(err)
		}
		synctest.Wait()
		urgent := core.Attributes{Priority: core.High, Reject: core.RejectDisplaceLowest}
		for range 3 { // one more than there is room for
			if _, err := core.SubmitWith(context.Background(), e, urgent, value(1)); err != nil {
				t.Fatal(err)
			}
		}
		for i, f := range all {
			if f.IsDone() != (i == len(all)-1) {
				t.Errorf("task %d of %d: given up %v", i, len(all), f.IsDone())
			}
		}
		close(gates[2])
	})
}
