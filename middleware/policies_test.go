package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

// Nearest to the task, a panic has become an error: whatever policy is innermost sees it,
// counts it, and gives back what it holds.
func TestPolicies_PanicIsAnErrorInnermost(t *testing.T) {
	oh := func(context.Context) (int, error) { panic("oh") }
	var out bytes.Buffer
	log := must(middleware.NewLog(middleware.LogConfig{Logger: slog.New(slog.NewTextHandler(&out, nil))}))
	for name, c := range map[string]func(b bench) (core.Interceptor, func() bool){
		"Bulkhead": func(bench) (core.Interceptor, func() bool) {
			bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 1}))
			return bulkhead.Intercept, func() bool { return bulkhead.InFlight("") == 0 }
		},
		"AdaptiveLimit": func(bench) (core.Interceptor, func() bool) {
			limit := must(middleware.NewAdaptiveLimit(middleware.AdaptiveLimitConfig{Max: 1}))
			return limit.Intercept, func() bool { return limit.InFlight() == 0 }
		},
		"Breaker": func(bench) (core.Interceptor, func() bool) {
			breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 3}))
			return breaker.Intercept, func() bool { return breaker.State("") == middleware.BreakerOpen }
		},
		"Retry": func(bench) (core.Interceptor, func() bool) {
			asked := 0
			retry := steady(func(c *middleware.RetryConfig) { c.If = func(error) bool { asked++; return false } })
			return retry.Intercept, func() bool { return asked == 3 }
		},
		"Timeout": func(bench) (core.Interceptor, func() bool) {
			return must(middleware.NewTimeout(time.Hour)).Intercept, func() bool { return true }
		},
		"Log": func(bench) (core.Interceptor, func() bool) {
			out.Reset()
			return log.Intercept, func() bool { return strings.Count(out.String(), "panicked: oh") == 3 }
		},
		"BeforeAfter": func(b bench) (core.Interceptor, func() bool) {
			calls := 0
			around := must(middleware.NewBeforeAfter(nil, func(_ context.Context, _ core.Job, err error) {
				if p, ok := errors.AsType[*core.PanicError](err); !ok || p.Value != "oh" || len(p.Stack) == 0 {
					b.Error(err)
				}
				calls++
			}))
			return around.Intercept, func() bool { return calls == 3 }
		},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(b bench) {
				layer, right := c(b)
				submit := b.with(layer)
				for range 3 {
					if _, err := submit(oh).Get(); !errors.Is(err, core.ErrPanicked) {
						b.Error(err)
					}
				}
				if b.WaitIdle(b.Context()); !right() { //nolint:errcheck // the context does not end
					b.Error("it has not seen the panics as errors")
				}
			})
		})
	}
	fallback := must(middleware.NewFallback(middleware.FallbackConfig[int]{Do: func(context.Context, error) (int, error) { return 9, nil }}))
	hedge := must(middleware.NewHedge[int](middleware.HedgeConfig{After: time.Second}))
	cache := must(middleware.NewCache[int, int](middleware.CacheConfig{}))
	check := must(middleware.Check(func(int) error { return nil }))
	slow := func(ctx context.Context) (int, error) {
		if _, err := nap(time.Minute)(ctx); err != nil {
			return 0, err
		}
		panic("oh")
	}
	for name, task := range map[string]core.Task[int]{
		"Fallback": fallback.Decorate(core.Func(oh)), "Hedge": hedge.Decorate(core.Func(slow)),
		"Cache": cache.Decorate(1, core.Func(slow)), "Check": check(core.Func(oh)),
	} {
		synctest.Test(t, func(t *testing.T) {
			e := coretest.New(t, quietly())
			v, err := core.Run(t.Context(), e, task)
			if answered := name == "Fallback"; answered != (v == 9 && err == nil) || !answered && !errors.Is(err, core.ErrPanicked) {
				t.Error(name, v, err)
			}
		})
	}
}

// What one engine has found out holds for another that has the same policies, and for one to
// which they are given while it runs; a place is given back where a policy has been removed.
func TestPolicies_Shared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 2}))
		bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 1}))
		rate := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: time.Hour}))
		var engines []*core.Engine
		for range 2 {
			engines = append(engines, coretest.New(t))
		}
		run := func(e *core.Engine, task core.TaskFunc[int]) error {
			_, err := core.Run(t.Context(), e, core.Task[int](task))
			return err
		}
		add := func(layer core.Interceptor) (removes []func()) {
			for _, e := range engines {
				removes = append(removes, must(e.Intercept(layer)))
			}
			return removes
		}

		removes := add(rate.Intercept)
		if err := run(engines[0], answer(1)); err != nil {
			t.Error(err)
		}
		wantDenied(t, run(engines[1], answer(1)), middleware.ErrRateLimited, "")
		removes[1]()
		if err := run(engines[1], answer(1)); err != nil {
			t.Error(err)
		}
		removes[0]()

		removes = add(bulkhead.Intercept)
		f := must(core.Submit(t.Context(), engines[0], core.Task[int](nap(time.Minute))))
		synctest.Wait()
		wantDenied(t, run(engines[1], answer(1)), middleware.ErrFull, "")
		removes[0]()
		removes[1]()
		if must(f.Get()); bulkhead.InFlight("") != 0 {
			t.Error(bulkhead.InFlight(""))
		}

		add(breaker.Intercept)
		for _, e := range engines {
			run(e, fail(errFlaky)) //nolint:errcheck // it fails
		}
		decorated := must(middleware.Decorate[int](breaker.Intercept))(answer(1))
		_, err := decorated.Execute(t.Context())
		wantDenied(t, err, middleware.ErrOpen, "")
	})
}

// Policies are added and removed while tasks run, by many goroutines: nothing is lost.
func TestPolicies_ComeAndGo(t *testing.T) {
	e := coretest.New(t, core.WithWorkers(4))
	bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 2, Wait: middleware.Waiting{Max: -1}}))
	retry := must(middleware.NewRetry(middleware.RetryConfig{Delay: time.Microsecond}))
	breaker := must(middleware.NewBreaker(middleware.BreakerConfig{If: func(error) bool { return false }}))
	layers := []core.Interceptor{bulkhead.Intercept, retry.Intercept, breaker.Intercept}
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			must(e.Intercept(layers[i%len(layers)]))()
		}
	}()
	var ran atomic.Int64
	var futures []*core.Future[int]
	for range 2000 {
		futures = append(futures, must(core.Submit(t.Context(), e, core.Func(func(ctx context.Context) (int, error) {
			if ran.Add(1); core.Attempt(ctx) == 0 {
				return 0, errFlaky
			}
			return 1, nil
		}))))
	}
	for _, f := range futures {
		if _, err := f.Get(); err != nil && !errors.Is(err, errFlaky) {
			t.Error(err)
		}
	}
	close(stop)
	<-ended
	if n := ran.Load(); n < 2000 || bulkhead.InFlight("") != 0 {
		t.Error(n, bulkhead.InFlight(""))
	}
}
