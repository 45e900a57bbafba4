package middleware

import (
	"context"
	"fmt"
	"reflect"

	"github.com/uptutu/goman/core"
)

// Decorate makes of interceptors, the outermost first, a function that puts them around
// a task of one type:
//
//	fetch, err := middleware.Decorate[Page](timeout.Intercept, retry.Intercept)
//	future, err := core.Submit(ctx, engine, fetch(task))
//
// They see the job of the task that they run in, which is the zero Job if the decorated
// task is executed outside of an engine. Each sees a panic of what is within as an error.
// The result has the attributes that the task brings, and is named for the task's type where
// it brings no name and is no [core.TaskFunc]. A nil interceptor, and one that panics or returns no handler,
// is an error that matches [core.ErrInvalid]. A nil task stays one, which Submit refuses.
//
// A result that is executed by another task, and not by an engine, is a part of that task:
// see Parts in the documentation of the package.
//
// It costs an allocation for each task, a second one for a task that is no core.TaskFunc, which
// then has attributes, and one of 48 bytes and some 70 ns for each run (BenchmarkDecorator).
func Decorate[T any](layers ...core.Interceptor) (func(core.Task[T]) core.Task[T], error) {
	handle := core.Handler(perform[T])
	for i := len(layers) - 1; i >= 0; i-- {
		layer, next := layers[i], contained(handle)
		if layer == nil {
			return nil, invalidf("interceptor %d of %d is nil", i, len(layers))
		}
		handle = nil
		err := core.Contain(context.Background(), func() error { handle = layer(next); return nil })
		if err != nil {
			return nil, invalidf("interceptor %d of %d: %w", i, len(layers), err)
		}
		if handle == nil {
			return nil, invalidf("interceptor %d of %d returned a nil Handler", i, len(layers))
		}
	}
	handle = contained(handle)
	return func(task core.Task[T]) core.Task[T] {
		return adorned(task, func(ctx context.Context, whole bool) (T, error) {
			c := &call[T]{Context: ctx, task: task, whole: whole}
			err := handle(c, core.JobOf(ctx))
			if err == nil && !c.called {
				err = fmt.Errorf("middleware: %w", core.ErrSkipped)
			}
			return c.value, err
		})
	}, nil
}

// contained makes a handler return a panic of next as an error.
func contained(next core.Handler) core.Handler {
	return func(ctx context.Context, job core.Job) error {
		return core.Contain(ctx, func() error { return next(ctx, job) })
	}
}

// call is one run of a decorated task. It is the context that the handlers are given, so
// that the innermost finds it, whatever they have derived from it.
type call[T any] struct {
	context.Context
	task   core.Task[T]
	value  T
	whole  bool // see decorated
	called bool
}

type callKey[T any] struct{}

// Value answers for the call itself, and tells of which job it is a part.
func (c *call[T]) Value(key any) any {
	switch key.(type) {
	case callKey[T]:
		return c
	case partKey:
		if c.whole {
			return nil
		}
		return core.JobOf(c.Context)
	}
	return c.Context.Value(key)
}

// perform is the innermost handler. The task is given a context in which no call is to be
// found but through one of its own.
func perform[T any](ctx context.Context, _ core.Job) error {
	c, ok := ctx.Value(callKey[T]{}).(*call[T])
	if !ok {
		return invalidf("an interceptor passed a context on that is not derived from the one it was given")
	}
	c.called = true
	var none T
	c.value = none // of an earlier run; this one may panic
	var err error
	c.value, err = execute(ctx, c.task, c.whole)
	return err
}

// decorated is a task with something around it. whole tells that it is the whole of its
// job, and not a part of another task.
type decorated[T any] func(ctx context.Context, whole bool) (T, error)

// Execute runs d as a part of the task that ctx belongs to, or outside of one.
func (d decorated[T]) Execute(ctx context.Context) (T, error) { return d(ctx, false) }

// ExecuteJob runs d as the engine does.
func (d decorated[T]) ExecuteJob(ctx context.Context, _ core.Job) (T, error) { return d(ctx, true) }

// execute runs what is within a decorated task.
func execute[T any](ctx context.Context, task core.Task[T], whole bool) (T, error) {
	if whole {
		if t, ok := task.(core.JobExecutor[T]); ok {
			return t.ExecuteJob(ctx, core.JobOf(ctx))
		}
	}
	return task.Execute(ctx)
}

// adorned is d as a task that brings the attributes that task brings, and its name. What is no
// task, such as a nil pointer, stays what it is, so that Submit refuses it.
func adorned[T any](task core.Task[T], d decorated[T]) core.Task[T] {
	if isNil(task) {
		return task
	}
	switch any(task).(type) {
	case core.TaskFunc[T], decorated[T]:
		return d // it has no attributes, and a name that says nothing
	}
	return &attributed[T]{d, task}
}

// failing is a decorated task that is not run, and fails with err.
func failing[T any](task core.Task[T], err error) core.Task[T] {
	return adorned(task, func(context.Context, bool) (none T, _ error) { return none, err })
}

// isNil reports whether task is one that Submit refuses.
func isNil(task any) bool {
	switch v := reflect.ValueOf(task); v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan:
		return v.IsNil()
	}
	return false
}
