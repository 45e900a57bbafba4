package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/queue"
	"github.com/uptutu/goman/scheduler"
	"github.com/uptutu/goman/scheduler/schedulertest"
)

// With a job starting each second and an aging of 10, at most 10 that come later are
// before one of the next lower level, 30 before a low one. The suite lets rivals come
// one for each that starts.
func TestPriority_AgingBound(t *testing.T) {
	const aging = 10
	schedulertest.Run(t, schedulertest.Spec{
		New: func() (core.Scheduler, error) {
			return scheduler.NewPriority(scheduler.Aging(aging*time.Second), scheduler.NewFIFO)
		},
		Step: time.Second,
		// What was there, and what comes within three times the aging.
		Bound: func(queued int) int { return queued + 3*aging + 1 },
		Kinds: 4,
		Kind: func(i int) (core.Attributes, time.Duration) {
			return core.Attributes{Priority: core.Priority(i + 1)}, 0
		},
	})
}

// The order is exactly that of coming, each level counting as d earlier than the next
// lower one.
func TestPriority_AgingOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := must(scheduler.NewPriority(scheduler.Aging(10*time.Second), scheduler.NewFIFO))
		order := queued(t, s, func(e *core.Engine, l *runs) {
			submit := func(second int, p core.Priority) {
				must(core.SubmitWith(t.Context(), e, core.Attributes{Priority: p}, l.task(fmt.Sprint(p, second))))
			}
			for at := range 12 {
				submit(4*at, core.Low)
				submit(4*at, core.High)
				submit(4*at, core.Critical)
				time.Sleep(4 * time.Second)
			}
		})
		var want []string
		type entry struct {
			name string
			at   int
		}
		var entries []entry
		for _, p := range []core.Priority{core.Critical, core.High, core.Low} { // of equal ones the higher first
			for at := range 12 {
				entries = append(entries, entry{fmt.Sprint(p, 4*at), 4*at - 10*int(p)})
			}
		}
		slices.SortStableFunc(entries, func(a, b entry) int { return a.at - b.at })
		for _, e := range entries {
			want = append(want, e.name)
		}
		if !slices.Equal(order, want) {
			t.Errorf("ran %v\nwant %v", order, want)
		}
	})
}

// Low tasks never take the worker that is kept, so an urgent one finds it at once.
func TestPriority_Reserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := must(scheduler.NewPriority(scheduler.Strict().Reserving(core.Critical, 1).Reserving(core.High, 1), scheduler.NewFIFO))
		e := coretest.New(t, core.WithWorkers(4), core.WithUnboundedQueue(), core.WithScheduler(s))
		sleep := core.Func(func(context.Context) (int, error) { time.Sleep(time.Second); return 0, nil })
		running := func(p core.Priority, n, want int) {
			t.Helper()
			for range n {
				must(core.SubmitWith(t.Context(), e, core.Attributes{Priority: p}, sleep))
			}
			synctest.Wait()
			if got := e.Stats().Running; got != want {
				t.Errorf("after %d of %v: %d run, want %d", n, p, got, want)
			}
		}
		running(core.Low, 3, 2)
		running(core.Normal, 3, 2)
		running(core.High, 3, 3)
		running(core.Critical, 1, 4)
		if err := e.Resize(6); err != nil { // two more for everybody
			t.Fatal(err)
		}
		running(core.Low, 0, 6)
	})
}

// What is kept is never all there is, and what waits inside keeps nothing.
func TestPriority_ReserveLeavesOne(t *testing.T) {
	s := must(scheduler.NewPriority(scheduler.Aging(time.Second).Reserving(core.Critical, 5), scheduler.NewFIFO))
	e := coretest.New(t, core.WithWorkers(2), core.WithQueueCapacity(2), core.WithScheduler(s))
	ctx := soon(t)
	low := core.Attributes{Priority: core.Low}
	var tree func(depth int) core.TaskFunc[int]
	tree = func(depth int) core.TaskFunc[int] {
		return core.Func(func(ctx context.Context) (int, error) {
			sum := 1
			for range depth {
				f, err := core.SubmitWith(ctx, e, low, tree(depth-1)) // may wait for room
				if err != nil {
					return 0, err
				}
				n, err := f.Await(ctx)
				if err != nil {
					return 0, err
				}
				sum += n
			}
			return sum, nil
		})
	}
	if n, err := core.RunWith(ctx, e, low, tree(4)); n != 65 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	// A task fills the queue with its own kind, which only others can make room in.
	fill := core.Func(func(ctx context.Context) (int, error) {
		for range 20 {
			if _, err := core.SubmitWith(ctx, e, low, tree(0)); err != nil {
				return 0, err
			}
		}
		return 0, nil
	})
	if _, err := core.RunWith(ctx, e, low, fill); err != nil {
		t.Error(err)
	}
}

// Wrong arguments are told, also through core.New, with what is allowed.
func TestInvalid(t *testing.T) {
	strict := scheduler.Strict()
	none := func() (*scheduler.FIFO, error) { return nil, errors.New("no memory") }
	nothing := func() (core.Scheduler, error) { return nil, nil }
	noPointer := func() (*scheduler.FIFO, error) { return nil, nil }
	var noQueue *queue.MPMC[core.Job]
	var missing func() (*scheduler.FIFO, error)
	for want, err := range map[string]error{
		"an aging of 0s":              second(scheduler.NewPriority(scheduler.Aging(0), scheduler.NewFIFO)),
		"an aging of -1s":             second(scheduler.NewPriority(scheduler.Aging(-time.Second), scheduler.NewFIFO)),
		"workers kept for low":        second(scheduler.NewPriority(strict.Reserving(core.Low, 1), scheduler.NewFIFO)),
		"kept for priority(9)":        second(scheduler.NewPriority(strict.Reserving(9, 1), scheduler.NewFIFO)),
		"-1 workers kept for high":    second(scheduler.NewPriority(strict.Reserving(core.High, -1), scheduler.NewFIFO)),
		"schedulers in a Priority is": second(scheduler.NewPriority(strict, missing)),
		"no memory":                   second(scheduler.NewPriority(strict, none)),
		"schedulers in a Keyed is":    second(scheduler.NewKeyed(1, missing)),
		"schedulers in a Keyed has":   second(scheduler.NewKeyed(1, nothing)),
		"schedulers in a Fair has":    second(scheduler.NewFairWith(scheduler.FairConfig{}, noPointer)),
		"0 tasks of a key at a time":  second(scheduler.NewKeyed(0, scheduler.NewFIFO)),
		"-3 tasks in flight":          second(scheduler.NewFairWith(scheduler.FairConfig{InFlight: -3}, scheduler.NewFIFO)),
		"schedulers in a Fair is":     second(scheduler.NewFairWith(scheduler.FairConfig{}, missing)),
		"the queue is nil":            second(scheduler.FromQueue(nil)),
		"queue is nil":                second(scheduler.FromQueue(noQueue)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		} else if !strings.Contains(want, "memory") && !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%v is not ErrInvalid", err)
		}
	}
	_, err := core.New(core.WithScheduler(scheduler.NewKeyed(0, scheduler.NewFIFO)))
	if !errors.Is(err, core.ErrInvalid) || !errors.Is(err, core.ErrConfig) {
		t.Errorf("New: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }
