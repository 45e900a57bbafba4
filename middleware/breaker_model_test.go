package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/middleware"
)

// A breaker that opens after some of the last runs, compared with a model.
func TestBreaker_Model(t *testing.T) {
	type step struct {
		Wait time.Duration
		Bad  bool
	}
	rapid.Check(t, func(rt *rapid.T) {
		of := rapid.IntRange(1, 5).Draw(rt, "of")
		failures := rapid.IntRange(1, of).Draw(rt, "failures")
		probes := rapid.IntRange(1, 3).Draw(rt, "probes")
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second, rapid.Bool().Draw(t, "bad")}
		}), 1, 60).Draw(rt, "steps")
		fault := "" // rapid must not be called inside the bubble
		synctest.Test(t, func(*testing.T) {
			breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: failures, Of: of, Probes: probes, Delay: time.Minute}))
			decorate := must(middleware.Decorate[int](breaker.Intercept))
			state, opened := middleware.BreakerClosed, time.Time{}
			var last []bool // the runs of this state: failed or not
			for i, s := range steps {
				time.Sleep(s.Wait)
				if state == middleware.BreakerOpen && time.Since(opened) >= time.Minute {
					state, last = middleware.BreakerHalfOpen, nil
				}
				task := answer(1)
				if s.Bad {
					task = fail(errFlaky)
				}
				_, err := decorate(task).Execute(context.Background())
				if errors.Is(err, middleware.ErrOpen) != (state == middleware.BreakerOpen) {
					fault = fmt.Sprintf("step %d: %v while %v", i, err, state)
					return
				}
				if state == middleware.BreakerOpen {
					continue
				}
				last = append(last, s.Bad)
				switch {
				case state == middleware.BreakerHalfOpen && s.Bad:
					state, opened = middleware.BreakerOpen, time.Now()
				case state == middleware.BreakerHalfOpen && len(last) == probes:
					state, last = middleware.BreakerClosed, nil
				case state == middleware.BreakerClosed:
					if last = last[max(0, len(last)-of):]; count(last) >= failures {
						state, opened = middleware.BreakerOpen, time.Now()
					}
				}
				if got := breaker.State(""); got != state {
					fault = fmt.Sprintf("step %d: it is %v, want %v", i, got, state)
					return
				}
			}
		})
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}

func count(list []bool) (n int) {
	for _, b := range list {
		if b {
			n++
		}
	}
	return n
}

// A breaker that opens after failures of some time, by number or by share, compared with a
// model that remembers every run. A run counts until ten steps of a tenth of the time have
// begun since its own.
func TestBreaker_WindowModel(t *testing.T) {
	type step struct {
		Wait time.Duration
		Bad  bool
	}
	rapid.Check(t, func(rt *rapid.T) {
		period := time.Duration(rapid.IntRange(1, 20).Draw(rt, "period")) * 10 * time.Second
		config := middleware.BreakerConfig{Period: period, Delay: time.Minute}
		if rapid.Bool().Draw(rt, "by share") {
			config.Rate = float64(rapid.IntRange(1, 1000).Draw(rt, "rate")) / 1000
			config.MinRuns = rapid.IntRange(1, 6).Draw(rt, "runs")
		} else {
			config.Failures = rapid.IntRange(1, 6).Draw(rt, "failures")
		}
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second, rapid.Bool().Draw(t, "bad")}
		}), 1, 60).Draw(rt, "steps")
		fault := ""
		synctest.Test(t, func(*testing.T) {
			breaker := must(middleware.NewBreaker(config))
			decorate := must(middleware.Decorate[int](breaker.Intercept))
			var begin time.Time
			var at []int64 // in which step a run ended
			var bad []bool // whether it failed
			for i, s := range steps {
				if i > 0 {
					time.Sleep(s.Wait)
				}
				task := answer(1)
				if s.Bad {
					task = fail(errFlaky)
				}
				if begin.IsZero() {
					begin = time.Now() // the breaker of a key is made by its first run
				}
				if _, err := decorate(task).Execute(context.Background()); errors.Is(err, middleware.ErrOpen) {
					fault = fmt.Sprintf("step %d: it is open", i)
					return
				}
				now := int64(time.Since(begin) / (period / 10))
				at, bad = append(at, now), append(bad, s.Bad)
				runs, failures := 0, 0
				for i := range at {
					if at[i] > now-10 {
						if runs++; bad[i] {
							failures++
						}
					}
				}
				opens := config.Failures > 0 && failures >= config.Failures ||
					config.Rate > 0 && runs >= config.MinRuns && float64(failures)/float64(runs) >= config.Rate
				if got := breaker.State("") == middleware.BreakerOpen; got != opens {
					fault = fmt.Sprintf("step %d: it is open: %v, after %d of %d in the time", i, got, failures, runs)
					return
				}
				if opens { // it closes by a probe, and has forgotten all
					time.Sleep(time.Minute)
					must(decorate(answer(1)).Execute(context.Background()))
					at, bad = nil, nil
				}
			}
		})
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}

// E-MID-07: the clock stands still, and jumps by fifty years in each state; and if the clock of
// the machine is set, the monotonic one goes on, by which all is measured.
func TestBreaker_E_MID_07_ClockMoves(t *testing.T) {
	const jump = 50 * 365 * 24 * time.Hour
	for name, config := range map[string]middleware.BreakerConfig{
		"of the last":      {Failures: 3, Of: 5},
		"in a time":        {Failures: 3, Period: time.Minute},
		"share":            {Rate: 0.6, MinRuns: 5, Period: time.Minute},
		"for ever":         {Failures: 3, Period: math.MaxInt64},
		"shortest periods": {Failures: 3, Period: 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config.Delay = time.Minute
				breaker := must(middleware.NewBreaker(config))
				decorate := must(middleware.Decorate[int](breaker.Intercept))
				run := func(tasks ...core.TaskFunc[int]) {
					for _, task := range tasks {
						decorate(task).Execute(t.Context()) //nolint:errcheck // some fail
					}
				}
				bad, good := fail(errFlaky), answer(1)
				want := func(state middleware.BreakerState) {
					t.Helper()
					if got := breaker.State(""); got != state {
						t.Errorf("it is %v, want %v", got, state)
					}
				}
				run(good, good, bad, bad)
				time.Sleep(jump) // of which the runs in a time are forgotten
				if forgets := config.Period > 0 && config.Period < jump; forgets {
					run(bad)
					want(middleware.BreakerClosed)
					run(good, bad, bad, good)
				} else {
					run(bad)
				}
				want(middleware.BreakerOpen)
				time.Sleep(time.Minute - 1)
				run(good)
				want(middleware.BreakerOpen)
				time.Sleep(jump)
				run(bad) // the probe
				want(middleware.BreakerOpen)
				time.Sleep(jump)
				run(good)
				want(middleware.BreakerClosed)
				run(bad, bad, bad, good, good) // at one instant
				want(middleware.BreakerOpen)
			})
		})
	}
	// In a bubble no time has a monotonic reading, so this is seen outside.
	breaker := must(middleware.NewBreaker(middleware.BreakerConfig{Failures: 3, Period: time.Minute}))
	must(must(middleware.Decorate[int](breaker.Intercept))(answer(1)).Execute(t.Context()))
	if begin := middleware.WindowBegin(breaker); !strings.Contains(begin.String(), " m=") {
		t.Errorf("%v has no monotonic reading", begin)
	}
}
