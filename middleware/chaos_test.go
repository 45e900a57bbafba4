package middleware_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/middleware"
)

// Policies in any order, some around all tasks of two engines and some around a task, whose
// tasks end in every way, while one of the engines is closed by force: every future is
// resolved, every place is given back, and the breaker closes again.
func TestChaos_NothingIsLost(t *testing.T) {
	seeds := 200
	if raceEnabled {
		seeds = 30
	}
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) { chaos(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func chaos(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	one := func(n int) bool { return random.IntN(n) == 0 }
	wait := func() (w middleware.Waiting) {
		if w.Max = time.Duration(random.IntN(4)-1) * time.Second; w.Max != 0 && one(2) {
			w.Every = 300 * time.Millisecond
		}
		return w
	}
	breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 3, Delay: 3 * time.Second, Probes: 1 + random.IntN(2),
		Readmit: time.Duration(random.IntN(3)) * 2 * time.Second}))
	bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 2, Wait: wait()}))
	adaptive := must(middleware.NewAdaptiveLimit(middleware.AdaptiveLimitConfig{Max: 3, Wait: wait()}))
	rate := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 5, Per: time.Second, Bursty: one(2), Wait: wait()}))
	retry := must(middleware.NewRetry(middleware.RetryConfig{Delay: time.Second, InPlace: one(2), If: func(error) bool { return true }}))
	limit := must(middleware.NewTimeout(5 * time.Second))
	var befores, afters atomic.Int64
	around := must(middleware.NewBeforeAfter(
		func(ctx context.Context, _ core.Job) (context.Context, error) { befores.Add(1); return ctx, nil },
		func(context.Context, core.Job, error) { afters.Add(1) }))
	layers := []core.Interceptor{breaker.Intercept, bulkhead.Intercept, adaptive.Intercept, rate.Intercept, retry.Intercept, limit.Intercept, around.Intercept}
	random.Shuffle(len(layers), func(i, j int) { layers[i], layers[j] = layers[j], layers[i] })
	n := random.IntN(len(layers) + 1)
	decorate := must(middleware.Decorate[int](layers[n:]...))

	var engines []*core.Engine
	for range 2 {
		engines = append(engines, must(core.New(core.WithWorkers(1+random.IntN(3)), quietly(), core.WithInterceptors(layers[:n]...))))
	}
	var futures []*core.Future[int]
	for range 40 {
		how, d := random.IntN(8), time.Duration(random.IntN(2000))*time.Millisecond
		task := decorate(core.Func(func(ctx context.Context) (int, error) {
			if how == 0 {
				time.Sleep(d) // it does not obey
			} else if _, err := nap(d)(ctx); err != nil {
				return 0, err
			}
			switch {
			case how == 1:
				panic(1)
			case how == 2:
				runtime.Goexit()
			case how == 3:
				return 0, errFlaky
			case how == 4 && core.Attempt(ctx) < 3:
				return 0, core.Again(d, nil)
			}
			return 1, nil
		}))
		e := engines[random.IntN(2)]
		f, err := core.Submit(t.Context(), e, task)
		if err != nil {
			t.Fatal(err)
		}
		futures = append(futures, f)
		if one(4) {
			time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
			futures[random.IntN(len(futures))].Cancel()
		}
	}
	now, stop := context.WithCancel(t.Context())
	stop()
	engines[0].Close(now)
	time.Sleep(10 * time.Minute) // more than all takes
	engines[1].Shutdown(t.Context())
	for i, f := range futures {
		if !f.IsDone() {
			t.Errorf("future %d is not resolved", i)
		}
	}
	if a, b, c := bulkhead.InFlight(""), adaptive.InFlight(), rate.Waiting(""); a+b+c != 0 {
		t.Errorf("%d in the bulkhead, %d in the adaptive limit, %d wait for a permit", a, b, c)
	}
	if befores.Load() != afters.Load() {
		t.Errorf("%d before, %d after", befores.Load(), afters.Load())
	}
	probe := must(middleware.Decorate[int](breaker.Intercept))(answer(1))
	for range 2 {
		if _, err := probe.Execute(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if s := breaker.State(""); s != middleware.BreakerClosed {
		t.Errorf("the breaker is %v", s)
	}
}
