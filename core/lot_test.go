package core

import (
	"context"
	"sync"
	"testing"
	"time"
)

// Goroutines that are to be kept for ever are kept too where the timer of the settings
// before has begun to fire.
func TestIdle_TimerThatFiresWhileItIsTurnedOff(t *testing.T) {
	const workers = 4
	e, err := New(WithWorkers(workers), WithIdleTimeout(time.Hour, 0))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup // so that each task has a goroutine of its own
	all.Add(workers)
	for range workers {
		if err := e.Go(func() { all.Done(); all.Wait() }); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.WaitIdle(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{2 * time.Hour, -1} { // the first sets the timer anew, with all idle
		if err := e.Reconfigure(WithIdleTimeout(d, 0)); err != nil {
			t.Fatal(err)
		}
	}
	e.endIdle()
	e.lot.mu.Lock()
	if n := len(e.lot.spares); n != workers {
		t.Errorf("%d of %d goroutines are left", n, workers)
	}
	e.lot.mu.Unlock()
	if err := e.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
