package middleware_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

// E-MID-11 among them: what fails and panics in the place of another keeps both errors.
func TestFallback_E_MID_11(t *testing.T) {
	closed := must(core.New())
	if err := closed.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the fallback is broken")
	for name, c := range map[string]struct {
		task  core.TaskFunc[int]
		do    func(context.Context, error) (int, error)
		only  func(error) bool
		value int
		want  []error
	}{
		"not needed":   {task: answer(1), value: 1},
		"error":        {task: fail(errFlaky), value: 9},
		"panic":        {task: func(context.Context) (int, error) { panic(1) }, value: 9},
		"not for this": {task: fail(errFlaky), only: func(err error) bool { return !errors.Is(err, errFlaky) }, want: []error{errFlaky}},
		"closed engine, and it panics": {task: func(ctx context.Context) (int, error) { return core.Run(ctx, closed, answer(1)) }, do: func(context.Context, error) (int, error) { panic(broken) },
			want: []error{core.ErrClosed, broken, core.ErrPanicked}},
		"closed engine": {task: func(ctx context.Context) (int, error) { return core.Run(ctx, closed, answer(1)) }, only: func(err error) bool { return errors.Is(err, core.ErrClosed) }, value: 9},
		"it fails":      {task: fail(errFlaky), do: func(context.Context, error) (int, error) { return 0, broken }, want: []error{errFlaky, broken}},
		"it panics":     {task: fail(errFlaky), do: func(context.Context, error) (int, error) { panic(broken) }, want: []error{errFlaky, broken, core.ErrPanicked}},
		"Goexit":        {task: func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }, want: []error{core.ErrGoexit}},
		"it is told why": {task: fail(errFlaky), do: func(_ context.Context, err error) (int, error) {
			if err != errFlaky {
				return 0, broken
			}
			return 5, nil
		}, value: 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := coretest.New(t, quietly())
				calls := 0
				do := func(ctx context.Context, err error) (int, error) {
					if calls++; err == nil || core.JobOf(ctx).IsZero() {
						t.Error("it was not told")
					}
					if c.do != nil {
						return c.do(ctx, err)
					}
					return 9, nil
				}
				fallback := must(middleware.NewFallback(middleware.FallbackConfig[int]{Do: do, If: c.only}))
				v, err := must(core.Submit(t.Context(), e, fallback.Decorate(c.task))).Get()
				if v != c.value || (err == nil) != (len(c.want) == 0) || calls > 1 || name == "not needed" && calls > 0 {
					t.Errorf("%d, %v, %d calls", v, err, calls)
				}
				for _, want := range c.want {
					if !errors.Is(err, want) {
						t.Errorf("%v does not match %v", err, want)
					}
				}
				if both, ok := errors.AsType[*middleware.FallbackError](err); ok != (len(c.want) > 1) || ok && (!errors.Is(both.Err, c.want[0]) || !errors.Is(both.Fallback, broken) || both.Error() == "") {
					t.Errorf("%v", err)
				}
			})
		})
	}
	_, err := middleware.NewFallback(middleware.FallbackConfig[int]{})
	wantInvalid(t, "nothing to do", err)
}

// It answers neither a task that was cancelled nor one that will be run again; outside of a
// Retry it answers at the end, inside it is the end.
func TestFallback_AndOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t)
		fallback := must(middleware.NewFallback(middleware.FallbackConfig[int]{
			Do: func(context.Context, error) (int, error) { return 9, nil }}))
		f := must(core.Submit(t.Context(), e, fallback.Decorate(nap(time.Hour))))
		synctest.Wait()
		f.Cancel()
		if _, err := f.Get(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		retry := must(middleware.Decorate[int](must(middleware.NewRetry(middleware.RetryConfig{})).Intercept))
		runs := 0
		task := core.Func(func(context.Context) (int, error) { runs++; return 0, errFlaky })
		if v := must(core.Run(t.Context(), e, fallback.Decorate(retry(task)))); v != 9 || runs != 3 {
			t.Error(v, runs)
		}
		if v := must(core.Run(t.Context(), e, retry(fallback.Decorate(task)))); v != 9 || runs != 4 {
			t.Error(v, runs)
		}
	})
}

// A Retry goes by results.
func TestCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t)
		check := must(middleware.Check(func(n int) error {
			if n < 3 {
				return errFlaky
			}
			return nil
		}))
		retry := must(middleware.Decorate[int](must(middleware.NewRetry(middleware.RetryConfig{Attempts: 5})).Intercept))
		n := 0
		count := core.Func(func(context.Context) (int, error) { n++; return n, nil })
		if v := must(core.Run(t.Context(), e, retry(check(count)))); v != 3 {
			t.Error(v)
		}
		if v, err := check(answer(1)).Execute(t.Context()); v != 1 || err != errFlaky {
			t.Error(v, err)
		}
		other := errors.New("other")
		if _, err := check(fail(other)).Execute(t.Context()); err != other {
			t.Error(err)
		}
	})
	_, err := middleware.Check[int](nil)
	wantInvalid(t, "nil", err)
}
