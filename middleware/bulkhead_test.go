package middleware_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

// Full, it refuses at once, or after some time; and a place that is free is taken at once.
func TestBulkhead(t *testing.T) {
	for _, wait := range []middleware.Waiting{{}, {Max: 30 * time.Second}, {Max: 30 * time.Second, Every: 7 * time.Second}} {
		bothWays(t, func(b bench) {
			bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 2, Wait: wait}))
			submit := b.with(bulkhead.Intercept)
			var inside []*core.Future[int]
			for range 2 {
				inside = append(inside, submit(nap(time.Minute)))
			}
			synctest.Wait()
			if n := bulkhead.InFlight(""); n != 2 {
				b.Error(n)
			}
			d := took(func() {
				_, err := submit(answer(1)).Get()
				wantDenied(b.T, err, middleware.ErrFull, "")
			})
			if d != wait.Max {
				b.Error(d)
			}
			for _, f := range inside {
				must(f.Get())
			}
			b.WaitIdle(b.Context()) //nolint:errcheck // the context does not end
			if n := bulkhead.InFlight(""); n != 0 {
				b.Error(n)
			}
			must(submit(answer(1)).Get())
		}, core.WithWorkers(4))
	}
}

// One worker: those that wait for a place are let in, in order, and hold no worker.
func TestBulkhead_WaitsWithoutAWorker(t *testing.T) {
	bothWays(t, func(b bench) {
		bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 1, Wait: middleware.Waiting{Max: -1}}))
		submit := b.with(bulkhead.Intercept)
		var order []int
		release := make(chan struct{})
		for i := range 5 {
			submit(func(ctx context.Context) (int, error) {
				core.Blocking(ctx, func() { <-release })
				order = append(order, i)
				return 0, nil
			})
			synctest.Wait()
		}
		if s := b.Stats(); s.Idle != 1 || s.Waiting != 5 {
			b.Errorf("%+v", s)
		}
		close(release)
		b.WaitIdle(b.Context()) //nolint:errcheck // the context does not end
		if !slices.Equal(order, []int{0, 1, 2, 3, 4}) {
			b.Error(order)
		}
	})
}

// In a mix of ends of all kinds there are never more within than allowed, and in the end none.
func TestBulkhead_NeverMore(t *testing.T) {
	for _, wait := range []middleware.Waiting{{}, {Max: -1}, {Max: -1, Every: 1}} {
		bothWays(t, func(b bench) {
			bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 3, Wait: wait}))
			submit := b.with(bulkhead.Intercept)
			var inside, most atomic.Int64
			random := rand.New(rand.NewPCG(1, 2))
			var futures []*core.Future[int]
			tasks := 500
			if raceEnabled {
				tasks = 100
			}
			for i := range tasks {
				kind := random.IntN(5)
				d := time.Duration(random.IntN(3))
				futures = append(futures, submit(func(ctx context.Context) (int, error) {
					now := inside.Add(1)
					defer inside.Add(-1)
					for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
					}
					if _, err := nap(d)(ctx); err != nil {
						return 0, err
					}
					switch {
					case kind == 0:
						panic(1)
					case kind == 1:
						runtime.Goexit()
					case kind == 2:
						return 0, errFlaky
					case kind == 3 && core.Attempt(ctx) < 2:
						return 0, core.Again(1, nil)
					}
					return 1, nil
				}))
				if i%3 == 0 {
					futures[random.IntN(len(futures))].Cancel()
					time.Sleep(time.Nanosecond)
				}
			}
			b.WaitIdle(b.Context()) //nolint:errcheck // the context does not end
			if most.Load() > 3 || most.Load() < 2 || bulkhead.InFlight("") != 0 {
				b.Errorf("%d at most, %d in the end", most.Load(), bulkhead.InFlight(""))
			}
			for _, f := range futures {
				// One that is cancelled while it waits in the queue tells what it waited for.
				if _, err := f.Get(); wait.Max != 0 && errors.Is(err, middleware.ErrFull) && !errors.Is(err, context.Canceled) {
					b.Error(err)
				}
			}
		}, core.WithWorkers(8))
	}
}

// Who gives up waiting tells why: the error matches the cause and the context's own.
func TestBulkhead_GivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 1, Wait: middleware.Waiting{Max: -1}}))
		decorate := must(middleware.Decorate[int](bulkhead.Intercept))
		e := coretest.New(t, core.WithWorkers(1))
		inside := must(core.Submit(t.Context(), e, decorate(nap(time.Minute))))
		synctest.Wait()
		ctx, stop := context.WithCancelCause(t.Context())
		stop(errFlaky)
		_, err := decorate(answer(1)).Execute(ctx)
		if !errors.Is(err, errFlaky) || !errors.Is(err, context.Canceled) || err.Error() != "middleware: gave up waiting: flaky" {
			t.Error(err)
		}
		must(inside.Get())
	})
}

// Each attempt of a Retry around it has all the time to wait.
func TestBulkhead_WithinRetry(t *testing.T) {
	for _, every := range []time.Duration{0, 3 * time.Second} {
		bothWays(t, func(b bench) {
			bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 1, Wait: middleware.Waiting{Max: 10 * time.Second, Every: every}}))
			retry := must(middleware.NewRetry(middleware.RetryConfig{Attempts: 2, Delay: time.Hour, MaxDelay: time.Hour, Jitter: -1}))
			submit := b.with(retry.Intercept, bulkhead.Intercept)
			long := submit(nap(10 * time.Hour))
			synctest.Wait()
			d := took(func() {
				if _, err := submit(answer(1)).Get(); !errors.Is(err, middleware.ErrFull) || !errors.Is(err, middleware.ErrExhausted) {
					b.Error(err)
				}
			})
			if d != time.Hour+20*time.Second {
				b.Error(d)
			}
			must(long.Get())
		}, core.WithWorkers(2))
	}
}

// Shared between two engines, for each key.
func TestBulkhead_Keys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 1, Keys: middleware.Keys{Of: core.Job.Key}}))
		var engines []*core.Engine
		for range 2 {
			engines = append(engines, coretest.New(t, core.WithInterceptors(bulkhead.Intercept)))
		}
		a := must(core.SubmitWith(t.Context(), engines[0], core.Attributes{Key: "a"}, core.Task[int](nap(time.Minute))))
		synctest.Wait()
		_, err := core.RunWith(t.Context(), engines[1], core.Attributes{Key: "a"}, core.Task[int](answer(1)))
		wantDenied(t, err, middleware.ErrFull, "a")
		must(core.RunWith(t.Context(), engines[1], core.Attributes{Key: "b"}, core.Task[int](answer(1))))
		if n := bulkhead.InFlight("a") + 10*bulkhead.InFlight("b") + 100*bulkhead.InFlight("c") + 1000*len(bulkhead.Keys()); n != 2001 {
			t.Error(n)
		}
		must(a.Get())
	})
}

func TestBulkhead_Invalid(t *testing.T) {
	for name, c := range map[string]middleware.BulkheadConfig{
		"none":  {},
		"tasks": {Tasks: -1},
		"every": {Tasks: 1, Wait: middleware.Waiting{Every: 1}},
		"keys":  {Tasks: 1, Keys: middleware.Keys{Max: -1}},
	} {
		_, err := middleware.NewBulkhead(c)
		wantInvalid(t, name, err)
	}
}
