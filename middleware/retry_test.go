package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

// steady waits 1, 2, 4, ... seconds, up to 10 runs.
func steady(change func(*middleware.RetryConfig)) *middleware.Retry {
	config := middleware.RetryConfig{Attempts: 10, Delay: time.Second, MaxDelay: time.Minute, Jitter: -1}
	if change != nil {
		change(&config)
	}
	return must(middleware.NewRetry(config))
}

// bothWaits runs test with a Retry that waits in the queue and one that waits in place.
func bothWaits(t *testing.T, change func(*middleware.RetryConfig), test func(b bench, retry *middleware.Retry), options ...core.Option) {
	for _, inPlace := range []bool{false, true} {
		t.Run(fmt.Sprintf("inPlace=%v", inPlace), func(t *testing.T) {
			bothWays(t, func(b bench) {
				test(b, steady(func(c *middleware.RetryConfig) {
					c.InPlace = inPlace
					if change != nil {
						change(c)
					}
				}))
			}, options...)
		})
	}
}

// A task that fails n times, for each n: it is run once more after each delay, and not too
// often.
func TestRetry_FailsThenSucceeds(t *testing.T) {
	for n := range 12 {
		bothWaits(t, nil, func(b bench, retry *middleware.Retry) {
			runs := 0
			var v int
			var err error
			d := took(func() {
				v, err = b.with(retry.Intercept)(func(context.Context) (int, error) {
					if runs++; runs <= n {
						return 0, errFlaky
					}
					return 7, nil
				}).Get()
			})
			if n < 10 {
				want := time.Duration(0)
				for i := range n {
					want += min(time.Second<<i, time.Minute)
				}
				if v != 7 || err != nil || runs != n+1 || d != want {
					b.Errorf("%d failures: %d, %v, %d runs in %v", n, v, err, runs, d)
				}
				return
			}
			exhausted, ok := errors.AsType[*middleware.RetryError](err)
			if !ok || exhausted.Attempts != 10 || exhausted.Reason != nil || !errors.Is(err, errFlaky) || !errors.Is(err, middleware.ErrExhausted) || runs != 10 {
				b.Errorf("%d failures: %v, %d runs", n, err, runs)
			}
		})
	}
}

// E-MID-02: one worker, a task that waits for hours between its runs, and a hundred others
// that run meanwhile. It keeps its future, its priority and its key.
func TestRetry_E_MID_02_FreesTheWorker(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			retry := steady(func(c *middleware.RetryConfig) { c.Delay, c.MaxDelay, c.InPlace = time.Hour, 24*time.Hour, inPlace })
			e := coretest.New(t, core.WithWorkers(1), core.WithInterceptors(retry.Intercept))
			want := core.Attributes{Name: "slow", Priority: core.High, Key: "k"}
			f := must(core.SubmitWith(t.Context(), e, want, core.Func(func(ctx context.Context) (int, error) {
				if diff := cmp.Diff(want, core.JobOf(ctx).Attributes()); diff != "" {
					t.Error(diff)
				}
				if time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) < 3*time.Hour {
					return 0, errFlaky
				}
				return 42, nil
			})))
			synctest.Wait()
			if s := e.Stats(); !inPlace && s.Delayed != 1 || inPlace && s.Waiting != 1 || s.Idle != 1 {
				t.Errorf("%+v", s)
			}
			others := took(func() {
				for i := range 100 {
					if v := must(core.Run(t.Context(), e, answer(i))); v != i {
						t.Error(v)
					}
				}
			})
			if others != 0 || f.IsDone() {
				t.Errorf("the others took %v", others)
			}
			d := took(func() {
				if v, err := f.Get(); v != 42 || err != nil {
					t.Error(v, err)
				}
			})
			if d != 3*time.Hour {
				t.Error(d)
			}
		})
	}
}

// E-MID-01: cancelled between two runs, an hour long.
func TestRetry_E_MID_01_CancelledBetween(t *testing.T) {
	bothWaits(t, func(c *middleware.RetryConfig) { c.Delay, c.MaxDelay = time.Hour, time.Hour }, func(b bench, retry *middleware.Retry) {
		runs := 0
		f := b.with(retry.Intercept)(func(context.Context) (int, error) { runs++; return 0, errFlaky })
		time.Sleep(time.Minute)
		d := took(func() {
			f.Cancel()
			if _, err := f.Get(); !errors.Is(err, context.Canceled) {
				b.Error(err)
			}
		})
		if d != 0 || runs != 1 {
			b.Error(d, runs)
		}
		if s := b.Stats(); s.Delayed != 0 || s.Canceled != 1 {
			b.Errorf("%+v", s)
		}
	})
}

// Shutdown between two runs hands the task back.
func TestRetry_Shutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := must(core.New(core.WithInterceptors(steady(nil).Intercept)))
		f := must(core.Submit(t.Context(), e, core.Task[int](fail(errFlaky))))
		synctest.Wait()
		var report *core.ShutdownError
		if err := e.Shutdown(t.Context()); !errors.As(err, &report) || len(report.Undone) != 1 {
			t.Error(err)
		}
		if _, err := f.Get(); !errors.Is(err, core.ErrUndone) {
			t.Error(err)
		}
	})
}

// E-MID-03: what is repeated, and what never is.
func TestRetry_E_MID_03_WhichErrors(t *testing.T) {
	all := func(error) bool { return true }
	for name, c := range map[string]struct {
		change func(*middleware.RetryConfig)
		task   func(ctx context.Context, cancel func()) (int, error)
		runs   int
		want   error
	}{
		"error":         {nil, func(context.Context, func()) (int, error) { return 0, errFlaky }, 10, middleware.ErrExhausted},
		"panic":         {nil, func(context.Context, func()) (int, error) { panic(1) }, 1, core.ErrPanicked},
		"panic, if":     {func(c *middleware.RetryConfig) { c.If = all }, func(context.Context, func()) (int, error) { panic(1) }, 10, core.ErrPanicked},
		"Goexit, if":    {func(c *middleware.RetryConfig) { c.If = all }, func(context.Context, func()) (int, error) { runtime.Goexit(); return 0, nil }, 1, core.ErrGoexit},
		"cancelled":     {nil, func(context.Context, func()) (int, error) { return 0, context.Canceled }, 1, context.Canceled},
		"cancelled, if": {func(c *middleware.RetryConfig) { c.If = all }, func(ctx context.Context, cancel func()) (int, error) { cancel(); return 0, errFlaky }, 1, errFlaky},
		"permanent, if": {func(c *middleware.RetryConfig) { c.If = all }, func(context.Context, func()) (int, error) {
			return 0, fmt.Errorf("so: %w", middleware.Permanent(errFlaky))
		}, 1, errFlaky},
		"not worth it":      {func(c *middleware.RetryConfig) { c.If = func(err error) bool { return err != errFlaky } }, func(context.Context, func()) (int, error) { return 0, errFlaky }, 1, errFlaky},
		"once":              {func(c *middleware.RetryConfig) { c.Attempts = 1 }, func(context.Context, func()) (int, error) { return 0, errFlaky }, 1, middleware.ErrExhausted},
		"asks for too much": {nil, func(context.Context, func()) (int, error) { return 0, middleware.RetryAfter(time.Hour, errFlaky) }, 1, middleware.ErrExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			bothWaits(t, c.change, func(b bench, retry *middleware.Retry) {
				runs := 0
				var f *core.Future[int]
				ready := make(chan struct{})
				f = b.with(retry.Intercept)(func(ctx context.Context) (int, error) {
					runs++
					<-ready
					return c.task(ctx, func() { f.Cancel() })
				})
				close(ready)
				_, err := f.Get()
				if c.want == errFlaky && errors.Is(err, middleware.ErrExhausted) {
					b.Errorf("%v: it was to be repeated", err)
				}
				if !errors.Is(err, c.want) || runs != c.runs || err.Error() == "" {
					b.Errorf("%v, %d runs", err, runs)
				}
			})
		})
	}
}

// The least delay that an error asks for, through what wraps it.
func TestRetry_After(t *testing.T) {
	bothWaits(t, nil, func(b bench, retry *middleware.Retry) {
		runs := 0
		d := took(func() {
			_, err := b.with(retry.Intercept)(func(context.Context) (int, error) {
				switch runs++; runs {
				case 1:
					return 0, fmt.Errorf("so: %w", middleware.RetryAfter(30*time.Second, errFlaky))
				case 2:
					return 0, middleware.RetryAfter(time.Millisecond, errFlaky) // less than its own, 2 s
				}
				return 1, nil
			}).Get()
			if err != nil {
				b.Error(err)
			}
		})
		if d != 32*time.Second {
			b.Error(d)
		}
	})
	if middleware.RetryAfter(1, nil) != nil || middleware.Permanent(nil) != nil {
		t.Error("of no error an error was made")
	}
}

// No wait is begun that would end after the context given to Submit.
func TestRetry_Deadline(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := coretest.New(t, core.WithInterceptors(steady(func(c *middleware.RetryConfig) { c.InPlace = inPlace }).Intercept))
			ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
			defer stop()
			d := took(func() {
				_, err := core.Run(ctx, e, fail(errFlaky))
				exhausted, ok := errors.AsType[*middleware.RetryError](err)
				if !ok || exhausted.Attempts != 4 || exhausted.Reason != context.DeadlineExceeded {
					t.Error(err)
				}
			})
			if d != 7*time.Second { // 1, 2, 4 and not 8
				t.Error(d)
			}
		})
	}
}

func TestRetry_Budget(t *testing.T) {
	budget := must(middleware.NewBudget(0.5, 3))
	bothWaits(t, func(c *middleware.RetryConfig) { c.Budget = budget }, func(b bench, retry *middleware.Retry) {
		for budget.Left() < 3 { // as it was at first
			must(must(middleware.Decorate[int](retry.Intercept))(answer(1)).Execute(b.Context()))
		}
		runs := 0
		submit := b.with(retry.Intercept)
		task := func(context.Context) (int, error) { runs++; return 0, errFlaky }
		if _, err := submit(task).Get(); !errors.Is(err, middleware.ErrBudget) || !errors.Is(err, errFlaky) || runs != 4 {
			b.Error(err, runs)
		}
		for range 4 { // two more attempts are earned
			if _, err := submit(answer(1)).Get(); err != nil {
				b.Error(err)
			}
		}
		if left := budget.Left(); left != 2 {
			b.Error(left)
		}
	})
	for _, c := range []struct {
		ratio float64
		most  int
	}{{-0.1, 1}, {1.1, 1}, {math.NaN(), 1}, {0.5, 0}} {
		_, err := middleware.NewBudget(c.ratio, c.most)
		wantInvalid(t, fmt.Sprint(c), err)
	}
}

// Two Retries, one around the other: the runs multiply, and each counts anew. One and the
// same twice counts once.
func TestRetry_Nested(t *testing.T) {
	bothWaits(t, func(c *middleware.RetryConfig) { c.Attempts = 3 }, func(b bench, inner *middleware.Retry) {
		outer := steady(func(c *middleware.RetryConfig) { c.Attempts = 2 })
		runs := 0
		_, err := b.with(outer.Intercept, inner.Intercept)(func(context.Context) (int, error) { runs++; return 0, errFlaky }).Get()
		if !errors.Is(err, errFlaky) || runs != 6 {
			b.Error(err, runs)
		}
	})
	bothWaits(t, func(c *middleware.RetryConfig) { c.Attempts = 3 }, func(b bench, retry *middleware.Retry) {
		runs := 0
		_, err := b.with(retry.Intercept, retry.Intercept)(func(context.Context) (int, error) { runs++; return 0, errFlaky }).Get()
		if !errors.Is(err, errFlaky) || runs != 3 {
			b.Error(err, runs)
		}
	})
}

// What the task itself asks for is no attempt, and passes.
func TestRetry_LetsWishesPass(t *testing.T) {
	bothWaits(t, func(c *middleware.RetryConfig) { c.Attempts = 2 }, func(b bench, retry *middleware.Retry) {
		submit := b.with(retry.Intercept)
		d := took(func() {
			v, err := submit(func(ctx context.Context) (int, error) {
				if core.Attempt(ctx) < 50 {
					return 0, core.Again(0, errFlaky)
				}
				return 1, nil
			}).Get()
			if v != 1 || err != nil {
				b.Error(v, err)
			}
		})
		if d != 0 {
			b.Errorf("it waited for %v", d)
		}
	})
}

// A plain function can only fail by a panic, and is not repeated.
func TestRetry_PlainFunction(t *testing.T) {
	bothWaits(t, func(c *middleware.RetryConfig) { c.If = func(error) bool { return true } }, func(b bench, retry *middleware.Retry) {
		if b.decorate {
			return
		}
		b.with(retry.Intercept)
		runs := 0
		if err := b.Go(func() { runs++; panic(1) }); err != nil {
			b.Fatal(err)
		}
		b.WaitIdle(b.Context()) //nolint:errcheck // the context does not end
		if s := b.Stats(); runs != 1 || s.Panicked != 1 {
			b.Errorf("%d runs, %+v", runs, s)
		}
	})
}

// Interceptors are added and removed while a task waits: the count goes on.
func TestRetry_ChainChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t)
		retry := steady(func(c *middleware.RetryConfig) { c.Attempts = 5 })
		remove := must(e.Intercept(retry.Intercept))
		runs := 0
		f := must(core.Submit(t.Context(), e, core.Func(func(context.Context) (int, error) {
			runs++
			must(e.Intercept(func(next core.Handler) core.Handler { return next }))
			return 0, errFlaky
		})))
		if _, err := f.Get(); !errors.Is(err, middleware.ErrExhausted) || runs != 5 {
			t.Error(err, runs)
		}
		remove()
		if _, err := core.Run(t.Context(), e, fail(errFlaky)); err != errFlaky {
			t.Error(err)
		}
	})
}

// Outside of an engine it waits where it is, and ends with its context.
func TestRetry_OutsideOfAnEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		decorate := must(middleware.Decorate[int](steady(nil).Intercept))
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(5*time.Second, func() { stop(errors.New("enough")) })
		runs := 0
		d := took(func() {
			_, err := decorate(core.Func(func(context.Context) (int, error) { runs++; return 0, errFlaky })).Execute(ctx)
			if exhausted, ok := errors.AsType[*middleware.RetryError](err); !ok || exhausted.Reason.Error() != "enough" || !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		if d != 5*time.Second || runs != 3 {
			t.Error(d, runs)
		}
	})
}

// E-MID-04: whatever the figures, no delay is negative or longer than MaxDelay, and with jitter
// they differ.
func TestRetry_E_MID_04_Delays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.Int64Range(1, 1<<rapid.IntRange(1, 61).Draw(t, "bits")).Draw(t, "ns"))
		})
		first, most := span.Draw(t, "first"), span.Draw(t, "max")
		if first > most {
			first, most = most, first
		}
		config := middleware.RetryConfig{
			Attempts: 101, Delay: first, MaxDelay: most, Factor: rapid.Float64Range(1, 1000).Draw(t, "factor"),
			Jitter: rapid.Float64Range(-1, 1).Draw(t, "jitter"),
		}
		retry := must(middleware.NewRetry(config))
		last := time.Duration(-1)
		for n := 1; n <= 100; n++ {
			d := middleware.Backoff(retry, n)
			if d < 0 || d > most {
				t.Fatalf("%v after %d runs", d, n)
			}
			if config.Jitter < 0 && d < last {
				t.Fatalf("%v after %v", d, last)
			}
			last = d
		}
		if config.Jitter < 0 && config.Factor >= 2 && last != most {
			t.Fatalf("it ends with %v", last)
		}
	})
	retry := must(middleware.NewRetry(middleware.RetryConfig{}))
	seen := make(map[time.Duration]bool)
	for range 100 {
		d := middleware.Backoff(retry, 1)
		if d < 50*time.Millisecond || d > 150*time.Millisecond {
			t.Error(d)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Errorf("%d delays in a hundred", len(seen))
	}
}

func TestRetry_Invalid(t *testing.T) {
	for name, c := range map[string]middleware.RetryConfig{
		"attempts":     {Attempts: -1},
		"first":        {Delay: -1},
		"max":          {MaxDelay: -1},
		"max < first":  {Delay: time.Second, MaxDelay: time.Millisecond},
		"max too much": {MaxDelay: math.MaxInt64},
		"factor":       {Factor: 0.5},
		"factor NaN":   {Factor: math.NaN()},
		"factor Inf":   {Factor: math.Inf(1)},
		"jitter":       {Jitter: 1.5},
		"jitter NaN":   {Jitter: math.NaN()},
		"retry after":  {MaxRetryAfter: -1},
	} {
		_, err := middleware.NewRetry(c)
		wantInvalid(t, name, err)
	}
}
