package core

import (
	"context"
	"runtime/debug"
)

// This file alone calls the methods of the user's scheduler, but for SetWaker, which
// New calls without a lock. A method that fails must not take the engine down: a
// Push that panics refuses the job, a Pop that panics counts as "nothing now", and
// everything is reported once the lock is free.
//
// A method that calls runtime.Goexit ends the goroutine that called it, and no
// recover prevents that. Where work is left to do for others, and where many locks
// are held, the call is therefore made on a goroutine of its own (apart). That is
// too dear for the calls that are made for each job: those are made directly, and a
// Goexit lets the locks go and ends whoever called the engine, as a plain call of
// the scheduler would; a worker is replaced. From the first one on this
// scheduler's methods are always called apart.

// method is one of the scheduler's.
type method uint8

const (
	methodPush method = iota
	methodPop
	methodLen
	methodCompleted
	methodClaim
	methodSweep
	methodResized
	methodRefuse
	methodYielded
	methodResumed
)

func (m method) String() string {
	return "scheduler's " + [...]string{"Push", "Pop", "Len", "Completed", "Claim", "Sweep", "Resized",
		"Refuse", "Yielded", "Resumed"}[m]
}

// schedCall is one call of a method, with its arguments and its results. It is not
// a closure, which would be allocated, since it may go to another goroutine. For each
// job there are two calls: Push, before which a Refuser is asked, and Pop, before which
// a Completer is told of the worker's last job.
type schedCall struct {
	method method // which failed, if one has: that of the two
	refuse bool   // ask the Refuser before Push
	ended  Job    // tell the Completer of it before Pop
	job    Job    // argument of Push, Completed, Claim, Refuse, Yielded and Resumed; result of Pop
	holder Job    // result of Claim
	n      int    // argument of Pop and Resized, result of Len
	ok     bool
	drop   func(Job) bool
	err    error // result of Refuse
}

func (in *intake) perform(c *schedCall) {
	switch o := &in.optional; c.method {
	case methodPush:
		if c.refuse {
			c.method = methodRefuse
			if c.err = o.refuser.Refuse(c.job); c.err != nil {
				return
			}
			c.method = methodPush
		}
		in.scheduler.Push(c.job)
	case methodPop:
		if ended := c.ended; !ended.IsZero() {
			c.ended, c.method = Job{}, methodCompleted
			o.completer.Completed(ended)
			c.method = methodPop
		}
		c.job, c.ok = in.scheduler.Pop(c.n)
	case methodLen:
		c.n = in.scheduler.Len()
	case methodCompleted:
		o.completer.Completed(c.job)
	case methodClaim:
		c.holder, c.ok = o.claimer.Claim(c.job)
	case methodSweep:
		o.sweeper.Sweep(c.drop)
	case methodResized:
		o.resizer.Resized(c.n)
	case methodRefuse:
		c.err = o.refuser.Refuse(c.job)
	case methodYielded:
		o.yielder.Yielded(c.job)
	case methodResumed:
		o.yielder.Resumed(c.job)
	}
}

// call calls a method of the user's scheduler and returns what it panicked with,
// if it did. If it calls Goexit, call does not return, unless the scheduler is
// known for that: see schedExited. The caller holds in.mu, and no other lock but
// in.optional.slot's, except where it is inside apart.
func (e *Engine) call(c *schedCall) error {
	if o := &e.in.optional; o.exited && !o.apart {
		return e.callApart(c)
	}
	return e.callHere(c)
}

func (e *Engine) callHere(c *schedCall) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			err = &PanicError{Engine: e.name, Task: c.method.String(), Value: v, Stack: debug.Stack()}
			return
		}
		e.schedExited(c)
	}()
	e.in.perform(c)
	returned = true
	return nil
}

// callApart is call on a goroutine of its own: it always returns.
func (e *Engine) callApart(c *schedCall) (err error) {
	copied := *c
	returned := e.apart(func() { err = e.callHere(&copied) })
	*c = copied
	if !returned {
		err = &goexitError{engine: e.name, task: c.method.String()}
	}
	return err
}

// apart runs fn, which calls the user's scheduler, on a goroutine of its own, and
// waits for it. It reports false if the scheduler has ended that goroutine. The
// caller holds in.mu, and may hold all locks.
func (e *Engine) apart(fn func()) (ok bool) {
	o := &e.in.optional
	if o.apart {
		fn()
		return true
	}
	o.apart = true
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
		ok = true
	}()
	<-done
	o.apart = false
	return ok
}

// schedExited is called on a goroutine that a method of the scheduler ends by
// Goexit. The callers of call never run again, so their locks are let go here, a
// job that was being pushed is refused, and what they had still to tell is told.
func (e *Engine) schedExited(c *schedCall) {
	in := &e.in
	err := &goexitError{engine: e.name, task: c.method.String()}
	in.optional.exited = true
	e.reportLater(c.method.String(), err)
	if in.optional.apart {
		return // who holds the locks waits for this goroutine
	}
	in.visible.Store(true)
	pushed := c.method == methodPush || c.method == methodRefuse
	if r := c.job.record(); r != nil && pushed {
		r.retire(phaseQueued) // Push may have stored it: it must never start
	}
	if s := in.optional.slot; s != nil {
		in.optional.slot = nil
		s.mu.Unlock()
	}
	in.mu.Unlock()
	if pushed {
		_ = e.refuse(reasonInternal, err)
	}
	e.notify()
	e.checkIdle()
}

// reportFailed reports the failure of a call; a Goexit has been reported by then.
func (e *Engine) reportFailed(c *schedCall, err error) {
	if _, panicked := err.(*PanicError); panicked {
		e.reportLater(c.method.String(), err)
	}
}

// reportLater reports a failure of user code that happened under a lock.
func (e *Engine) reportLater(what string, err error) {
	e.lot.enter()
	go func() {
		defer e.lot.leave()
		e.reportFailure(context.Background(), what, err)
	}()
}
