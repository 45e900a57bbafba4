package middleware

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptutu/goman/core"
)

// Waiting says what becomes of a task that a limit does not let run at once. The zero
// Waiting denies it: the task fails with a *[DeniedError].
type Waiting struct {
	// Max is how long a task waits before it is denied; where it is known to be too short,
	// as of a RateLimit, the task is denied at once. Negative: without a bound, until its
	// context ends.
	Max time.Duration
	// Every, if positive, makes the task leave its goroutine: it is queued again by
	// core.Again after that time, or when there is room as far as that is known, if that
	// is later, and tries again, until Max has passed since it first tried. Then a wait costs
	// no goroutine, and there is no order among those that wait. Everything around the limit
	// runs anew each time.
	//
	// If Every is zero the task waits on its goroutine, in order, as in core.Blocking: its
	// worker does other work meanwhile. So does, whatever Every is, what cannot be
	// queued again: a plain function, which holds its worker up, a part of a task, and a
	// decorated task that is executed outside of an engine.
	Every time.Duration
}

func (w Waiting) validate(name string) error {
	if w.Every < 0 {
		return invalidf("%s.Wait.Every is %v, and must not be negative", name, w.Every)
	}
	if w.Every > 0 && w.Max == 0 {
		return invalidf("%s.Wait.Every is %v, but Wait.Max is 0, so that no task waits", name, w.Every)
	}
	return nil
}

// errWaited is what the wait of a gate returns when the time is over.
var errWaited = errors.New("middleware: waited for as long as allowed")

// gate is a limit that a task passes before it runs.
type gate struct {
	try    func() bool
	wait   func(ctx context.Context, most time.Duration) error // a negative one has no bound
	leave  func()                                              // nil if what was taken is not given back
	denied func() *DeniedError
}

// pass lets the task through g, or returns why it may not run now: the error of the
// handler. self is the policy.
func (w Waiting) pass(ctx context.Context, job core.Job, self any, g gate) error {
	if g.try() {
		if w.Every > 0 {
			forget(ctx, job, self)
		}
		return nil
	}
	if w.Max == 0 {
		return g.denied()
	}
	if w.Every > 0 && repeatable(ctx, job) {
		return w.comeBack(ctx, job, self, g.denied())
	}
	err := w.stay(ctx, g)
	switch {
	case err == errWaited:
		return g.denied()
	case err != nil:
		return fmt.Errorf("middleware: gave up waiting: %w", whyEnded(ctx))
	}
	return nil
}

// stay waits on the goroutine of the task.
func (w Waiting) stay(ctx context.Context, g gate) error {
	err, returned := errWaited, false
	defer func() {
		if !returned && err == nil && g.leave != nil {
			g.leave() // a scheduler that is told of the end of the wait has called Goexit
		}
	}()
	core.Blocking(ctx, func() { err = g.wait(ctx, w.Max) })
	returned = true
	return err
}

// comeBack asks for another run, or denies the task if it has waited for long enough.
func (w Waiting) comeBack(ctx context.Context, job core.Job, self any, denied *DeniedError) error {
	now := time.Now()
	since, waiting := recall(ctx, job, self).(time.Time)
	if !waiting {
		since = now
	}
	delay := max(w.Every, denied.After)
	if w.Max > 0 {
		left := w.Max - now.Sub(since)
		if left <= 0 || denied.After > left { // then it would come back in vain
			forget(ctx, job, self)
			return denied
		}
		delay = min(delay, left)
	}
	if !waiting {
		keep(ctx, job, self, since)
	}
	return core.Again(delay, denied)
}

// sleep waits for d or the end of ctx, and returns the cause of that.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
