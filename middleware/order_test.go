package middleware_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

// A breaker within a retry counts each run, one around it only what becomes of the last.
func TestOrder_BreakerAndRetry(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		for _, around := range []bool{false, true} {
			bothWays(t, func(b bench) {
				breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 2, Delay: time.Hour}))
				retry := must(middleware.NewRetry(middleware.RetryConfig{Attempts: 2, InPlace: inPlace}))
				layers := []core.Interceptor{retry.Intercept, breaker.Intercept}
				if around {
					layers[0], layers[1] = layers[1], layers[0]
				}
				submit := b.with(layers...)
				runs := 0
				if _, err := submit(func(context.Context) (int, error) { runs++; return 0, errFlaky }).Get(); !errors.Is(err, errFlaky) {
					b.Error(err)
				}
				want := middleware.BreakerOpen
				if around {
					want = middleware.BreakerClosed
				}
				if got := breaker.State(""); got != want {
					b.Errorf("around %v, inPlace %v: it is %v after %d runs", around, inPlace, got, runs)
				}
			})
		}
	}
}

// A task gives its place in a bulkhead back while it waits for its next run, on whichever
// side the retry is; where it waits in place, within, it keeps it.
func TestOrder_BulkheadAndRetry(t *testing.T) {
	for _, c := range []struct {
		inPlace, around bool
		inside          int
	}{{false, false, 0}, {true, false, 0}, {false, true, 0}, {true, true, 1}} {
		bothWays(t, func(b bench) {
			bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 1}))
			retry := must(middleware.NewRetry(middleware.RetryConfig{Attempts: 2, Delay: time.Hour, Jitter: -1, InPlace: c.inPlace}))
			layers := []core.Interceptor{retry.Intercept, bulkhead.Intercept}
			if c.around {
				layers[0], layers[1] = layers[1], layers[0]
			}
			f := b.with(layers...)(fail(errFlaky))
			synctest.Wait()
			if n := bulkhead.InFlight(""); n != c.inside {
				b.Errorf("%+v: %d within", c, n)
			}
			if _, err := f.Get(); !errors.Is(err, middleware.ErrExhausted) {
				b.Error(err)
			}
		})
	}
}

// Each run of a retry takes a permit of a rate limit within, and where there is none the
// next attempt waits for it.
func TestOrder_RateLimitWithinRetry(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		bothWays(t, func(b bench) {
			limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: 30 * time.Second}))
			retry := must(middleware.NewRetry(middleware.RetryConfig{Attempts: 3, Delay: time.Second, Jitter: -1, InPlace: inPlace}))
			submit := b.with(retry.Intercept, limit.Intercept)
			runs := 0
			d := took(func() {
				_, err := submit(func(context.Context) (int, error) { runs++; return 0, errFlaky }).Get()
				if !errors.Is(err, errFlaky) {
					b.Error(err)
				}
			})
			// It runs, is refused after a second, and runs again when the step of 30 s is over.
			if runs != 2 || d != 30*time.Second {
				b.Errorf("inPlace %v: %d runs in %v", inPlace, runs, d)
			}
		})
	}
}

// Around a cache, the tasks of a key share each run of a retry.
func TestOrder_RetryAroundCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(8))
		retry := must(middleware.Decorate[int](steady(func(c *middleware.RetryConfig) { c.Attempts = 2 }).Intercept))
		cache := must(middleware.NewCache[int, int](middleware.CacheConfig{}))
		var runs atomic.Int64
		task := retry(cache.Decorate(1, core.Func(func(ctx context.Context) (int, error) {
			runs.Add(1)
			if _, err := nap(time.Minute)(ctx); err != nil {
				return 0, err
			}
			return 0, errFlaky
		})))
		var futures []*core.Future[int]
		for range 8 {
			futures = append(futures, must(core.Submit(t.Context(), e, task)))
		}
		for _, f := range futures {
			if _, err := f.Get(); !errors.Is(err, middleware.ErrExhausted) {
				t.Error(err)
			}
		}
		if n := runs.Load(); n != 2 {
			t.Errorf("%d runs", n)
		}
	})
}

// A retry around a hedge repeats what all runs of the hedge have failed with, and each attempt
// has further runs of its own; a retry within repeats each run of the hedge by itself.
func TestOrder_RetryAndHedge(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		for _, within := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				e := coretest.New(t, core.WithWorkers(1))
				retry := must(middleware.Decorate[int](steady(func(c *middleware.RetryConfig) { c.Attempts, c.InPlace = 3, inPlace }).Intercept))
				hedge := must(middleware.NewHedge[int](middleware.HedgeConfig{After: 5 * time.Second}))
				var runs, attempts atomic.Int64
				var task core.Task[int] = core.Func(func(ctx context.Context) (int, error) {
					runs.Add(1)
					attempts.Store(int64(core.Attempt(ctx)))
					if _, err := nap(6 * time.Second)(ctx); err != nil {
						return 0, err
					}
					return 0, errFlaky
				})
				wantRuns, wantAttempts, wantTook := int64(6), int64(2), 36*time.Second // three times 11 s, and 1 + 2 s
				if within {
					// Both have three runs of 6 s, and 1 + 2 s between them; the second begins 5 s later.
					task, wantAttempts, wantTook = hedge.Decorate(retry(task)), 0, 26*time.Second
				} else {
					task = retry(hedge.Decorate(task))
					if inPlace {
						wantAttempts = 0
					}
				}
				f := must(core.Submit(t.Context(), e, task))
				d := took(func() {
					if _, err := f.Get(); !errors.Is(err, errFlaky) || !errors.Is(err, middleware.ErrExhausted) {
						t.Error(err)
					}
				})
				if runs.Load() != wantRuns || attempts.Load() != wantAttempts || d != wantTook {
					t.Errorf("in place %v, within %v: %d runs, attempt %d, %v", inPlace, within, runs.Load(), attempts.Load(), d)
				}
			})
		}
	}
}

// While the runs of a hedge wait for their next attempts, the worker does other work; and the
// one that ends well first ends the waits of the others.
func TestOrder_RetryWithinHedgeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(1))
		retry := must(middleware.Decorate[int](must(middleware.NewRetry(middleware.RetryConfig{Delay: time.Hour, Jitter: -1, MaxDelay: time.Hour})).Intercept))
		hedge := must(middleware.NewHedge[int](middleware.HedgeConfig{After: time.Minute, Max: 2}))
		var runs atomic.Int64
		f := must(core.Submit(t.Context(), e, hedge.Decorate(retry(core.Func(func(context.Context) (int, error) {
			if n := runs.Add(1); n < 3 {
				return 0, errFlaky
			}
			return 3, nil
		})))))
		time.Sleep(90 * time.Second)
		if s := e.Stats(); s.Idle != 1 || s.Waiting != 1 {
			t.Errorf("%+v", s)
		}
		if d := took(func() { must(core.Run(t.Context(), e, answer(1))) }); d != 0 {
			t.Error(d)
		}
		if d := took(func() {
			if v, err := f.Get(); v != 3 || err != nil {
				t.Error(v, err)
			}
		}); d != 30*time.Second {
			t.Error(d)
		}
	})
}

// Within a cache, the tasks of a key share all attempts of a retry.
func TestOrder_RetryWithinCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(1))
		retry := must(middleware.Decorate[int](steady(nil).Intercept))
		cache := must(middleware.NewCache[int, int](middleware.CacheConfig{}))
		runs := 0
		task := cache.Decorate(1, retry(core.Func(func(context.Context) (int, error) {
			if runs++; runs < 4 {
				return 0, errFlaky
			}
			return runs, nil
		})))
		var futures []*core.Future[int]
		for range 8 {
			futures = append(futures, must(core.Submit(t.Context(), e, task)))
		}
		d := took(func() {
			for _, f := range futures {
				if v, err := f.Get(); v != 4 || err != nil {
					t.Error(v, err)
				}
			}
		})
		if runs != 4 || d != 7*time.Second {
			t.Error(runs, d)
		}
	})
}
