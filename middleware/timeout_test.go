package middleware_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

func TestTimeout(t *testing.T) {
	for name, c := range map[string]struct {
		task  core.TaskFunc[int]
		over  bool
		late  bool
		inner error
		took  time.Duration
	}{
		"in time":      {task: nap(59 * time.Second), took: 59 * time.Second},
		"obeys":        {task: nap(time.Hour), over: true, took: time.Minute},
		"tells why":    {task: func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) }, over: true, inner: middleware.ErrTimeout, took: time.Minute},
		"ignores":      {task: func(context.Context) (int, error) { time.Sleep(time.Hour); return 1, nil }, over: true, late: true, took: time.Hour},
		"fails late":   {task: func(context.Context) (int, error) { time.Sleep(time.Hour); return 1, errFlaky }, over: true, late: true, inner: errFlaky, took: time.Hour},
		"fails before": {task: fail(errFlaky), inner: errFlaky},
		"panics late":  {task: func(context.Context) (int, error) { time.Sleep(time.Hour); panic(1) }, over: true, late: true, inner: core.ErrPanicked, took: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(b bench) {
				submit := b.with(must(middleware.NewTimeout(time.Minute)).Intercept)
				var err error
				var v int
				if d := took(func() { v, err = submit(c.task).Get() }); d != c.took {
					b.Errorf("it took %v", d)
				}
				var timeout *middleware.TimeoutError
				if errors.As(err, &timeout) != c.over || errors.Is(err, middleware.ErrTimeout) != c.over || errors.Is(err, context.DeadlineExceeded) != c.over {
					b.Error(err)
				}
				if c.over && (timeout.Limit != time.Minute || timeout.Late != c.late || timeout.Error() == "") {
					b.Errorf("%+v", timeout)
				}
				if c.inner != nil && !errors.Is(err, c.inner) || c.inner == nil && !c.over && err != nil {
					b.Error(err)
				}
				if (name == "in time" || c.late && name != "panics late") && v != 1 {
					b.Errorf("the value is %d", v)
				}
				var slow interface{ Timeout() bool }
				if c.over && (!errors.As(err, &slow) || !slow.Timeout()) {
					b.Error("it is no timeout")
				}
			})
		})
	}
}

// What ends the task's own context is told as it is.
func TestTimeout_CancelledBefore(t *testing.T) {
	bothWays(t, func(b bench) {
		f := b.with(must(middleware.NewTimeout(time.Minute)).Intercept)(nap(time.Hour))
		time.Sleep(time.Second)
		f.CancelCause(errFlaky)
		_, err := f.Get()
		var cancel *core.CancelError
		if !errors.As(err, &cancel) || !errors.Is(err, errFlaky) || errors.Is(err, middleware.ErrTimeout) {
			b.Error(err)
		}
	})
}

// E-MID-10: a timeout within a retry bounds each run, one around it all of them and the
// waits, however the retry waits.
func TestTimeout_E_MID_10_AroundAndWithinRetry(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		retry := must(middleware.NewRetry(middleware.RetryConfig{Delay: 10 * time.Second, Factor: 1, Jitter: -1, InPlace: inPlace}))
		timeout := must(middleware.NewTimeout(time.Minute))
		bothWays(t, func(b bench) { // runs of a minute, 10 s between them
			runs := 0
			submit := b.with(retry.Intercept, timeout.Intercept)
			d := took(func() {
				_, err := submit(func(ctx context.Context) (int, error) { runs++; return nap(time.Hour)(ctx) }).Get()
				var exhausted *middleware.RetryError
				if !errors.As(err, &exhausted) || exhausted.Attempts != 3 || !errors.Is(err, middleware.ErrTimeout) {
					b.Error(err)
				}
			})
			if runs != 3 || d != 3*time.Minute+20*time.Second {
				b.Error(runs, d)
			}
		})
		bothWays(t, func(b bench) { // runs of 40 s; the second is cut off
			runs := 0
			submit := b.with(timeout.Intercept, retry.Intercept)
			d := took(func() {
				_, err := submit(func(ctx context.Context) (int, error) {
					runs++
					if _, err := nap(40 * time.Second)(ctx); err != nil {
						return 0, err
					}
					return 0, errFlaky
				}).Get()
				if !errors.Is(err, middleware.ErrTimeout) {
					b.Error(err)
				}
			})
			if runs != 2 || d != time.Minute {
				b.Error(runs, d)
			}
		})
		bothWays(t, func(b bench) { // the wait would be too long, so it is not begun
			runs := 0
			submit := b.with(timeout.Intercept, retry.Intercept)
			d := took(func() {
				_, err := submit(func(context.Context) (int, error) { runs++; time.Sleep(55 * time.Second); return 0, errFlaky }).Get()
				if inPlace {
					if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errFlaky) || !errors.Is(err, middleware.ErrExhausted) {
						b.Error(err)
					}
				} else if !errors.Is(err, middleware.ErrTimeout) || !errors.Is(err, errFlaky) {
					b.Error(err)
				}
			})
			if runs != 1 || d != 55*time.Second {
				b.Error(runs, d)
			}
		})
	}
}

// A run that would begin after the end, because the engine was busy, is not begun; and the
// next task has all its time.
func TestTimeout_OverInTheQueue(t *testing.T) {
	bothWays(t, func(b bench) {
		retry := must(middleware.NewRetry(middleware.RetryConfig{Delay: 10 * time.Second, Jitter: -1}))
		timeout := must(middleware.NewTimeout(time.Minute))
		runs := 0
		submit := b.with(timeout.Intercept, retry.Intercept)
		f := submit(func(context.Context) (int, error) { runs++; return 0, errFlaky })
		time.Sleep(time.Second)
		if err := b.Go(func() { time.Sleep(time.Hour) }); err != nil {
			b.Fatal(err)
		}
		if _, err := f.Get(); !errors.Is(err, middleware.ErrTimeout) || runs != 1 {
			b.Error(err, runs)
		}
		if v, err := submit(nap(50 * time.Second)).Get(); v != 1 || err != nil {
			b.Error(v, err)
		}
	})
}

// Where the time of a task above is over, by the same Timeout, that is none of the task's own.
func TestTimeout_OfATaskAbove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(2), core.WithInterceptors(must(middleware.NewTimeout(10*time.Second)).Intercept))
		v, err := core.Run(t.Context(), e, core.Func(func(ctx context.Context) (int, error) {
			time.Sleep(9 * time.Second)
			return must(core.Submit(ctx, e, core.Func(func(context.Context) (int, error) {
				time.Sleep(5 * time.Second)
				return 7, nil
			}))).Get()
		}))
		if timeout, ok := errors.AsType[*middleware.TimeoutError](err); v != 7 || !ok || timeout.Err != nil {
			t.Error(v, err)
		}
	})
}

// The text has the error of the task where that says more than the limit does.
func TestTimeoutError_Text(t *testing.T) {
	const limit = "middleware: task ran longer than its timeout of 1m0s"
	cause := &middleware.TimeoutError{Limit: time.Minute}
	for _, c := range []struct {
		late bool
		err  error
		want string
	}{
		{false, nil, limit},
		{false, context.DeadlineExceeded, limit},
		{false, context.Canceled, limit},
		{false, cause, limit},
		{false, errFlaky, limit + ": flaky"},
		{true, nil, limit},
		{true, errFlaky, limit + " and then failed: flaky"},
	} {
		if got := (&middleware.TimeoutError{Limit: time.Minute, Late: c.late, Err: c.err}).Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	var net interface{ Timeout() bool } // as errors of package net have it
	if err := middleware.ErrTimeout; !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &net) || !net.Timeout() || err.Error() != "middleware: task ran longer than its timeout" {
		t.Error(err)
	}
}

func TestTimeout_Invalid(t *testing.T) {
	for _, limit := range []time.Duration{0, -1} {
		_, err := middleware.NewTimeout(limit)
		wantInvalid(t, limit.String(), err)
	}
}
