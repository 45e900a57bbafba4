package middleware_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/middleware"
)

// A task that a limit puts off, or that asks to be run again itself, has one first run,
// however often it comes back: it earns one share of an attempt.
func TestBudget_EarnedOnce(t *testing.T) {
	for _, here := range []bool{false, true} {
		bothWays(t, func(b bench) {
			budget := must(middleware.NewBudget(0.5, 10))
			retry := steady(func(c *middleware.RetryConfig) { c.Budget, c.Attempts, c.Here = budget, 11, here })
			bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 1,
				Wait: middleware.Waiting{Max: -1, Every: time.Second}}))
			submit := b.with(retry.Intercept, bulkhead.Intercept)
			if _, err := submit(fail(errFlaky)).Get(); err == nil || budget.Left() != 0 {
				b.Fatal(err, budget.Left())
			}
			submit(nap(time.Hour))
			synctest.Wait()
			submit(answer(1)) // it is put off for an hour, each second
			submit(func(ctx context.Context) (int, error) {
				if core.Attempt(ctx) < 5000 {
					return 0, core.Again(0, nil)
				}
				return 1, nil
			})
			b.WaitIdle(b.Context())         //nolint:errcheck // the context does not end
			if n := budget.Left(); n != 1 { // 0.5 for each of the three
				b.Error(n)
			}
		}, core.WithWorkers(2))
	}
}
