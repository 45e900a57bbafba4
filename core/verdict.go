package core

import (
	"context"
	"errors"
)

// What became of a task that has run.

// finding is what the error of a run means.
type finding struct {
	again    *AgainError // it asks to be run again
	panicked bool        // the task itself panicked or called runtime.Goexit
	cause    error       // why the task's context has ended, if it has
	obeyed   bool        // it says that the task stopped because of a cancellation or a deadline
	canceled bool        // it says that it stopped because of cause
}

// examine finds out what err means. That calls methods of the error and of the
// submitter's context, which may panic (the usual case is a nil pointer of a
// type that is an error): then the task has panicked. A panic of another task
// that this one passes on as its own error is an error like any other.
func (e *Engine) examine(job Job, err error) (f finding, result error) {
	defer func() {
		if v := recover(); v != nil {
			f, result = finding{panicked: true}, e.panicError(job, v)
		}
	}()
	// A panic that nothing wraps needs no further look, at its value least of all.
	if p, ok := err.(*PanicError); ok && p.job.is(job) {
		return finding{panicked: true}, err
	}
	var p *PanicError
	var g *goexitError
	if errors.As(err, &p) && p.job.is(job) || errors.As(err, &g) && g.job.is(job) {
		f.panicked = true
	}
	if r := job.record(); r != nil {
		f.again = wish(err)
		f.cause = r.interrupted()
		f.obeyed = f.again != nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
		f.canceled = f.again != nil || f.cause != nil && (errors.Is(err, context.Canceled) || errors.Is(err, f.cause))
	}
	return f, err
}

// cameTooLate reports whether err says that a forced stop came between the claim of a
// task and its start: then it is one of those that were not started.
func (e *Engine) cameTooLate(err error) bool {
	notRun, ok := err.(*notRunError)
	return ok && notRun.cause == ErrShutdown && e.signal.Load()&signalStopping != 0
}

// verdict turns what a task returned into its outcome and its future's error.
func (r *record) verdict(f finding, err error) (Outcome, error) {
	x := r.extra.Load()
	expired := x != nil && x.expired.Load()
	if err == nil && !expired {
		return OutcomeSucceeded, nil
	}
	e := r.engine()
	if f.again != nil {
		err = f.again.Cause // a wish that is not granted must not reach another task
	}
	if notRun, ok := err.(*notRunError); ok {
		return OutcomeCanceled, &CancelError{Engine: e.name, Task: r.name(), Started: r.hasRun(), Cause: notRun.cause}
	}
	switch {
	case f.panicked:
		return OutcomePanicked, err
	case expired && (!f.canceled || f.cause == ErrTaskTimeout): // or else it was cancelled before the limit
		return OutcomeTimedOut, &TimeoutError{Engine: e.name, Task: r.name(), Limit: x.runLimit,
			Started: true, Late: !f.obeyed, Err: err}
	case f.cause != nil && f.canceled:
		return OutcomeCanceled, &CancelError{Engine: e.name, Task: r.name(), Started: true, Cause: f.cause, Err: err}
	}
	return OutcomeFailed, err
}
