package core

import (
	"context"
	"sync/atomic"
	"time"
)

// The context of a task lives inside its future, so it costs no allocation. It
// answers Value and Err by asking the context given to Submit; only when
// somebody asks for Done, or it has ended, is a context made that merges the
// cancellations. From then on that one answers, also after the task has returned:
// it forgets what it hung from, but not that it has ended, and why.
//
// A task that is run again has a context of its own for each run: the first is
// the record itself, the others are small objects.

// taskContext is the record seen as the context of its first run.
type taskContext record

// attemptContext is the context of a later run.
type attemptContext struct {
	r       *record
	attempt int
	inner   atomic.Pointer[mergedContext]
}

type taskKey struct{}

// ownContext returns the task whose context ctx itself is, or nil, and the run: nil
// for the first.
func ownContext(ctx any) (r *record, of *attemptContext) {
	switch c := ctx.(type) {
	case *taskContext:
		return (*record)(c), nil
	case *attemptContext:
		return c.r, c
	}
	return nil, nil
}

// belongsTo returns the task whose context ctx is, or is derived from, and the run.
func belongsTo(ctx context.Context) (r *record, of *attemptContext) {
	if r, of = ownContext(ctx); r != nil {
		return r, of
	}
	return ownContext(ctx.Value(taskKey{}))
}

// taskOf returns the task that ctx belongs to, or nil. The context of a run that
// was not the last belongs to none.
func taskOf(ctx context.Context) *record {
	r, of := belongsTo(ctx)
	if r == nil || r.run() != of {
		return nil
	}
	return r
}

// run returns the context of the present run, or of the next; nil for the first.
func (r *record) run() *attemptContext {
	if x := r.extra.Load(); x != nil {
		return x.again.Load()
	}
	return nil
}

// context returns the context of the present run.
func (r *record) context() context.Context {
	if of := r.run(); of != nil {
		return of
	}
	return (*taskContext)(r)
}

// over reports whether the run has ended to which of belongs.
func (r *record) over(of *attemptContext) bool {
	state := r.state.Load()
	return phase(state) >= phaseResolving && state&flagAgain == 0 || r.run() != of
}

// place returns where the merged context of a run is kept.
func (x *extra) place(of *attemptContext) *atomic.Pointer[mergedContext] {
	if of != nil {
		return &of.inner
	}
	return &x.inner
}

// errReturned is the cause with which a task's context ends when the task
// returns. It does not reach tasks that were submitted with that context.
var errReturned error = &canceledError{"core: the task has returned"}

// canceled returns why the task itself was cancelled while it ran, or nil.
func (r *record) canceled() error {
	x := r.extra.Load()
	if x == nil {
		return nil
	}
	if cause := x.cause.Load(); cause != nil {
		return *cause
	}
	if x.limitPassed() {
		return ErrTaskTimeout // which is about to be noted
	}
	return nil
}

// limitPassed reports whether the context of the present run knows that the run limit
// has passed: it has a clock of its own, and the tasks below end with it.
func (x *extra) limitPassed() bool {
	if x.runEnd.Load() == nil {
		return false
	}
	m := x.place(x.again.Load()).Load()
	return m != nil && m.limit != nil && m.Err() == context.DeadlineExceeded && context.Cause(m) == ErrTaskTimeout &&
		!time.Now().Before(*m.limit)
}

// inherited returns the error and the cause if something above r has ended its
// context.
func (r *record) inherited() (err, cause error) {
	e := r.engine()
	// A task above belongs to the same engine, or is seen through a derived context.
	if r.origin.up.Load() != nil && e.cancels.Load() != 0 {
		if cause := r.origin.canceledAbove(); cause != nil {
			return context.Canceled, cause
		}
	}
	if parent := r.origin.parent.get(); parent != nil {
		if err, cause := whyEnded(parent); err != nil {
			return err, cause
		}
	}
	if e.endless && e.signal.Load()&signalStopping == 0 {
		return nil, nil // the usual case
	}
	if err := e.ctx.Err(); err != nil {
		return err, context.Cause(e.ctx)
	}
	return nil, nil
}

// interrupted returns the cause if the task's context has ended.
func (r *record) interrupted() error {
	if cause := r.canceled(); cause != nil {
		return cause
	}
	_, cause := r.inherited()
	return cause
}

// endContext ends the task's context when the task has returned, and forgets
// what it hung from.
func (r *record) endContext() {
	if x := r.extra.Load(); x != nil {
		x.mu.Lock()
		unwatch := x.unwatch // it refers to the context, too
		x.unwatch = nil
		x.mu.Unlock()
		if unwatch != nil {
			unwatch()
		}
		if m := x.place(x.again.Load()).Load(); m != nil {
			r.endMerged(m)
		}
	}
	r.origin.leave()
	r.origin.climb()
}

// endMerged ends m because the run has ended. The contexts that m hangs from are
// asked for it, and one of a user's type may panic.
func (r *record) endMerged(m *mergedContext) {
	r.engine().guard("context given to Submit", m.end)
}

// limitRun notes the end of the run limit. A merged context that was made before,
// because somebody waits, does not know it: the run gets another.
func (r *record) limitRun(x *extra, end time.Time) {
	if e := r.engine(); e.cancels.Load() == 0 {
		e.cancels.Add(1) // from now on tasks below look for a cause: see canceled
	}
	place := x.place(x.again.Load())
	x.mu.Lock()
	x.runEnd.Store(&end)
	early := place.Swap(nil)
	x.mu.Unlock()
	if early != nil {
		r.endMerged(early)
	}
}

// settleClock makes it known that the run limit has passed, if the context knows
// already.
func (r *record) settleClock() {
	x := r.extra.Load()
	if x == nil || x.expired.Load() {
		return
	}
	attempt := x.attempts.Load()
	if x.limitPassed() {
		r.overrun(x, attempt)
	}
}

// cancelContext ends the context of a running task with cause. It reports
// whether it did: the first cause stays, and a task that has returned is left
// alone.
func (r *record) cancelContext(cause error) bool {
	r.settleClock()
	r.merged() // makes it: this calls the submitter's context, which may panic
	x := r.extra.Load()
	x.mu.Lock()
	first := phase(r.state.Load()) == phaseRunning && x.cause.Load() == nil
	if first {
		x.cause.Store(&cause)
	}
	x.mu.Unlock()
	if first {
		// Tasks below look for a cause only once they see the count.
		r.engine().cancels.Add(1)
		// It may have been replaced meanwhile, for another run (again.go). From
		// here on it will not, since there is a cause. At the run limit it ends by
		// itself, with another error.
		if m := r.merged(); m.limit == nil || !x.expired.Load() {
			m.cancel(cause)
		}
	}
	return first
}

// deadline returns the earlier of the submitter's deadline and the end of the run
// limit.
func (r *record) deadline(of *attemptContext) (time.Time, bool) {
	var deadline time.Time
	var ok bool
	if parent := r.origin.parent.get(); parent != nil {
		deadline, ok = parent.Deadline()
	} else {
		deadline, ok = r.engine().ctx.Deadline()
	}
	if x := r.extra.Load(); x != nil && phase(r.state.Load()) == phaseRunning && x.again.Load() == of {
		if limit := x.runEnd.Load(); limit != nil && (!ok || limit.Before(deadline)) {
			return *limit, true
		}
	}
	return deadline, ok
}

// err returns why the context has ended. Once it has, it stays with that, and the
// merged context knows the cause.
func (r *record) err(of *attemptContext) error {
	if x := r.extra.Load(); x != nil {
		if m := x.place(of).Load(); m != nil {
			return m.Err()
		}
	}
	if r.over(of) {
		return context.Canceled
	}
	err, _ := r.inherited()
	if err != nil {
		return r.mergedFor(of).Err()
	}
	return nil
}

// value returns the submitter's value for key, or else the base context's. Once
// the task has ended the submitter's context is forgotten, and its values with
// it: see Detach.
func (r *record) value(of *attemptContext, key any) any {
	var m *mergedContext
	if x := r.extra.Load(); x != nil {
		m = x.place(of).Load()
	}
	if m == nil {
		if r.over(of) {
			return r.engine().after.Value(key) // which knows the cause of what Err says
		}
		if err, _ := r.inherited(); err != nil {
			m = r.mergedFor(of) // so that context.Cause finds the cause
		}
	}
	if m != nil {
		// A standard context asks with a key of its own whether its parent
		// is a standard one; the merged context answers for us.
		if v := m.Value(key); v != nil {
			return v
		}
	} else if parent := r.origin.parent.get(); parent != nil {
		if v := parent.Value(key); v != nil {
			return v
		}
	}
	return r.engine().ctx.Value(key)
}

// Deadline returns the earlier of the submitter's deadline and the end of the
// run limit.
func (c *taskContext) Deadline() (time.Time, bool) { return (*record)(c).deadline(nil) }

// Done returns a channel that is closed when the task is cancelled or has ended.
func (c *taskContext) Done() <-chan struct{} { return (*record)(c).mergedFor(nil).Done() }

// Err returns why the context has ended.
func (c *taskContext) Err() error { return (*record)(c).err(nil) }

// Value returns the submitter's value for key, or else the base context's.
func (c *taskContext) Value(key any) any {
	if key == (taskKey{}) {
		return c
	}
	return (*record)(c).value(nil, key)
}

// String tells what c is, for the standard library's formatting of contexts.
func (c *taskContext) String() string { return "goman.Task(" + (*record)(c).name() + ")" }

// The methods of attemptContext are those of taskContext.

func (c *attemptContext) Deadline() (time.Time, bool) { return c.r.deadline(c) }
func (c *attemptContext) Done() <-chan struct{}       { return c.r.mergedFor(c).Done() }
func (c *attemptContext) Err() error                  { return c.r.err(c) }

func (c *attemptContext) Value(key any) any {
	if key == (taskKey{}) {
		return c
	}
	return c.r.value(c, key)
}

func (c *attemptContext) String() string { return (*taskContext)(c.r).String() }

// Detach returns a context with the values of ctx that does not end, for work
// that a task starts and that outlives it. A task's own context loses the
// submitter's values when the task ends, because a future that is kept must not
// keep them; context.WithoutCancel alone cannot know that. For a context that
// belongs to no task Detach is context.WithoutCancel.
func Detach(ctx context.Context) context.Context {
	r, _ := belongsTo(ctx)
	if r == nil {
		return context.WithoutCancel(ctx)
	}
	d := detached{Context: context.WithoutCancel(ctx), base: r.engine().ctx}
	if parent := r.origin.parent.get(); parent != nil {
		d.below = context.WithoutCancel(parent)
	}
	return d
}

type detached struct {
	context.Context
	base  context.Context // of the task's engine
	below context.Context // the context the task was submitted with; nil for none
}

func (d detached) Value(key any) any {
	if key == (taskKey{}) {
		return nil // no longer inside the task
	}
	return valueBelow(d.Context, d.below, d.base, key)
}
