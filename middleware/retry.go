package middleware

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/uptutu/goman/core"
)

// RetryConfig says which tasks a [Retry] repeats, how often, and after which delays.
// The zero value is valid.
type RetryConfig struct {
	// Attempts is how many runs there are at most, the first included. Default: 3.
	Attempts int
	// Delay is that before the second run. Each further one is Factor times the one
	// before it, up to MaxDelay; Jitter is how much of it is left to chance, on both sides:
	// with 0.5 a delay of 1 s is one of 0.5 to 1.5 s, but never more than MaxDelay.
	// Defaults: 100 ms; 2; 1 min, or Delay if that is longer; 0.5. A negative Jitter is
	// none. Factor is from 1 to 1000.
	Delay    time.Duration
	Factor   float64
	MaxDelay time.Duration
	Jitter   float64
	// MaxRetryAfter is the longest delay that an error may ask for. A task whose error
	// asks for more is not repeated. Default: MaxDelay. See [RetryAfter].
	MaxRetryAfter time.Duration
	// If decides which errors are worth another run. Default: all but panics and
	// cancellations, that is those that match core.ErrPanicked, or context.Canceled and
	// not context.DeadlineExceeded.
	// Never repeated, whatever If says, are a task whose own context has ended, one that
	// asks for another run itself, one that called runtime.Goexit, a plain function, and
	// what [Permanent] has made.
	If func(error) bool
	// Budget bounds the repetitions of many tasks together. Default: none.
	Budget *Budget
	// InPlace makes a task wait on its goroutine, as in core.Blocking, and not in the queue:
	// its worker is free all the same, and what is around the Retry sees one run. Around a
	// part of a task, and outside of an engine, a Retry always waits in place.
	InPlace bool
}

// Retry repeats tasks that fail. Between two runs the task is in the engine's queue, with
// its future, priority and key; it holds no worker and no goroutine, and can be cancelled
// and handed back by Shutdown. Each run goes through everything that is around the Retry,
// too, unless it waits in place (RetryConfig.InPlace).
//
// A task that succeeds at once costs no allocation and about 10 ns (BenchmarkPolicy). One and
// the same Retry both around and within counts once, where it is within. Do not repeat what
// must not happen twice: that a run has failed does not tell how far it has come.
type Retry struct {
	config RetryConfig
	steps  int // from here on the delay is MaxDelay
}

// longest is a delay that can be doubled without running over.
const longest = time.Duration(1) << 61

// NewRetry makes a Retry. The error matches core.ErrInvalid and names all faults of config.
func NewRetry(config RetryConfig) (*Retry, error) {
	c := &config
	if c.Attempts == 0 {
		c.Attempts = 3
	}
	if c.Delay == 0 {
		c.Delay = 100 * time.Millisecond
	}
	if c.Factor == 0 {
		c.Factor = 2
	}
	if c.MaxDelay == 0 {
		c.MaxDelay = max(time.Minute, c.Delay)
	}
	if c.Jitter == 0 {
		c.Jitter = 0.5
	}
	if c.MaxRetryAfter == 0 {
		c.MaxRetryAfter = c.MaxDelay
	}
	if c.If == nil {
		c.If = func(err error) bool {
			// What a task awaits is cancelled when its time is over: that is a timeout.
			canceled := errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
			return !canceled && !errors.Is(err, core.ErrPanicked)
		}
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	c.Jitter = max(c.Jitter, 0)
	steps := 0
	if c.Factor > 1 {
		// Twice as many as it takes, because fractions of a nanosecond are cut off.
		steps = int(min(2*math.Log(float64(c.MaxDelay)/float64(c.Delay))/math.Log(c.Factor)+2, math.MaxInt32))
	}
	return &Retry{config: config, steps: steps}, nil
}

func (c *RetryConfig) validate() error {
	var faults []error
	if c.Attempts < 1 {
		faults = append(faults, invalidf("RetryConfig.Attempts is %d, and must be at least 1", c.Attempts))
	}
	if c.Delay < 0 {
		faults = append(faults, invalidf("RetryConfig.Delay is %v, and must not be negative", c.Delay))
	}
	if c.MaxDelay < c.Delay || c.MaxDelay > longest {
		faults = append(faults, invalidf("RetryConfig.MaxDelay is %v, and must be from Delay to %v", c.MaxDelay, longest))
	}
	if !(c.Factor >= 1 && c.Factor <= 1000) {
		faults = append(faults, invalidf("RetryConfig.Factor is %v, and must be from 1 to 1000", c.Factor))
	}
	if !(c.Jitter <= 1) {
		faults = append(faults, invalidf("RetryConfig.Jitter is %v, and must not be more than 1", c.Jitter))
	}
	if c.MaxRetryAfter < 0 {
		faults = append(faults, invalidf("RetryConfig.MaxRetryAfter is %v, and must not be negative", c.MaxRetryAfter))
	}
	return errors.Join(faults...)
}

// Intercept is a [core.Interceptor].
func (r *Retry) Intercept(next core.Handler) core.Handler {
	if !(r != nil && r.config.If != nil) {
		panic(notMade("Retry")) // which the engine, and Decorate, make an error of
	}
	return func(ctx context.Context, job core.Job) error {
		done, _ := recall(ctx, job, r).(int) // runs that have ended
		for {
			err := next(ctx, job)
			if again, ok := wish(err); ok {
				switch { // it is no attempt
				case again.Cause == nil:
					forget(ctx, job, r) // the task has ended well, and begins anew
				case done > 0 && recall(ctx, job, r) == nil:
					keep(ctx, job, r, done) // it waited in place, or a Retry within has begun an era
				}
				return err
			}
			if done == 0 && r.config.Budget != nil {
				r.config.Budget.earn()
			}
			done++
			delay, err := r.delay(ctx, job, done, err)
			if delay < 0 {
				// The count is not forgotten: what is around may come by here again.
				return err
			}
			if repeatable(ctx, job) {
				beginEra(job)
				if !r.config.InPlace {
					keep(ctx, job, r, done)
					return core.Again(delay, err)
				}
			}
			var ended error
			core.Blocking(ctx, func() { ended = sleep(ctx, delay) })
			if ended != nil {
				return &RetryError{Task: nameOf(job), Attempts: done, Err: err, Reason: whyEnded(ctx), by: r}
			}
		}
	}
}

// delay returns after which time there is another run, once done of them have ended, the
// last with err; negative if there is none, and then the error to return.
func (r *Retry) delay(ctx context.Context, job core.Job, done int, err error) (time.Duration, error) {
	c := &r.config
	if err == nil || ctx.Err() != nil || core.JobOf(ctx) != job { // or it is a plain function
		return -1, err
	}
	if _, ok := errors.AsType[*permanentError](err); ok {
		return -1, err
	}
	if inner, ok := errors.AsType[*RetryError](err); ok && inner.by == r || !c.If(err) {
		return -1, err
	}
	delay := r.backoff(done)
	gaveUp := func(reason error) (time.Duration, error) {
		return -1, &RetryError{Task: nameOf(job), Attempts: done, Err: err, Reason: reason, by: r}
	}
	if done >= c.Attempts {
		return gaveUp(nil)
	}
	if hint, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		if hint.RetryAfter() > c.MaxRetryAfter {
			return gaveUp(fmt.Errorf("middleware: it asks for a delay of %v, more than %v", hint.RetryAfter(), c.MaxRetryAfter))
		}
		delay = max(delay, hint.RetryAfter())
	}
	end, bounded := ctx.Deadline()
	if !c.InPlace && repeatable(ctx, job) {
		end, bounded = job.Deadline()
	}
	if bounded && !time.Now().Add(delay).Before(end) {
		return gaveUp(context.DeadlineExceeded)
	}
	if c.Budget != nil && !c.Budget.take() {
		return gaveUp(ErrBudget)
	}
	return delay, err
}

// backoff returns the delay after done runs.
func (r *Retry) backoff(done int) time.Duration {
	c := &r.config
	b := backoff.ExponentialBackOff{InitialInterval: c.Delay, RandomizationFactor: c.Jitter, Multiplier: c.Factor, MaxInterval: c.MaxDelay}
	b.Reset()
	d := b.NextBackOff()
	for range min(done-1, r.steps) {
		d = b.NextBackOff()
	}
	return min(max(d, 0), c.MaxDelay)
}

// RetryError is the error of a task that a [Retry] would have repeated, but for Reason or
// because there were as many attempts as are allowed. It matches ErrExhausted, Err and
// Reason.
type RetryError struct {
	// Task is the name of the task; "" outside of an engine.
	Task string
	// Attempts is how many runs there were.
	Attempts int
	// Err is the error of the last one.
	Err error
	// Reason is why there was no further one: ErrBudget, context.DeadlineExceeded where
	// the wait would have been too long, the cause of the context that ended; nil if the
	// attempts are used up.
	Reason error

	by *Retry
}

// Error tells the task, how often it was tried, and the last error.
func (e *RetryError) Error() string {
	times := "once"
	if e.Attempts != 1 {
		times = fmt.Sprintf("%d times", e.Attempts)
	}
	if e.Reason == nil {
		return fmt.Sprintf("middleware: %s was tried %s: %v", taskName(e.Task), times, e.Err)
	}
	return fmt.Sprintf("middleware: %s was tried %s: %v; no further attempt: %v", taskName(e.Task), times, e.Err, e.Reason)
}

// Is matches ErrExhausted.
func (e *RetryError) Is(target error) bool { return target == ErrExhausted }

// Unwrap returns the last error and the reason.
func (e *RetryError) Unwrap() []error {
	if e.Reason == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Reason}
}

// Permanent marks err, which no [Retry] then repeats. The mark is seen through errors that
// wrap it.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// RetryAfter marks err with the least delay before another run, as the header Retry-After
// tells it. Any error with a method RetryAfter() time.Duration is understood.
func RetryAfter(delay time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &laterError{err, delay}
}

type laterError struct {
	err   error
	delay time.Duration
}

func (e *laterError) Error() string             { return e.err.Error() }
func (e *laterError) Unwrap() error             { return e.err }
func (e *laterError) RetryAfter() time.Duration { return e.delay }
