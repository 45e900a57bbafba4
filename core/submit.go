package core

import (
	"context"

	"github.com/uptutu/goman/core/internal/point"
)

// Submit hands task to engine and returns the future of its result. If the
// queue is full the reject policy applies; under the default policy Submit
// waits for room until ctx ends. ctx then governs the task: it carries values
// and cancellation to it. Use context.WithoutCancel to give values alone.
//
// Submit either returns a future and no error, or an error and no future; then
// the task will never run. The error is a *RefusedError and matches ErrInvalid,
// ErrClosed, ErrQueueFull, or the cause and the own error of ctx. Arguments are
// checked first, then the engine's state, then ctx. Where a user's Scheduler fails
// to take the task, by a panic of its Push, it matches ErrPanicked.
//
// Inside a task pass the task's context: the child is then stored with its
// parent's worker, newest first, and a Submit that waits for room gives the
// worker slot to other work meanwhile.
//
// Submit may be called by any number of goroutines. It allocates the future and
// nothing else, unless attributes are given.
func Submit[T any](ctx context.Context, engine *Engine, task Task[T]) (*Future[T], error) {
	return submit(ctx, engine, nil, task, false)
}

// SubmitWith is Submit with attributes. What they leave out the task's own
// methods supply, see Prioritized.
func SubmitWith[T any](ctx context.Context, engine *Engine, attributes Attributes, task Task[T]) (*Future[T], error) {
	return submit(ctx, engine, &attributes, task, false)
}

// TrySubmit is Submit that never waits: if the queue is full it fails with
// ErrQueueFull, whatever the policy. ctx governs the task alone then. In a queue that
// was full, the room of a task that starts is free a moment after Stats has stopped
// counting it as queued.
func TrySubmit[T any](ctx context.Context, engine *Engine, task Task[T]) (*Future[T], error) {
	return submit(ctx, engine, nil, task, true)
}

// TrySubmitWith is TrySubmit with attributes; their Reject field is ignored.
func TrySubmitWith[T any](ctx context.Context, engine *Engine, attributes Attributes, task Task[T]) (*Future[T], error) {
	return submit(ctx, engine, &attributes, task, true)
}

func submit[T any](ctx context.Context, e *Engine, attrs *Attributes, task Task[T], try bool) (*Future[T], error) {
	if attrs != nil && e.made() {
		if err := e.validate(attrs, try); err != nil {
			return nil, e.refused(e.refuse(reasonInvalid, err), attrs)
		}
	}
	if err := e.check(ctx, isNilTask(task)); err != nil {
		return nil, e.refused(err, attrs)
	}
	// A full queue is refused before anything is allocated.
	if try && e.surelyFull() {
		return nil, e.refused(e.refuse(reasonFull, ErrQueueFull), attrs)
	}
	f := newFuture(ctx, kindOf(e, task), task)
	if err := f.setAttributes(attrs, task); err != nil {
		return nil, err
	}
	if err := e.enqueue(ctx, &f.record, try); err != nil {
		return nil, err
	}
	return f, nil
}

// validate reports what is wrong with attributes that the caller gave.
func (e *Engine) validate(attrs *Attributes, try bool) error {
	if err := attrs.validate(); err != nil {
		return err
	}
	if attrs.Reject == RejectAsk && !try && e.settings.Load().OnFull == nil {
		return errNobodyToAsk()
	}
	return nil
}

// setAttributes keeps what the caller gave, completed by what the task brings.
func (f *Future[T]) setAttributes(given *Attributes, task Task[T]) error {
	if given == nil {
		if !f.origin.kind.brings {
			return nil
		}
		given = new(Attributes)
	}
	kept := *given
	kept.complete(task)
	if err := kept.validate(); err != nil {
		e := f.engine()
		return e.refused(e.refuse(reasonInvalid, err), &kept)
	}
	f.extra.Store(&extra{attrs: &kept})
	return nil
}

// Run submits task and awaits its result; ctx governs admission, the task and
// the wait. An error is that of Submit or that of Await.
//
// If ctx can never end and a worker slot is idle, the task may run on the caller's
// goroutine, in that slot. Inside a task it runs on the calling task's goroutine,
// unless another worker is faster; see Await.
func Run[T any](ctx context.Context, engine *Engine, task Task[T]) (T, error) {
	f, err := submit(ctx, engine, nil, task, false)
	if err != nil {
		var zero T
		return zero, err
	}
	return f.Await(ctx)
}

// RunWith is Run with attributes, as SubmitWith has them.
func RunWith[T any](ctx context.Context, engine *Engine, attributes Attributes, task Task[T]) (T, error) {
	f, err := submit(ctx, engine, &attributes, task, false)
	if err != nil {
		var zero T
		return zero, err
	}
	return f.Await(ctx)
}

// Go runs fn, fire and forget: nobody is told its result, so a panic is
// reported to the hooks, and to Config.OnPanic or else the logger, and to nobody
// else. If the queue is full the reject
// policy applies; under the default policy Go waits for room without end, and
// inside a task it then holds the worker up: use GoContext there.
//
// An error means that fn will never run; it is a *RefusedError as of Submit. Go
// allocates nothing, unless the engine has default limits, which make a record
// of each function; see BenchmarkGo.
func (e *Engine) Go(fn func()) error {
	if e.made() && fn != nil && e.plain.Load() && e.signal.Load()&(signalSlow|signalDraining) == 0 {
		// The short way of what admit does.
		in := &e.in
		point.At(point.Admit)
		if !in.mu.TryLock() {
			in.lock()
		}
		if !in.closed && in.first == nil && in.room > 0 {
			in.queue.push(jobOfFunc(fn))
			point.At(point.Stored)
			in.room--
			in.accepted++
			if !in.visible.Load() {
				in.visible.Store(true)
			}
			in.mu.Unlock()
			e.notify()
			return nil
		}
		in.mu.Unlock()
	}
	if err := e.check(context.Background(), fn == nil); err != nil {
		return e.refused(err, nil)
	}
	return e.goPlain(&admission{}, fn)
}

// GoContext is Go that gives up waiting for room when ctx ends. Inside a task
// pass the task's context: then it gives the worker slot to other work while it
// waits. ctx does not reach fn.
func (e *Engine) GoContext(ctx context.Context, fn func()) error {
	if err := e.check(ctx, fn == nil); err != nil {
		return e.refused(err, nil)
	}
	a := admission{ctx: ctx}
	a.find(e)
	return e.goPlain(&a, fn)
}

// TryGo is Go that never waits: if the queue is full it fails with ErrQueueFull,
// whatever the policy.
func (e *Engine) TryGo(fn func()) error {
	if err := e.check(context.Background(), fn == nil); err != nil {
		return e.refused(err, nil)
	}
	return e.goPlain(&admission{policy: RejectFail}, fn)
}

func (e *Engine) goPlain(a *admission, fn func()) error {
	if !e.plain.Load() {
		return e.goRecord(a, fn)
	}
	a.job = jobOfFunc(fn)
	if err := e.admit(a); err != nil {
		return e.refused(err, nil)
	}
	e.hookAccepted(a.job)
	return nil
}

// goRecord runs fn as a task whose result nobody asks for, so that the engine's
// default limits count for it.
func (e *Engine) goRecord(a *admission, fn func()) error {
	task := Task[struct{}](funcTask(fn))
	f := newFuture(context.Background(), kindOf(e, task), task)
	a.job, a.function = jobOf(&f.record), true
	if err := e.admit(a); err != nil {
		return e.refused(err, nil)
	}
	e.accepted(&f.record)
	return nil
}

// funcTask is a plain function as a task.
type funcTask func()

func (f funcTask) Execute(context.Context) (struct{}, error) {
	f()
	return struct{}{}, nil
}

// errNotMade is the error of all calls on an engine that is nil or zero.
func errNotMade() error {
	return &RefusedError{Reason: invalidf("the engine is nil or was not made by New")}
}

// check returns an error if the arguments, the engine or ctx forbid a
// submission, in this order, and counts it.
func (e *Engine) check(ctx context.Context, nilTask bool) error {
	switch {
	case !e.made():
		return errNotMade()
	case nilTask:
		return e.refuse(reasonInvalid, invalidf("the task is nil"))
	case isNilContext(ctx):
		return e.refuse(reasonInvalid, invalidf("the context is nil: use context.Background"))
	case e.signal.Load()&signalDraining != 0 && (e.stop.closed() || !e.settings.Load().AcceptChildren):
		return e.refuse(reasonClosed, ErrClosed)
	case ctx.Err() != nil:
		if e.signal.Load()&signalDraining != 0 && !e.inside(ctx) {
			return e.refuse(reasonClosed, ErrClosed) // only children are accepted any more
		}
		return e.refuseEnded(ctx)
	}
	return nil
}

// find notes the task on whose behalf ctx submits.
func (a *admission) find(e *Engine) {
	if a.ctx == context.Background() {
		return // the usual case, without a look-up
	}
	r := taskOf(a.ctx)
	if r == nil || phase(r.state.Load()) != phaseRunning {
		return
	}
	a.submitter = r
	if state := r.state.Load(); r.engine() == e && phase(state) == phaseRunning {
		a.task, a.worker = r, e.worker(runner(state))
	}
}

// enqueue admits r on behalf of ctx.
func (e *Engine) enqueue(ctx context.Context, r *record, try bool) error {
	a := admission{ctx: ctx, job: jobOf(r), policy: r.reject()}
	if try {
		a.policy = RejectFail
	}
	a.find(e)
	if !r.origin.shared() {
		r.origin.inherit(ctx, a.submitter)
	}
	if err := e.admit(&a); err != nil {
		r.origin.leave()
		return e.refused(err, r.attributes())
	}
	e.accepted(r)
	return nil
}

// accepted does what remains to be done for a job that was let in.
func (e *Engine) accepted(r *record) {
	e.limitQueue(r)
	e.hookAccepted(jobOf(r))
}

// limitQueue sets the timer of the queue limit, if there is one.
func (e *Engine) limitQueue(r *record) {
	if queue, _ := r.limits(e.settings.Load()); queue > 0 {
		r.setTimer(phaseQueued, queue, func() { r.expire(queue) })
	}
}
