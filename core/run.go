package core

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/uptutu/goman/core/internal/point"
)

// Handler runs a job and returns its error, which becomes the error of the
// future. The value of the future is set by the task alone. ctx belongs to the
// task; for a plain function, which knows no context, it is the engine's.
type Handler func(ctx context.Context, job Job) error

// Interceptor wraps the execution of every job of an engine: it is given the
// next handler and returns one that does something before and after it. It is
// called each time the chain changes, possibly more than once: keep state outside
// it. It is not called for each task, so a chain costs no allocation. One that
// panics or returns a nil Handler is refused, by New and by Engine.Intercept.
//
// The handler may pass another context on, derived from its own, for instance one
// with more values or a deadline. It may call next again after it has returned,
// to repeat the task, but not twice at the same time. The handler must not return
// while a call of next is running. A panic below it arrives as
// a *PanicError. If it returns nil without having called next, the task fails
// with ErrSkipped. Its own panic fails the task like one of the task.
//
// Handlers run on the goroutine of the task, at the same time for different
// jobs.
type Interceptor func(next Handler) Handler

// chain is the interceptors of an engine, put together.
type chain struct {
	list   []*Interceptor // the address tells two equal functions apart
	handle Handler
}

// newChain puts list together. If any of them fails to make a handler there is no
// chain, since the others would run tasks without it; the error names each.
func (e *Engine) newChain(list []*Interceptor) (*chain, error) {
	if len(list) == 0 {
		return nil, nil
	}
	var faults []error
	// A panic of the outermost interceptor is caught by the worker itself.
	handle := e.perform
	for i := len(list) - 1; i >= 0; i-- {
		next := e.contained(handle)
		made := Handler(nil)
		err := e.try(fmt.Sprintf("Interceptors[%d]", i), func() { made = (*list[i])(next) })
		if err != nil {
			faults = append(faults, fmt.Errorf("interceptor %d of %d panicked: %w", i, len(list), err))
		} else if made == nil {
			faults = append(faults, fmt.Errorf("interceptor %d of %d returned a nil Handler", i, len(list)))
		} else {
			handle = made
		}
	}
	if len(faults) > 0 {
		slices.Reverse(faults)
		return nil, errors.Join(faults...)
	}
	return &chain{list, handle}, nil
}

// Intercept adds an interceptor inside the present ones while the engine runs,
// for tasks that start from now on. The function it returns removes it, and may
// be called again. The error is a *RefusedError that matches ErrInvalid: i is
// nil, the engine was not made by New, or an interceptor has panicked or returned a
// nil Handler. Config does not show what was added. Each call, and each removal,
// puts the whole chain together anew, so every Interceptor is called again. If one
// fails then, the chain stays as it was; where that was a removal the logger is
// told, and it may be tried again.
func (e *Engine) Intercept(i Interceptor) (remove func(), err error) {
	if !e.made() {
		return nil, errNotMade()
	}
	if i == nil {
		return nil, &RefusedError{Engine: e.name, Reason: invalidf("the interceptor is nil")}
	}
	mine := &i
	err = e.rechain(func(list []*Interceptor) []*Interceptor { return append(list, mine) })
	if err != nil {
		return nil, &RefusedError{Engine: e.name, Reason: fmt.Errorf("%w: %w", ErrInvalid, err)}
	}
	return func() {
		err := e.rechain(func(list []*Interceptor) []*Interceptor {
			return slices.DeleteFunc(list, func(other *Interceptor) bool { return other == mine })
		})
		if err != nil {
			e.reportFailure(context.Background(), "removal of an interceptor", err)
		}
	}, nil
}

// rechain puts the chain together anew from what change makes of the list. It
// holds no lock meanwhile, because interceptors are called for it.
func (e *Engine) rechain(change func(list []*Interceptor) []*Interceptor) error {
	for {
		old := e.chain.Load()
		var list []*Interceptor
		if old != nil {
			list = slices.Clone(old.list)
		}
		made, err := e.newChain(change(list))
		if err != nil {
			return err
		}
		if e.chain.CompareAndSwap(old, made) {
			break
		}
	}
	e.config.Lock()
	e.markSlow()
	e.config.Unlock()
	return nil
}

// markSlow tells workers whether there is anything around a plain function. The
// caller holds e.config, or is New.
func (e *Engine) markSlow() {
	if e.chain.Load() != nil || e.hooks.Load() != nil || e.in.scheduler != nil {
		e.signal.Or(signalSlow)
	} else {
		e.signal.And(^signalSlow)
	}
}

// perform is the innermost handler: it runs the job itself.
func (e *Engine) perform(ctx context.Context, job Job) error {
	r := job.record()
	if r == nil {
		job.call()
		return nil
	}
	if r.performed() {
		r.body().dropValue()
	}
	return r.body().execute(ctx)
}

// contained makes a handler return a panic of next as an error, so that the
// interceptor around it sees it and runs to its end.
func (e *Engine) contained(next Handler) Handler {
	return func(ctx context.Context, job Job) (err error) {
		normal := false
		defer func() {
			if normal {
				return
			}
			if v := recover(); v != nil {
				err = e.panicError(job, v)
			}
		}()
		err = next(ctx, job)
		normal = true
		return err
	}
}

// performed notes that the task itself was called, so that an interceptor that
// swallows a task is found out. It reports whether it was called before.
func (r *record) performed() bool {
	return r.state.Or(flagPerformed)&flagPerformed != 0
}

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
		w.unsettled = true
	default:
		if err := r.body().execute((*taskContext)(r)); err != nil || !r.succeed() {
			w.conclude(job, err)
			return
		}
		w.unsettled = true
	}
}

// isPlain reports whether nothing needs to be done before r starts: it has neither
// limits nor attributes, nobody waits for it, and its context has not ended.
func (r *record) isPlain() bool {
	return r.extra.Load() == nil && r.engine().plain.Load() && r.interrupted() == nil
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
	s := w.engine.settings.Load()
	if x == nil && s.RunLimit == 0 {
		return nil
	}
	r.stopTimer()
	if _, run := r.limits(s); run > 0 {
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
	if r == nil {
		outcome := OutcomeSucceeded
		if err != nil {
			var f finding
			if f, err = e.examine(job, err); f.panicked {
				outcome = OutcomePanicked
			} else {
				outcome = OutcomeFailed
			}
		}
		defer e.report(job, outcome, err) // also if the user's scheduler calls Goexit
		if w.count(job, outcome) {
			e.schedCompleted(job)
		}
		return
	}
	r.settleClock()
	var f finding
	if err != nil {
		f, err = e.examine(job, err)
		if f.again != nil && f.cause == nil {
			if w.runAgain(r, f.again) {
				return
			}
			f, err = e.examine(job, err) // something has come between
		}
	}
	point.At(point.Returned)
	busy, ok := r.leave(0)
	if busy {
		defer r.settleCalls(busy) // also if a hook calls Goexit
	}
	if !ok {
		w.countAs(job, OutcomeAbandoned, busy)
		r.setResult(nil)
		r.endContext()
		return
	}
	outcome, err := r.verdict(f, err)
	if outcome == OutcomeUndone {
		err = e.handBackStarted(job)
	}
	r.setResult(err)
	ordered := w.countAs(job, outcome, busy)
	if x := r.extra.Load(); x != nil {
		r.stopTimer()
	}
	r.endContext()
	r.finish()
	defer e.report(job, outcome, err) // also if the user's scheduler calls Goexit
	if ordered {
		e.schedCompleted(job)
	}
}

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
		if notRun.cause == ErrShutdown && e.signal.Load()&signalStopping != 0 {
			return OutcomeUndone, ErrUndone // a forced stop came between claim and start
		}
		return OutcomeCanceled, &CancelError{Engine: e.name, Task: r.name(), Cause: notRun.cause}
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

// countAs is count. If another goroutine of the task is inside a call that uses the
// slot, it may give the slot away or end a nested task at this moment: then all
// locks are taken.
func (w *worker) countAs(job Job, outcome Outcome, busy bool) (completed bool) {
	if !busy {
		return w.count(job, outcome)
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
	return counts && ordered
}

// count counts the end of a job that w has started. It reports whether the
// scheduler is to be told of it.
func (w *worker) count(job Job, outcome Outcome) (completed bool) {
	s := w.slot.Load()
	if s == nil {
		s = &w.engine.outside
	}
	s.mu.Lock()
	counts, ordered := w.drop(job)
	if counts {
		s.tally.ended[outcome]++
	}
	s.mu.Unlock()
	if !counts { // a forced stop has
		w.engine.late.Add(1)
	}
	if s == &w.engine.outside {
		w.engine.checkIdle()
	}
	return counts && ordered
}

// report tells hooks and log that job has ended.
func (e *Engine) report(job Job, outcome Outcome, err error) {
	if h := e.hooks.Load(); h != nil || outcome == OutcomePanicked {
		e.hookEnded(job, outcome, err)
	}
}
