package middleware_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

// A breaker within a retry counts each run, one around it only what becomes of the last.
func TestOrder_BreakerAndRetry(t *testing.T) {
	for _, here := range []bool{false, true} {
		for _, around := range []bool{false, true} {
			bothWays(t, func(b bench) {
				breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 2, Delay: time.Hour}))
				retry := must(middleware.NewRetry(middleware.RetryConfig{Attempts: 2, InPlace: here}))
				layers := []core.Interceptor{retry.Intercept, breaker.Intercept}
				if around {
					layers[0], layers[1] = layers[1], layers[0]
				}
				submit := b.with(layers...)
				runs := 0
				if _, err := submit(func(context.Context) (int, error) { runs++; return 0, errFlaky }).Get(); !errors.Is(err, errFlaky) {
					b.Error(err)
				}
				want := middleware.BreakerOpen
				if around {
					want = middleware.BreakerClosed
				}
				if got := breaker.State(""); got != want {
					b.Errorf("around %v, here %v: it is %v after %d runs", around, here, got, runs)
				}
			})
		}
	}
}

// A task gives its place in a bulkhead back while it waits for its next run, on whichever
// side the retry is; where it waits here, within, it keeps it.
func TestOrder_BulkheadAndRetry(t *testing.T) {
	for _, c := range []struct {
		here, around bool
		inside       int
	}{{false, false, 0}, {true, false, 0}, {false, true, 0}, {true, true, 1}} {
		bothWays(t, func(b bench) {
			bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 1}))
			retry := must(middleware.NewRetry(middleware.RetryConfig{Attempts: 2, Delay: time.Hour, Jitter: -1, InPlace: c.here}))
			layers := []core.Interceptor{retry.Intercept, bulkhead.Intercept}
			if c.around {
				layers[0], layers[1] = layers[1], layers[0]
			}
			f := b.with(layers...)(fail(errFlaky))
			synctest.Wait()
			if n := bulkhead.InFlight(""); n != c.inside {
				b.Errorf("%+v: %d within", c, n)
			}
			if _, err := f.Get(); !errors.Is(err, middleware.ErrExhausted) {
				b.Error(err)
			}
		})
	}
}

// Each run of a retry takes a permit of a rate limit within, and where there is none the
// next attempt waits for it.
func TestOrder_RateLimitWithinRetry(t *testing.T) {
	for _, here := range []bool{false, true} {
		bothWays(t, func(b bench) {
			limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: 30 * time.Second}))
			retry := must(middleware.NewRetry(middleware.RetryConfig{Attempts: 3, Delay: time.Second, Jitter: -1, InPlace: here}))
			submit := b.with(retry.Intercept, limit.Intercept)
			runs := 0
			d := took(func() {
				_, err := submit(func(context.Context) (int, error) { runs++; return 0, errFlaky }).Get()
				if !errors.Is(err, errFlaky) {
					b.Error(err)
				}
			})
			// It runs, is refused after a second, and runs again when the step of 30 s is over.
			if runs != 2 || d != 30*time.Second {
				b.Errorf("here %v: %d runs in %v", here, runs, d)
			}
		})
	}
}

// Around a cache, the tasks of a key share each run of a retry.
func TestOrder_RetryAroundCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(8))
		retry := must(middleware.Decorate[int](steady(func(c *middleware.RetryConfig) { c.Attempts = 2 }).Intercept))
		cache := must(middleware.NewCache[int, int](middleware.CacheConfig{}))
		var runs atomic.Int64
		task := retry(cache.Decorate(1, core.Func(func(ctx context.Context) (int, error) {
			runs.Add(1)
			if _, err := nap(time.Minute)(ctx); err != nil {
				return 0, err
			}
			return 0, errFlaky
		})))
		var futures []*core.Future[int]
		for range 8 {
			futures = append(futures, must(core.Submit(t.Context(), e, task)))
		}
		for _, f := range futures {
			if _, err := f.Get(); !errors.Is(err, middleware.ErrExhausted) {
				t.Error(err)
			}
		}
		if n := runs.Load(); n != 2 {
			t.Errorf("%d runs", n)
		}
	})
}
