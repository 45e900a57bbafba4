package scheduler_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/scheduler"
)

// slow submits tasks of a name that take a second each.
func slow(t *testing.T, e *core.Engine, name string, within time.Duration) (*core.Future[int], error) {
	ctx := t.Context()
	if within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, within)
		t.Cleanup(cancel)
	}
	return core.SubmitWith(ctx, e, core.Attributes{Name: name}, core.Func(func(context.Context) (int, error) {
		time.Sleep(time.Second)
		return 0, nil
	}))
}

// An engine that has run for months estimates as on its first day: what has a later
// deadline delays nobody.
func TestDeadline_RefuseAfterMonths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := must(scheduler.NewDeadlineWith(scheduler.DeadlineConfig{Refuse: true}))
		e := coretest.New(t, core.WithWorkers(1), core.WithUnboundedQueue(), core.WithScheduler(s))
		for range 8 {
			must(slow(t, e, "", 0))
		}
		if err := e.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1000 * 24 * time.Hour)
		for range 100 {
			must(slow(t, e, "", time.Hour))
		}
		synctest.Wait()
		if _, err := slow(t, e, "", 3*time.Second); err != nil {
			t.Error(err)
		}
		if err := e.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// Tasks that were never run do not tell how long tasks take: those that were cancelled
// or whose deadline passed while they were queued, and those that a waiter ran.
func TestDeadline_RefuseLearnsFromRuns(t *testing.T) {
	for name, give := range map[string]func(t *testing.T, e *core.Engine){
		"cancelled": func(t *testing.T, e *core.Engine) {
			for range 20 {
				must(slow(t, e, "s", time.Hour)).Cancel()
			}
		},
		"late": func(t *testing.T, e *core.Engine) {
			must(core.SubmitWith(t.Context(), e, core.Attributes{Name: "long"}, core.Func(func(context.Context) (int, error) {
				time.Sleep(time.Minute) // which nobody knows
				return 0, nil
			})))
			synctest.Wait()
			for range 20 {
				must(slow(t, e, "s", 40*time.Second))
			}
		},
		"in place": func(t *testing.T, e *core.Engine) {
			_, err := core.RunWith(t.Context(), e, core.Attributes{Name: "parent"}, core.Func(func(ctx context.Context) (int, error) {
				for range 20 {
					if _, err := core.RunWith(ctx, e, core.Attributes{Name: "s"}, core.Func(func(context.Context) (int, error) {
						time.Sleep(time.Second)
						return 0, nil
					})); err != nil {
						return 0, err
					}
				}
				return 0, nil
			}))
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := must(scheduler.NewDeadlineWith(scheduler.DeadlineConfig{Refuse: true}))
				e := coretest.New(t, core.WithWorkers(1), core.WithUnboundedQueue(), core.WithScheduler(s))
				for range 8 {
					must(slow(t, e, "s", 0))
				}
				if err := e.WaitIdle(t.Context()); err != nil {
					t.Fatal(err)
				}
				give(t, e)
				if err := e.WaitIdle(t.Context()); err != nil {
					t.Fatal(err)
				}
				if _, err := slow(t, e, "s", 900*time.Millisecond); !errors.Is(err, scheduler.ErrDeadlineUnmeetable) {
					t.Errorf("a task of a second, within 900 ms: %v", err)
				}
			})
		})
	}
}
