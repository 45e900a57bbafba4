package core

import (
	"context"
	"runtime"

	"github.com/uptutu/goman/core/internal/point"
)

// The end of a task before its time.

// watchParent makes the end of the context given to Submit resolve the record
// while it is queued. It is done only once somebody waits, because only then
// the difference to the check before the start can be seen. own is the
// waiter's own context, which needs no second watch.
func (r *record) watchParent(own context.Context) {
	if p := phase(r.state.Load()); p != phaseQueued && p != phaseDelayed {
		return
	}
	up := r.origin.up.Load()
	if r.origin.throughDerived() {
		up = nil
	}
	if me, _ := ownContext(own); me != nil && me == up {
		return
	}
	parent := r.origin.parent.get()
	if up == nil && (parent == nil || sameWords(parent, own) || parent.Done() == nil) {
		return
	}
	r.watchContext()
}

// watchContext makes the end of the task's context resolve the record while it is
// queued or delayed.
func (r *record) watchContext() {
	x := r.needExtra()
	x.mu.Lock()
	watched := x.unwatch != nil
	x.mu.Unlock()
	if watched {
		return
	}
	m := r.merged()
	unwatch := context.AfterFunc(m, func() {
		if cause := context.Cause(m); cause != errReturned || !m.returned.Load() {
			r.cancelWaiting(cause)
		}
	})
	x.mu.Lock()
	if p := phase(r.state.Load()); x.unwatch == nil && (p == phaseQueued || p == phaseDelayed) {
		x.unwatch, unwatch = unwatch, nil
	}
	x.mu.Unlock()
	if unwatch != nil {
		unwatch()
	}
}

// cancelWaiting cancels the record if it is queued or delayed.
func (r *record) cancelWaiting(cause error) {
	for {
		switch phase(r.state.Load()) {
		case phaseQueued:
			if r.cancelQueued(cause) {
				return
			}
		case phaseDelayed:
			if r.cancelDelayed(cause) {
				return
			}
		default:
			return
		}
	}
}

// cancel cancels the record, whatever it does at the moment.
func (r *record) cancel(cause error) bool {
	point.At(point.CancelIt)
	for {
		switch state := r.state.Load(); phase(state) {
		case phaseQueued:
			if r.cancelQueued(cause) {
				return true
			}
		case phaseDelayed:
			if r.cancelDelayed(cause) {
				return true
			}
		case phaseRunning:
			if r.cancelContext(cause) {
				return true
			}
			if state := r.state.Load(); phase(state) == phaseRunning || ended(state) {
				return false
			}
		case phaseResolving:
			if state&flagAgain == 0 {
				return false
			}
			point.Yield(point.CancelIt)
			runtime.Gosched() // it is about to be delayed, and then can be cancelled
		default:
			return false
		}
	}
}

func (r *record) cancelQueued(cause error) bool {
	if !r.retire(phaseQueued) {
		return false
	}
	r.engine().beginLeaving()
	defer r.engine().endLeaving()
	r.engine().dropQueued(r, OutcomeCanceled)
	err := &CancelError{Engine: r.engine().name, Task: r.name(), Started: r.hasRun(), Cause: cause}
	r.fail(err)
	r.engine().hookEnded(jobOf(r), OutcomeCanceled, err)
	return true
}
