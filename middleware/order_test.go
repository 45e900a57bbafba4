package middleware_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/middleware"
)

// A breaker within a retry counts each run, one around it only what becomes of the last.
func TestOrder_BreakerAndRetry(t *testing.T) {
	for _, here := range []bool{false, true} {
		for _, around := range []bool{false, true} {
			bothWays(t, func(b bench) {
				breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 2, Delay: time.Hour}))
				retry := must(middleware.NewRetry(middleware.RetryConfig{Attempts: 2, Here: here}))
				layers := []core.Interceptor{retry.Intercept, breaker.Intercept}
				if around {
					layers[0], layers[1] = layers[1], layers[0]
				}
				submit := b.with(layers...)
				runs := 0
				if _, err := submit(func(context.Context) (int, error) { runs++; return 0, errFlaky }).Get(); !errors.Is(err, errFlaky) {
					b.Error(err)
				}
				want := middleware.Open
				if around {
					want = middleware.Closed
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
			retry := must(middleware.NewRetry(middleware.RetryConfig{Attempts: 2, First: time.Hour, Jitter: -1, Here: c.here}))
			layers := []core.Interceptor{retry.Intercept, bulkhead.Intercept}
			if c.around {
				layers[0], layers[1] = layers[1], layers[0]
			}
			f := b.with(layers...)(fail(errFlaky))
			synctest.Wait()
			if n := bulkhead.Inside(""); n != c.inside {
				b.Errorf("%+v: %d within", c, n)
			}
			if _, err := f.Get(); !errors.Is(err, middleware.ErrExhausted) {
				b.Error(err)
			}
		})
	}
}
