package core

import (
	"context"
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
	e.in.visible.Store(true)
	e.notify()
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
		return true
	}
	if err := shielded(func() { _, ok = in.optional.claimer.Claim(job) }); err != nil {
		e.reportLater("scheduler's Claim", err)
		return false
	}
	return ok
}

// schedCompleted tells the scheduler that a job has ended, and wakes a worker
// for what may have become ready by it.
func (e *Engine) schedCompleted(job Job) {
	if e.in.optional.completer == nil {
		return
	}
	e.in.mu.Lock()
	e.in.schedDropped(e, job)
	e.in.mu.Unlock()
	e.notify()
}

// holder returns the job that has to end before job can start, if there is one.
func (e *Engine) holder(job Job) (holder Job) {
	if e.in.optional.claimer == nil {
		return Job{}
	}
	e.in.mu.Lock()
	defer e.in.mu.Unlock()
	ok := false
	if err := shielded(func() { holder, ok = e.in.optional.claimer.Claim(job) }); err != nil {
		e.reportLater("scheduler's Claim", err)
		return Job{}
	}
	if ok {
		return Job{}
	}
	return holder
}

// sweepScheduled removes the jobs for which drop returns true from the user's
// scheduler. The caller holds in.mu.
func (e *Engine) sweepScheduled(drop func(Job) bool) {
	in := &e.in
	if in.optional.sweeper != nil {
		if err := shielded(func() { in.optional.sweeper.Sweep(drop) }); err != nil {
			e.reportLater("scheduler's Sweep", err)
		}
		return
	}
	// Without Sweep only what may be popped now can be looked at.
	var kept []Job
	for {
		job, ok := in.schedPop(e, 0)
		if !ok {
			break
		}
		if drop(job) {
			in.schedDropped(e, job)
		} else {
			kept = append(kept, job)
		}
	}
	for _, job := range kept {
		in.schedDropped(e, job)
		if err := in.schedPush(job); err != nil {
			e.reportLater("scheduler's Push", err)
		}
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
