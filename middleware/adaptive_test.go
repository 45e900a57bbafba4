package middleware_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

// Full, it refuses at once, or after some time, and gives places back, whatever happens.
func TestAdaptiveLimit_Full(t *testing.T) {
	for _, wait := range []middleware.Waiting{{}, {Max: 30 * time.Second}, {Max: 30 * time.Second, Every: 7 * time.Second}} {
		bothWays(t, func(b bench) {
			limit := must(middleware.NewAdaptiveLimit(middleware.AdaptiveLimitConfig{Max: 2, Wait: wait}))
			submit := b.with(limit.Intercept)
			for range 2 {
				submit(nap(time.Minute))
			}
			synctest.Wait()
			if limit.InFlight() != 2 || limit.Limit() != 2 {
				b.Error(limit.InFlight(), limit.Limit())
			}
			d := took(func() {
				_, err := submit(answer(1)).Get()
				wantDenied(b.T, err, middleware.ErrFull, "")
			})
			if d != wait.Max {
				b.Error(d)
			}
			b.WaitIdle(b.Context()) //nolint:errcheck // the context does not end
			for _, task := range []core.TaskFunc[int]{
				func(context.Context) (int, error) { panic(1) },
				func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
				fail(errFlaky),
				fail(context.Canceled),
				func(ctx context.Context) (int, error) {
					if core.Attempt(ctx) == 0 {
						return 0, core.Again(1, nil)
					}
					return 1, nil
				},
			} {
				submit(task).Get()      //nolint:errcheck // most fail
				b.WaitIdle(b.Context()) //nolint:errcheck // the context does not end
			}
			if limit.InFlight() != 0 {
				b.Error(limit.InFlight())
			}
		}, core.WithWorkers(4))
	}
}

// What tasks depend on becomes slower: the limit falls. It recovers: the limit rises.
func TestAdaptiveLimit_Adapts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := must(middleware.NewAdaptiveLimit(middleware.AdaptiveLimitConfig{Min: 2, Max: 100, Initial: 40, Samples: 10,
			Wait: middleware.Waiting{Max: -1}}))
		e := coretest.New(t, core.WithWorkers(100), core.WithInterceptors(limit.Intercept))
		load := func(takes func(inside int) time.Duration) int {
			for range 2000 {
				must(core.Submit(t.Context(), e, core.Func(func(ctx context.Context) (int, error) {
					return nap(takes(limit.InFlight()))(ctx)
				})))
			}
			e.WaitIdle(t.Context()) //nolint:errcheck // the context does not end
			return limit.Limit()
		}
		load(func(int) time.Duration { return 100 * time.Millisecond })
		well := limit.Limit()
		low := load(func(inside int) time.Duration {
			return 100*time.Millisecond + time.Duration(inside*inside)*10*time.Millisecond
		})
		if low >= well {
			t.Errorf("%d when all was well, %d when it was slow", well, low)
		}
		for range 20 {
			if load(func(int) time.Duration { return 100 * time.Millisecond }) > low {
				return
			}
		}
		t.Errorf("%d when it was slow, %d after that", low, limit.Limit())
	})
}

func TestAdaptiveLimit_Invalid(t *testing.T) {
	for name, c := range map[string]middleware.AdaptiveLimitConfig{
		"least":       {Min: -1},
		"max":         {Max: -1},
		"max < min":   {Min: 3, Max: 2},
		"initial":     {Initial: 300},
		"initial < 0": {Initial: -1},
		"window":      {Window: -1},
		"samples":     {Samples: -1},
		"every":       {Wait: middleware.Waiting{Every: 1}},
	} {
		_, err := middleware.NewAdaptiveLimit(c)
		wantInvalid(t, name, err)
	}
	if l := must(middleware.NewAdaptiveLimit(middleware.AdaptiveLimitConfig{Min: 500})); l.Limit() != 500 {
		t.Error(l.Limit())
	}
}
