package core

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/uptutu/goman/core/internal/point"
)

// panicError makes the error of a panic, or lets it crash the process if that
// is the policy. It is called by the function that has recovered v.
func (e *Engine) panicError(job Job, v any) error {
	if e.settings.Load().Panics == PanicCrash {
		// On a goroutine of its own, because here somebody might recover: the
		// submitter who runs the task himself, or a task that awaits it.
		text := fmt.Sprintf("core: engine %s: task %s panicked: %v\n\n%s", e.name, job.Name(), v, debug.Stack())
		go func() { panic(text) }()
		select {}
	}
	return &PanicError{Engine: e.name, Task: job.Name(), Value: v, Stack: debug.Stack(), job: job.id()}
}

// caught returns the error of a task that did not return: it panicked with v,
// or called runtime.Goexit if v is nil.
func (e *Engine) caught(job Job, v any) error {
	if v == nil {
		e.exits.Add(1)
		return &goexitError{engine: e.name, task: job.Name(), job: job.id()}
	}
	return e.panicError(job, v)
}

// run runs the job that was started for the worker's loop.
func (w *worker) run(job Job) {
	e := w.engine
	point.At(point.Start)
	r := job.record()
	switch {
	case e.signal.Load()&signalSlow != 0 || r != nil && !r.isPlain():
		w.conclude(job, w.execute(job))
	case r == nil:
		job.call()
		w.ended(job)
	default:
		err := r.body().execute((*taskContext)(r))
		if err != nil || e.signal.Load()&signalSlow != 0 || !r.succeed() {
			w.conclude(job, err)
			return
		}
		w.unsettled = true
	}
}

// ended leaves the end of a function to be counted later, unless hooks that were added
// while it ran are to be told of it.
func (w *worker) ended(job Job) {
	if w.engine.signal.Load()&signalSlow != 0 {
		w.conclude(job, nil)
		return
	}
	w.unsettled = true
}

// isPlain reports whether nothing needs to be done before r starts: it has neither
// limits nor attributes, nobody waits for it, and its context has not ended.
func (r *record) isPlain() bool {
	e := r.engine()
	if r.extra.Load() != nil || !e.plain.Load() {
		return false
	}
	if r.origin.shared() && e.endless { // the usual case: there is no context that could have ended
		return e.signal.Load()&signalStopping == 0
	}
	return r.interrupted() == nil
}

// runNested runs a job that was started on a goroutine that waits for it, with
// a recover of its own. After a Goexit it does not return.
func (w *worker) runNested(job Job) {
	point.At(point.Start)
	normal := false
	defer func() {
		if normal {
			return
		}
		w.conclude(job, w.engine.caught(job, recover()))
	}()
	err := w.execute(job)
	normal = true
	w.conclude(job, err)
}

// notRunError is the result of a task that was claimed and found to be cancelled
// or expired before its body was called.
type notRunError struct{ cause error }

func (e *notRunError) Error() string { return e.cause.Error() }

// execute runs a started job through the interceptors. It panics or exits as
// the task does.
func (w *worker) execute(job Job) error {
	e := w.engine
	r := job.record()
	ctx := e.ctx
	if r != nil {
		if err := w.prepare(r); err != nil {
			return err
		}
		ctx = r.context()
	}
	if e.hooks.Load() != nil {
		e.hookStarted(job)
	}
	c := e.chain.Load()
	if c == nil {
		if r == nil {
			job.call()
			return nil
		}
		return r.body().execute(ctx)
	}
	if r != nil {
		r.state.And(^flagPerformed)
	}
	err := c.handle(ctx, job)
	if err == nil && r != nil && r.state.Load()&flagPerformed == 0 {
		err = ErrSkipped
	}
	return err
}

// prepare does what comes between claim and start: the last look at the context
// and the queue limit, and the start of the run limit.
func (w *worker) prepare(r *record) error {
	if r.origin.up.Load() != nil {
		r.origin.climb()
	}
	if cause := r.interrupted(); cause != nil {
		return &notRunError{cause}
	}
	x := r.extra.Load()
	c := w.engine.settings.Load()
	if x == nil && c.RunLimit == 0 {
		return nil
	}
	r.stopTimer()
	if _, run := r.limits(c); run > 0 {
		x = r.needExtra()
		end := time.Now().Add(run)
		x.runLimit = run
		r.limitRun(x, end)
		attempt := x.attempts.Load()
		r.setTimer(phaseRunning, run, func() { r.overrun(x, attempt) })
	}
	return nil
}

// overrun ends the context of a task that is over its run limit. It has no effect
// on a later attempt, for which the limit counts anew.
func (r *record) overrun(x *extra, attempt int32) {
	point.At(point.Limit)
	x.mu.Lock()
	over := phase(r.state.Load()) == phaseRunning && x.attempts.Load() == attempt
	if over {
		x.expired.Store(true) // from here on it will not be run again
	}
	x.mu.Unlock()
	if over {
		// The submitter's context is asked, on a goroutine where nobody recovers.
		r.engine().guard("context given to Submit", func() { r.cancelContext(ErrTaskTimeout) })
	}
}

// expire resolves a task that has waited longer than its queue limit.
func (r *record) expire(limit time.Duration) {
	point.At(point.Limit)
	if !r.retire(phaseQueued) {
		return
	}
	e := r.engine()
	e.beginLeaving()
	defer e.endLeaving()
	e.dropQueued(r, OutcomeTimedOut)
	err := &TimeoutError{Engine: e.name, Task: r.name(), Limit: limit}
	r.fail(err)
	e.hookEnded(jobOf(r), OutcomeTimedOut, err)
}

// conclude ends a job that was started: it counts, resolves and reports it.
func (w *worker) conclude(job Job, err error) {
	e := w.engine
	r := job.record()
	if r != nil {
		r.settleClock()
	}
	if err == nil {
		w.resolve(job, finding{}, nil)
		return
	}
	examined := false
	defer func() {
		if !examined { // a method of the error, or of the submitter's context, has called Goexit
			w.resolve(job, finding{panicked: true}, e.caught(job, nil))
		}
	}()
	f, err := e.examine(job, err)
	examined = true
	if r != nil && f.again != nil && f.cause == nil {
		if w.runAgain(r, f.again) {
			return
		}
		examined = false
		f, err = e.examine(job, err) // something has come between
		examined = true
	}
	w.resolve(job, f, err)
}

// resolve is conclude for an error of which it is known what it means. It calls nothing
// that is the user's before the future is resolved.
func (w *worker) resolve(job Job, f finding, err error) {
	e := w.engine
	r := job.record()
	if r == nil {
		outcome := OutcomeSucceeded
		if f.panicked {
			outcome = OutcomePanicked
		} else if err != nil {
			outcome = OutcomeFailed
		}
		counts, tell := w.count(job, outcome)
		reports := e.reports(outcome)
		switch { // deferred, because the user's scheduler may call Goexit
		case counts && reports:
			defer e.hookEnded(job, outcome, err)
		case outcome == OutcomePanicked: // its end was told when it was given up
			defer e.reportPanic(job, err)
		}
		w.completed(job, tell, reports)
		return
	}
	point.At(point.Returned)
	var busy, ok bool
	undone := e.cameTooLate(err)
	if undone {
		busy, ok, err = e.leaveUndone(r)
	} else {
		busy, ok = r.leave(0)
	}
	if busy {
		defer r.settleCalls(busy) // also if a hook calls Goexit
	}
	if !ok {
		if f.panicked {
			defer e.reportPanic(job, err) // its end was told when it was given up
		}
		w.countAs(job, OutcomeAbandoned, busy)
		r.setResult(nil)
		r.endContext()
		return
	}
	outcome := OutcomeUndone
	if !undone {
		outcome, err = r.verdict(f, err)
	}
	r.setResult(err)
	tell := w.countAs(job, outcome, busy)
	if x := r.extra.Load(); x != nil {
		r.stopTimer()
	}
	r.endContext()
	r.finish()
	reports := e.reports(outcome)
	if reports {
		defer e.hookEnded(job, outcome, err) // also if the user's scheduler calls Goexit
	}
	w.completed(job, tell, reports)
}

// countAs is count. If another goroutine of the task is inside a call that uses the
// slot, it may give the slot away or end a nested task at this moment: then all
// locks are taken. The worker waits for the end of that call, and so tells before.
func (w *worker) countAs(job Job, outcome Outcome, busy bool) telling {
	if !busy {
		_, tell := w.count(job, outcome)
		return tell
	}
	e := w.engine
	slots := e.lockAll()
	counts, ordered := w.drop(job)
	if counts {
		e.outside.tally.ended[outcome]++
	}
	e.unlockAll(slots)
	if !counts {
		e.late.Add(1)
	}
	e.checkIdle()
	if counts && ordered {
		return tellNow
	}
	return tellNothing
}

// count counts the end of a job that w has started. It reports whether it was still
// to be counted, and whether the scheduler is to be told of it.
func (w *worker) count(job Job, outcome Outcome) (counts bool, tell telling) {
	s := w.slot.Load()
	if s == nil {
		s = &w.engine.outside
	}
	s.mu.Lock()
	loops := !w.job.IsZero()
	counts, ordered := w.drop(job)
	if counts {
		s.tally.ended[outcome]++
	}
	loops = loops && w.job.IsZero() // it was the loop's own
	s.mu.Unlock()
	if !counts { // a forced stop has
		w.engine.late.Add(1)
	}
	if s == &w.engine.outside {
		w.engine.checkIdle()
	}
	switch {
	case !counts || !ordered:
		return counts, tellNothing
	case loops:
		return counts, tellNext
	}
	return counts, tellNow
}

// reports tells whether hooks or log are to be told of an end.
func (e *Engine) reports(outcome Outcome) bool {
	return outcome == OutcomePanicked || e.hooks.Load() != nil
}
