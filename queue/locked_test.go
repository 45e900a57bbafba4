package queue

import (
	"errors"
	"testing"
	"time"
)

// A lock hands on what the queue under it knows of time.
func TestLocked_Timed(t *testing.T) {
	at := time.Now()
	timed := must(NewLocked[int](&later{locked: locked{limit: 1}, at: at}))
	if _, ok := timed.NextDue(); ok {
		t.Error("an empty queue has something due")
	}
	timed.TryPush(1)
	if due, ok := timed.NextDue(); !ok || !due.Equal(at) {
		t.Errorf("due at %v, %t", due, ok)
	}
	if _, ok := must(NewLocked[int](&locked{limit: 1})).NextDue(); ok {
		t.Error("a queue that knows no time has something due")
	}
	if _, err := NewLocked[int](nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("of nil: %v", err)
	}
}

// After a panic of the queue under it the lock is free.
func TestLocked_Panic(t *testing.T) {
	q := &stuck{locked: locked{limit: 1}, pop: func() { panic("pop") }}
	l := must(NewLocked[int](q))
	if v := recovered(func() { l.TryPop() }); v != "pop" || l.Len() != 0 || !l.TryPush(1) {
		t.Errorf("panicked with %v", v)
	}
}
