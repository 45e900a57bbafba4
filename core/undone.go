package core

import (
	"context"
	"fmt"

	"github.com/uptutu/goman/core/internal/point"
)

// Jobs that were accepted and are handed back, since the engine stops before they
// have run.

// Undone is an accepted task that was handed back before it was started, or started
// again. It keeps the task alive. The zero Undone holds none.
type Undone struct {
	name     string
	attrs    Attributes
	task     any
	resubmit func(context.Context, *Engine, Attributes) error
}

// Name returns the task's name.
func (u Undone) Name() string { return u.name }

// Attributes returns what the caller had given.
func (u Undone) Attributes() Attributes { return u.attrs }

// Task returns the task: the Task[T] given to Submit, or the func() given to Go.
func (u Undone) Task() any { return u.task }

// Resubmit hands the task to engine, with its attributes; ctx governs it as in
// Submit, the context of its first submission no longer does. The error is that
// of Submit. Its result is not asked for; to await it, Submit what Task returns.
func (u Undone) Resubmit(ctx context.Context, engine *Engine) error {
	if u.resubmit == nil {
		return invalidf("the zero Undone holds no task")
	}
	return u.resubmit(ctx, engine, u.attrs)
}

// undone describes job, which is about to be resolved as undone.
func (e *Engine) undone(job Job) Undone {
	u := Undone{name: job.Name(), attrs: job.Attributes()}
	r := job.record()
	if r == nil {
		fn := job.function()
		u.task = fn
		u.resubmit = func(ctx context.Context, to *Engine, _ Attributes) error { return to.GoContext(ctx, fn) }
		return u
	}
	u.task = r.body().task()
	if fn, plain := u.task.(funcTask); plain {
		u.task = (func())(fn)
	}
	u.resubmit = r.body().resubmit()
	return u
}

func (f *Future[T]) resubmit() func(context.Context, *Engine, Attributes) error {
	task := f.typed()
	return func(ctx context.Context, to *Engine, attrs Attributes) error {
		_, err := submit(ctx, to, &attrs, task, false)
		return err
	}
}

// takeDelayed takes the jobs that wait to be run again. The caller holds in.mu.
func (e *Engine) takeDelayed() (jobs []Job) {
	for r := range e.in.delayed {
		if r.retire(phaseDelayed) {
			jobs = append(jobs, jobOf(r))
		}
	}
	clear(e.in.delayed)
	return jobs
}

// handBackDelayed resolves a record that waits to be run again as undone, unless
// somebody was faster.
func (e *Engine) handBackDelayed(r *record) {
	e.beginLeaving()
	defer e.endLeaving()
	e.in.lock()
	if !r.retire(phaseDelayed) {
		e.in.mu.Unlock()
		return
	}
	delete(e.in.delayed, r)
	jobs := []Job{jobOf(r)}
	e.countRemoved(OutcomeUndone, 1)
	e.noteUndone(jobs)
	served := e.giveBack(1)
	e.in.mu.Unlock()
	if served > 0 {
		e.notify()
	}
	e.handBack(jobs)
}

// noteUndone puts jobs that were taken and counted into the report. The caller still
// holds in.mu, under which it has done that: a stop that reports holds it before, so
// the report misses none.
func (e *Engine) noteUndone(jobs []Job) {
	undone := make([]Undone, len(jobs))
	for i, job := range jobs {
		undone[i] = e.undone(job)
	}
	s := &e.stop
	s.mu.Lock()
	s.undone = append(s.undone, undone...)
	if s.forced {
		s.running -= len(jobs) // they ran when the stop began
	}
	s.mu.Unlock()
}

// handBack resolves jobs that were taken, counted and noted.
func (e *Engine) handBack(jobs []Job) {
	point.At(point.HandBack)
	// All futures first: a hook may call Goexit.
	errs := make([]error, len(jobs))
	for i, job := range jobs {
		if r := job.record(); r != nil || e.hooks.Load() != nil {
			errs[i] = e.undoneError(job)
			if r != nil {
				r.fail(errs[i])
			}
		}
	}
	for i, job := range jobs {
		if errs[i] != nil {
			e.hookEnded(job, OutcomeUndone, errs[i])
		}
	}
}

func (e *Engine) undoneError(job Job) error {
	return fmt.Errorf("%w: engine %s: task %s", ErrUndone, e.name, job.Name())
}

// leaveUndone is leave for a task that was claimed just before a forced stop and whose
// body was not called: it belongs to the undone ones. It leaves and is put into the
// report in one step, under all locks: a stop that gives up what still runs does so
// under them too, and then reports.
func (e *Engine) leaveUndone(r *record) (busy, ok bool, err error) {
	job := jobOf(r)
	slots := e.lockAll()
	if busy, ok = r.leave(0); ok {
		e.noteUndone([]Job{job})
	}
	e.unlockAll(slots)
	return busy, ok, e.undoneError(job)
}
