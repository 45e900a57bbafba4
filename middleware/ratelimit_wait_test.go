package middleware_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/middleware"
)

// Where it would have to wait for longer than allowed it is denied at once.
func TestRateLimit_WaitsForSoLong(t *testing.T) {
	for _, every := range []time.Duration{0, 7 * time.Second} {
		bothWays(t, func(b bench) {
			limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: time.Minute,
				Wait: middleware.Waiting{Max: 50 * time.Second, Every: every}}))
			submit := b.with(limit.Intercept)
			must(submit(answer(1)).Get())
			d := took(func() {
				_, err := submit(answer(1)).Get()
				wantDenied(b.T, err, middleware.ErrRateLimited, "")
			})
			if d != 0 {
				b.Error(d)
			}
			time.Sleep(time.Minute)
			d = took(func() { must(submit(answer(1)).Get()) })
			if d != 0 {
				b.Error(d)
			}
			time.Sleep(time.Minute + 10*time.Second)
			must(submit(answer(1)).Get())
			d = took(func() { must(submit(answer(1)).Get()) })
			if d != 50*time.Second { // which is as long as allowed
				b.Error(d)
			}
		})
	}
}

// Those who stand in the line before it count, and who comes too late for the step in which
// there would be a permit for it is told when there is one.
func TestRateLimit_TheLineIsTooLong(t *testing.T) {
	for _, bursty := range []bool{false, true} {
		bothWays(t, func(b bench) {
			limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 2, Per: time.Minute, Bursty: bursty,
				Wait: middleware.Waiting{Max: time.Minute}}))
			submit := b.with(limit.Intercept)
			var futures []*core.Future[int]
			d := took(func() {
				for range 7 {
					futures = append(futures, submit(answer(1)))
					synctest.Wait()
				}
			})
			var ran []bool
			for _, f := range futures {
				_, err := f.Get()
				ran = append(ran, err == nil)
				if denied, ok := errors.AsType[*middleware.DeniedError](err); err != nil && (!ok || denied.RetryAfter() != map[bool]time.Duration{false: 90 * time.Second, true: 2 * time.Minute}[bursty]) {
					b.Errorf("%+v", err)
				}
			}
			want := []bool{true, true, true, false, false, false, false}
			if bursty {
				want = []bool{true, true, true, true, false, false, false}
			}
			if !slices.Equal(ran, want) || d != 0 || limit.Waiting("") != 0 {
				b.Error(bursty, ran, d)
			}
		})
	}
}

// Whoever comes when: those that run have waited no longer than allowed, and the others not at
// all; and one who comes back when it was told finds a permit.
func TestRateLimit_DeniedAtOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tasks := rapid.IntRange(1, 5).Draw(rt, "tasks")
		bursty := rapid.Bool().Draw(rt, "bursty")
		most := time.Duration(rapid.IntRange(1, 3000).Draw(rt, "most")) * time.Millisecond
		waits := rapid.SliceOfN(rapid.IntRange(0, 800), 1, 40).Draw(rt, "waits")
		var mu sync.Mutex
		fault := ""
		synctest.Test(t, func(t *testing.T) {
			limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: tasks, Per: time.Second, Bursty: bursty, Wait: middleware.Waiting{Max: most}}))
			task := must(middleware.Decorate[int](limit.Intercept))(answer(1))
			var all sync.WaitGroup
			var last *middleware.DeniedError // of the last that has come, if it was denied
			for i, ms := range waits {
				time.Sleep(time.Duration(max(ms-500, 0)) * time.Millisecond)
				all.Go(func() {
					begin := time.Now()
					_, err := task.Execute(t.Context())
					d := time.Since(begin)
					mu.Lock()
					defer mu.Unlock()
					denied, ok := errors.AsType[*middleware.DeniedError](err)
					switch {
					case err == nil && d > most, err != nil && d > 0:
						fault = fmt.Sprintf("%v after %v", err, d)
					case ok && denied.After <= most:
						fault = fmt.Sprintf("denied for %v", denied.After)
					}
					if i == len(waits)-1 {
						last = denied
					}
				})
				synctest.Wait()
			}
			begin := time.Now()
			all.Wait()
			if last != nil {
				time.Sleep(last.After - time.Since(begin))
				if d := took(func() { must(task.Execute(t.Context())) }); d != 0 {
					fault = fmt.Sprintf("another %v after %v", d, last.After)
				}
			}
		})
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}
