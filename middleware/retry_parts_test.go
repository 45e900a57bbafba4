package middleware_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

// One decorator around two parts of a task, of which the first ends well in each run: the
// runs of the whole are bounded all the same.
func TestRetry_TwoPartsOfATask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t)
		retried := must(middleware.Decorate[int](steady(func(c *middleware.RetryConfig) { c.Attempts = 3 }).Intercept))
		runs := 0
		_, err := core.Run(t.Context(), e, core.Func(func(ctx context.Context) (int, error) {
			if runs++; runs > 10 {
				return 0, errors.New("it does not end")
			}
			if _, err := retried(answer(1)).Execute(ctx); err != nil {
				return 0, err
			}
			return retried(fail(errFlaky)).Execute(ctx)
		}))
		if runs != 3 || !errors.Is(err, middleware.ErrExhausted) {
			t.Errorf("%d runs: %v", runs, err)
		}
	})
}
