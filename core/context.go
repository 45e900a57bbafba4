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

// mergedContext is a cancellable child of the context given to Submit that the
// engine can cancel as well.
type mergedContext struct {
	context.Context
	cancel context.CancelCauseFunc
	unlink func() bool // from the engine
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

// background reports whether nothing but context.Background was set.
func (c *contextRef) background() bool { return c.kind == nil }

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

func (c *contextRef) forget() {
	if c.kind != nil {
		atomic.StorePointer(&c.data, nil)
	}
}

// merged returns the context that merges all cancellations, making it if need
// be. It must not be called while a lock is held: it calls the parent.
func (r *record) merged() *mergedContext {
	x := r.needExtra()
	if m := x.inner.Load(); m != nil {
		return m
	}
	m := new(mergedContext)
	parent := r.parent.get()
	if parent == nil {
		m.Context, m.cancel = context.WithCancelCause(r.engine.ctx)
	} else {
		m.Context, m.cancel = context.WithCancelCause(parent)
		if c, ok := parent.(*taskContext); !ok || c.engine != r.engine {
			m.unlink = context.AfterFunc(r.engine.ctx, func() { m.cancel(context.Cause(r.engine.ctx)) })
		}
	}
	if !x.inner.CompareAndSwap(nil, m) {
		m.end(context.Canceled)
		return x.inner.Load()
	}
	// The task may have ended meanwhile: then nobody else will cancel it.
	if p := phase(r.state.Load()); p >= phaseResolving {
		m.end(context.Canceled)
	}
	return m
}

func (m *mergedContext) end(cause error) {
	m.cancel(cause)
	if m.unlink != nil {
		m.unlink()
	}
}

// endContext ends the task's context after the task, and forgets its parent.
func (r *record) endContext() {
	if x := r.extra.Load(); x != nil {
		// What was made for the task must not keep its parent alive either.
		if m := x.inner.Swap(nil); m != nil {
			m.end(context.Canceled)
		}
	}
	r.parent.forget()
}

// interrupted returns the cause if the task's context has ended.
func (r *record) interrupted() error {
	if x := r.extra.Load(); x != nil {
		if m := x.inner.Load(); m != nil {
			if m.Err() != nil {
				return context.Cause(m)
			}
			return nil
		}
	}
	if parent := r.parent.get(); parent != nil && parent.Err() != nil {
		return context.Cause(parent)
	}
	if r.engine.ctx.Err() != nil {
		return context.Cause(r.engine.ctx)
	}
	return nil
}

// Deadline returns the earlier of the submitter's deadline and the end of the
// run limit.
func (c *taskContext) Deadline() (time.Time, bool) {
	r := (*record)(c)
	var deadline time.Time
	var ok bool
	if parent := r.parent.get(); parent != nil {
		deadline, ok = parent.Deadline()
	} else {
		deadline, ok = r.engine.ctx.Deadline()
	}
	if x := r.extra.Load(); x != nil {
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
	if parent := r.parent.get(); parent != nil {
		if err := parent.Err(); err != nil {
			return err
		}
	}
	return r.engine.ctx.Err()
}

// Value returns the submitter's value for key, or else the base context's. Once
// the task has ended the submitter's context is forgotten, and its values with
// it: see Detach.
func (c *taskContext) Value(key any) any {
	if key == (taskKey{}) {
		return c
	}
	r := (*record)(c)
	if x := r.extra.Load(); x != nil {
		if m := x.inner.Load(); m != nil {
			// A standard context asks with a key of its own whether its parent
			// is a standard one; the merged context answers for us.
			if v := m.Value(key); v != nil {
				return v
			}
			return r.engine.ctx.Value(key)
		}
	}
	if parent := r.parent.get(); parent != nil {
		if v := parent.Value(key); v != nil {
			return v
		}
	}
	return r.engine.ctx.Value(key)
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
	d := detached{Context: context.WithoutCancel(ctx), below: r.engine.ctx}
	if parent := r.parent.get(); parent != nil {
		d.below = parent
		if _, inside := parent.(*taskContext); inside {
			d.below = Detach(parent)
		}
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
