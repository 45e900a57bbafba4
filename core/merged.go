package core

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// mergedContext is a cancellable child of the context given to Submit that the
// engine, and the task in which the task was submitted, can cancel as well.
type mergedContext struct {
	context.Context
	cancel context.CancelCauseFunc
	engine *Engine
	limit  *time.Time // the end of the run limit, at which it ends by itself
	stem   stem       // what it hangs from

	returned atomic.Bool // the run has ended
	mu       sync.Mutex
	unlink   []func() bool
}

// stem is the context that a merged context hangs from, until the run has ended.
type stem struct{ contextRef }

func (s *stem) Deadline() (deadline time.Time, ok bool) {
	if ctx := s.get(); ctx != nil {
		return ctx.Deadline()
	}
	return time.Time{}, false
}

func (s *stem) Done() <-chan struct{} {
	if ctx := s.get(); ctx != nil {
		return ctx.Done()
	}
	return nil
}

func (s *stem) Err() error {
	if ctx := s.get(); ctx != nil {
		return ctx.Err()
	}
	return nil
}

func (s *stem) Value(key any) any {
	if ctx := s.get(); ctx != nil {
		return ctx.Value(key)
	}
	return nil
}

// AfterFunc is found by the standard library, which needs no goroutine then.
func (s *stem) AfterFunc(f func()) func() bool {
	if ctx := s.get(); ctx != nil {
		return context.AfterFunc(ctx, f)
	}
	return func() bool { return false }
}

// onEnd calls fn, on a goroutine of its own, when from ends before the run does.
// The contexts that fn asks may be of a user's type, and panic.
func (m *mergedContext) onEnd(from context.Context, fn func()) {
	m.keep(context.AfterFunc(from, func() { m.engine.guard("context given to Submit", fn) }))
}

// keep notes what is to be undone at the end of the run.
func (m *mergedContext) keep(unlink func() bool) {
	m.mu.Lock()
	late := m.returned.Load()
	if !late {
		m.unlink = append(m.unlink, unlink)
	}
	m.mu.Unlock()
	if late {
		unlink()
	}
}

// hang makes m end with d, unless the other task of d has merely returned: from
// then on m ends with what that task was submitted with, and at the deadline of
// d, whose own clock has stopped.
func (m *mergedContext) hang(d *derived) {
	m.onEnd(d.Context, func() {
		cause := context.Cause(d.Context)
		if !d.returned(cause) {
			m.cancel(cause)
			return
		}
		if deadline, ok := d.Deadline(); ok {
			clock := time.AfterFunc(time.Until(deadline), func() { m.cancel(context.DeadlineExceeded) })
			m.keep(clock.Stop)
		}
		m.follow(d.task.origin)
		switch below := d.below.(type) {
		case nil:
		case *derived:
			m.hang(below)
		default:
			m.onEnd(below, func() { m.cancel(context.Cause(below)) })
		}
	})
}

// follow makes m end when a task above o is cancelled: the next that has not
// returned, and once it has, the next above that.
func (m *mergedContext) follow(o *origin) {
	up, cause := o.nextAbove()
	if cause != nil {
		m.cancel(cause)
	}
	if up == nil {
		return
	}
	from := up.merged()
	m.onEnd(from, func() {
		if cause := context.Cause(from); cause != errReturned || !from.returned.Load() {
			m.cancel(cause)
			return
		}
		m.follow(o)
	})
}

// end ends m because the run has ended.
func (m *mergedContext) end() {
	m.mu.Lock()
	m.returned.Store(true)
	unlink := m.unlink
	m.unlink = nil
	m.mu.Unlock()
	defer m.stem.forget()
	defer func() {
		for _, fn := range unlink {
			fn()
		}
	}()
	m.cancel(errReturned)
}

// merged returns the context of the present run that merges all cancellations,
// making it if need be. It must not be called while a lock is held: it calls the
// parent.
func (r *record) merged() *mergedContext {
	x := r.needExtra()
	x.mu.Lock() // so that it is not between two runs
	of := x.again.Load()
	x.mu.Unlock()
	return r.mergedFor(of)
}

// mergedFor is merged for a run that may have ended.
func (r *record) mergedFor(of *attemptContext) *mergedContext {
	x := r.needExtra()
	place := x.place(of)
	for {
		if m := place.Load(); m != nil {
			return m
		}
		over := r.over(of)
		var m *mergedContext
		if over {
			m = &mergedContext{engine: r.engine()}
			m.Context, m.cancel = context.WithCancelCause(context.Background())
			m.end()
		} else {
			m = r.newMerged(x.runEnd.Load())
		}
		x.mu.Lock()
		kept := place.Load()
		fits := over || x.runEnd.Load() == m.limit
		if kept == nil && fits {
			place.Store(m)
			if !over {
				r.observe() // it must not end by succeed, which may have found no extra
			}
		}
		x.mu.Unlock()
		if kept == nil && fits {
			if !over && r.over(of) {
				m.end() // then nobody else will
			}
			return m
		}
		m.end()
		if kept != nil {
			return kept
		}
	}
}

func (r *record) newMerged(limit *time.Time) *mergedContext {
	e := r.engine()
	m := &mergedContext{engine: e, limit: limit}
	parent := r.origin.parent.get()
	err, cause := r.inherited()
	d, isDerived := parent.(*derived)
	switch {
	case parent == nil:
		m.stem.set(e.ctx)
	case isDerived:
		m.stem.set(context.WithoutCancel(d))
	default:
		m.stem.set(parent)
	}
	var from context.Context = &m.stem
	if isDerived && err == context.DeadlineExceeded {
		from = m.within(from, time.Now(), cause)
	}
	if limit != nil {
		from = m.within(from, *limit, ErrTaskTimeout)
	}
	m.Context, m.cancel = context.WithCancelCause(from)
	if isDerived {
		m.hang(d)
	}
	if parent != nil {
		m.onEnd(e.ctx, func() { m.cancel(context.Cause(e.ctx)) })
	}
	m.follow(r.origin)
	if cause != nil {
		m.cancel(cause)
	}
	return m
}

// within returns a context below from, above m, that ends at the deadline.
func (m *mergedContext) within(from context.Context, deadline time.Time, cause error) context.Context {
	from, stop := context.WithDeadlineCause(from, deadline, cause)
	m.keep(func() bool { stop(); return true })
	return from
}
