package middleware

import (
	"context"

	"github.com/uptutu/goman/core"
)

// Check makes a decorator that looks at the results of tasks that end well: one for which
// ok returns an error fails with that error, and keeps its value. So a [Retry], a [Breaker]
// or a [Fallback] around it goes by results:
//
//	check, err := middleware.Check(func(r Response) error { return statusError(r.Code) })
//	future, err := core.Submit(ctx, engine, retried(check(task)))
func Check[T any](ok func(T) error) (func(core.Task[T]) core.Task[T], error) {
	if ok == nil {
		return nil, invalidf("the function of a Check is nil, and must be given")
	}
	return func(task core.Task[T]) core.Task[T] {
		return adorned(task, func(ctx context.Context, whole bool) (T, error) {
			value, err := execute(ctx, task, whole)
			if err == nil {
				err = ok(value)
			}
			return value, err
		})
	}, nil
}
