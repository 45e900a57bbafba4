package core

import (
	"context"

	"github.com/uptutu/goman/core/internal/point"
)

// How the end of all work is noticed.

// idler is a caller of WaitIdle. A look at the counters answers only those who
// have called before it began.
type idler struct {
	waiter *waiter
	ticket uint64
}

// WaitIdle waits until every accepted task has ended, those submitted meanwhile
// included, or ctx ends; then it returns a *WaitError, which matches the cause. It
// closes nothing. A task that calls it with its own context gets ErrInsideTask. The
// error matches ErrInvalid if ctx is nil or the engine was not made by New.
func (e *Engine) WaitIdle(ctx context.Context) error {
	if err := e.checkStop(ctx); err != nil {
		return err
	}
	if e.inside(ctx) {
		return e.insideError("WaitIdle")
	}
	w := e.getWaiter()
	e.stop.mu.Lock()
	e.stop.tickets++
	e.stop.idlers = append(e.stop.idlers, idler{w, e.stop.tickets})
	e.signal.Or(signalIdle)
	e.stop.mu.Unlock()
	e.checkIdle()
	defer leaveSlot(ctx).end()
	select {
	case <-w.signal:
		e.putWaiter(w)
		return nil
	case <-ctx.Done():
	}
	e.stop.mu.Lock()
	for i, other := range e.stop.idlers {
		if other.waiter == w {
			e.stop.idlers = append(e.stop.idlers[:i], e.stop.idlers[i+1:]...)
			e.stop.mu.Unlock()
			e.putWaiter(w)
			return e.gaveUp(ctx, "")
		}
	}
	e.stop.mu.Unlock()
	<-w.signal
	e.putWaiter(w)
	return nil
}

// isIdle reports whether all accepted tasks have ended. A task is counted before
// its future is resolved and its hooks are called: those are done once nobody
// holds a slot any more, or runs a task without one. A forced stop does not wait
// for the holders that it has given up. The caller holds all locks.
func (e *Engine) isIdle(slots []*slot) bool {
	if t := e.total(slots); t.outstanding() != 0 {
		return false
	}
	return !e.lot.occupiedLocked()
}

// checkIdle tells those who wait for it if the engine is idle. It must be
// called, without locks, after everything that may have ended the last task.
func (e *Engine) checkIdle() {
	point.At(point.CheckIdle)
	if e.signal.Load()&signalIdle == 0 {
		return
	}
	s := &e.stop
	s.mu.Lock()
	before := s.tickets
	s.mu.Unlock()
	if e.lot.occupied() {
		return // whoever leaves the last slot looks again: no need to stop everybody
	}
	slots := e.lockAll()
	idle := e.isIdle(slots)
	closed := idle && e.in.closed
	if closed {
		// Not even a child that is on its way is accepted from now on.
		e.signal.Or(signalStopping)
	}
	e.unlockAll(slots)
	if !idle {
		return
	}
	s.mu.Lock()
	answered := 0
	for answered < len(s.idlers) && s.idlers[answered].ticket <= before {
		answered++
	}
	idlers := s.idlers[:answered:answered]
	s.idlers = s.idlers[answered:]
	if len(s.idlers) == 0 && !s.begun {
		e.signal.And(^signalIdle)
	}
	ending := closed && s.over.CompareAndSwap(false, true)
	s.mu.Unlock()
	for _, i := range idlers {
		i.waiter.signal <- struct{}{}
	}
	if ending {
		defer e.closeLot() // also if a hook calls Goexit
		e.guard("base context", func() { e.cancel(ErrShutdown) })
		e.hookChanged(ChangeShutdownEnded)
	}
}
