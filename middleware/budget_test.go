package middleware_test

import (
	"math"
	"testing"

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
