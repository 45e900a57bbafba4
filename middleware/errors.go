package middleware

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptutu/goman/core"
)

// The sentinel errors, matched with errors.Is; the typed errors say more.
var (
	// ErrTimeout: the task ran longer than its [Timeout]. It matches
	// context.DeadlineExceeded too; errors.As finds the *TimeoutError.
	ErrTimeout error = timeoutError{}
	// ErrExhausted: a [Retry] has given up; errors.As finds the *RetryError.
	ErrExhausted = errors.New("middleware: no further attempt")
	// ErrBudget: there was no attempt left in the [Budget].
	ErrBudget = errors.New("middleware: the retry budget is spent")
	// ErrOpen: a [Breaker] did not let the task run.
	ErrOpen = errors.New("middleware: circuit breaker is open")
	// ErrRateLimited: a [RateLimit] did not let the task run.
	ErrRateLimited = errors.New("middleware: rate limit exceeded")
	// ErrFull: a [Bulkhead] or an [AdaptiveLimit] did not let the task run.
	ErrFull = errors.New("middleware: too many tasks at a time")
)

// timeoutError is ErrTimeout.
type timeoutError struct{}

func (timeoutError) Error() string        { return "middleware: task ran longer than its timeout" }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
func (timeoutError) Timeout() bool        { return true }

// TimeoutError is what a [Timeout] makes of the error of a task that was too slow, or
// whose next run would begin too late. It matches ErrTimeout, context.DeadlineExceeded,
// and Err. It may be shared: do not change it.
type TimeoutError struct {
	// Task is the name of the task; "" outside of an engine, and in the cause of the
	// context that has ended.
	Task string
	// Limit is the limit that was passed.
	Limit time.Duration
	// Late tells that the task did not obey: it went on to a result of its own. The
	// value of the future is that result.
	Late bool
	// Err is what the task returned in the end. Where it asked to be run again, and the
	// wait would have been too long, it is the reason for which it asked.
	Err error
}

// Error tells the limit, and the error of the task where that says more.
func (e *TimeoutError) Error() string {
	text := fmt.Sprintf("middleware: %s ran longer than its timeout of %v", taskName(e.Task), e.Limit)
	switch {
	case e.Err == nil, e.Err == context.Canceled, e.Err == context.DeadlineExceeded, errors.Is(e.Err, ErrTimeout):
		return text
	case e.Late:
		return fmt.Sprintf("%s and then failed: %v", text, e.Err)
	}
	return fmt.Sprintf("%s: %v", text, e.Err)
}

// Is matches ErrTimeout and context.DeadlineExceeded.
func (e *TimeoutError) Is(target error) bool {
	return target == ErrTimeout || target == context.DeadlineExceeded
}

// Unwrap returns what the task returned.
func (e *TimeoutError) Unwrap() error { return e.Err }

// Timeout reports true, as the errors of package net do.
func (e *TimeoutError) Timeout() bool { return true }

// DeniedError is why a policy did not let a task run. It matches the sentinel of the
// policy. A [Retry] around the policy waits for as long as RetryAfter says.
type DeniedError struct {
	// Reason is ErrOpen, ErrRateLimited or ErrFull.
	Reason error
	// Task is the name of the task; "" outside of an engine.
	Task string
	// Key is the key that was over its limit; "" where a policy has none.
	Key string
	// After is when there may be room again, as far as that is known.
	After time.Duration
}

// Error tells the task, the reason and the key.
func (e *DeniedError) Error() string {
	text := fmt.Sprintf("middleware: %s was not run: %s", taskName(e.Task), strings.TrimPrefix(e.Reason.Error(), "middleware: "))
	if e.Key != "" {
		text += fmt.Sprintf(" for key %q", e.Key)
	}
	return text
}

// Unwrap returns the reason.
func (e *DeniedError) Unwrap() error { return e.Reason }

// RetryAfter returns After.
func (e *DeniedError) RetryAfter() time.Duration { return e.After }

// nameOf returns the name of the task of job, or "" if it is none.
func nameOf(job core.Job) string {
	if job.IsZero() {
		return ""
	}
	return job.Name()
}

// taskName is how an error calls the task of that name.
func taskName(name string) string {
	if name == "" {
		return "task"
	}
	return "task " + name
}

// invalidf is an error that matches [core.ErrInvalid] and says what is allowed.
func invalidf(format string, args ...any) error {
	return fmt.Errorf("middleware: "+format+": %w", append(args, core.ErrInvalid)...)
}

// notMade is what becomes of a policy that did not come from its constructor.
func notMade(name string) error {
	return invalidf("this %s was not made by New%s, or that has refused its configuration", name, name)
}

// whyEnded returns the cause of the end of ctx, as an error that matches that of ctx, too.
func whyEnded(ctx context.Context) error {
	own, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, own) {
		return cause
	}
	return &endedError{own, cause}
}

// endedError is the cause of the end of a context that matches the context's own error.
type endedError struct{ own, cause error }

func (e *endedError) Error() string        { return e.cause.Error() }
func (e *endedError) Is(target error) bool { return errors.Is(e.own, target) }
func (e *endedError) Unwrap() error        { return e.cause }

// canceled reports whether err says that the task whose context ctx is was cancelled, and
// nothing of what it depends on.
func canceled(ctx context.Context, err error) bool {
	return err != nil && errors.Is(ctx.Err(), context.Canceled) &&
		(errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx)))
}

// wish returns the wish in err to be run again, which is no failure.
func wish(err error) (*core.AgainError, bool) {
	if err == nil {
		return nil, false
	}
	return errors.AsType[*core.AgainError](err)
}
