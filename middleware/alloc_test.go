package middleware_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

// Around a task that succeeds at once these policies cost no allocation.
func TestAlloc_Interceptors(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates by itself: bash .ci/run allocs")
	}
	for name, layer := range map[string]core.Interceptor{
		"BeforeAfter": must(middleware.NewBeforeAfter(func(ctx context.Context, _ core.Job) (context.Context, error) { return ctx, nil },
			func(context.Context, core.Job, error) {})).Intercept,
		"Log":       must(middleware.NewLog(middleware.LogConfig{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Level: slog.LevelDebug, Start: true})).Intercept,
		"Retry":     must(middleware.NewRetry(middleware.RetryConfig{Budget: must(middleware.NewBudget(0.1, 10))})).Intercept,
		"Breaker":   must(middleware.NewBreaker(middleware.BreakerConfig{Keys: middleware.Keys{Of: core.Job.Key}})).Intercept,
		"RateLimit": must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1e9, Per: time.Second, Bursty: true, Wait: middleware.Waiting{Max: -1}})).Intercept,
		"Bulkhead":  must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 1000, Wait: middleware.Waiting{Max: -1}})).Intercept,
	} {
		e := coretest.New(t, core.WithWorkers(1))
		run := func() { must(core.Run(context.Background(), e, answer(1))) }
		bare := testing.AllocsPerRun(1000, run)
		must(e.Intercept(layer))
		if n := testing.AllocsPerRun(1000, run); n > bare {
			t.Errorf("%s: %v allocations, without it %v", name, n, bare)
		}
	}
}

// Nor do these decorators.
func TestAlloc_Decorators(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	fallback := must(middleware.NewFallback(middleware.FallbackConfig[int]{Do: func(context.Context, error) (int, error) { return 0, nil }}))
	cache := must(middleware.NewCache[int, int](middleware.CacheConfig{TTL: time.Hour}))
	check := must(middleware.Check(func(int) error { return nil }))
	for name, task := range map[string]core.Task[int]{
		"Fallback":    fallback.Decorate(answer(1)),
		"Cache, kept": cache.Decorate(1, answer(1)),
		"Check":       check(answer(1)),
	} {
		if n := testing.AllocsPerRun(1000, func() { must(task.Execute(context.Background())) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// A decorated task costs one allocation more for each run.
func TestAlloc_Decorate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates by itself: bash .ci/run allocs")
	}
	task := must(middleware.Decorate[int](must(middleware.NewRetry(middleware.RetryConfig{})).Intercept))(answer(1))
	if n := testing.AllocsPerRun(1000, func() { must(task.Execute(context.Background())) }); n != 1 {
		t.Errorf("%v allocations", n)
	}
}
