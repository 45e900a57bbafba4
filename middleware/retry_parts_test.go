package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

// One decorator around two parts of a task: each is repeated by itself, on the goroutine of
// the task, whose worker does other work meanwhile.
func TestParts_RepeatedByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(1))
		retried := must(middleware.Decorate[int](steady(func(c *middleware.RetryConfig) { c.Attempts = 3 }).Intercept))
		runs, ofFirst, ofSecond := 0, 0, 0
		f := must(core.Submit(t.Context(), e, core.Func(func(ctx context.Context) (int, error) {
			runs++
			first := retried(core.Func(func(context.Context) (int, error) { ofFirst++; return 0, errFlaky }))
			if _, err := first.Execute(ctx); !errors.Is(err, middleware.ErrExhausted) {
				t.Error(err)
			}
			return retried(core.Func(func(ctx context.Context) (int, error) {
				if ofSecond++; ofSecond < 3 {
					return 0, errFlaky
				}
				return core.Attempt(ctx), nil
			})).Execute(ctx)
		})))
		synctest.Wait()
		if s := e.Stats(); s.Waiting != 1 || s.Idle != 1 {
			t.Errorf("%+v", s)
		}
		if d := took(func() { must(core.Run(t.Context(), e, answer(1))) }); d != 0 {
			t.Error(d)
		}
		if d := took(func() {
			if v, err := f.Get(); v != 0 || err != nil {
				t.Error(v, err)
			}
		}); d != 6*time.Second || runs != 1 || ofFirst != 3 || ofSecond != 3 {
			t.Error(d, runs, ofFirst, ofSecond)
		}
	})
}

// What is around a part of a task begins anew with each part, keeps nothing for the next run
// of the whole, and does not come back by the queue.
func TestParts_EachBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(1))
		limit := must(middleware.Decorate[int](must(middleware.NewTimeout(10 * time.Second)).Intercept))
		rate := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: time.Minute, Wait: middleware.Waiting{Max: time.Hour, Every: time.Second}}))
		breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 1, Readmit: time.Hour}))
		v, err := core.Run(t.Context(), e, core.Func(func(ctx context.Context) (int, error) {
			for range 3 { // of a wish in the time of one, the next knows nothing
				_, err := limit(fail(core.Again(time.Second, nil))).Execute(ctx)
				if _, ok := errors.AsType[*core.AgainError](err); !ok {
					t.Error(err)
				}
				time.Sleep(8 * time.Second)
				must(limit(nap(9 * time.Second)).Execute(ctx))
			}
			if d := took(func() {
				for range 3 {
					must(must(middleware.Decorate[int](rate.Intercept))(answer(1)).Execute(ctx))
				}
			}); d != 2*time.Minute {
				t.Error(d)
			}
			guarded := must(middleware.Decorate[int](breaker.Intercept))
			guarded(fail(errFlaky)).Execute(ctx) //nolint:errcheck // it fails
			if _, err := guarded(answer(1)).Execute(ctx); !errors.Is(err, middleware.ErrOpen) {
				t.Error(err)
			}
			return core.Attempt(ctx), nil
		}))
		if v != 0 || err != nil {
			t.Error(v, err)
		}
	})
}

// repeater is a decorator of somebody else that passes on whether it is the whole of a job.
type repeater struct{ core.Task[int] }

func (r repeater) ExecuteJob(ctx context.Context, job core.Job) (int, error) {
	if task, ok := r.Task.(core.JobExecutor[int]); ok {
		return task.ExecuteJob(ctx, job)
	}
	return r.Execute(ctx)
}

// Decorators around each other are no parts, whoever has made them.
func TestParts_WholeThroughDecorators(t *testing.T) {
	for name, wrap := range map[string]func(core.Task[int]) core.Task[int]{
		"Decorate": must(middleware.Decorate[int]()),
		"Check":    must(middleware.Check(func(int) error { return nil })),
		"Fallback": must(middleware.NewFallback(middleware.FallbackConfig[int]{Do: func(context.Context, error) (int, error) { return 9, nil }})).Decorate,
		"another":  func(task core.Task[int]) core.Task[int] { return repeater{task} },
		"named": func(task core.Task[int]) core.Task[int] {
			return must(middleware.Decorate[int]())(must(middleware.Decorate[int]())(task))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := coretest.New(t, core.WithWorkers(1))
				retried := must(middleware.Decorate[int](steady(nil).Intercept))
				task := retried(named{func(ctx context.Context) (int, error) {
					if n := core.Attempt(ctx); n == 4 {
						return n, nil
					}
					return 0, errFlaky
				}})
				f := must(core.Submit(t.Context(), e, wrap(wrap(task))))
				synctest.Wait()
				if s := e.Stats(); s.Delayed != 1 {
					t.Errorf("%+v", s)
				}
				if v, err := f.Get(); v != 4 || err != nil {
					t.Error(v, err)
				}
			})
		})
	}
}

// An interceptor that runs a task once more itself, around a Retry that has given up: there
// is an end to it all the same.
func TestParts_RepeatedFromAround(t *testing.T) {
	bothWays(t, func(b bench) {
		twice := func(next core.Handler) core.Handler {
			return func(ctx context.Context, job core.Job) error {
				err := next(ctx, job)
				if errors.Is(err, middleware.ErrExhausted) {
					err = next(ctx, job)
				}
				return err
			}
		}
		runs := 0
		_, err := b.with(twice, steady(func(c *middleware.RetryConfig) { c.Attempts = 3 }).Intercept)(func(context.Context) (int, error) {
			if runs++; runs > 100 {
				return 0, nil
			}
			return 0, errFlaky
		}).Get()
		if runs != 4 || !errors.Is(err, middleware.ErrExhausted) {
			b.Error(runs, err)
		}
	})
}

// A task that asks to be run again without a cause, such as one that works every minute, has
// ended well: its failures are counted from then on.
func TestRetry_OfATaskThatGoesOn(t *testing.T) {
	bothWaits(t, func(c *middleware.RetryConfig) { c.Attempts = 2 }, func(b bench, retry *middleware.Retry) {
		runs := 0
		v, err := b.with(retry.Intercept)(func(context.Context) (int, error) {
			switch runs++; {
			case runs == 30:
				return 7, nil
			case runs%2 == 0:
				return 0, errFlaky
			}
			return 0, core.Again(time.Minute, nil)
		}).Get()
		if v != 7 || err != nil || runs != 30 {
			b.Error(v, err, runs)
		}
	})
}

// work is a task with parts, or with a script of failures, and Retries around it.
type work struct {
	retries  []int // which of them, from the outside in
	parts    []*work
	swallows bool // errors of parts
	fails    []bool

	runs int
}

func drawWork(t *rapid.T, depth int) *work {
	w := &work{retries: rapid.SliceOfN(rapid.IntRange(0, 2), 0, 2).Draw(t, "retries")}
	if depth == 0 || rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
		w.fails = rapid.SliceOfN(rapid.Bool(), 1, 4).Draw(t, "fails")
		return w
	}
	w.swallows = rapid.Bool().Draw(t, "swallows")
	for range rapid.IntRange(1, 3).Draw(t, "parts") {
		w.parts = append(w.parts, drawWork(t, depth-1))
	}
	return w
}

// task is the decorated task of w. It fails with fault once it was run too often for there
// to be an end.
func (w *work) task(retries []*middleware.Retry, fault *string, most int) core.Task[int] {
	var layers []core.Interceptor
	for _, i := range w.retries {
		layers = append(layers, retries[i].Intercept)
		most *= attemptsOf(i)
	}
	var parts []core.Task[int]
	for _, p := range w.parts {
		parts = append(parts, p.task(retries, fault, most))
	}
	return must(middleware.Decorate[int](layers...))(core.Func(func(ctx context.Context) (int, error) {
		if w.runs++; w.runs > most {
			*fault = fmt.Sprintf("%d runs, no more than %d are right", w.runs, most)
			return 0, middleware.Permanent(errors.New(*fault))
		}
		for _, p := range parts {
			if _, err := p.Execute(ctx); err != nil && !w.swallows {
				return 0, err
			}
		}
		if n := len(w.fails); n > 0 && w.fails[w.runs%n] {
			return 0, errFlaky
		}
		return 1, nil
	}))
}

func attemptsOf(retry int) int { return []int{2, 3, 2}[retry] }

// Whatever Retries are around a task and its parts, the same ones or others, and whatever
// fails: no run is repeated more often than those around it say.
func TestParts_Bounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		whole := drawWork(rt, 2)
		around := rapid.SliceOfN(rapid.IntRange(0, 2), 0, 2).Draw(rt, "around")
		var inPlace [3]bool
		for i := range inPlace {
			inPlace[i] = rapid.Bool().Draw(rt, "in place")
		}
		fault := ""
		synctest.Test(t, func(t *testing.T) {
			var retries []*middleware.Retry
			for i := range inPlace {
				retries = append(retries, steady(func(c *middleware.RetryConfig) { c.Attempts, c.InPlace = attemptsOf(i), inPlace[i] }))
			}
			most := 1
			e := coretest.New(t, core.WithWorkers(1))
			for _, i := range around {
				must(e.Intercept(retries[i].Intercept))
				most *= attemptsOf(i)
			}
			core.Run(t.Context(), e, whole.task(retries, &fault, most)) //nolint:errcheck // some fail
		})
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}
