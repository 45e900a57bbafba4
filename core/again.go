package core

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptutu/goman/core/internal/point"
)

// Again is the error with which a task, or an interceptor, asks to be run again
// after a delay. The worker is free meanwhile; nothing waits but a timer. The
// same job with the same future and attributes is then queued again, whether or
// not there is room. Until then it counts as queued, can be cancelled, and is
// handed back as undone when the engine shuts down.
//
// cause is why; it may be nil. Use errors.Is and errors.As on it through the
// returned error. Attempt tells the task how often it has been run before.
func Again(after time.Duration, cause error) error {
	return &AgainError{After: max(after, 0), Cause: cause}
}

// AgainError is what Again returns. The engine finds it with errors.As, so it may
// be wrapped. A task that was cancelled, or is over its run limit, is not run
// again: then its *CancelError or *TimeoutError carries the wish's Cause as Err,
// not the wish, which must not make another task run again that passes the error
// on. Nor is a plain function, for which an interceptor may ask: it has failed.
type AgainError struct {
	// After is the delay; zero or negative means at once.
	After time.Duration
	// Cause is why; it may be nil.
	Cause error
}

// Error names the delay and the cause.
func (e *AgainError) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("core: run again after %v", e.After)
	}
	return fmt.Sprintf("core: run again after %v: %v", e.After, e.Cause)
}

// Unwrap returns the cause.
func (e *AgainError) Unwrap() error { return e.Cause }

// Attempt returns how often the task that ctx belongs to has asked to be run
// again: 0 on the first run, and outside a task.
func Attempt(ctx context.Context) int {
	if _, of := belongsTo(ctx); of != nil {
		return of.attempt
	}
	return 0
}

// hasRun reports whether r has been run before, and is queued again.
func (r *record) hasRun() bool {
	x := r.extra.Load()
	return x != nil && x.attempts.Load() > 0
}

// wish returns the wish to be run again in err, or nil.
func wish(err error) *AgainError {
	if err == nil {
		return nil
	}
	var again *AgainError
	if errors.As(err, &again) {
		return again
	}
	return nil
}

// runAgain ends this run of r and arranges the next. It reports false if there
// can be none: the task was cancelled, is over its limit, or is a plain
// function; then the wish is an error like any other.
func (w *worker) runAgain(r *record, again *AgainError) bool {
	e := w.engine
	x := r.needExtra()
	point.At(point.Delay)
	// Cancel and the run limit decide under the same mutex: whichever of them
	// comes first ends the task, whichever comes later finds it delayed.
	x.mu.Lock()
	if x.expired.Load() || x.cause.Load() != nil {
		x.mu.Unlock()
		return false
	}
	busy, ok := r.leave(flagAgain)
	var attempt int32
	this := x.place(x.again.Load())
	if ok {
		// The context of this run ends here; the next run has its own.
		attempt = x.attempts.Add(1)
		x.runEnd.Store(nil)
		x.again.Store(&attemptContext{r: r, attempt: int(attempt)})
	}
	x.mu.Unlock()
	if !ok {
		return false
	}
	r.body().dropValue()
	r.stopTimer()
	if busy { // that ends the call
		if m := this.Load(); m != nil {
			r.endMerged(m)
		}
	}
	r.settleCalls(busy)
	job := jobOf(r)

	e.in.lock()
	s := w.slot.Load()
	if s == nil {
		s = &e.outside
	}
	held := e.in.held
	s.mu.Lock()
	counts, ordered := w.drop(job)
	if counts {
		s.tally.again++
		s.tally.accepted++
	}
	s.mu.Unlock()
	if counts {
		// The unit of the next run is taken by force, so that the task cannot be
		// refused what it was promised.
		if e.in.room--; e.in.room < 0 {
			e.gather() // or else children would get in by what the slots have got back
		}
		e.in.delayed[r] = struct{}{}
		if ordered {
			e.schedRetried(job)
		}
		r.becomeDelayed()
	}
	e.in.mu.Unlock()
	if e.in.optional.completer != nil {
		e.notify() // it may have held others back for this one
	}
	x.mu.Lock()
	unwatch := x.unwatch
	x.unwatch = nil
	x.mu.Unlock()
	if unwatch != nil {
		unwatch()
	}
	if m := this.Load(); m != nil {
		r.endMerged(m)
	}
	if !counts { // a forced stop has given it up meanwhile
		e.late.Add(1)
		r.setResult(nil)
		r.endContext()
		return true
	}
	// Deferred, because a hook may call Goexit.
	defer func() {
		switch {
		case held:
			e.handBackDelayed(r)
		case again.After <= 0:
			if r.state.Load()&flagObserved != 0 { // who asks later watches himself
				e.guard("context given to Submit", r.watchContext)
			}
			r.readmit()
		default:
			r.setTimer(phaseDelayed, again.After, r.readmit)
			e.guard("context given to Submit", r.watchContext)
		}
	}()
	e.hookRetried(job, int(attempt), again)
	return true
}

// becomeDelayed is the step resolving -> delayed.
func (r *record) becomeDelayed() {
	for {
		old := r.state.Load()
		if r.state.CompareAndSwap(old, flagsOf(old)|phaseDelayed) {
			return
		}
	}
}

// becomeQueued is the step delayed -> queued. The caller holds in.mu, without which
// nobody takes a delayed record.
func (r *record) becomeQueued() {
	for {
		old := r.state.Load()
		if r.state.CompareAndSwap(old, flagsOf(old)) { // phaseQueued is zero
			return
		}
	}
}

// readmit queues a delayed record again.
func (r *record) readmit() {
	e := r.engine()
	point.At(point.Readmit)
	e.in.lock()
	if _, waits := e.in.delayed[r]; !waits || e.in.held {
		e.in.mu.Unlock()
		return // cancelled, or handed back, perhaps at this moment
	}
	delete(e.in.delayed, r)
	// Until it is stored it counts as delayed: who cancels that takes in.mu first.
	err := e.restore(jobOf(r))
	if err != nil {
		r.retire(phaseDelayed)
	} else {
		r.becomeQueued()
	}
	e.in.mu.Unlock()
	if err != nil {
		// The user's scheduler failed to take it: it is lost to the scheduler,
		// not to its future.
		e.beginLeaving()
		defer e.endLeaving()
		e.dropQueued(r, OutcomeFailed)
		r.fail(err)
		e.hookEnded(jobOf(r), OutcomeFailed, err)
		return
	}
	r.tellRequeued()
	e.limitQueue(r)
	e.notify()
}

// restore stores a job whose unit and acceptance are counted already. The
// caller holds in.mu.
func (e *Engine) restore(job Job) error {
	in := &e.in
	if in.scheduler != nil {
		if err := e.schedPushAgain(job); err != nil {
			return err
		}
	} else {
		in.queue.push(job)
	}
	in.visible.Store(true)
	return nil
}

// cancelDelayed cancels a record that waits to be run again.
func (r *record) cancelDelayed(cause error) bool {
	e := r.engine()
	e.in.lock()
	if !r.retire(phaseDelayed) {
		e.in.mu.Unlock()
		return false
	}
	delete(e.in.delayed, r)
	e.beginLeaving()
	defer e.endLeaving()
	e.countRemoved(OutcomeCanceled, 1)
	served := e.giveBack(1)
	e.in.mu.Unlock()
	if served > 0 {
		e.notify()
	}
	err := &CancelError{Engine: e.name, Task: r.name(), Started: true, Cause: cause}
	r.fail(err)
	e.hookEnded(jobOf(r), OutcomeCanceled, err)
	return true
}
