package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/uptutu/goman/core"
)

// ErrNone is returned by Any and Race if there are no futures. Any wraps it as well
// when none has succeeded; then the error holds those of all futures.
var ErrNone = errors.New("flow: no future has won")

// ErrLost is the cause with which CancelRest cancels tasks whose result is not needed
// any more. It matches context.Canceled too.
var ErrLost error = lostError{}

type lostError struct{}

func (lostError) Error() string        { return "flow: the result is not needed any more" }
func (lostError) Is(target error) bool { return target == context.Canceled }

// Error is the failure of one future among several. It matches what its error matches.
type Error struct {
	// Index is the future's place in the list.
	Index int
	// Err is its error.
	Err error
}

// Error names the place and the error.
func (e *Error) Error() string { return fmt.Sprintf("flow: future %d: %v", e.Index, e.Err) }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Result is how one future ended.
type Result[T any] struct {
	Value T
	Err   error
}

// Option changes what All, Any and Race do with the other futures.
type Option func(*options)

type options struct{ cancelRest bool }

// CancelRest cancels, with ErrLost as the cause, the tasks whose results are not
// needed any more when the function returns: for All after a failure, for Any and
// Race after there is a winner, for all of them when the wait is given up. It does
// not wait for them: a task that runs goes on until it obeys.
func CancelRest() Option { return func(o *options) { o.cancelRest = true } }

// finish cancels the futures if that was asked for.
func finish[T any](list []Option, futures []*core.Future[T]) {
	var o options
	for _, option := range list {
		if option != nil {
			option(&o)
		}
	}
	if !o.cancelRest {
		return
	}
	for _, f := range futures {
		f.CancelCause(ErrLost) // has no effect on one that has ended
	}
}

// check reports nil arguments.
func check[T any](ctx context.Context, futures []*core.Future[T]) error {
	if ctx == nil {
		return fmt.Errorf("%w: the context is nil: use context.Background", core.ErrInvalid)
	}
	for i, f := range futures {
		if f == nil {
			return fmt.Errorf("%w: future %d of %d is nil", core.ErrInvalid, i, len(futures))
		}
	}
	return nil
}

// All waits for the futures in their order and returns their values. It returns at the
// first one that has failed, with an *Error and no values, or when ctx ends, with an
// *Error that holds a *core.WaitError. The order is that of the list and not of time,
// so the verdict does not depend on who is faster; use Any or Race where it should.
// With no futures it returns an empty list.
func All[T any](ctx context.Context, futures []*core.Future[T], list ...Option) ([]T, error) {
	if err := check(ctx, futures); err != nil {
		return nil, err
	}
	values := make([]T, len(futures))
	for i, f := range futures {
		value, err := f.Await(ctx)
		if err != nil {
			finish(list, futures)
			return nil, &Error{i, err}
		}
		values[i] = value
	}
	return values, nil
}

// Settle waits for all futures and returns how each ended, in their order. The error is
// that of the wait alone: nil, or an *Error that holds a *core.WaitError if ctx has
// ended, or a *core.DeadlockError if the wait would close a ring of tasks; then there
// are no results.
func Settle[T any](ctx context.Context, futures []*core.Future[T]) ([]Result[T], error) {
	if err := check(ctx, futures); err != nil {
		return nil, err
	}
	results := make([]Result[T], len(futures))
	for i, f := range futures {
		if _, err := f.Await(ctx); err != nil && !f.IsDone() {
			return nil, &Error{i, err}
		}
		// Asked again, because it may have ended just after the wait was given up.
		value, err := f.Get()
		results[i] = Result[T]{value, err}
	}
	return results, nil
}

// Race waits for the first future to end, well or not, and returns its place in the
// list, its value and its error, as an *Error. If ctx ends first the place is -1 and
// the error a *core.WaitError. Of several that have ended the first in the list wins.
// With no futures it returns -1 and ErrNone.
func Race[T any](ctx context.Context, futures []*core.Future[T], list ...Option) (index int, value T, err error) {
	if err := check(ctx, futures); err != nil {
		return -1, value, err
	}
	if len(futures) == 0 {
		return -1, value, ErrNone
	}
	defer finish(list, futures)
	index, err = core.AwaitAny(ctx, futures...)
	if err != nil {
		return -1, value, err
	}
	if value, err = futures[index].Get(); err != nil {
		err = &Error{index, err}
	}
	return index, value, err
}

// Any waits for the first future that succeeds and returns its place in the list and
// its value. If all fail the place is -1, and the error wraps ErrNone and an *Error for
// each, in the order of the list. If ctx ends first the error is a *core.WaitError.
// With no futures it returns -1 and ErrNone.
func Any[T any](ctx context.Context, futures []*core.Future[T], list ...Option) (index int, value T, err error) {
	if err := check(ctx, futures); err != nil {
		return -1, value, err
	}
	defer finish(list, futures)
	failed := make([]error, len(futures))
	left := make([]*core.Future[T], len(futures))
	places := make([]int, len(futures))
	for i, f := range futures {
		left[i], places[i] = f, i
	}
	for len(left) > 0 {
		i, err := core.AwaitAny(ctx, left...)
		if err != nil {
			return -1, value, err
		}
		got, err := left[i].Get()
		if err == nil {
			return places[i], got, nil
		}
		failed[places[i]] = &Error{places[i], err}
		left = slices.Delete(left, i, i+1)
		places = slices.Delete(places, i, i+1)
	}
	return -1, value, errors.Join(append([]error{ErrNone}, failed...)...)
}
