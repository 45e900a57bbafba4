package core

import (
	"context"
	"sync/atomic"
	"time"
	"unsafe"
)

// The context of a task lives inside its future, so it costs no allocation. It
// answers Value and Err by asking the context given to Submit; only when
// somebody asks for Done, or the task is cancelled, is a context made that
// merges the cancellations.

// taskContext is the record seen as the task's context.
type taskContext record

type taskKey struct{}

// taskOf returns the task that ctx belongs to, or nil.
func taskOf(ctx context.Context) *record {
	if c, ok := ctx.(*taskContext); ok {
		return (*record)(c)
	}
	if c, ok := ctx.Value(taskKey{}).(*taskContext); ok {
		return (*record)(c)
	}
	return nil
}

// errReturned is the cause with which a task's context ends when the task
// returns. It does not reach tasks that were submitted with that context.
var errReturned error = &canceledError{"core: the task has returned"}

// mergedContext is a cancellable child of the context given to Submit that the
// engine, and the task in which the task was submitted, can cancel as well.
type mergedContext struct {
	context.Context
	cancel context.CancelCauseFunc
	unlink []func() bool
}

// link makes the end of from the end of m, unless from is the context of a task
// that has merely returned; then onReturn is called, if there is one.
func (m *mergedContext) link(from context.Context, onReturn func()) {
	m.unlink = append(m.unlink, context.AfterFunc(from, func() {
		switch cause := context.Cause(from); {
		case cause != errReturned:
			m.cancel(cause)
		case onReturn != nil:
			onReturn()
		}
	}))
}

// outlast is called when the other task of d has returned: from now on m ends
// with what that task was submitted with, and at the deadline of d, whose own
// clock has stopped. m may end, or have ended, at this moment.
func (m *mergedContext) outlast(d *derived) {
	if deadline, ok := d.Deadline(); ok {
		clock := time.AfterFunc(time.Until(deadline), func() { m.cancel(context.DeadlineExceeded) })
		context.AfterFunc(m, func() { clock.Stop() })
	}
	if d.below == nil {
		return
	}
	from, next := d.below, (*derived)(nil)
	if below, ok := d.below.(*derived); ok {
		from, next = below.Context, below
	}
	unlink := context.AfterFunc(from, func() {
		if cause := context.Cause(from); cause != errReturned {
			m.cancel(cause)
		} else if next != nil {
			m.outlast(next)
		}
	})
	context.AfterFunc(m, func() { unlink() })
}

func (m *mergedContext) end(cause error) {
	m.cancel(cause)
	for _, unlink := range m.unlink {
		unlink()
	}
}

// derived is the context of a task that was submitted, inside another task, with
// a context derived from that task's. The other task may return first; then its
// context ends and forgets its values, but the submitted one goes on under the
// context the other was submitted with.
type derived struct {
	context.Context
	below context.Context // what the other task was submitted with; nil for none
}

func (d *derived) Value(key any) any {
	if v := d.Context.Value(key); v != nil || d.below == nil {
		return v
	}
	return d.below.Value(key)
}

func (d *derived) Err() error {
	err, _ := d.why()
	return err
}

// why returns the error and the cause.
func (d *derived) why() (err, cause error) {
	if err = d.Context.Err(); err == nil {
		return nil, nil
	}
	if cause = context.Cause(d.Context); cause != errReturned {
		return err, cause
	}
	if deadline, ok := d.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded, context.DeadlineExceeded
	}
	return whyEnded(d.below)
}

// whyEnded returns the error and the cause of ctx, which may be nil.
func whyEnded(ctx context.Context) (err, cause error) {
	if ctx == nil {
		return nil, nil
	}
	if d, ok := ctx.(*derived); ok {
		return d.why()
	}
	if err = ctx.Err(); err != nil {
		return err, context.Cause(ctx)
	}
	return nil, nil
}

// contextRef holds a context that one goroutine forgets while others may ask
// for it, without a lock: it is the interface's two words, of which the data
// word is cleared. The zero value stands for context.Background.
type contextRef struct{ kind, data unsafe.Pointer }

// set must come before the record is published.
func (c *contextRef) set(ctx context.Context) {
	if ctx == context.Background() || ctx == context.TODO() {
		return
	}
	w := (*words)(unsafe.Pointer(&ctx))
	c.kind, c.data = w.kind, w.data
}

// get returns the context, or nil if there was none or it was forgotten.
func (c *contextRef) get() context.Context {
	if c.kind == nil {
		return nil
	}
	data := atomic.LoadPointer(&c.data)
	if data == nil {
		return nil
	}
	w := words{c.kind, data}
	return *(*context.Context)(unsafe.Pointer(&w))
}

// copy returns a reference to the same context, or to none if it was forgotten.
func (c *contextRef) copy() contextRef {
	data := atomic.LoadPointer(&c.data)
	if data == nil {
		return contextRef{}
	}
	return contextRef{c.kind, data}
}

// leave is called once for each task that has ended: the last of a batch forgets
// the context.
func (o *origin) leave() {
	if o.parent.kind != nil && (o.batch.Load() == 0 || o.batch.Add(-1) == 0) {
		o.parent.forget()
	}
}

func (c *contextRef) forget() {
	if c.kind != nil {
		atomic.StorePointer(&c.data, nil)
	}
}

// inherit takes over ctx, with which a task is submitted, me being the task that
// ctx belongs to, or nil. It returns the flags for the state of the task's record.
//
// A task submitted with its parent's own context hangs below what the parent was
// submitted with, and beside it notes the parent: cancelling the parent cancels
// it, the parent's return does not.
func (o *origin) inherit(ctx context.Context, me *record) (flags uint64) {
	if me == nil {
		o.parent.set(ctx)
		return 0
	}
	if _, own := ctx.(*taskContext); !own {
		o.parent.set(&derived{ctx, me.origin.parent.get()})
		return 0
	}
	o.parent = me.origin.parent.copy()
	o.up.Store(me)
	if me.engine() != o.kind.engine || me.state.Load()&flagCrossing != 0 {
		return flagCrossing
	}
	return 0
}

// climb forgets the tasks above that have returned and were not cancelled, so
// that a chain of tasks that submit each other does not grow.
func (r *record) climb() {
	o := r.origin
	first := o.up.Load()
	up := first
	for up != nil && ended(up.state.Load()) && up.canceled() == nil {
		up = up.origin.up.Load()
	}
	if up != first {
		o.up.Store(up)
	}
}

// canceled returns why the task itself was cancelled while it ran, or nil.
func (r *record) canceled() error {
	if x := r.extra.Load(); x != nil {
		if cause := x.cause.Load(); cause != nil {
			return *cause
		}
	}
	return nil
}

// inherited returns the error and the cause if something above r has ended its
// context.
func (r *record) inherited() (err, cause error) {
	e := r.engine()
	if up := r.origin.up.Load(); up != nil && (e.cancels.Load() != 0 || r.state.Load()&flagCrossing != 0) {
		for ; up != nil; up = up.origin.up.Load() {
			if cause := up.canceled(); cause != nil {
				return context.Canceled, cause
			}
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

// merged returns the context that merges all cancellations, making it if need
// be. It must not be called while a lock is held: it calls the parent.
func (r *record) merged() *mergedContext {
	x := r.needExtra()
	if m := x.inner.Load(); m != nil {
		return m
	}
	e, m := r.engine(), new(mergedContext)
	switch parent := r.origin.parent.get().(type) {
	case nil:
		m.Context, m.cancel = context.WithCancelCause(e.ctx)
	case *derived:
		m.Context, m.cancel = context.WithCancelCause(context.WithoutCancel(parent))
		m.link(e.ctx, nil)
		m.link(parent.Context, func() { m.outlast(parent) })
	default:
		m.Context, m.cancel = context.WithCancelCause(parent)
		m.link(e.ctx, nil)
	}
	if up := r.origin.up.Load(); up != nil && !ended(up.state.Load()) {
		m.link(up.merged(), nil)
	}
	if _, cause := r.inherited(); cause != nil {
		m.cancel(cause)
	}
	if !x.inner.CompareAndSwap(nil, m) {
		m.end(errReturned)
		if other := x.inner.Load(); other != nil {
			return other
		}
	}
	// The task may have ended meanwhile: then nobody else will end m.
	if state := r.state.Load(); phase(state) >= phaseResolving {
		m.end(errReturned)
		if state&flagAgain == 0 {
			x.inner.CompareAndSwap(m, nil) // nor may it keep the submitter's context
		}
	}
	return m
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
		if m := x.inner.Swap(nil); m != nil {
			r.endMerged(m)
		}
	}
	r.origin.leave()
	r.climb()
}

// endMerged ends m because the task has returned. The contexts that m hangs from
// are asked for it, and one of a user's type may panic.
func (r *record) endMerged(m *mergedContext) {
	r.engine().guard("context given to Submit", func() { m.end(errReturned) })
}

// cancelContext ends the context of a running task with cause. It reports
// whether it did: the first cause stays, and a task that has returned is left
// alone.
func (r *record) cancelContext(cause error) bool {
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
		// here on it will not, since there is a cause.
		r.merged().cancel(cause)
	}
	return first
}

// Deadline returns the earlier of the submitter's deadline and the end of the
// run limit.
func (c *taskContext) Deadline() (time.Time, bool) {
	r := (*record)(c)
	var deadline time.Time
	var ok bool
	if parent := r.origin.parent.get(); parent != nil {
		deadline, ok = parent.Deadline()
	} else {
		deadline, ok = r.engine().ctx.Deadline()
	}
	if x := r.extra.Load(); x != nil && phase(r.state.Load()) == phaseRunning {
		if limit := x.runEnd.Load(); limit != nil && (!ok || limit.Before(deadline)) {
			return *limit, true
		}
	}
	return deadline, ok
}

// Done returns a channel that is closed when the task is cancelled or has ended.
func (c *taskContext) Done() <-chan struct{} { return (*record)(c).merged().Done() }

// Err returns why the context has ended.
func (c *taskContext) Err() error {
	r := (*record)(c)
	if x := r.extra.Load(); x != nil {
		if m := x.inner.Load(); m != nil {
			return m.Err()
		}
	}
	if phase(r.state.Load()) >= phaseResolving {
		return context.Canceled
	}
	err, _ := r.inherited()
	return err
}

// Value returns the submitter's value for key, or else the base context's. Once
// the task has ended the submitter's context is forgotten, and its values with
// it: see Detach.
func (c *taskContext) Value(key any) any {
	if key == (taskKey{}) {
		return c
	}
	r := (*record)(c)
	if r.engine().ctx.Err() != nil && phase(r.state.Load()) == phaseRunning {
		r.merged() // so that context.Cause finds the engine's cause
	}
	if x := r.extra.Load(); x != nil {
		if m := x.inner.Load(); m != nil {
			// A standard context asks with a key of its own whether its parent
			// is a standard one; the merged context answers for us.
			if v := m.Value(key); v != nil {
				return v
			}
			return r.engine().ctx.Value(key)
		}
	}
	if phase(r.state.Load()) >= phaseResolving {
		return r.engine().after.Value(key) // which knows the cause of what Err says
	}
	if parent := r.origin.parent.get(); parent != nil {
		if v := parent.Value(key); v != nil {
			return v
		}
	}
	return r.engine().ctx.Value(key)
}

// Detach returns a context with the values of ctx that does not end, for work
// that a task starts and that outlives it. A task's own context loses the
// submitter's values when the task ends, because a future that is kept must not
// keep them; context.WithoutCancel alone cannot know that. For a context that
// belongs to no task Detach is context.WithoutCancel.
func Detach(ctx context.Context) context.Context {
	r := taskOf(ctx)
	if r == nil {
		return context.WithoutCancel(ctx)
	}
	d := detached{Context: context.WithoutCancel(ctx), below: r.engine().ctx}
	if parent := r.origin.parent.get(); parent != nil {
		d.below = parent
	}
	return d
}

type detached struct {
	context.Context
	below context.Context // the context the task was submitted with
}

func (d detached) Value(key any) any {
	if key == (taskKey{}) {
		return nil // no longer inside the task
	}
	if v := d.Context.Value(key); v != nil {
		return v
	}
	return context.WithoutCancel(d.below).Value(key)
}

// String tells what c is, for the standard library's formatting of contexts.
func (c *taskContext) String() string { return "goman.Task(" + (*record)(c).name() + ")" }
