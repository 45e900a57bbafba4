package timetable

import (
	"context"
	"time"

	"github.com/uptutu/goman/core"
)

// A Delayed is the result of a task that runs once, at a time or after a delay. It comes
// from [At], [After] and their like, and is resolved exactly once, also if the task is
// never submitted. Its methods may be called by any number of goroutines.
type Delayed[T any] struct {
	entry Entry

	// Guarded by the timetable's mu; task alone is for who submits it, until settled.
	task   core.Task[T]
	future *core.Future[T]
	err    error         // why there is no future
	taken  chan struct{} // closed when this is settled; nil until somebody waits
}

// At runs task once at a time of the wall clock, at once if that has passed. The
// error matches [ErrStopped] if tt has ended, or core.ErrInvalid; then there is no
// Delayed, and the task never runs.
func At[T any](tt *Timetable, when time.Time, task core.Task[T]) (*Delayed[T], error) {
	return AtWith(tt, when, core.Attributes{}, task)
}

// AtWith is At with attributes for the engine. RejectCallerRuns is not allowed.
func AtWith[T any](tt *Timetable, when time.Time, attributes core.Attributes, task core.Task[T]) (*Delayed[T], error) {
	d := &Delayed[T]{task: task, entry: Entry{wall: true, planned: when.Round(0)}}
	return d.addTo(tt, attributes)
}

// After runs task once after a delay, which is at once if it is 0 or negative. It goes by the
// monotonic clock: a change of the wall clock does not change the delay.
// The errors are those of [At].
func After[T any](tt *Timetable, delay time.Duration, task core.Task[T]) (*Delayed[T], error) {
	return AfterWith(tt, delay, core.Attributes{}, task)
}

// AfterWith is After with attributes for the engine. RejectCallerRuns is not allowed.
func AfterWith[T any](tt *Timetable, delay time.Duration, attributes core.Attributes, task core.Task[T]) (*Delayed[T], error) {
	delay = max(delay, 0)
	d := &Delayed[T]{task: task, entry: Entry{delay: delay, planned: time.Now().Add(delay)}}
	return d.addTo(tt, attributes)
}

// addTo completes d and adds it to tt.
func (d *Delayed[T]) addTo(tt *Timetable, attributes core.Attributes) (*Delayed[T], error) {
	if err := checkTask(tt, attributes, d.task); err != nil {
		return nil, err
	}
	e := &d.entry
	o := onceOnly[T]{d}
	e.tt, e.name, e.attributes, e.once = tt, nameOf(attributes, d.task), keep(attributes), o
	if err := tt.add(e); err != nil {
		return nil, err
	}
	return d, nil
}

// onceOnly is a Delayed as the body of its entry.
type onceOnly[T any] struct{ d *Delayed[T] }

func (o onceOnly[T]) submit(ctx *submission) (any, error) {
	return submit(ctx, &o.d.entry, o.d.task)
}

// settle ends the time before the task is submitted. The caller holds mu.
func (o onceOnly[T]) settle(future any, err error) {
	d := o.d
	d.entry.settled, d.err, d.task = true, err, nil
	d.future, _ = future.(*core.Future[T])
	if d.taken != nil {
		close(d.taken)
	}
}

func (o onceOnly[T]) handBack() (any, func(to *Timetable, due time.Time) error) {
	task, attributes := o.d.task, o.d.entry.given()
	return task, func(to *Timetable, due time.Time) error {
		_, err := AtWith(to, due, attributes, task)
		return err
	}
}

// Future waits until the task has been submitted and returns the engine's future of it,
// for what takes futures, such as core.AwaitAny. If the task is not submitted, the error
// says why: it matches context.Canceled after CancelCause or Entry.Stop, core.ErrUndone
// and [ErrStopped] after the end of the timetable, and otherwise is the engine's refusal.
// If ctx ends before that the error is a *core.WaitError. Inside a task, give the task's
// context: the wait does not hold a worker up.
func (d *Delayed[T]) Future(ctx context.Context) (*core.Future[T], error) {
	if ctx == nil {
		return nil, invalidf("the context given to Future or Await is nil: use context.Background")
	}
	tt := d.entry.tt
	tt.mu.Lock()
	if !d.entry.settled && d.taken == nil {
		d.taken = make(chan struct{})
	}
	taken := d.taken
	tt.mu.Unlock()
	if taken != nil {
		ended := false
		core.Blocking(ctx, func() {
			select {
			case <-taken:
			case <-ctx.Done():
				ended = true
			}
		})
		if ended {
			return nil, &core.WaitError{Engine: tt.name, Task: d.entry.name, Err: ending(ctx)}
		}
	}
	tt.mu.Lock()
	defer tt.mu.Unlock()
	return d.future, d.err
}

// Await waits until the task has ended and returns its value and its error, as
// core.Future.Await does, or the error of [Delayed.Future]. Inside a task, give the
// task's context: the wait does not hold a worker up, and the task may run on this
// goroutine once it is due.
func (d *Delayed[T]) Await(ctx context.Context) (T, error) {
	future, err := d.Future(ctx)
	if err != nil {
		var zero T
		return zero, err
	}
	return future.Await(ctx)
}

// Cancel is CancelCause with context.Canceled.
func (d *Delayed[T]) Cancel() bool { return d.CancelCause(context.Canceled) }

// CancelCause cancels the task. One that has not been submitted never will be, leaves the
// timetable at once, and its result fails with a *core.CancelError; otherwise it is
// core.Future.CancelCause. It reports whether this call made the difference.
func (d *Delayed[T]) CancelCause(cause error) bool {
	if cause == nil {
		cause = context.Canceled
	}
	tt := d.entry.tt
	tt.mu.Lock()
	if future := d.future; future != nil {
		tt.mu.Unlock()
		return future.CancelCause(cause)
	}
	defer tt.mu.Unlock()
	return d.entry.stop(cause)
}

// Entry returns the entry of the timetable, which tells when the task is due.
func (d *Delayed[T]) Entry() *Entry { return &d.entry }

// Undone is a task that was to run once and was handed back by [Timetable.Stop] before it
// was submitted.
type Undone struct {
	// Name is the name of the task, Attributes are those that were given.
	Name       string
	Attributes core.Attributes
	// Due is when it was to run, on the wall clock.
	Due time.Time
	// Task is the core.Task that was given.
	Task any

	resubmit func(to *Timetable, due time.Time) error
}

// Resubmit adds the task to another timetable, to run at the time Due, at once if that has
// passed; called again, it adds it again. Its result is not asked for; to await it, give Task
// to [At].
func (u Undone) Resubmit(to *Timetable) error {
	if u.resubmit == nil {
		return invalidf("the zero Undone holds no task")
	}
	return u.resubmit(to, u.Due)
}
