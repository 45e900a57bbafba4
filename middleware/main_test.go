package middleware_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errFlaky = errors.New("flaky")

// quietly drops what the engine logs.
func quietly() core.Option { return core.WithLogger(slog.New(slog.DiscardHandler)) }

// bench is an engine in a bubble and a way to put layers around its tasks.
type bench struct {
	*testing.T
	*core.Engine
	decorate bool
}

// bothWays runs test in a bubble, with the layers as interceptors of the engine and as a
// decorator.
func bothWays(t *testing.T, test func(b bench), options ...core.Option) {
	t.Helper()
	for _, decorate := range []bool{false, true} {
		t.Run(map[bool]string{false: "interceptors", true: "decorator"}[decorate], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				options := append([]core.Option{core.WithWorkers(1), quietly()}, options...)
				test(bench{t, coretest.New(t, options...), decorate})
			})
		})
	}
}

// with returns a function that submits a task with layers around it. It may be called once
// for an engine.
func (b bench) with(layers ...core.Interceptor) func(core.TaskFunc[int]) *core.Future[int] {
	b.Helper()
	wrap := func(task core.Task[int]) core.Task[int] { return task }
	if b.decorate {
		wrap = must(middleware.Decorate[int](layers...))
	} else {
		for _, layer := range layers {
			must(b.Intercept(layer))
		}
	}
	return func(task core.TaskFunc[int]) *core.Future[int] {
		return must(core.Submit(context.Background(), b.Engine, wrap(task)))
	}
}

// must returns v, and panics if there is an error.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// answer is a task that returns n.
func answer(n int) core.TaskFunc[int] {
	return func(context.Context) (int, error) { return n, nil }
}

// fail is a task that returns err.
func fail(err error) core.TaskFunc[int] {
	return func(context.Context) (int, error) { return 0, err }
}

// nap is a task that takes d and obeys its context.
func nap(d time.Duration) core.TaskFunc[int] {
	return func(ctx context.Context) (int, error) {
		select {
		case <-time.After(d):
			return 1, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// took returns how long fn takes, in the time of the bubble.
func took(fn func()) time.Duration {
	begin := time.Now()
	fn()
	return time.Since(begin)
}

// wantInvalid demands that err says that an argument is wrong.
func wantInvalid(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, core.ErrInvalid) {
		t.Errorf("%s: %v", what, err)
	}
}

// wantDenied demands that err says that reason did not let the task run.
func wantDenied(t *testing.T, err, reason error, key string) {
	t.Helper()
	denied, ok := errors.AsType[*middleware.DeniedError](err)
	if !ok || !errors.Is(err, reason) || denied.Key != key || denied.Error() == "" {
		t.Errorf("%v", err)
	}
}
