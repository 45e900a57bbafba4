package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

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
