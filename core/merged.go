package core

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
	"weak"
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

// stem is a context of the user's as the standard library sees it: what a merged context
// hangs from, until the run has ended. The library asks its parents on goroutines of its
// own, where a panic would end the process, and while a task is being resolved, where a
// Goexit would lose it. So the user's context is asked when the two are linked, on the
// goroutine of who wants that, and the answers are kept.
type stem struct {
	contextRef
	engine weak.Pointer[Engine] // weak, since a base context may outlive the engine
	done   <-chan struct{}
	link   atomic.Pointer[link]
}

// link is what a context says to the first question that it is asked: the library's,
// whether there is a context of its own below.
type link struct{ key, value any }

// hold must come before s is used. It calls ctx, which may panic.
func (s *stem) hold(ctx context.Context, e *Engine) {
	s.engine = e.self
	s.set(ctx)
	s.done = ctx.Done()
}

// guard is that of the engine.
func (s *stem) guard(fn func()) {
	if e := s.engine.Value(); e != nil {
		e.guard("context of a user's type", fn)
		return
	}
	defer func() { _ = recover() }() // nobody is left to be told
	fn()
}

// letGo forgets the context.
func (s *stem) letGo() {
	s.forget()
	s.link.Store(nil)
}

func (s *stem) Deadline() (deadline time.Time, ok bool) {
	if ctx := s.get(); ctx != nil {
		return ctx.Deadline()
	}
	return time.Time{}, false
}

func (s *stem) Done() <-chan struct{} { return s.done }

// Err is asked by the library alone, once Done is closed, and must say something then.
func (s *stem) Err() (err error) {
	if ctx := s.get(); ctx != nil {
		s.guard(func() { err = ctx.Err() })
	}
	if err == nil {
		err = context.Canceled
	}
	return err
}

func (s *stem) Value(key any) any {
	l := s.link.Load()
	if l != nil && l.key == key {
		return l.value
	}
	ctx := s.get()
	if ctx == nil {
		return nil
	}
	v := ctx.Value(key)
	if l == nil && s.done != nil {
		s.link.CompareAndSwap(nil, &link{key, v})
	}
	return v
}

// AfterFunc is found by the standard library, which needs no goroutine then.
func (s *stem) AfterFunc(f func()) func() bool {
	from, ok := s.get().(interface{ AfterFunc(f func()) func() bool })
	if !ok {
		return context.AfterFunc(silent{s}, f)
	}
	stop := from.AfterFunc(f)
	return func() (stopped bool) {
		over := make(chan struct{})
		go func() { // it may call Goexit
			defer close(over)
			s.guard(func() { stopped = stop() })
		}()
		<-over
		return stopped
	}
}

// silent hides that a stem has AfterFunc.
type silent struct{ stem context.Context }

func (s silent) Deadline() (time.Time, bool) { return s.stem.Deadline() }
func (s silent) Done() <-chan struct{}       { return s.stem.Done() }
func (s silent) Err() error                  { return s.stem.Err() }
func (s silent) Value(key any) any           { return s.stem.Value(key) }

// held returns ctx as a stem.
func (e *Engine) held(ctx context.Context) context.Context {
	s := new(stem)
	s.hold(ctx, e)
	return s
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
	m.onEnd(m.engine.held(d.Context), func() {
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
			m.onEnd(m.engine.held(below), func() { m.cancel(context.Cause(below)) })
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
	defer m.stem.letGo()
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
		m.stem.hold(e.ctx, e)
	case isDerived:
		m.stem.hold(context.WithoutCancel(d), e)
	default:
		m.stem.hold(parent, e)
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
