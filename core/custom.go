package core

import (
	"slices"
	"sync/atomic"
)

// The user's scheduler: what the engine asks of it, and when. How its methods are
// called stands in schedcall.go. It is asked under in.mu, sometimes under a slot's
// mutex as well, or under all locks.
//
// The engine keeps a register of what the scheduler should store, so that it
// can tell a live entry from a dead one, and resolve at a forced stop what the
// scheduler does not give out (register.go).

// optional is what the user's scheduler implements beyond Scheduler, and what
// the engine knows of its state.
type optional struct {
	completer Completer
	claimer   Claimer
	sweeper   Sweeper
	resizer   Resizer
	refuser   Refuser
	yielder   Yielder

	wakes atomic.Uint32 // how often the waker was called

	// Guarded by in.mu.
	granted []Job    // allowed by Claim, to be popped next
	stored  register // the live entries
	slot    *slot    // whose mutex is held besides in.mu, for schedExited
	apart   bool     // a goroutine of its own makes the present calls
	exited  bool     // a method has called Goexit
}

func (e *Engine) useScheduler(s Scheduler) {
	in := &e.in
	in.scheduler = s
	in.optional.completer, _ = s.(Completer)
	in.optional.claimer, _ = s.(Claimer)
	in.optional.sweeper, _ = s.(Sweeper)
	in.optional.resizer, _ = s.(Resizer)
	in.optional.refuser, _ = s.(Refuser)
	in.optional.yielder, _ = s.(Yielder)
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

// refuserError is the error of a Refuser, on its way to refuse.
type refuserError struct{ error }

// schedPush stores job, or says why it is refused.
func (e *Engine) schedPush(job Job) error {
	c := schedCall{method: methodPush, job: job, refuse: e.in.optional.refuser != nil}
	return e.schedPushed(&c, e.call(&c))
}

// schedPushFor is schedPush for a job of somebody else, whom a Goexit must not leave
// waiting.
func (e *Engine) schedPushFor(job Job) error {
	c := schedCall{method: methodPush, job: job, refuse: e.in.optional.refuser != nil}
	return e.schedPushed(&c, e.callApart(&c))
}

// schedPushAgain is schedPushFor for a job that was let in before.
func (e *Engine) schedPushAgain(job Job) error {
	c := schedCall{method: methodPush, job: job}
	return e.schedPushed(&c, e.callApart(&c))
}

func (e *Engine) schedPushed(c *schedCall, err error) error {
	if c.err != nil {
		return &refuserError{c.err}
	}
	if err == nil {
		e.in.optional.stored.add(c.job)
		return nil
	}
	if r := c.job.record(); r != nil {
		r.retire(phaseQueued) // Push may have stored it: it must never start
	}
	e.reportFailed(c, err)
	return err
}

// schedPop asks the scheduler for a job until it has one or says that it has
// none. A panic is reported and counts as a miss; a scheduler that panics again
// and again is asked again at the next occasion. live is false for an entry that
// must not start. If ended is a job, the scheduler is told of its end before.
func (e *Engine) schedPop(worker int, ended Job) (job Job, live, ok bool) {
	o := &e.in.optional
	if len(o.granted) > 0 {
		if !ended.IsZero() {
			e.schedDropped(ended)
		}
		job = o.granted[0]
		o.granted = slices.Delete(o.granted, 0, 1)
		if live = o.stored.remove(job); live {
			e.in.dead++ // the scheduler's own entry, which it may have dropped
		}
		return job, live, true
	}
	for range 3 {
		c := schedCall{method: methodPop, n: worker, ended: ended}
		ended = Job{}
		if err := e.call(&c); err != nil {
			e.reportFailed(&c, err)
			continue
		}
		if !c.ok || c.job.IsZero() {
			return Job{}, false, false
		}
		if live = o.stored.remove(c.job); !live && e.in.dead > 0 {
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

// telling is when the user's scheduler is told that a job has ended.
type telling uint8

const (
	tellNothing telling = iota // it never had the job, or has been told by a forced stop
	tellNow
	tellNext // when the worker asks for its next job
)

// completed tells the scheduler that a job has ended, and wakes a worker for what may
// have become ready by it. Where the worker is about to ask for its next job, it tells
// then, so that it needs in.mu once and not twice (next.go): not where the job has run
// inside another or is outlasted by a call of its own, and not where something of the
// user's that reports the end comes before.
func (w *worker) completed(job Job, tell telling, reports bool) {
	e := w.engine
	switch {
	case tell == tellNothing || e.in.optional.completer == nil:
	case tell == tellNext && !reports:
		w.untold = job
	default:
		e.schedCompleted(job)
	}
}

// tell makes up for what completed has put off.
func (w *worker) tell() {
	if job := w.untold; !job.IsZero() {
		w.untold = Job{}
		w.engine.schedCompleted(job)
	}
}

func (e *Engine) schedCompleted(job Job) {
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
		for n := o.stored.live + max(in.dead, 0); n >= 0; n-- { // not for ever, whatever it does
			job, live, ok := e.schedPop(0, Job{})
			if !ok {
				return
			}
			if live && take(job) {
				jobs = append(jobs, job)
			}
			e.schedDropped(job)
		}
	})
	if o.stored.live > 0 {
		// Jobs that may not be popped now: held-up lanes, delays.
		e.sweepScheduled(func(job Job) bool {
			if o.stored.remove(job) && take(job) {
				jobs = append(jobs, job)
			}
			return true
		})
	}
	for job := range o.stored.all() {
		if take(job) {
			jobs = append(jobs, job)
		}
	}
	o.stored, o.granted = register{}, nil
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
	if o.sweeper == nil || in.dead <= max(sweepAfter, o.stored.live) {
		return
	}
	c := schedCall{method: methodLen}
	if err := e.callApart(&c); err != nil {
		e.reportFailed(&c, err)
	} else if in.dead = max(c.n-o.stored.live, 0); in.dead <= max(sweepAfter, o.stored.live) {
		return
	}
	in.dead = 0
	e.sweepScheduled(e.isDeadScheduled)
}

// isDeadScheduled reports whether an entry of the scheduler is dead.
func (e *Engine) isDeadScheduled(job Job) bool {
	return !job.IsQueued() || !e.in.optional.stored.has(job)
}

// schedYielded tells the scheduler that the jobs of w are about to wait without a
// worker. The caller has the right to use the slot of w.
func (e *Engine) schedYielded(w *worker) {
	if e.in.optional.yielder == nil {
		return
	}
	e.in.lock()
	s := w.slot.Load()
	if s == nil {
		s = &e.outside
	}
	w.yielded = w.yielded[:0] // nothing is left, unless Resumed has called Goexit
	s.mu.Lock()
	w.running(func(job Job) {
		if !slices.Contains(w.unordered, job) {
			w.yielded = append(w.yielded, job)
		}
	})
	s.mu.Unlock()
	e.schedTell(methodYielded, w.yielded)
	e.in.visible.Store(true)
	e.in.mu.Unlock()
}

// schedResumed tells the scheduler that they have one again.
func (e *Engine) schedResumed(w *worker) {
	if len(w.yielded) == 0 {
		return
	}
	e.in.lock()
	e.schedTell(methodResumed, w.yielded)
	e.in.mu.Unlock()
	clear(w.yielded)
	w.yielded = w.yielded[:0]
}

// schedTell calls a method of the scheduler's for each of the jobs. The caller holds
// in.mu.
func (e *Engine) schedTell(m method, jobs []Job) {
	for _, job := range jobs {
		c := schedCall{method: m, job: job}
		if err := e.call(&c); err != nil {
			e.reportFailed(&c, err)
		}
	}
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
