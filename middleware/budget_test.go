package middleware_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/middleware"
)

// Ten first runs with a ratio of a tenth are one attempt, and not a little less.
func TestBudget_Exact(t *testing.T) {
	for _, ratio := range []float64{1, 0.5, 0.25, 0.2, 0.1, 0.05, 0.01, 0.001} {
		budget := must(middleware.NewBudget(ratio, 3))
		for middleware.Take(budget) {
		}
		for n := 1; n <= 3; n++ {
			for range int(math.Round(1/ratio)) - 1 {
				middleware.Earn(budget)
			}
			before := budget.Left()
			middleware.Earn(budget)
			if before != n-1 || budget.Left() != n {
				t.Errorf("%v: %d, then %d, want %d", ratio, before, budget.Left(), n)
			}
		}
	}
	if budget := must(middleware.NewBudget(0, 1)); !middleware.Take(budget) || middleware.Take(budget) {
		t.Error("it is not one")
	}
}

func TestBudget_Largest(t *testing.T) {
	if n := must(middleware.NewBudget(1, math.MaxInt32)).Left(); n != math.MaxInt32 {
		t.Error(n)
	}
	if most := int64(math.MaxInt32) + 1; int64(int(most)) == most {
		_, err := middleware.NewBudget(1, int(most))
		wantInvalid(t, "too many", err)
	}
}

// A task that a limit puts off, or that asks to be run again itself, has one first run,
// however often it comes back: it earns one share of an attempt.
func TestBudget_EarnedOnce(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		bothWays(t, func(b bench) {
			budget := must(middleware.NewBudget(0.5, 10))
			retry := steady(func(c *middleware.RetryConfig) { c.Budget, c.Attempts, c.InPlace = budget, 11, inPlace })
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
