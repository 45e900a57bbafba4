package core

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
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
		return nil, e.refusal(invalidf("the interceptor is nil"))
	}
	mine := &i
	err = e.rechain(func(list []*Interceptor) []*Interceptor { return append(list, mine) })
	if err != nil {
		return nil, e.refusal(fmt.Errorf("%w: %w", ErrInvalid, err))
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
	if e.chain.Load() != nil || e.hooks.Load().ofJobs() || e.in.scheduler != nil {
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

// Contain calls fn and returns its panic as the *PanicError of the task that ctx belongs
// to, as the engine does between two interceptors. It is for code that wraps tasks without
// being an interceptor, so that it sees a panic of what it wraps and runs to its end; the
// task has panicked all the same if it returns that error. Of a context that belongs to no
// task the error names neither engine nor task. A runtime.Goexit goes on.
func Contain(ctx context.Context, fn func() error) (err error) {
	normal := false
	defer func() {
		if normal {
			return
		}
		v := recover()
		if v == nil {
			return // it is a Goexit, which goes on
		}
		if !isNilContext(ctx) {
			if r := taskOf(ctx); r != nil {
				err = r.engine().panicError(jobOf(r), v)
				return
			}
		}
		err = &PanicError{Value: v, Stack: debug.Stack()}
	}()
	err = fn()
	normal = true
	return err
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
