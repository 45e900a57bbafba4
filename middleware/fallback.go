package middleware

import (
	"context"
	"fmt"

	"github.com/uptutu/goman/core"
)

// FallbackConfig says what a [Fallback] answers, and when.
type FallbackConfig[T any] struct {
	// Do returns the answer for a task that has failed with err. It must be given; for a
	// fixed value, return it. ctx is the task's.
	Do func(ctx context.Context, err error) (T, error)
	// If decides which errors are answered. Default: all, panics included. Never, whatever
	// If says: a wish to be run again, the end of the task's own context, and a Goexit.
	If func(err error) bool
}

// Fallback answers in the place of tasks that fail. A task that does not fail costs no
// allocation and about 16 ns (BenchmarkDecorator).
type Fallback[T any] struct {
	config FallbackConfig[T]
}

// NewFallback makes a Fallback. The error matches core.ErrInvalid.
func NewFallback[T any](config FallbackConfig[T]) (*Fallback[T], error) {
	if config.Do == nil {
		return nil, invalidf("FallbackConfig.Do is nil, and must be given")
	}
	return &Fallback[T]{config}, nil
}

// Decorate puts the fallback around task. It needs the type of the result, so there is no
// interceptor of it. Around a Retry it answers when that has given up; within one, the
// Retry sees success.
//
// Where the answer fails too, or panics, the task fails with a *[FallbackError].
func (f *Fallback[T]) Decorate(task core.Task[T]) core.Task[T] {
	if f == nil || f.config.Do == nil {
		return failing(task, notMade("Fallback"))
	}
	return adorned(task, func(ctx context.Context, whole bool) (value T, err error) {
		err = core.Contain(ctx, func() (err error) {
			value, err = execute(ctx, task, whole)
			return err
		})
		if _, again := wish(err); again || err == nil || ctx.Err() != nil {
			return value, err
		}
		if f.config.If != nil && !f.config.If(err) {
			return value, err
		}
		var answer T
		fault := core.Contain(ctx, func() (fault error) {
			answer, fault = f.config.Do(ctx, err)
			return fault
		})
		if fault != nil {
			return answer, &FallbackError{Err: err, Fallback: fault}
		}
		return answer, nil
	})
}

// FallbackError is the error of a task that failed, and whose [Fallback] failed, too. It
// matches both errors.
type FallbackError struct {
	// Err is the error of the task, Fallback that of FallbackConfig.Do.
	Err, Fallback error
}

// Error tells both.
func (e *FallbackError) Error() string {
	return fmt.Sprintf("middleware: the fallback failed: %v; it was called because: %v", e.Fallback, e.Err)
}

// Unwrap returns both errors.
func (e *FallbackError) Unwrap() []error { return []error{e.Err, e.Fallback} }
