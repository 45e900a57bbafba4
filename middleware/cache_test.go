package middleware_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

// A hundred tasks with one key share a run, on one worker, which is free for others.
func TestCache_SharesARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(1))
		cache := must(middleware.NewCache[string, int](middleware.CacheConfig{}))
		runs := 0
		task := core.Func(func(ctx context.Context) (int, error) {
			runs++
			core.Blocking(ctx, func() { time.Sleep(time.Hour) })
			return 7, nil
		})
		var futures []*core.Future[int]
		for range 100 {
			futures = append(futures, must(core.Submit(t.Context(), e, cache.Decorate("k", task))))
		}
		synctest.Wait()
		if s := e.Stats(); s.Waiting != 100 || s.Idle != 1 {
			t.Errorf("%+v", s)
		}
		if d := took(func() { must(core.Run(t.Context(), e, cache.Decorate("other", answer(1)))) }); d != 0 {
			t.Error(d)
		}
		for _, f := range futures {
			if v := must(f.Get()); v != 7 {
				t.Error(v)
			}
		}
		if runs != 1 || cache.Len() != 0 {
			t.Error(runs, cache.Len())
		}
		must(core.Run(t.Context(), e, cache.Decorate("k", task))) // nothing was kept
		if runs != 2 {
			t.Error(runs)
		}
	})
}

func TestCache_Keeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t)
		cache := must(middleware.NewCache[int, string](middleware.CacheConfig{TTL: time.Minute, Max: 2}))
		runs := 0
		get := func(key int) string {
			return must(core.Run(t.Context(), e, cache.Decorate(key, core.Func(func(context.Context) (string, error) {
				runs++
				return strconv.Itoa(key), nil
			}))))
		}
		want := func(n int) {
			t.Helper()
			if runs != n {
				t.Errorf("%d runs, want %d", runs, n)
			}
		}
		for _, key := range []int{1, 2, 1, 2, 1} {
			if get(key) != strconv.Itoa(key) {
				t.Error("the value of another key")
			}
		}
		want(2)
		get(3) // for which 2 is dropped
		get(1)
		want(3)
		get(2)
		want(4)
		cache.Forget(2)
		cache.Forget(5)
		get(2)
		want(5)
		time.Sleep(time.Minute - 1)
		get(2)
		want(5)
		time.Sleep(time.Nanosecond)
		get(2)
		want(6)
		if cache.Len() > 2 {
			t.Error(cache.Len())
		}
	})
}

// An error is that of all who wait for it, and is not kept; a panic is one of the task that
// panicked alone.
func TestCache_Errors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, panics := range []bool{false, true} {
			e := coretest.New(t, core.WithWorkers(1), quietly())
			cache := must(middleware.NewCache[int, int](middleware.CacheConfig{TTL: time.Hour}))
			runs := 0
			task := cache.Decorate(1, core.Func(func(ctx context.Context) (int, error) {
				runs++
				core.Blocking(ctx, func() { time.Sleep(time.Second) })
				if panics {
					panic(errFlaky)
				}
				return 0, errFlaky
			}))
			for round := range 2 {
				var futures []*core.Future[int]
				for range 10 {
					futures = append(futures, must(core.Submit(t.Context(), e, task)))
				}
				for _, f := range futures {
					if _, err := f.Get(); !errors.Is(err, errFlaky) {
						t.Error(err)
					}
				}
				if runs != round+1 {
					t.Error(runs)
				}
			}
			if s := e.Stats(); panics && (s.Panicked != 2 || s.Failed != 18) {
				t.Errorf("%+v", s)
			}
		}
	})
}

// The task that runs goes without an answer: one of those that wait takes its place.
func TestCache_Succession(t *testing.T) {
	for _, how := range []string{"cancelled", "Goexit", "again"} {
		synctest.Test(t, func(t *testing.T) {
			e := coretest.New(t, core.WithWorkers(1))
			cache := must(middleware.NewCache[int, int](middleware.CacheConfig{}))
			var runs atomic.Int64
			task := cache.Decorate(1, core.Func(func(ctx context.Context) (v int, err error) {
				n := runs.Add(1)
				core.Blocking(ctx, func() { v, err = nap(time.Minute)(ctx) })
				if n == 1 && how == "Goexit" {
					runtime.Goexit()
				}
				if n == 1 && how == "again" {
					return 0, core.Again(time.Hour, nil)
				}
				return v, err
			}))
			var futures []*core.Future[int]
			for range 10 {
				futures = append(futures, must(core.Submit(t.Context(), e, task)))
				synctest.Wait()
			}
			if how == "cancelled" {
				futures[5].Cancel() // one of those that wait
				synctest.Wait()
				futures[0].Cancel()
			}
			for i, f := range futures {
				v, err := f.Get()
				canceled := how == "cancelled" && (i == 0 || i == 5)
				switch {
				case canceled && errors.Is(err, context.Canceled), i == 0 && how == "Goexit" && errors.Is(err, core.ErrGoexit):
				case v != 1 || err != nil || canceled:
					t.Errorf("%s: %d: %d, %v", how, i, v, err)
				}
			}
			want := int64(2)
			if how == "again" {
				want = 3 // it comes back when the others have ended
			}
			if runs.Load() != want {
				t.Errorf("%s: %d runs", how, runs.Load())
			}
		})
	}
}

// Who gives up waiting for the run of another task tells why, and the run goes on.
func TestCache_GivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(1))
		cache := must(middleware.NewCache[int, int](middleware.CacheConfig{}))
		task := cache.Decorate(1, nap(time.Minute))
		f := must(core.Submit(t.Context(), e, task))
		synctest.Wait()
		ctx, stop := context.WithCancelCause(t.Context())
		stop(errFlaky)
		if _, err := task.Execute(ctx); !errors.Is(err, errFlaky) || !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		must(f.Get())
	})
}

func TestCache_Invalid(t *testing.T) {
	for name, c := range map[string]middleware.CacheConfig{"ttl": {TTL: -1}, "max": {Max: -1}} {
		_, err := middleware.NewCache[int, int](c)
		wantInvalid(t, name, err)
	}
	_, err := middleware.NewCache[int, int](middleware.CacheConfig{TTL: -1, Max: -1})
	if text := err.Error(); !strings.Contains(text, "TTL") || !strings.Contains(text, "Max") {
		t.Errorf("not all faults: %v", err)
	}
}

// Keys of which no two are equal, or that cannot be compared, leave nothing behind.
func TestCache_OddKeys(t *testing.T) {
	floats := must(middleware.NewCache[float64, int](middleware.CacheConfig{TTL: time.Hour, Max: 2}))
	runs := 0
	task := core.Func(func(context.Context) (int, error) { runs++; return runs, nil })
	for i := range 100 {
		if v, err := floats.Decorate(math.NaN(), task).Execute(t.Context()); v != i+1 || err != nil {
			t.Error(v, err)
		}
	}
	if n := floats.Len(); n != 0 {
		t.Errorf("%d are kept", n)
	}
	things := must(middleware.NewCache[any, int](middleware.CacheConfig{TTL: time.Hour}))
	e := coretest.New(t, quietly())
	if _, err := core.Run(t.Context(), e, things.Decorate([]int{1}, task)); !errors.Is(err, core.ErrPanicked) {
		t.Error(err)
	}
	for range 2 {
		if v, err := core.Run(t.Context(), e, things.Decorate("fine", task)); v != 101 || err != nil {
			t.Error(v, err)
		}
	}
}
