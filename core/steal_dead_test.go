package core

import (
	"context"
	"testing"
)

// A slot that looks into the shared queue while its own batch holds only dead
// entries, and finds that another worker was faster, has found nothing. It once
// returned the last dead entry, and the worker ran a task that had been
// cancelled.
func TestStartBatchReturnsNoDeadJob(t *testing.T) {
	e, err := New(WithWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Shutdown(t.Context())

	e.lot.mu.Lock()
	w := e.borrowedWorker()
	s := e.lot.takeSlot()
	e.lot.mu.Unlock()
	w.slot.Store(s)
	defer e.unborrow(w)

	task := Func(func(context.Context) (int, error) { return 0, nil })
	f := newFuture(context.Background(), kindOf(e, task), task)
	s.needBatch()
	s.batch[0], s.first, s.end = jobOf(&f.record), 0, 1
	f.retire(phaseQueued) // cancelled, and not yet swept
	defer f.fail(ErrUndone)

	e.in.mu.Lock()
	s.mu.Lock()
	job := w.startBatch(s)
	s.mu.Unlock()
	e.in.mu.Unlock()
	if !job.IsZero() || !w.job.IsZero() {
		t.Errorf("a dead entry was given out as a job that has started: %v", job)
	}
}
