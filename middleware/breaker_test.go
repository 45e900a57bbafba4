package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

func TestBreaker_OpensAndCloses(t *testing.T) {
	bothWays(t, func(b bench) {
		var changes []string
		breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 3, Delay: time.Minute, Probes: 2,
			OnStateChange: func(key string, from, to middleware.BreakerState) {
				changes = append(changes, fmt.Sprintf("%s%s->%s", key, from, to))
			}}))
		submit := b.with(breaker.Intercept)
		state := func(want middleware.BreakerState) {
			b.Helper()
			if got := breaker.State(""); got != want {
				b.Errorf("it is %v, want %v", got, want)
			}
		}
		state(middleware.BreakerClosed)
		for _, task := range []core.TaskFunc[int]{fail(errFlaky), fail(errFlaky), answer(1), fail(errFlaky),
			func(context.Context) (int, error) { panic(1) }} { // two in a row are not enough
			submit(task).Get() //nolint:errcheck // some fail
			state(middleware.BreakerClosed)
		}
		submit(func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }).Get() //nolint:errcheck // it exits
		b.WaitIdle(b.Context())                                                              //nolint:errcheck // the context does not end
		state(middleware.BreakerOpen)
		time.Sleep(time.Minute - 1)
		_, err := submit(answer(1)).Get()
		wantDenied(b.T, err, middleware.ErrOpen, "")
		if refused, _ := errors.AsType[*middleware.DeniedError](err); refused.RetryAfter() != 1 {
			b.Error(refused.After)
		}
		time.Sleep(time.Nanosecond)
		if v, err := submit(answer(5)).Get(); v != 5 || err != nil {
			b.Error(v, err)
		}
		state(middleware.BreakerHalfOpen)
		submit(fail(errFlaky)).Get() //nolint:errcheck // it fails
		state(middleware.BreakerOpen)
		time.Sleep(time.Minute)
		for range 2 {
			must(submit(answer(5)).Get())
		}
		state(middleware.BreakerClosed)
		want := []string{"closed->open", "open->half-open", "half-open->open", "open->half-open", "half-open->closed"}
		if diff := cmp.Diff(want, changes); diff != "" {
			b.Error(diff)
		}
	})
}

// Exactly as many probes as allowed run at the half-open instant, of 64 callers.
func TestBreaker_Probes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 1, Delay: time.Minute, Probes: 3}))
		e := coretest.New(t, core.WithWorkers(64), core.WithInterceptors(breaker.Intercept))
		core.Run(t.Context(), e, fail(errFlaky)) //nolint:errcheck // it fails
		time.Sleep(time.Minute)
		release := make(chan struct{})
		var inside, refused atomic.Int64
		for range 64 {
			f := must(core.Submit(t.Context(), e, core.Func(func(context.Context) (int, error) {
				inside.Add(1)
				<-release
				return 0, nil
			})))
			f.OnDone(func(_ int, err error) {
				if errors.Is(err, middleware.ErrOpen) {
					refused.Add(1)
				}
			})
		}
		synctest.Wait()
		if inside.Load() != 3 || refused.Load() != 61 {
			t.Errorf("%d probes, %d refused", inside.Load(), refused.Load())
		}
		close(release)
		e.WaitIdle(t.Context()) //nolint:errcheck // the context does not end
		if s := breaker.State(""); s != middleware.BreakerClosed {
			t.Error(s)
		}
	})
}

// A probe that is cancelled, or that asks to be run again, gives its place to another and
// counts as nothing.
func TestBreaker_ProbeWithoutVerdict(t *testing.T) {
	for _, how := range []string{"cancelled", "again"} {
		bothWays(t, func(b bench) {
			breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 1, Delay: time.Minute}))
			submit := b.with(breaker.Intercept)
			submit(fail(errFlaky)).Get() //nolint:errcheck // it fails
			time.Sleep(time.Minute)
			for range 3 {
				f := submit(func(ctx context.Context) (int, error) {
					if how == "again" && core.Attempt(ctx) == 0 {
						return 0, core.Again(time.Second, errFlaky)
					}
					return nap(time.Hour)(ctx)
				})
				time.Sleep(time.Second / 2)
				if s := breaker.State(""); s != middleware.BreakerHalfOpen {
					b.Error(s)
				}
				f.Cancel()
				b.WaitIdle(b.Context()) //nolint:errcheck // the context does not end
			}
			if v, err := submit(answer(1)).Get(); v != 1 || err != nil || breaker.State("") != middleware.BreakerClosed {
				b.Error(v, err, breaker.State(""))
			}
		})
	}
}

// A task that was cancelled says nothing about what it depends on, whatever the cause, and
// whether it ran or waited to be let in somewhere within.
func TestBreaker_CancelledWithACause(t *testing.T) {
	bothWays(t, func(b bench) {
		breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 1}))
		bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 1, Wait: middleware.Waiting{Max: -1}}))
		submit := b.with(breaker.Intercept, bulkhead.Intercept)
		var futures []*core.Future[int]
		for range 2 {
			futures = append(futures, submit(func(ctx context.Context) (int, error) {
				core.Blocking(ctx, func() { <-ctx.Done() })
				return 0, context.Cause(ctx)
			}))
			synctest.Wait()
		}
		for i := range futures {
			f := futures[len(futures)-1-i] // the one that waits first
			f.CancelCause(errors.New("no longer wanted"))
			if _, err := f.Get(); !errors.Is(err, context.Canceled) {
				b.Error(err)
			}
			synctest.Wait()
			if s := breaker.State(""); s != middleware.BreakerClosed {
				b.Errorf("it is %v", s)
			}
		}
	})
}

// The place that a probe has not used is worth nothing once the breaker is open again.
func TestBreaker_UnusedPlaceLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 1, Delay: time.Minute, Probes: 2}))
		e := coretest.New(t, core.WithWorkers(2), core.WithInterceptors(breaker.Intercept))
		core.Run(t.Context(), e, fail(errFlaky)) //nolint:errcheck // it fails
		time.Sleep(time.Minute)
		canceled := must(core.Submit(t.Context(), e, core.Task[int](nap(time.Hour))))
		failing := must(core.Submit(t.Context(), e, core.Func(func(context.Context) (int, error) {
			time.Sleep(time.Second)
			return 0, errFlaky
		})))
		synctest.Wait()
		canceled.Cancel()
		failing.Get()           //nolint:errcheck // it fails
		e.WaitIdle(t.Context()) //nolint:errcheck // the context does not end
		_, err := core.Run(t.Context(), e, answer(1))
		wantDenied(t, err, middleware.ErrOpen, "")
	})
}

// Runs that began before the breaker opened say nothing about it now, and do not let more
// probes in.
func TestBreaker_LateResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 1, Delay: time.Minute}))
		e := coretest.New(t, core.WithWorkers(8), core.WithInterceptors(breaker.Intercept))
		var old []*core.Future[int]
		for i := range 4 {
			old = append(old, must(core.Submit(t.Context(), e, core.Func(func(context.Context) (int, error) {
				time.Sleep(2 * time.Minute)
				return 0, []error{nil, errFlaky}[i%2]
			}))))
		}
		synctest.Wait()
		core.Run(t.Context(), e, fail(errFlaky)) //nolint:errcheck // it fails
		time.Sleep(time.Minute)
		probe := must(core.Submit(t.Context(), e, core.Task[int](nap(time.Hour))))
		for _, f := range old {
			f.Get() //nolint:errcheck // some fail
		}
		if s := breaker.State(""); s != middleware.BreakerHalfOpen {
			t.Error(s)
		}
		_, err := core.Run(t.Context(), e, answer(1))
		wantDenied(t, err, middleware.ErrOpen, "")
		must(probe.Get())
		if s := breaker.State(""); s != middleware.BreakerClosed {
			t.Error(s)
		}
	})
}

// What is waiting outside of an open breaker comes back when it may be let in, or is refused
// when that takes too long; and a Retry around it waits until then.
func TestBreaker_Readmit(t *testing.T) {
	bothWays(t, func(b bench) {
		breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 1, Delay: time.Minute, Readmit: 90 * time.Second}))
		submit := b.with(breaker.Intercept)
		submit(fail(errFlaky)).Get() //nolint:errcheck // it fails
		d := took(func() {
			if v, err := submit(answer(1)).Get(); v != 1 || err != nil {
				b.Error(v, err)
			}
		})
		if d != time.Minute || breaker.State("") != middleware.BreakerClosed {
			b.Error(d)
		}
	})
	bothWays(t, func(b bench) {
		breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 1, Delay: time.Hour, Readmit: 90 * time.Second}))
		submit := b.with(breaker.Intercept)
		submit(fail(errFlaky)).Get() //nolint:errcheck // it fails
		d := took(func() {
			_, err := submit(answer(1)).Get()
			wantDenied(b.T, err, middleware.ErrOpen, "")
		})
		if d != 0 { // it would come back in vain
			b.Error(d)
		}
	})
	bothWays(t, func(b bench) {
		breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 1, Delay: time.Minute, Readmit: 90 * time.Second}))
		submit := b.with(breaker.Intercept)
		submit(fail(errFlaky)).Get() //nolint:errcheck // it fails
		time.Sleep(time.Minute)
		probe := submit(nap(time.Hour))
		synctest.Wait()
		d := took(func() {
			_, err := submit(answer(1)).Get()
			wantDenied(b.T, err, middleware.ErrOpen, "")
		})
		if d != 90*time.Second {
			b.Error(d)
		}
		must(probe.Get())
	}, core.WithWorkers(2))
	bothWays(t, func(b bench) {
		breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 1, Delay: time.Minute}))
		retry := must(middleware.NewRetry(middleware.RetryConfig{Delay: time.Second, Jitter: -1}))
		runs := 0
		d := took(func() {
			v, err := b.with(retry.Intercept, breaker.Intercept)(func(context.Context) (int, error) {
				if runs++; runs == 1 {
					return 0, errFlaky
				}
				return 7, nil
			}).Get()
			if v != 7 || err != nil {
				b.Error(v, err)
			}
		})
		if d != time.Minute || runs != 2 { // a second, then it is refused, then the rest of the minute
			b.Error(d, runs)
		}
	})
}

// A plain function is refused at once, since it cannot be queued again.
func TestBreaker_PlainFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 1, Readmit: time.Hour}))
		e := coretest.New(t, quietly(), core.WithInterceptors(breaker.Intercept))
		for range 2 {
			if err := e.Go(func() { panic(1) }); err != nil {
				t.Fatal(err)
			}
			e.WaitIdle(t.Context()) //nolint:errcheck // the context does not end
		}
		if s := e.Stats(); s.Panicked != 1 || s.Failed != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Each key has its own, shared between engines, and those of old keys are forgotten.
func TestBreaker_Keys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 1, Keys: middleware.Keys{Of: core.Job.Key, Max: 2}}))
		run := func(e *core.Engine, key string, task core.TaskFunc[int]) error {
			_, err := core.RunWith(t.Context(), e, core.Attributes{Key: key}, core.Task[int](task))
			return err
		}
		a := coretest.New(t, core.WithWorkers(8), core.WithInterceptors(breaker.Intercept))
		b := coretest.New(t, core.WithInterceptors(breaker.Intercept))
		run(a, "bad", fail(errFlaky)) //nolint:errcheck // it fails
		if err := run(a, "good", answer(1)); err != nil {
			t.Error(err)
		}
		wantDenied(t, run(b, "bad", answer(1)), middleware.ErrOpen, "bad")
		if breaker.State("bad") != middleware.BreakerOpen || breaker.State("good") != middleware.BreakerClosed || breaker.State("?") != middleware.BreakerClosed {
			t.Error("states")
		}
		if diff := cmp.Diff([]string{"bad", "good"}, breaker.Keys()); diff != "" {
			t.Error(diff)
		}
		for _, key := range []string{"x", "y"} {
			if err := run(a, key, answer(1)); err != nil {
				t.Error(err)
			}
		}
		if err := run(a, "bad", answer(1)); err != nil { // it was forgotten
			t.Error(err)
		}
		if n := len(breaker.Keys()); n != 2 {
			t.Error(n)
		}
		// Those that are in use are not.
		var wait []*core.Future[int]
		for _, key := range []string{"1", "2", "3", "4"} {
			wait = append(wait, must(core.SubmitWith(t.Context(), a, core.Attributes{Key: key}, core.Task[int](nap(time.Hour)))))
		}
		synctest.Wait()
		if n := len(breaker.Keys()); n != 4 {
			t.Error(n)
		}
		for _, f := range wait {
			must(f.Get())
		}
		a.WaitIdle(t.Context()) //nolint:errcheck // the context does not end
		if n := len(breaker.Keys()); n != 2 {
			t.Error(n)
		}
	})
}

// Which errors count.
func TestBreaker_Failure(t *testing.T) {
	bothWays(t, func(b bench) {
		breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 1,
			If: func(err error) bool { return !errors.Is(err, errFlaky) }}))
		submit := b.with(breaker.Intercept)
		submit(fail(errFlaky)).Get() //nolint:errcheck // it fails
		if breaker.State("") != middleware.BreakerClosed {
			b.Error("it is open")
		}
		submit(fail(errors.New("bad"))).Get() //nolint:errcheck // it fails
		if breaker.State("") != middleware.BreakerOpen {
			b.Error("it is not open")
		}
	})
}

// By rate, and by number in a time.
func TestBreaker_Windows(t *testing.T) {
	bothWays(t, func(b bench) {
		rate := must(middleware.NewBreaker(middleware.BreakerConfig{Rate: 0.5, MinRuns: 4, Period: time.Minute}))
		number := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 2, Period: time.Minute}))
		submit := b.with(rate.Intercept, number.Intercept)
		submit(fail(errFlaky)).Get() //nolint:errcheck // it fails
		time.Sleep(2 * time.Minute)  // which is forgotten
		must(submit(answer(1)).Get())
		must(submit(answer(1)).Get())
		submit(fail(errFlaky)).Get() //nolint:errcheck // it fails
		if rate.State("") != middleware.BreakerClosed || number.State("") != middleware.BreakerClosed {
			b.Error(rate.State(""), number.State(""))
		}
		submit(fail(errFlaky)).Get() //nolint:errcheck // it fails
		if rate.State("") != middleware.BreakerOpen || number.State("") != middleware.BreakerOpen {
			b.Error(rate.State(""), number.State(""))
		}
	})
}

// E-MID-07: what can never be right is refused, each with a reason.
func TestBreaker_E_MID_07_Invalid(t *testing.T) {
	for name, c := range map[string]middleware.BreakerConfig{
		"failures":          {Failures: -1},
		"of":                {Failures: 3, Of: 2},
		"failures too much": {Failures: math.MaxInt},
		"rate":              {Rate: 1.1, Period: time.Second},
		"negative rate":     {Rate: -0.5, Period: time.Second},
		"NaN":               {Rate: math.NaN(), Period: time.Second},
		"rate without time": {Rate: 0.5},
		"rate and failures": {Rate: 0.5, Failures: 1, Period: time.Second},
		"minimum":           {Rate: 0.5, MinRuns: -1, Period: time.Second},
		"minimum alone":     {MinRuns: 1},
		"period and of":     {Failures: 1, Of: 2, Period: time.Second},
		"negative period":   {Failures: 1, Period: -1},
		"tiny period":       {Failures: 1, Period: 1},
		"delay":             {Delay: -1},
		"probes":            {Probes: -1},
		"probes too much":   {Probes: math.MaxInt},
		"keys":              {Keys: middleware.Keys{Max: 1}},
		"negative keys":     {Keys: middleware.Keys{Max: -1, Of: core.Job.Key}},
		"of too much":       {Failures: 1, Of: 1_000_001},
	} {
		_, err := middleware.NewBreaker(c)
		wantInvalid(t, name, err)
	}
	for _, c := range []middleware.BreakerConfig{{}, {Failures: 1, Of: 1_000_000, Probes: 1_000_000}, {Failures: math.MaxInt, Period: math.MaxInt64, Delay: math.MaxInt64}} {
		breaker := must(middleware.NewBreaker(c))
		if _, err := must(middleware.Decorate[int](breaker.Intercept))(fail(errFlaky)).Execute(t.Context()); err != errFlaky {
			t.Error(err)
		}
	}
}

// Those who are told of changes are told in order, however many tasks end at a time.
func TestBreaker_ToldInOrder(t *testing.T) {
	var told [][2]middleware.BreakerState // written by one goroutine at a time
	breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 1, Delay: time.Nanosecond,
		OnStateChange: func(_ string, from, to middleware.BreakerState) {
			told = append(told, [2]middleware.BreakerState{from, to})
			runtime.Gosched()
		}}))
	e := coretest.New(t, core.WithWorkers(8), core.WithInterceptors(breaker.Intercept))
	for i := range 5000 {
		must(core.Submit(t.Context(), e, core.Func(func(context.Context) (int, error) { return 0, []error{nil, errFlaky}[i%2] })))
	}
	e.WaitIdle(t.Context()) //nolint:errcheck // the context does not end
	if len(told) == 0 || !slices.IsSortedFunc(told, func(b, a [2]middleware.BreakerState) int {
		if a[1] == b[0] {
			return 0
		}
		return -1
	}) {
		t.Error("a change was told out of order")
	}
}
