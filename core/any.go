package core

import (
	"context"
	"fmt"
)

// AwaitAny waits until one of futures is resolved, and returns the index of one that
// is: the first in their order, if there are several. It gives up when ctx ends, with
// a *WaitError; no task is affected. The error matches ErrInvalid if ctx is nil,
// there is no future, or one of them is nil.
//
// Inside a task, pass the task's context: the worker slot goes to other work for the
// time of the wait. Other than by Await, none of the awaited tasks is run on this
// goroutine, since another may be faster, and a ring of waits is not found out. It
// allocates for each future that is not resolved.
//
// Package flow builds on it.
func AwaitAny[T any](ctx context.Context, futures ...*Future[T]) (int, error) {
	if isNilContext(ctx) {
		return 0, invalidf("the context given to AwaitAny is nil: use context.Background")
	}
	if len(futures) == 0 {
		return 0, invalidf("AwaitAny needs a future to wait for")
	}
	records := make([]*record, len(futures))
	for i, f := range futures {
		if f == nil {
			return 0, invalidf("future %d of %d is nil", i, len(futures))
		}
		records[i] = &f.record
	}
	return awaitAny(ctx, records)
}

func awaitAny(ctx context.Context, records []*record) (int, error) {
	if i := firstEnded(records); i >= 0 {
		return i, nil
	}
	defer leaveSlot(ctx).end()
	// One signal for each record fits, so nobody who announces a result is held up.
	w := &waiter{signal: make(chan struct{}, len(records))}
	registered := 0
	defer func() {
		for _, r := range records[:registered] {
			r.unregister(w)
		}
	}()
	for _, r := range records {
		x := r.needExtra()
		x.mu.Lock()
		if r.observe() {
			x.mu.Unlock()
			return firstEnded(records), nil
		}
		x.waiters = append(x.waiters, w)
		x.mu.Unlock()
		registered++
		r.watchParent(ctx)
	}
	select {
	case <-w.signal:
	case <-ctx.Done():
	}
	if i := firstEnded(records); i >= 0 {
		return i, nil
	}
	return 0, records[0].engine().gaveUp(ctx, fmt.Sprintf("%s, or another of %d", records[0].name(), len(records)))
}

// firstEnded returns the index of the first record that is resolved, or -1.
func firstEnded(records []*record) int {
	for i, r := range records {
		if ended(r.state.Load()) {
			return i
		}
	}
	return -1
}
