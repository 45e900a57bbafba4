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

// A Retry that waits in place, around a limit that has tasks come back: the number of runs is
// what it says.
func TestAgain_InPlaceKeepsItsCount(t *testing.T) {
	bothWays(t, func(b bench) {
		retry := steady(func(c *middleware.RetryConfig) { c.Attempts, c.InPlace = 3, true })
		limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: time.Minute,
			Wait: middleware.Waiting{Max: -1, Every: time.Second}}))
		runs := 0
		_, err := b.with(retry.Intercept, limit.Intercept)(func(context.Context) (int, error) {
			if runs++; runs > 20 {
				return 1, nil
			}
			return 0, errFlaky
		}).Get()
		if runs != 3 || !errors.Is(err, middleware.ErrExhausted) {
			b.Error(runs, err)
		}
	})
}

// What is within a Timeout wishes to be run again, too late: it is a failed attempt for the
// Retry around, and the next one begins anew.
func TestAgain_AttemptBeginsAnew(t *testing.T) {
	outer := func(inPlace bool) core.Interceptor {
		return steady(func(c *middleware.RetryConfig) { c.Attempts, c.InPlace = 2, inPlace }).Intercept
	}
	limit := must(middleware.NewTimeout(10 * time.Second))
	for _, inPlace := range []bool{false, true} {
		bothWays(t, func(b bench) { // runs at 0 and 6, and again at 7 and 13
			inner := must(middleware.NewRetry(middleware.RetryConfig{Attempts: 3, Delay: 6 * time.Second, Factor: 1, Jitter: -1}))
			runs := 0
			d := took(func() {
				_, err := b.with(outer(inPlace), limit.Intercept, inner.Intercept)(func(context.Context) (int, error) {
					runs++
					return 0, errFlaky
				}).Get()
				if !errors.Is(err, middleware.ErrTimeout) || !errors.Is(err, middleware.ErrExhausted) {
					b.Error(err)
				}
			})
			if runs != 4 || d != 13*time.Second {
				b.Error(runs, d)
			}
		})
		bothWays(t, func(b bench) { // it looks at 0, 4 and 8, and again at 9, 13 and 17
			bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 1,
				Wait: middleware.Waiting{Max: 15 * time.Second, Every: 4 * time.Second}}))
			hold := must(middleware.Decorate[int](bulkhead.Intercept))(nap(time.Hour))
			go hold.Execute(b.Context()) //nolint:errcheck // it does not fail
			synctest.Wait()
			d := took(func() {
				_, err := b.with(outer(inPlace), limit.Intercept, bulkhead.Intercept)(answer(1)).Get()
				if !errors.Is(err, middleware.ErrTimeout) || !errors.Is(err, middleware.ErrExhausted) {
					b.Error(err)
				}
			})
			if d != 17*time.Second {
				b.Error(d)
			}
			time.Sleep(time.Hour)
		})
	}
}

// The attempts of a Retry around a Hedge are one first run for the Budget of the Hedge.
func TestAgain_HedgeEarnsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := must(middleware.NewBudget(0.1, 1))
		hedge := must(middleware.NewHedge[int](middleware.HedgeConfig{After: time.Second, Budget: budget}))
		retry := must(middleware.Decorate[int](steady(func(c *middleware.RetryConfig) { c.Attempts = 20 }).Intercept))
		e := coretest.New(t, core.WithWorkers(1))
		must(core.Run(t.Context(), e, hedge.Decorate(nap(time.Minute))))
		if n := budget.Left() + int(hedge.Launched()); n != 1 {
			t.Error(n)
		}
		if _, err := core.Run(t.Context(), e, retry(hedge.Decorate(fail(errFlaky)))); !errors.Is(err, middleware.ErrExhausted) {
			t.Error(err)
		}
		if n := budget.Left(); n != 0 {
			t.Errorf("one task has earned %d further runs", n)
		}
	})
}

// A task of which a part is cancelled because the time of the attempt is over has had a
// timeout, and is repeated.
func TestAgain_TimeoutOfAPart(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := coretest.New(t, core.WithWorkers(2))
			retry := steady(func(c *middleware.RetryConfig) { c.Attempts, c.InPlace = 3, inPlace })
			decorate := must(middleware.Decorate[int](retry.Intercept, must(middleware.NewTimeout(10*time.Second)).Intercept))
			runs := 0
			_, err := core.Run(t.Context(), e, decorate(core.Func(func(ctx context.Context) (int, error) {
				runs++
				return must(core.Submit(ctx, e, core.Task[int](nap(time.Hour)))).Get()
			})))
			if runs != 3 || !errors.Is(err, middleware.ErrExhausted) || !errors.Is(err, middleware.ErrTimeout) {
				t.Error(runs, err)
			}
		})
	}
}
