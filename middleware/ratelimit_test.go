package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

func TestRateLimit_Refuses(t *testing.T) {
	for _, bursty := range []bool{false, true} {
		bothWays(t, func(b bench) {
			limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 2, Per: time.Minute, Bursty: bursty}))
			submit := b.with(limit.Intercept)
			var got []bool
			for range 8 { // every 15 s
				_, err := submit(answer(1)).Get()
				if err != nil {
					wantDenied(b.T, err, middleware.ErrRateLimited, "")
				}
				got = append(got, err == nil)
				time.Sleep(15 * time.Second)
			}
			want := []bool{true, false, true, false, true, false, true, false}
			if bursty {
				want = []bool{true, true, false, false, true, true, false, false}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				b.Error(diff)
			}
		})
	}
}

// Tasks wait in order, without a worker, each for exactly as long as it has to.
func TestRateLimit_Waits(t *testing.T) {
	bothWays(t, func(b bench) {
		limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: time.Second, Wait: middleware.Waiting{Max: -1}}))
		submit := b.with(limit.Intercept)
		var order, at []int
		begin := time.Now()
		for i := range 5 {
			submit(func(context.Context) (int, error) {
				order = append(order, i)
				at = append(at, int(time.Since(begin)/time.Second))
				return 0, nil
			})
			synctest.Wait()
		}
		if s := b.Stats(); s.Idle != 1 || s.Waiting != 4 || limit.Waiting("") != 4 {
			b.Errorf("%+v", s)
		}
		b.WaitIdle(b.Context()) //nolint:errcheck // the context does not end
		if want := []int{0, 1, 2, 3, 4}; !slices.Equal(order, want) || !slices.Equal(at, want) {
			b.Error(order, at)
		}
	})
}

// With Every a task that waits is in the queue, and leaves no goroutine.
func TestRateLimit_Readmits(t *testing.T) {
	bothWays(t, func(b bench) {
		limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: time.Minute,
			Wait: middleware.Waiting{Max: -1, Every: time.Second}}))
		submit := b.with(limit.Intercept)
		must(submit(answer(1)).Get())
		f := submit(answer(7))
		synctest.Wait()
		if s := b.Stats(); s.Delayed != 1 || s.Running != 0 {
			b.Errorf("%+v", s)
		}
		d := took(func() {
			if v, err := f.Get(); v != 7 || err != nil {
				b.Error(v, err)
			}
		})
		if d != time.Minute {
			b.Error(d)
		}
	})
}

// E-MID-08: ten thousand tasks are cancelled while they wait; then a steady load has the
// full rate, and in no time more start than allowed.
func TestRateLimit_E_MID_08_CancelledWaiters(t *testing.T) {
	for _, bursty := range []bool{false, true} {
		for _, every := range []time.Duration{0, 100 * time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				const tasks, per = 10, time.Second
				waiters := 1000
				if raceEnabled {
					waiters = 100
				}
				limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: tasks, Per: per, Bursty: bursty,
					Wait: middleware.Waiting{Max: -1, Every: every}}))
				e := coretest.New(t, core.WithWorkers(4), core.WithUnboundedQueue(), core.WithInterceptors(limit.Intercept))
				var mu sync.Mutex
				var starts []time.Time
				task := core.Func(func(context.Context) (int, error) {
					mu.Lock()
					defer mu.Unlock()
					starts = append(starts, time.Now())
					return 0, nil
				})
				for round := range 10 {
					var futures []*core.Future[int]
					for range waiters {
						futures = append(futures, must(core.Submit(t.Context(), e, task)))
					}
					time.Sleep(time.Duration(round) * 37 * time.Millisecond)
					for _, f := range futures {
						f.Cancel()
					}
					e.WaitIdle(t.Context()) //nolint:errcheck // the context does not end
				}
				if n := limit.Waiting(""); n != 0 {
					t.Errorf("%d wait", n)
				}
				begin := time.Now()
				n := len(starts)
				for range 10 * tasks { // as fast as is allowed
					must(core.Submit(t.Context(), e, task))
					time.Sleep(per / tasks)
				}
				e.WaitIdle(t.Context()) //nolint:errcheck // the context does not end
				if d := time.Since(begin); len(starts)-n != 10*tasks || d > 10*per+per+time.Second {
					t.Errorf("bursty %v, every %v: %d started in %v", bursty, every, len(starts)-n, d)
				}
				slack := 2
				if bursty {
					slack = 2 * tasks
				}
				for i := range starts {
					for j := i; j < len(starts); j++ {
						window := starts[j].Sub(starts[i])
						if got, most := j-i+1, int(window*tasks/per)+slack; got > most {
							t.Fatalf("bursty %v, every %v: %d started in %v, allowed are %d", bursty, every, got, window, most)
						}
					}
				}
			})
		}
	}
}

// Whatever comes when, and gives up when: the bound of every window holds, no task waits
// while there is a permit, and those that do not give up all run.
func TestRateLimit_Bound(t *testing.T) {
	type arrival struct{ Wait, GivesUp time.Duration }
	rapid.Check(t, func(rt *rapid.T) {
		tasks := rapid.IntRange(1, 5).Draw(rt, "tasks")
		bursty := rapid.Bool().Draw(rt, "bursty")
		ms := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond
		})
		arrivals := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) arrival {
			a := arrival{Wait: ms.Draw(t, "wait") / 4}
			switch rapid.IntRange(0, 9).Draw(t, "how") {
			case 0:
				a.Wait *= 50
			case 1, 2, 3, 4:
				a.Wait = 0
			}
			if rapid.Bool().Draw(t, "gives up") {
				a.GivesUp = ms.Draw(t, "after") + 1
			}
			return a
		}), 1, 40).Draw(rt, "arrivals")
		fault := ""
		synctest.Test(t, func(t *testing.T) {
			const per = time.Second
			limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: tasks, Per: per, Bursty: bursty, Wait: middleware.Waiting{Max: -1}}))
			decorate := must(middleware.Decorate[int](limit.Intercept))
			var mu sync.Mutex
			var starts []time.Time
			var all sync.WaitGroup
			gaveUp := 0
			for _, a := range arrivals {
				time.Sleep(a.Wait)
				all.Go(func() {
					ctx := t.Context()
					if a.GivesUp > 0 {
						inner, stop := context.WithTimeout(ctx, a.GivesUp)
						defer stop()
						ctx = inner
					}
					_, err := decorate(core.Func(func(context.Context) (int, error) {
						mu.Lock()
						defer mu.Unlock()
						starts = append(starts, time.Now())
						return 0, nil
					})).Execute(ctx)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						gaveUp++
					}
					if err != nil && (a.GivesUp == 0 || !errors.Is(err, context.DeadlineExceeded)) {
						fault = err.Error()
					}
				})
			}
			all.Wait()
			if len(starts)+gaveUp != len(arrivals) {
				fault = fmt.Sprintf("%d started, %d gave up, of %d", len(starts), gaveUp, len(arrivals))
			}
			slack := 2
			if bursty {
				slack = 2 * tasks
			}
			for i := range starts {
				for j := i; j < len(starts); j++ {
					window := starts[j].Sub(starts[i])
					if got, most := j-i+1, int(int64(window)*int64(tasks)/int64(per))+slack; got > most {
						fault = fmt.Sprintf("%d started in %v, allowed are %d", got, window, most)
					}
				}
			}
		})
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}

// withTimeout executes task with a context that ends after d.
func withTimeout(t *testing.T, d time.Duration, task core.Task[int]) (int, error) {
	ctx, stop := context.WithTimeout(t.Context(), d)
	defer stop()
	return task.Execute(ctx)
}

// The permit for which one waited who gave up goes to the next who can wait for it, and to
// nobody before its time.
func TestRateLimit_LeftPermitGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: time.Minute, Wait: middleware.Waiting{Max: -1}}))
		task := must(middleware.Decorate[int](limit.Intercept))(answer(1))
		begin := time.Now()
		must(task.Execute(t.Context()))
		for _, at := range []time.Duration{0, 20 * time.Second, 40 * time.Second} {
			time.Sleep(time.Until(begin.Add(at)))
			if _, err := withTimeout(t, 10*time.Second, task); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(at, err)
			}
		}
		time.Sleep(time.Until(begin.Add(55 * time.Second)))
		must(task.Execute(t.Context()))
		if d := time.Since(begin); d != time.Minute {
			t.Error(d)
		}
	})
}

// The permit for which one waited who gave up does not keep: later it is not one more.
func TestRateLimit_LeftPermitLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: time.Minute, Wait: middleware.Waiting{Max: -1}}))
		task := must(middleware.Decorate[int](limit.Intercept))(answer(1))
		must(task.Execute(t.Context()))
		if _, err := withTimeout(t, 10*time.Second, task); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(10 * time.Minute)
		must(task.Execute(t.Context()))
		if _, err := withTimeout(t, 10*time.Second, task); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// After a wait, and a long time in which nobody came, no more may start at once than ever.
func TestRateLimit_IdleAfterAWait(t *testing.T) {
	for _, bursty := range []bool{false, true} {
		for _, givesUp := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 2, Per: time.Second, Bursty: bursty, Wait: middleware.Waiting{Max: -1}}))
				task := must(middleware.Decorate[int](limit.Intercept))(answer(1))
				for range 2 {
					must(task.Execute(t.Context()))
				}
				ctx, stop := context.WithTimeout(t.Context(), map[bool]time.Duration{true: time.Millisecond, false: time.Hour}[givesUp])
				defer stop()
				if _, err := task.Execute(ctx); errors.Is(err, context.DeadlineExceeded) != givesUp {
					t.Error(err)
				}
				time.Sleep(1000*time.Second + 300*time.Millisecond)
				d := took(func() {
					for range 100 {
						must(task.Execute(t.Context()))
					}
				})
				if d < 48*time.Second {
					t.Errorf("bursty %v, gives up %v: a hundred started in %v", bursty, givesUp, d)
				}
			})
		}
	}
}

// Where the step is no whole number of nanoseconds there are rather too few starts.
func TestRateLimit_RoundsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 2, Per: 3, Wait: middleware.Waiting{Max: -1}}))
		task := must(middleware.Decorate[int](limit.Intercept))(answer(1))
		d := took(func() {
			for range 102 {
				must(task.Execute(t.Context()))
			}
		})
		if d < 150 || d > 210 {
			t.Errorf("a hundred and two started in %v", d)
		}
	})
}

// Whoever comes back comes when there is a permit, not a whole step after it came.
func TestRateLimit_ReadmitsInTime(t *testing.T) {
	bothWays(t, func(b bench) {
		limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: time.Hour, Wait: middleware.Waiting{Max: -1, Every: time.Second}}))
		submit := b.with(limit.Intercept)
		must(submit(answer(1)).Get())
		time.Sleep(50 * time.Minute)
		if d := took(func() { must(submit(answer(1)).Get()) }); d != 10*time.Minute {
			b.Error(d)
		}
	})
}

// A step that never ends, before which a line stands all the same.
func TestRateLimit_Forever(t *testing.T) {
	for _, bursty := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: math.MaxInt64, Bursty: bursty, Wait: middleware.Waiting{Max: time.Hour}}))
			task := must(middleware.Decorate[int](limit.Intercept))(answer(1))
			must(task.Execute(t.Context()))
			for range 3 {
				if _, err := task.Execute(t.Context()); !errors.Is(err, middleware.ErrRateLimited) {
					t.Error(err)
				}
			}
			limit = must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: math.MaxInt64, Bursty: bursty, Wait: middleware.Waiting{Max: math.MaxInt64}}))
			task = must(middleware.Decorate[int](limit.Intercept))(answer(1))
			must(task.Execute(t.Context()))
			ctx, stop := context.WithTimeout(t.Context(), time.Hour)
			defer stop()
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					if _, err := task.Execute(ctx); !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
				})
			}
			synctest.Wait()
			if n := limit.Waiting(""); n != 3 {
				t.Errorf("%d wait", n)
			}
			all.Wait()
		})
	}
}

func TestRateLimit_Keys(t *testing.T) {
	bothWays(t, func(b bench) {
		limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: time.Minute, Keys: middleware.Keys{Of: core.Job.Name}}))
		if b.decorate {
			decorate := must(middleware.Decorate[int](limit.Intercept))
			must(decorate(answer(1)).Execute(b.Context())) // the zero Job
			return
		}
		must(b.Intercept(limit.Intercept))
		for i, name := range []string{"a", "b", "a", "b"} {
			_, err := core.RunWith(b.Context(), b.Engine, core.Attributes{Name: name}, core.Task[int](answer(1)))
			if i < 2 && err != nil {
				b.Error(err)
			} else if i >= 2 {
				wantDenied(b.T, err, middleware.ErrRateLimited, name)
			}
		}
		if diff := cmp.Diff([]string{"b", "a"}, limit.Keys()); diff != "" || limit.Waiting("?") != 0 {
			b.Error(diff)
		}
	})
}

// A plain function waits too, and holds its worker.
func TestRateLimit_PlainFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: time.Minute,
			Wait: middleware.Waiting{Max: -1, Every: time.Second}}))
		e := coretest.New(t, core.WithWorkers(1), core.WithInterceptors(limit.Intercept))
		runs := 0
		for range 3 {
			if err := e.Go(func() { runs++ }); err != nil {
				t.Fatal(err)
			}
		}
		d := took(func() { e.WaitIdle(t.Context()) }) //nolint:errcheck // the context does not end
		if runs != 3 || d != 2*time.Minute {
			t.Error(runs, d)
		}
	})
}

func TestRateLimit_Invalid(t *testing.T) {
	for name, c := range map[string]middleware.RateLimitConfig{
		"none":        {},
		"tasks":       {Tasks: -1, Per: time.Second},
		"per":         {Tasks: 1},
		"negative":    {Tasks: 1, Per: -1},
		"too many":    {Tasks: 10, Per: 9},
		"every":       {Tasks: 1, Per: 1, Wait: middleware.Waiting{Max: 1, Every: -1}},
		"every alone": {Tasks: 1, Per: 1, Wait: middleware.Waiting{Every: 1}},
		"keys":        {Tasks: 1, Per: 1, Keys: middleware.Keys{Max: 1}},
	} {
		_, err := middleware.NewRateLimit(c)
		wantInvalid(t, name, err)
	}
}
