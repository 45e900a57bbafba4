package core

import (
	"context"
	"errors"
	"runtime/debug"
	"time"
)

// Handler runs a job and returns its error.
type Handler func(ctx context.Context, job Job) error

// Interceptor wraps the execution of every job of an engine: it is given the
// next handler and returns one that does something before and after it. It is
// called once, when the chain is put together, not for each task, so a chain
// costs no allocation.
//
// The handler may pass another context on, for instance one with more values or
// a deadline. It may call next again after it has returned, to repeat the task,
// but not twice at the same time. A panic below it arrives as a *PanicError. If
// it returns nil without having called next, the task fails with ErrSkipped.
type Interceptor func(next Handler) Handler

// chain is the interceptors of an engine, put together.
type chain struct {
	list   []*Interceptor // the address tells two equal functions apart
	handle Handler
}

func (e *Engine) newChain(list []*Interceptor) *chain {
	if len(list) == 0 {
		return nil
	}
	// A panic of the outermost interceptor is caught by the worker itself.
	handle := e.perform
	for i := len(list) - 1; i >= 0; i-- {
		next := e.contained(handle)
		e.guard("interceptor", func() {
			if h := (*list[i])(next); h != nil {
				handle = h
			}
		})
	}
	return &chain{list, handle}
}

// Intercept adds an interceptor inside the present ones while the engine runs,
// for tasks that start from now on. The function it returns removes it again.
func (e *Engine) Intercept(i Interceptor) (remove func(), err error) {
	if !e.made() || i == nil {
		return nil, e.check(context.Background(), i == nil)
	}
	mine := &i
	e.config.Lock()
	defer e.config.Unlock()
	var list []*Interceptor
	if c := e.chain.Load(); c != nil {
		list = append(list, c.list...)
	}
	e.chain.Store(e.newChain(append(list, mine)))
	return func() {
		e.config.Lock()
		defer e.config.Unlock()
		c := e.chain.Load()
		if c == nil {
			return
		}
		var rest []*Interceptor
		for _, other := range c.list {
			if other != mine {
				rest = append(rest, other)
			}
		}
		e.chain.Store(e.newChain(rest))
	}, nil
}

// perform is the innermost handler: it runs the job itself.
func (e *Engine) perform(ctx context.Context, job Job) error {
	r := job.record()
	if r == nil {
		job.call()
		return nil
	}
	r.performed()
	return r.body.execute(ctx)
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
// swallows a task is found out.
func (r *record) performed() {
	r.state.Or(flagPerformed)
}

// panicError makes the error of a panic, or lets it crash the process if that
// is the policy. It is called by the function that has recovered v.
func (e *Engine) panicError(job Job, v any) error {
	if e.settings.Load().Panics == PanicCrash {
		panic(v)
	}
	return &PanicError{Engine: e.name, Task: job.Name(), Value: v, Stack: debug.Stack()}
}

// caught returns the error of a task that did not return: it panicked with v,
// or called runtime.Goexit if v is nil.
func (e *Engine) caught(job Job, v any) error {
	if v == nil {
		return ErrGoexit
	}
	return e.panicError(job, v)
}

// run runs a job that was started for the worker's loop.
func (w *worker) run(job Job) {
	e := w.engine
	w.current = job
	if job.record() == nil && e.chain.Load() == nil && e.hooks.Load() == nil && e.in.scheduler == nil {
		job.call()
		w.unsettled = true
		return
	}
	err := w.execute(job)
	w.current = Job{}
	w.conclude(job, err)
}

// runNested runs a job that was started on a goroutine that waits for it, with
// a recover of its own. After a Goexit it does not return; caller is the task
// that waits, which the Goexit ends too.
func (w *worker) runNested(job Job, caller *record) {
	normal := false
	defer func() {
		if normal {
			return
		}
		err := w.engine.caught(job, recover())
		if caller != nil && err == ErrGoexit {
			caller.exitCall(w)
		}
		w.conclude(job, err)
	}()
	err := w.execute(job)
	normal = true
	w.conclude(job, err)
}

// errNotRun is the result of a task that was claimed and found to be cancelled
// or expired before its body was called.
type errNotRun struct{ cause error }

func (e *errNotRun) Error() string { return e.cause.Error() }

// execute runs a started job through the interceptors. It panics or exits as
// the task does.
func (w *worker) execute(job Job) error {
	e := w.engine
	r := job.record()
	var ctx context.Context = e.ctx
	if r != nil {
		if err := w.prepare(r); err != nil {
			return err
		}
		ctx = (*taskContext)(r)
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
		return r.body.execute(ctx)
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
	if cause := r.interrupted(); cause != nil {
		return &errNotRun{cause}
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
		x.runEnd.Store(&end)
		r.setTimer(phaseRunning, run, func() { r.overrun(x) })
	}
	return nil
}

// overrun ends the context of a task that is over its run limit.
func (r *record) overrun(x *extra) {
	if phase(r.state.Load()) != phaseRunning {
		return
	}
	x.expired.Store(true)
	r.merged().cancel(ErrTaskTimeout)
}

// expire resolves a task that has waited longer than its queue limit.
func (r *record) expire(limit time.Duration) {
	if !r.retire(phaseQueued) {
		return
	}
	e := r.engine
	e.dropQueued(r, OutcomeTimedOut)
	r.fail(&TimeoutError{Engine: e.name, Task: r.name(), Limit: limit})
	e.hookEnded(jobOf(r), OutcomeTimedOut, r.err)
}

// conclude ends a job that was started: it counts, resolves and reports it.
func (w *worker) conclude(job Job, err error) {
	e := w.engine
	r := job.record()
	if r == nil {
		outcome := OutcomeSucceeded
		if err != nil {
			outcome = outcomeOf(err)
		}
		w.count(job, outcome)
		e.schedCompleted(job)
		e.report(job, outcome, err)
		return
	}
	if again := wish(err); again != nil && w.runAgain(r, again) {
		return
	}
	busy, ok := r.leave()
	if !ok {
		e.late.Add(1)
		r.body.release()
		r.endContext()
		r.settleCalls(busy)
		return
	}
	outcome, err := r.verdict(err)
	r.err = err
	w.count(job, outcome)
	if x := r.extra.Load(); x != nil {
		r.stopTimer()
	}
	r.endContext()
	r.finish()
	e.schedCompleted(job)
	e.report(job, outcome, err)
	r.settleCalls(busy)
}

// verdict turns what a task returned into its outcome and its future's error.
func (r *record) verdict(err error) (Outcome, error) {
	x := r.extra.Load()
	if err == nil && (x == nil || !x.expired.Load()) {
		return OutcomeSucceeded, nil
	}
	e := r.engine
	if notRun, ok := err.(*errNotRun); ok {
		return OutcomeCanceled, &CancelError{Engine: e.name, Task: r.name(), Cause: notRun.cause}
	}
	if err == ErrGoexit || errors.Is(err, ErrPanicked) {
		return OutcomePanicked, err
	}
	if x != nil && x.expired.Load() {
		obeyed := err != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || wish(err) != nil)
		return OutcomeTimedOut, &TimeoutError{Engine: e.name, Task: r.name(), Limit: x.runLimit,
			Started: true, Late: !obeyed, Err: err}
	}
	if cause := r.interrupted(); cause != nil && (errors.Is(err, context.Canceled) || errors.Is(err, cause) || wish(err) != nil) {
		return OutcomeCanceled, &CancelError{Engine: e.name, Task: r.name(), Started: true, Cause: cause, Err: err}
	}
	return OutcomeFailed, err
}

func outcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return OutcomeSucceeded
	case err == ErrGoexit || errors.Is(err, ErrPanicked):
		return OutcomePanicked
	}
	return OutcomeFailed
}

// count counts the end of a job that w has started.
func (w *worker) count(job Job, outcome Outcome) {
	s := w.slot.Load()
	if s == nil {
		s = &w.engine.outside
	}
	s.mu.Lock()
	w.settle(s)
	if w.drop(job) {
		s.tally.ended[outcome]++
	}
	s.mu.Unlock()
	if s == &w.engine.outside {
		w.engine.checkIdle()
	}
}

// report tells hooks and log that job has ended.
func (e *Engine) report(job Job, outcome Outcome, err error) {
	if h := e.hooks.Load(); h != nil || outcome == OutcomePanicked {
		e.hookEnded(job, outcome, err)
	}
}
