package core

import (
	"context"
	"slices"
	"sync/atomic"
)

// This file alone calls the user's scheduler. All calls are made under in.mu. A
// method that panics must not take the engine down: a failing Push refuses the
// job, a failing Pop counts as "nothing now", everything is reported once the
// lock is free.

// optional is what the user's scheduler implements beyond Scheduler.
type optional struct {
	completer Completer
	claimer   Claimer
	sweeper   Sweeper
	resizer   Resizer

	wakes   atomic.Uint32 // how often the waker was called
	granted []Job         // allowed by Claim, to be popped next
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

// wakeScheduled is the waker of the user's scheduler. It takes no lock that is
// held while the scheduler is called.
func (e *Engine) wakeScheduled() {
	e.in.optional.wakes.Add(1)
	e.in.visible.Store(true)
	if e.signal.Load()&(signalPaused|signalStopping) == 0 && e.lot.available.Load() > 0 {
		e.wakeOne() // not notify, which may call the scheduler's Resized
	}
}

// shielded calls fn and returns what it panicked with, if it did. A Goexit in a
// scheduler cannot be contained here: it ends the goroutine with the lock held,
// so it is turned into a panic's treatment by running to the end of the defers.
func shielded(fn func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Engine: "", Task: "scheduler", Value: v}
		}
	}()
	fn()
	return nil
}

func (in *intake) schedPush(job Job) error {
	return shielded(func() { in.scheduler.Push(job) })
}

// schedPop asks the scheduler for a job until it has one or says that it has
// none. A panic is reported and counts as a miss; a scheduler that panics again
// and again is asked again at the next occasion.
func (in *intake) schedPop(e *Engine, worker int) (job Job, ok bool) {
	if granted := in.optional.granted; len(granted) > 0 {
		job = granted[0]
		in.optional.granted = slices.Delete(granted, 0, 1)
		return job, true
	}
	for range 3 {
		err := shielded(func() { job, ok = in.scheduler.Pop(worker) })
		if err == nil {
			if ok && job.IsZero() {
				ok = false
			}
			return job, ok
		}
		e.reportLater("scheduler's Pop", err)
	}
	return Job{}, false
}

// schedDropped tells the scheduler that a job it gave out is not run after all.
func (in *intake) schedDropped(e *Engine, job Job) {
	if in.optional.completer == nil {
		return
	}
	if err := shielded(func() { in.optional.completer.Completed(job) }); err != nil {
		e.reportLater("scheduler's Completed", err)
	}
	in.visible.Store(true)
}

// schedClaim asks whether job may start out of turn.
func (in *intake) schedClaim(e *Engine, job Job) (ok bool) {
	if in.optional.claimer == nil {
		// One that wants to know what runs, and has no say in this, is not passed by.
		return in.optional.completer == nil
	}
	if err := shielded(func() { _, ok = in.optional.claimer.Claim(job) }); err != nil {
		e.reportLater("scheduler's Claim", err)
		return false
	}
	return ok
}

// completed tells the scheduler that job, which w ran, has ended, unless it never
// went through the scheduler because its submitter ran it.
func (w *worker) completed(job Job) {
	if w.unordered != job {
		w.engine.schedCompleted(job)
	}
}

// schedCompleted tells the scheduler that a job has ended, and wakes a worker
// for what may have become ready by it.
func (e *Engine) schedCompleted(job Job) {
	if e.in.optional.completer == nil {
		return
	}
	var jobs []Job
	e.in.lock()
	e.in.schedDropped(e, job)
	if e.signal.Load()&signalStopping != 0 {
		// What was held back by this job could not be handed back before.
		jobs = e.takeScheduled()
		e.countRemoved(OutcomeUndone, len(jobs))
		e.in.room += len(jobs)
	}
	e.in.mu.Unlock()
	if len(jobs) > 0 {
		e.handBack(jobs)
	}
	e.notify()
}

// takeScheduled empties the user's scheduler as far as it can be. The caller
// holds in.mu.
func (e *Engine) takeScheduled() (jobs []Job) {
	in := &e.in
	for {
		job, ok := in.schedPop(e, 0)
		if !ok {
			break
		}
		if take(job) {
			jobs = append(jobs, job)
		}
		in.schedDropped(e, job)
	}
	if in.optional.sweeper != nil {
		// Jobs that may not be popped now: held-up lanes, delays.
		e.sweepScheduled(func(job Job) bool {
			if take(job) {
				jobs = append(jobs, job)
			}
			return true
		})
	}
	return jobs
}

// holder returns the job that has to end before job can start, if there is one.
func (e *Engine) holder(job Job) (holder Job) {
	if e.in.optional.claimer == nil {
		return Job{}
	}
	e.in.lock()
	defer e.in.mu.Unlock()
	ok := false
	if r := job.record(); r == nil || phase(r.state.Load()) != phaseQueued {
		return Job{} // started or ended meanwhile
	}
	if err := shielded(func() { holder, ok = e.in.optional.claimer.Claim(job) }); err != nil {
		e.reportLater("scheduler's Claim", err)
		return Job{}
	}
	if ok {
		// It may start by now, and counts as started: the next worker takes it.
		e.in.optional.granted = append(e.in.optional.granted, job)
		e.wakeScheduled()
		return Job{}
	}
	return holder
}

// sweepScheduled removes the jobs for which drop returns true from the user's
// scheduler, if it can. Otherwise dead entries stay until they are popped; to pop
// everything and push it back would change the order. The caller holds in.mu.
func (e *Engine) sweepScheduled(drop func(Job) bool) {
	in := &e.in
	if in.optional.sweeper == nil {
		return
	}
	if err := shielded(func() { in.optional.sweeper.Sweep(drop) }); err != nil {
		e.reportLater("scheduler's Sweep", err)
	}
}

// schedLen returns how many jobs the scheduler stores.
func (in *intake) schedLen() (n int) {
	_ = shielded(func() { n = in.scheduler.Len() })
	return n
}

// reportLater reports a failure of user code that happened under a lock.
func (e *Engine) reportLater(what string, err error) {
	e.lot.enter()
	go func() {
		defer e.lot.leave()
		e.reportFailure(context.Background(), what, err)
	}()
}
