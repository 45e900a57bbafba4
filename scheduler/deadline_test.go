package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/queue"
	"github.com/uptutu/goman/scheduler"
)

// What cannot be met is refused once it is known how long tasks take: with the time of
// what has to run before, and not of what has not.
func TestDeadline_Refuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := must(scheduler.NewDeadlineWith(scheduler.DeadlineConfig{Refuse: true}))
		e := coretest.New(t, core.WithWorkers(2), core.WithUnboundedQueue(), core.WithScheduler(s))
		submit := func(within time.Duration) (*core.Future[int], error) {
			ctx := t.Context()
			if within > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, within)
				t.Cleanup(cancel)
			}
			return core.SubmitWith(ctx, e, core.Attributes{Name: "second"}, core.Func(func(context.Context) (int, error) {
				time.Sleep(time.Second)
				return 0, nil
			}))
		}
		if _, err := submit(time.Millisecond); err != nil {
			t.Fatalf("refused before anything is known: %v", err)
		}
		for range 8 {
			must(submit(0))
		}
		if err := e.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}

		refused := func(within time.Duration, want bool) {
			t.Helper()
			_, err := submit(within)
			if got := errors.Is(err, scheduler.ErrDeadlineUnmeetable); got != want || err != nil && !want {
				t.Errorf("within %v: %v, want refused: %t", within, err, want)
			}
		}
		refused(900*time.Millisecond, true) // a task takes a second
		refused(1100*time.Millisecond, false)
		refused(1200*time.Millisecond, false) // both workers are taken
		synctest.Wait()
		refused(1300*time.Millisecond, true)
		refused(3*time.Second, false)
		for range 20 {
			refused(0, false) // without a deadline: they come last, and delay none
		}
		refused(3*time.Second, false)
		refused(2500*time.Millisecond, false)
		for range 10 {
			refused(100*time.Second, false)
		}
		refused(50*time.Second, false) // before those
		refused(2400*time.Millisecond, false)
		refused(3100*time.Millisecond, true) // behind four others on two workers
	})
}

// A deadline that has passed, by a function of the user's, is refused whatever is known.
func TestDeadline_RefusePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := must(scheduler.NewDeadlineWith(scheduler.DeadlineConfig{
			Refuse: true,
			Of:     func(core.Job) (time.Time, bool) { return time.Now().Add(-time.Second), true },
		}))
		e := coretest.New(t, core.WithScheduler(s))
		_, err := core.Run(t.Context(), e, core.Func(func(context.Context) (int, error) { return 0, nil }))
		if !errors.Is(err, scheduler.ErrDeadlineUnmeetable) {
			t.Error(err)
		}
	})
}

// A queue smaller than the engine's loses nothing and keeps its order.
func TestFromQueue_Small(t *testing.T) {
	s := must(scheduler.FromQueue(must(queue.NewMPMC[core.Job](2))))
	order := queued(t, s, func(e *core.Engine, l *runs) {
		for i := range 100 {
			must(core.Submit(t.Context(), e, l.task(fmt.Sprint(i))))
		}
	})
	for i, name := range order {
		if name != fmt.Sprint(i) {
			t.Fatalf("the %dth to run is %s", i, name)
		}
	}
	full := must(queue.NewMPMC[core.Job](2))
	if !full.TryPush(core.Job{}) {
		t.Fatal("no room")
	}
	if _, err := scheduler.FromQueue(full); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a queue that is not empty: %v", err)
	}
}
