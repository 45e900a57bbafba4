package middleware_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/fallback"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/middleware"
)

// nothing is the handler within.
func nothing(context.Context, core.Job) error { return nil }

// BenchmarkPolicy is the cost of each policy around an empty task that succeeds: what the
// interceptor adds, and an execution of failsafe-go with the same policy.
func BenchmarkPolicy(b *testing.B) {
	pass := must(middleware.NewBeforeAfter(func(ctx context.Context, _ core.Job) (context.Context, error) { return ctx, nil },
		func(context.Context, core.Job, error) {}))
	quiet := must(middleware.NewLog(middleware.LogConfig{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Level: slog.LevelDebug}))
	limit := must(middleware.NewTimeout(time.Hour))
	retry := must(middleware.NewRetry(middleware.RetryConfig{}))
	breaker := must(middleware.NewBreaker(middleware.BreakerConfig{}))
	keyed := must(middleware.NewBreaker(middleware.BreakerConfig{Keys: middleware.Keys{Of: core.Job.Key}}))
	rate := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1e9, Per: time.Second, Bursty: true}))
	room := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 10}))
	adaptive := must(middleware.NewAdaptiveLimit(middleware.AdaptiveLimitConfig{}))
	for _, c := range []struct {
		name   string
		layers []core.Interceptor
		peer   []failsafe.Policy[int]
	}{
		{"BeforeAfter", []core.Interceptor{pass.Intercept}, nil},
		{"Log", []core.Interceptor{quiet.Intercept}, nil},
		{"Timeout", []core.Interceptor{limit.Intercept}, []failsafe.Policy[int]{timeout.New[int](time.Hour)}},
		{"Retry", []core.Interceptor{retry.Intercept}, []failsafe.Policy[int]{retrypolicy.NewWithDefaults[int]()}},
		{"Breaker", []core.Interceptor{breaker.Intercept}, []failsafe.Policy[int]{circuitbreaker.NewWithDefaults[int]()}},
		{"BreakerKeyed", []core.Interceptor{keyed.Intercept}, nil},
		{"RateLimit", []core.Interceptor{rate.Intercept}, []failsafe.Policy[int]{ratelimiter.NewBursty[int](1e9, time.Second)}},
		{"Bulkhead", []core.Interceptor{room.Intercept}, []failsafe.Policy[int]{bulkhead.New[int](10)}},
		{"AdaptiveLimit", []core.Interceptor{adaptive.Intercept}, []failsafe.Policy[int]{adaptivelimiter.NewWithDefaults[int]()}},
		{"Four", []core.Interceptor{limit.Intercept, retry.Intercept, breaker.Intercept, room.Intercept},
			[]failsafe.Policy[int]{timeout.New[int](time.Hour), retrypolicy.NewWithDefaults[int](),
				circuitbreaker.NewWithDefaults[int](), bulkhead.New[int](10)}},
	} {
		b.Run(c.name+"/goman", func(b *testing.B) {
			handle := core.Handler(nothing)
			for i := len(c.layers) - 1; i >= 0; i-- {
				handle = c.layers[i](handle)
			}
			b.ReportAllocs()
			for b.Loop() {
				handle(b.Context(), core.Job{})
			}
		})
		if c.peer != nil {
			failsafeDirect(b, c.name, c.peer...)
		}
	}
}

func failsafeDirect(b *testing.B, name string, policies ...failsafe.Policy[int]) {
	b.Run(name+"/failsafe", func(b *testing.B) {
		executor := failsafe.With(policies...).WithContext(b.Context())
		b.ReportAllocs()
		for b.Loop() {
			executor.Get(func() (int, error) { return 1, nil })
		}
	})
}

// BenchmarkDecorator is the same of what needs the result.
func BenchmarkDecorator(b *testing.B) {
	task := core.Task[int](answer(1))
	back := must(middleware.NewFallback(middleware.FallbackConfig[int]{Do: func(context.Context, error) (int, error) { return 0, nil }}))
	hedge := must(middleware.NewHedge[int](middleware.HedgeConfig{After: time.Hour}))
	cache := must(middleware.NewCache[int, int](middleware.CacheConfig{TTL: time.Hour}))
	for _, c := range []struct {
		name string
		task core.Task[int]
		peer failsafe.Policy[int]
	}{
		{"none", must(middleware.Decorate[int]())(task), nil},
		{"Fallback", back.Decorate(task), fallback.NewWithResult(1)},
		{"Hedge", hedge.Decorate(task), hedgepolicy.NewWithDelay[int](time.Hour)},
		{"CacheHit", cache.Decorate(1, task), nil},
	} {
		b.Run(c.name+"/goman", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.task.Execute(b.Context())
			}
		})
		if c.peer != nil {
			failsafeDirect(b, c.name, c.peer)
		}
	}
}

// BenchmarkEngine is a whole task, submitted and awaited, with and without policies.
func BenchmarkEngine(b *testing.B) {
	retry := must(middleware.NewRetry(middleware.RetryConfig{}))
	breaker := must(middleware.NewBreaker(middleware.BreakerConfig{}))
	for _, c := range []struct {
		name   string
		layers []core.Interceptor
	}{{"none", nil}, {"Retry", []core.Interceptor{retry.Intercept}}, {"RetryBreaker", []core.Interceptor{retry.Intercept, breaker.Intercept}}} {
		b.Run(c.name, func(b *testing.B) {
			e := must(core.New(core.WithWorkers(2), core.WithInterceptors(c.layers...)))
			defer e.Shutdown(b.Context())
			b.ReportAllocs()
			for b.Loop() {
				core.Run(context.Background(), e, answer(1))
			}
		})
	}
}
