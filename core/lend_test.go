package core

import (
	"context"
	"testing"
)

// lend gives a slot credit although the engine has become hungry since admitChild
// looked (another submitter has gathered in between): those units are invisible
// to all until the slot starts its next task, and the queue is full too early.
func TestLendWhileHungry(t *testing.T) {
	const capacity = 64
	e, err := New(WithWorkers(2), WithQueueCapacity(capacity), WithReject(RejectFail))
	if err != nil {
		t.Fatal(err)
	}
	gate := make(chan struct{})
	started := make(chan struct{}, 2)
	for range 2 {
		if err := e.Go(func() { started <- struct{}{}; <-gate }); err != nil {
			t.Fatal(err)
		}
	}
	<-started
	<-started
	nothing := Func(func(context.Context) (int, error) { return 0, nil })
	submit := func() error { _, err := TrySubmit(context.Background(), e, nothing); return err }
	for range capacity - 24 {
		if err := submit(); err != nil {
			t.Fatal(err)
		}
	}
	e.lot.mu.Lock()
	s, other := e.lot.slots[0], e.lot.slots[1]
	e.lot.mu.Unlock()
	// A task in each slot has borrowed some; the first has used its own.
	e.in.mu.Lock()
	other.mu.Lock()
	e.in.earner(other)
	other.credit += e.in.room
	e.in.room = 0
	other.mu.Unlock()
	e.in.mu.Unlock()
	// admitChild has looked at the signals and found the engine not hungry ...
	if e.signal.Load()&signalHungry != 0 {
		t.Fatal("hungry too early")
	}
	// ... somebody else finds no room and gathers ...
	if err := submit(); err != nil {
		t.Fatal(err)
	}
	// ... admitChild goes on.
	e.lend(s, 1)
	n := 0
	for submit() == nil {
		n++
	}
	if queued := e.Stats().Queued; queued < capacity {
		t.Errorf("refused with ErrQueueFull at %d of %d", queued, capacity)
	}
	close(gate)
	_ = e.Shutdown(context.Background())
}
