package core

import (
	"context"
	"runtime/debug"
	"slices"
	"sync/atomic"
)

// This file alone calls the user's scheduler. All calls are made under in.mu,
// some under a slot's mutex as well, or under all locks. A method that fails must
// not take the engine down: a Push that panics refuses the job, a Pop that panics
// counts as "nothing now", and everything is reported once the lock is free.
//
// A method that calls runtime.Goexit ends the goroutine that called it, and no
// recover prevents that. Where work is left to do for others, and where many locks
// are held, the call is therefore made on a goroutine of its own (apart). That is
// too dear for the calls that are made for each job: those are made directly, and a
// Goexit lets the locks go and ends whoever called the engine, as a plain call of
// the scheduler would; a worker is replaced. From the first one on this
// scheduler's methods are always called apart.
//
// The engine keeps a register of what the scheduler should store, so that it
// can tell a live entry from a dead one, and resolve at a forced stop what the
// scheduler does not give out. It costs an insertion and a deletion in a map for
// each job; see BenchmarkScheduler.

// optional is what the user's scheduler implements beyond Scheduler, and what
// the engine knows of its state.
type optional struct {
	completer Completer
	claimer   Claimer
	sweeper   Sweeper
	resizer   Resizer

	wakes atomic.Uint32 // how often the waker was called

	// Guarded by in.mu.
	granted []Job         // allowed by Claim, to be popped next
	stored  map[Job]int32 // live entries; a function may be stored several times
	live    int           // how many there are
	most    int           // the most there were in this map, which does not shrink
	slot    *slot         // whose mutex is held besides in.mu, for schedExited
	apart   bool          // a goroutine of its own makes the present calls
	exited  bool          // a method has called Goexit
}

func (e *Engine) useScheduler(s Scheduler) {
	in := &e.in
	in.scheduler = s
	in.optional.completer, _ = s.(Completer)
	in.optional.claimer, _ = s.(Claimer)
	in.optional.sweeper, _ = s.(Sweeper)
	in.optional.resizer, _ = s.(Resizer)
	if w, ok := s.(WakerSetter); ok {
		w.SetWaker(e.wakeScheduled)
	}
}

// wakeScheduled is the waker of the user's scheduler. It may be called from within
// the scheduler's methods, that is, under in.mu and perhaps a slot's mutex. It then
// takes lot.mu after the slot's, against the order at lockAll. That is safe
// because whoever locks in that order has in.mu first, and because of two
// exceptions: stealing locks slots without in.mu, but never lot.mu with them; and
// where the scheduler is called under lot.mu itself, in a forced stop,
// signalStopping is set already and nothing is locked here.
func (e *Engine) wakeScheduled() {
	e.in.optional.wakes.Add(1)
	e.in.visible.Store(true)
	if e.signal.Load()&(signalPaused|signalStopping) == 0 && e.lot.available.Load() > 0 {
		e.wakeOne() // not notify, which may call the scheduler's Resized
	}
}

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
)

func (m method) String() string {
	return "scheduler's " + [...]string{"Push", "Pop", "Len", "Completed", "Claim", "Sweep", "Resized"}[m]
}

// schedCall is one call of a method, with its arguments and its results. It is not
// a closure, which would be allocated, since it may go to another goroutine.
type schedCall struct {
	method method
	job    Job // argument of Push, Completed and Claim; result of Pop
	holder Job // result of Claim
	n      int // argument of Pop and Resized, result of Len
	ok     bool
	drop   func(Job) bool
}

func (in *intake) perform(c *schedCall) {
	switch o := &in.optional; c.method {
	case methodPush:
		in.scheduler.Push(c.job)
	case methodPop:
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
	if !e.apart(func() { err = e.callHere(&copied) }) {
		err = &goexitError{engine: e.name, task: c.method.String()}
	}
	*c = copied
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
	if r := c.job.record(); r != nil && c.method == methodPush {
		r.retire(phaseQueued) // Push may have stored it: it must never start
	}
	if s := in.optional.slot; s != nil {
		in.optional.slot = nil
		s.mu.Unlock()
	}
	in.mu.Unlock()
	if c.method == methodPush {
		_ = e.refuse(reasonInternal, err)
	}
	e.notify()
	e.checkIdle()
}

// schedPush stores job, or says why it is refused.
func (e *Engine) schedPush(job Job) error {
	c := schedCall{method: methodPush, job: job}
	return e.schedPushed(job, &c, e.call(&c))
}

// schedPushApart is schedPush for a job of somebody else, whom a Goexit must not
// leave waiting.
func (e *Engine) schedPushApart(job Job) error {
	c := schedCall{method: methodPush, job: job}
	return e.schedPushed(job, &c, e.callApart(&c))
}

func (e *Engine) schedPushed(job Job, c *schedCall, err error) error {
	if err == nil {
		e.in.optional.register(job)
		return nil
	}
	if r := job.record(); r != nil {
		r.retire(phaseQueued) // Push may have stored it: it must never start
	}
	e.reportFailed(c, err)
	return err
}

// schedPop asks the scheduler for a job until it has one or says that it has
// none. A panic is reported and counts as a miss; a scheduler that panics again
// and again is asked again at the next occasion. live is false for an entry that
// must not start.
func (e *Engine) schedPop(worker int) (job Job, live, ok bool) {
	o := &e.in.optional
	if len(o.granted) > 0 {
		job = o.granted[0]
		o.granted = slices.Delete(o.granted, 0, 1)
		if live = o.unregister(job); live {
			e.in.dead++ // the scheduler's own entry, which it may have dropped
		}
		return job, live, true
	}
	for range 3 {
		c := schedCall{method: methodPop, n: worker}
		if err := e.call(&c); err != nil {
			e.reportFailed(&c, err)
			continue
		}
		if !c.ok || c.job.IsZero() {
			return Job{}, false, false
		}
		if live = o.unregister(c.job); !live && e.in.dead > 0 {
			e.in.dead--
		}
		return c.job, live, true
	}
	return Job{}, false, false
}

// schedDropped tells the scheduler that a job it gave out is not run after all.
func (e *Engine) schedDropped(job Job) {
	in := &e.in
	if in.optional.completer == nil {
		return
	}
	c := schedCall{method: methodCompleted, job: job}
	if err := e.call(&c); err != nil {
		e.reportFailed(&c, err)
	}
	in.visible.Store(true)
}

// schedClaim asks whether job may start out of turn.
func (e *Engine) schedClaim(job Job) (ok bool) {
	o := &e.in.optional
	if o.claimer == nil {
		// One that wants to know what runs, and has no say in this, is not passed by.
		return o.completer == nil
	}
	if i := slices.Index(o.granted, job); i >= 0 {
		o.granted = slices.Delete(o.granted, i, i+1) // it was allowed already
		return true
	}
	c := schedCall{method: methodClaim, job: job}
	if err := e.call(&c); err != nil {
		e.reportFailed(&c, err)
		return false
	}
	return c.ok
}

// schedCompleted tells the scheduler that a job has ended, and wakes a worker
// for what may have become ready by it.
func (e *Engine) schedCompleted(job Job) {
	if e.in.optional.completer == nil {
		return
	}
	e.in.lock()
	e.schedDropped(job)
	e.in.mu.Unlock()
	e.notify()
}

// schedRetried is schedDropped for a job that is to be pushed again.
func (e *Engine) schedRetried(job Job) {
	if e.in.optional.completer != nil {
		e.apart(func() { e.schedDropped(job) })
	}
}

// takeScheduled takes all jobs of the user's scheduler, in its own order as far as
// it gives them out. It may fail, or hold jobs back that it cannot remove: those
// are taken from the register. The caller holds all locks.
func (e *Engine) takeScheduled() (jobs []Job) {
	in, o := &e.in, &e.in.optional
	e.apart(func() {
		for n := o.live + max(in.dead, 0); n >= 0; n-- { // not for ever, whatever it does
			job, live, ok := e.schedPop(0)
			if !ok {
				return
			}
			if live && take(job) {
				jobs = append(jobs, job)
			}
			e.schedDropped(job)
		}
	})
	if o.live > 0 {
		// Jobs that may not be popped now: held-up lanes, delays.
		e.sweepScheduled(func(job Job) bool {
			if o.unregister(job) && take(job) {
				jobs = append(jobs, job)
			}
			return true
		})
	}
	for job, n := range o.stored {
		for range n {
			if take(job) {
				jobs = append(jobs, job)
			}
		}
	}
	o.stored, o.live, o.most, o.granted = nil, 0, 0, nil
	return jobs
}

// holder returns the job that has to end before job can start, if there is one.
func (e *Engine) holder(job Job) (holder Job) {
	o := &e.in.optional
	if o.claimer == nil {
		return Job{}
	}
	e.in.lock()
	defer e.in.mu.Unlock()
	if r := job.record(); r == nil || phase(r.state.Load()) != phaseQueued {
		return Job{} // started or ended meanwhile
	}
	if slices.Contains(o.granted, job) {
		return Job{} // the next worker takes it
	}
	c := schedCall{method: methodClaim, job: job}
	if err := e.callApart(&c); err != nil { // apart, since the caller holds e.waitGraph
		e.reportFailed(&c, err)
		return Job{}
	}
	if c.ok {
		// It may start by now, and counts as started: the next worker takes it.
		o.granted = append(o.granted, job)
		e.wakeScheduled()
		return Job{}
	}
	return c.holder
}

// sweepScheduled removes the jobs for which drop returns true from the user's
// scheduler, if it can. Otherwise dead entries stay until they are popped; to pop
// everything and push it back would change the order. The caller holds in.mu.
func (e *Engine) sweepScheduled(drop func(Job) bool) {
	if e.in.optional.sweeper == nil {
		return
	}
	c := schedCall{method: methodSweep, drop: drop}
	if err := e.callApart(&c); err != nil {
		e.reportFailed(&c, err)
	}
}

// sweepDeadScheduled removes dead entries if they outnumber the live ones. A
// scheduler may have dropped some by itself, in Claim. The caller holds in.mu.
func (e *Engine) sweepDeadScheduled() {
	in, o := &e.in, &e.in.optional
	if o.sweeper == nil || in.dead <= max(sweepAfter, o.live) {
		return
	}
	c := schedCall{method: methodLen}
	if err := e.callApart(&c); err != nil {
		e.reportFailed(&c, err)
	} else if in.dead = max(c.n-o.live, 0); in.dead <= max(sweepAfter, o.live) {
		return
	}
	in.dead = 0
	e.sweepScheduled(e.isDeadScheduled)
}

// isDeadScheduled reports whether an entry of the scheduler is dead.
func (e *Engine) isDeadScheduled(job Job) bool {
	if r := job.record(); r != nil && phase(r.state.Load()) != phaseQueued {
		return true
	}
	return e.in.optional.stored[job] == 0
}

// resized tells the user's scheduler how many workers there are.
func (e *Engine) resized() {
	if e.in.optional.resizer == nil {
		return
	}
	e.in.lock()
	c := schedCall{method: methodResized, n: int(e.lot.width.Load())}
	if err := e.callApart(&c); err != nil {
		e.reportFailed(&c, err)
	}
	e.in.mu.Unlock()
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
