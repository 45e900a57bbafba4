package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/scheduler"
)

type newScheduler = func() (core.Scheduler, error)

// limited are the orders that hold something back, alone and over each other.
func limited() map[string]newScheduler {
	fifo := func() (core.Scheduler, error) { return scheduler.NewFIFO() }
	reserve := func(in newScheduler) newScheduler {
		return func() (core.Scheduler, error) {
			return scheduler.NewPriority(scheduler.Aging(time.Millisecond).Reserving(core.Critical, 2).Reserving(core.High, 1), in)
		}
	}
	fair := func(in newScheduler) newScheduler {
		return func() (core.Scheduler, error) {
			return scheduler.NewFairWith(scheduler.FairConfig{InFlight: 1, ByTime: true}, in)
		}
	}
	keyed := func(n int, in newScheduler) newScheduler {
		return func() (core.Scheduler, error) { return scheduler.NewKeyed(n, in) }
	}
	due := func() (core.Scheduler, error) { return scheduler.NewDeadline() }
	return map[string]newScheduler{
		"Reserve":                reserve(fifo),
		"InFlight":               fair(fifo),
		"Keyed 2":                keyed(2, fifo),
		"Keyed 1":                keyed(1, fifo),
		"Reserve(Fair(Keyed))":   reserve(fair(keyed(2, due))),
		"Keyed 1(Reserve(Fair))": keyed(1, reserve(fair(due))),
		"Fair(Keyed(Reserve))":   fair(keyed(2, reserve(fifo))),
		"Keyed 2(Fair(Reserve)":  keyed(2, fair(reserve(due))),
	}
}

// Whatever is done at once, nothing is lost, and the engine comes to its end: tasks that
// wait for tasks of their own key and tenant and of others, that run again, that are
// cancelled, on workers that come and go, and are fewer than what is kept.
func TestLimits_Chaos(t *testing.T) {
	for name, make := range limited() {
		t.Run(name, func(t *testing.T) {
			for round := range 2 {
				chaos(t, must(make()), uint64(round), !strings.HasPrefix(name, "Keyed 1"))
			}
		})
	}
}

// any tells that AwaitAny may be used, which finds no rings out.
func chaos(t *testing.T, s core.Scheduler, seed uint64, any bool) {
	const producers, each = 4, 40
	e := coretest.New(t, core.WithWorkers(3), core.WithUnboundedQueue(), core.WithScheduler(s))
	ctx := soon(t)
	var started, ended atomic.Int64
	attributes := func(n uint64) core.Attributes {
		return core.Attributes{
			Priority: core.Priority(1 + n%4),
			Tenant:   fmt.Sprint(n / 4 % 3),
			Key:      [...]string{"", "a", "b"}[n/12%3],
		}
	}
	var task func(n uint64, depth int) core.TaskFunc[int]
	task = func(n uint64, depth int) core.TaskFunc[int] {
		return core.Func(func(ctx context.Context) (int, error) {
			started.Add(1)
			defer ended.Add(1)
			if n%5 == 0 && core.Attempt(ctx) < 2 {
				return 0, core.Again(time.Duration(n%3)*time.Microsecond, nil)
			}
			if depth == 0 {
				return 1, nil
			}
			var futures []*core.Future[int]
			for i := range n % 4 {
				f, err := core.SubmitWith(ctx, e, attributes(n*7+i), task(n*31+i, depth-1))
				if err != nil {
					return 0, err
				}
				futures = append(futures, f)
			}
			if len(futures) > 1 && n%3 == 0 && any {
				if _, err := core.AwaitAny(ctx, futures[0]); err != nil {
					return 0, err
				}
			}
			for _, f := range futures {
				if n%7 == 0 {
					f.Cancel()
				}
				if _, err := f.Await(ctx); err != nil && !errors.Is(err, core.ErrDeadlock) && !errors.Is(err, context.Canceled) {
					return 0, err
				}
			}
			return 1, nil
		})
	}
	var group sync.WaitGroup
	for p := range producers {
		random := rand.New(rand.NewPCG(seed, uint64(p)))
		group.Go(func() {
			var futures []*core.Future[int]
			for range each {
				n := random.Uint64N(1 << 30)
				f, err := core.SubmitWith(ctx, e, attributes(n), task(n, 3))
				if err != nil {
					t.Error(err)
					return
				}
				if futures = append(futures, f); n%6 == 0 {
					f.Cancel()
				}
			}
			for i, f := range futures {
				if _, err := f.Await(ctx); err != nil && ctx.Err() != nil {
					t.Errorf("task %d has not ended: %v", i, err)
					return
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(seed, producers))
	for range 30 {
		_ = e.Resize(1 + random.IntN(5))
		if random.IntN(3) == 0 {
			_ = e.Pause()
			_ = e.Resume()
		}
	}
	group.Wait()
	if err := e.WaitIdle(ctx); err != nil {
		t.Error(err)
	}
	if err := e.Shutdown(ctx); err != nil { // from here on s is nobody's
		t.Error(err)
	}
	if s.Len() != 0 {
		t.Errorf("Len is %d", s.Len())
	}
	if started.Load() != ended.Load() {
		t.Errorf("%d started, %d ended", started.Load(), ended.Load())
	}
}
