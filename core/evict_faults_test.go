package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"weak"

	"github.com/uptutu/goman/core"
)

// The entries of cancelled tasks are swept before they outnumber live ones, also
// after there were many live ones once.
func TestEvict_DeadEntriesDoNotOutnumber(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithUnboundedQueue())
	pause := func() {
		t.Helper()
		if err := e.Pause(); err != nil {
			t.Fatal(err)
		}
	}
	pause()
	const many = 5000
	var all []*core.Future[int]
	for range many {
		all = append(all, must(t, e, value(1)))
	}
	for _, f := range all[:100] { // sweeps once, with many live ones
		f.Cancel()
	}
	if err := e.Resume(); err != nil {
		t.Fatal(err)
	}
	idle(t, e)
	pause()
	clear(all)
	pointers := func() (list []weak.Pointer[core.Future[int]]) {
		var all []*core.Future[int]
		for range many - 200 {
			all = append(all, must(t, e, value(1)))
		}
		for _, f := range all {
			f.Cancel()
			list = append(list, weak.Make(f))
		}
		return list
	}()
	_ = gone(pointers[0])
	kept := 0
	for _, p := range pointers {
		if p.Value() != nil {
			kept++
		}
	}
	if kept > 100 {
		t.Errorf("nothing is queued (%d), but %d cancelled tasks are kept", e.Stats().Queued, kept)
	}
}

// A task that asks for what nobody can decide is refused at once, not only when the
// queue happens to be full.
func TestPolicy_AskWithNobodyToAsk(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	ask := core.Attributes{Reject: core.RejectAsk}
	if _, err := core.SubmitWith(context.Background(), e, ask, value(1)); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("SubmitWith: %v", err)
	}
	if f, err := core.TrySubmitWith(context.Background(), e, ask, value(1)); err != nil {
		t.Errorf("TrySubmitWith, which ignores it: %v", err)
	} else if _, err := f.Await(soon(t)); err != nil {
		t.Error(err)
	}
	if r := e.Stats().Rejected; r.Invalid != 1 || r.Total() != 1 {
		t.Errorf("%+v", r)
	}
}

// Workers that a smaller engine does without put what they have taken back to the
// front of the queue.
func TestResize_KeepsTheOrder(t *testing.T) {
	e := engineFor(t, core.WithWorkers(4), core.WithUnboundedQueue())
	var gates []chan struct{}
	started := make(chan int, 4)
	for i := range 4 {
		gate := make(chan struct{})
		gates = append(gates, gate)
		if err := e.Go(func() { started <- i; <-gate }); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		receive(t, started, "start")
	}
	// Tasks that each fill a batch, and hold it while they wait.
	holding, hold := make(chan struct{}, 4), make(chan struct{})
	var mu sync.Mutex
	var order []int
	const many = 1000
	for i := range many {
		fn := func() {
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			if i < 4 {
				holding <- struct{}{}
				<-hold
			}
		}
		if err := e.Go(fn); err != nil {
			t.Fatal(err)
		}
	}
	close(gates[0]) // takes a batch that begins with 0, 1, 2, 3
	receive(t, holding, "task that holds a batch")
	if err := e.Resize(1); err != nil {
		t.Fatal(err)
	}
	for _, gate := range gates[1:] {
		close(gate)
	}
	close(hold)
	idle(t, e)
	mu.Lock()
	defer mu.Unlock()
	if len(order) != many {
		t.Fatalf("%d of %d have run", len(order), many)
	}
	if !slices.IsSorted(order) {
		for i := range order {
			if order[i] != i {
				t.Fatalf("task %d ran as number %d: %v", order[i], i, order[i:min(i+10, many)])
			}
		}
	}
}

// A queue that was made smaller than what it stores lets nobody in, nor swaps.
func TestResize_NobodyGetsIntoAnOverfullQueue(t *testing.T) {
	for _, s := range []core.Scheduler{nil, &faulty{}} {
		for _, policy := range []core.RejectPolicy{core.RejectDiscardOldest, core.RejectDisplaceLowest} {
			t.Run(fmt.Sprintf("%T/%v", s, policy), func(t *testing.T) {
				options := []core.Option{core.WithWorkers(1), core.WithQueueCapacity(4), core.WithReject(policy)}
				if s != nil {
					options = append(options, core.WithScheduler(s))
				}
				e := engineFor(t, options...)
				release := occupy(t, e, 1)
				for range 4 {
					if _, err := core.SubmitWith(context.Background(), e, core.Attributes{Priority: core.Low}, value(1)); err != nil {
						t.Fatal(err)
					}
				}
				if err := e.SetQueueCapacity(2); err != nil {
					t.Fatal(err)
				}
				if _, err := core.Submit(context.Background(), e, value(2)); !errors.Is(err, core.ErrQueueFull) {
					t.Errorf("%v", err)
				}
				if stats := e.Stats(); stats.Queued != 4 || stats.Discarded != 0 {
					t.Errorf("%+v", stats)
				}
				if err := e.SetQueueCapacity(4); err != nil {
					t.Fatal(err)
				}
				if _, err := core.Submit(context.Background(), e, value(2)); err != nil {
					t.Error(err)
				}
				if stats := e.Stats(); stats.Queued != 4 || stats.Discarded != 1 {
					t.Errorf("%+v", stats)
				}
				release()
				idle(t, e)
			})
		}
	}
}
