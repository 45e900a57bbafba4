package core_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
)

// E-SCH-01: a task submits a thousand children into its own slot, then its body
// holds the slot: the other workers take them at once.
func TestSteal_E_SCH_01_BlockedOwner(t *testing.T) {
	for range 20 {
		e := engineFor(t, core.WithWorkers(4))
		var ran atomic.Int64
		gate := make(chan struct{})
		all := make(chan struct{})
		parent := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			for range 1000 {
				if err := e.GoContext(ctx, func() {
					if ran.Add(1) == 1000 {
						close(all)
					}
				}); err != nil {
					return 0, err
				}
			}
			<-gate
			return 0, nil
		}))
		receive(t, all, "end of all children")
		if parent.IsDone() {
			t.Error("the parent did not block")
		}
		close(gate)
		idle(t, e)
		endEngine(t, e)
	}
}

// A batch from outside lies in the slot of a worker that then blocks: the others
// take it from there.
func TestSteal_BatchOfBlockedWorker(t *testing.T) {
	for range 200 {
		e := engineFor(t, core.WithWorkers(2))
		gate, all := make(chan struct{}), make(chan struct{})
		var ran atomic.Int64
		// The first task blocks; whoever runs it has taken a batch before.
		tasks := make([]core.Task[int], 100)
		for i := range tasks {
			tasks[i] = core.Func(func(context.Context) (int, error) {
				if i == 0 {
					<-gate
				} else if ran.Add(1) == 99 {
					close(all)
				}
				return i, nil
			})
		}
		if _, err := core.SubmitAll(context.Background(), e, tasks); err != nil {
			t.Fatal(err)
		}
		receive(t, all, "end of the other tasks")
		close(gate)
		endEngine(t, e)
	}
}

// As many workers start as there is work for, from one submission to the next,
// and one at a time wakes the next. (P-C5)
func TestSteal_AllWorkersStart(t *testing.T) {
	for _, batch := range []bool{false, true} {
		for range 200 {
			const n = 8
			e := engineFor(t, core.WithWorkers(n))
			var together sync.WaitGroup
			together.Add(n)
			task := core.Func(func(context.Context) (int, error) {
				together.Done()
				together.Wait() // ends only if all run at the same time
				return 0, nil
			})
			if batch {
				if _, err := core.SubmitAll(context.Background(), e, []core.Task[int]{task, task, task, task, task, task, task, task}); err != nil {
					t.Fatal(err)
				}
			} else {
				for range n {
					must(t, e, task)
				}
			}
			idle(t, e)
			endEngine(t, e)
		}
	}
}

// Children that beget children do not starve what comes from outside.
func TestSteal_OutsideIsNotStarved(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(100_000))
	var stop atomic.Bool
	var begat atomic.Int64
	var breed func() core.Task[int]
	breed = func() core.Task[int] {
		return core.Func(func(ctx context.Context) (int, error) {
			begat.Add(1)
			if stop.Load() {
				return 0, nil
			}
			_, err := core.Submit(ctx, e, breed())
			return 0, err
		})
	}
	must(t, e, breed())
	synchronise(t, "children", func() bool { return begat.Load() > 100 })
	f := must(t, e, core.Func(func(context.Context) (int64, error) { return begat.Load(), nil }))
	before := begat.Load()
	n, err := f.Await(soon(t))
	stop.Store(true)
	if err != nil || n-before > 200 {
		t.Errorf("%d children were born before it started, %v", n-before, err)
	}
	idle(t, e)
}

// A child is started by its own worker newest first, and from the outside in
// order.
func TestSteal_Order(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	var order []int
	f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		for i := range 50 {
			if err := e.GoContext(ctx, func() { order = append(order, i) }); err != nil {
				return 0, err
			}
		}
		return 0, nil
	}))
	if _, err := f.Await(soon(t)); err != nil {
		t.Fatal(err)
	}
	idle(t, e)
	for i, n := range order {
		if n != 49-i {
			t.Fatalf("children started in the order %v", order)
		}
	}
	order = nil
	release := occupy(t, e, 1)
	for i := range 900 {
		if err := e.Go(func() { order = append(order, i) }); err != nil {
			t.Fatal(err)
		}
	}
	release()
	idle(t, e)
	for i, n := range order {
		if n != i {
			t.Fatalf("task %d started as number %d", n, i)
		}
	}
}

// E-CORE-25: a task that spins without a call, on one processor.
func TestLiveness_E_CORE_25_Spinner(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	e := engineFor(t, core.WithWorkers(2))
	var stop atomic.Bool
	spinner := must(t, e, core.Func(func(context.Context) (int, error) {
		n := 0
		for !stop.Load() {
			n++
		}
		return n, nil
	}))
	for i := range 20 {
		if n, err := must(t, e, value(i)).Await(soon(t)); n != i || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	stop.Store(true)
	if n, err := spinner.Await(soon(t)); n == 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// E-CORE-28: a task locks its thread and forgets to unlock it.
func TestLiveness_E_CORE_28_LockedThread(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2))
	for range 50 {
		must(t, e, core.Func(func(context.Context) (int, error) { runtime.LockOSThread(); return 0, nil }))
	}
	idle(t, e)
	allIdle(t, e)
	if s := e.Stats(); s.Workers != 2 || s.Succeeded != 50 {
		t.Errorf("%+v", s)
	}
	g := new(gauge)
	if n, err := must(t, e, tree(e, g, 8)).Await(soon(t)); n != 255 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// P-C5: at quiescence nothing is queued beside an idle worker. One submission
// and one sleeping worker, again and again, with submitters that collide.
func TestLiveness_ParkAgainstSubmit(t *testing.T) {
	rounds := 20_000
	if raceEnabled || testing.Short() {
		rounds = 3_000
	}
	for _, workers := range []int{1, 2, 3} {
		e := engineFor(t, core.WithWorkers(workers))
		for _, submitters := range []int{1, 3} {
			var wg sync.WaitGroup
			for range submitters {
				wg.Go(func() {
					done := make(chan struct{}, 1)
					fn := func() { done <- struct{}{} }
					watchdog := time.NewTimer(patience)
					defer watchdog.Stop()
					for i := range rounds {
						if err := e.Go(fn); err != nil {
							t.Error(err)
							return
						}
						if i%3 == 0 {
							runtime.Gosched()
						}
						select {
						case <-done:
						case <-watchdog.C:
							t.Errorf("a lost wake-up in round %d: %+v", i, e.Stats())
							_ = e.Go(func() {}) // wakes whom it can
							return
						}
					}
				})
			}
			wg.Wait()
		}
	}
}
