package core_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

// ringOf starts n named tasks, each of which awaits the next, the last the first,
// and returns the names of the ring if it was refused.
func ringOf(t *testing.T, e *core.Engine, n int) []*core.Future[[]string] {
	t.Helper()
	futures := make([]*core.Future[[]string], n)
	ready := make(chan struct{})
	for i := range n {
		task := core.Func(func(ctx context.Context) ([]string, error) {
			<-ready
			_, err := futures[(i+1)%n].Await(ctx)
			var deadlock *core.DeadlockError
			if errors.As(err, &deadlock) && errors.Is(err, core.ErrDeadlock) {
				return deadlock.Tasks, nil
			}
			return nil, err
		})
		f, err := core.SubmitWith(context.Background(), e, core.Attributes{Name: fmt.Sprint("task ", i)}, task)
		if err != nil {
			t.Fatal(err)
		}
		futures[i] = f
	}
	close(ready)
	return futures
}

// Rings of 1, 2 and 5: exactly one task is refused, it names them all in the
// order in which they wait, and the others go on.
func TestWait_Rings(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		for _, workers := range []int{1, 2, 5, 8} {
			t.Run(fmt.Sprintf("%d tasks %d workers", n, workers), func(t *testing.T) {
				for range 100 {
					e := engineFor(t, core.WithWorkers(workers))
					futures := ringOf(t, e, n)
					refused := 0
					for i, f := range futures {
						names, err := f.Await(soon(t))
						if err != nil {
							t.Fatal(err)
						}
						if names == nil {
							continue
						}
						refused++
						want := make([]string, n)
						for k := range want {
							want[k] = fmt.Sprint("task ", (i+k)%n)
						}
						if diff := cmp.Diff(want, names); diff != "" {
							t.Fatalf("task %d named the ring wrongly (-want +got):\n%s", i, diff)
						}
					}
					if refused != 1 {
						t.Fatalf("%d tasks were refused", refused)
					}
					endEngine(t, e)
				}
			})
		}
	}
}

// The ring closes through a task that runs inside a waiter.
func TestWait_RingThroughInlineTask(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	var outer *core.Future[string]
	ready := make(chan struct{})
	outer, err := core.SubmitWith(context.Background(), e, core.Attributes{Name: "outer"},
		core.Func(func(ctx context.Context) (string, error) {
			<-ready
			child, err := core.SubmitWith(ctx, e, core.Attributes{Name: "inner"},
				core.Func(func(ctx context.Context) (string, error) {
					_, err := outer.Await(ctx)
					return "inner went on", err
				}))
			if err != nil {
				return "", err
			}
			_, err = child.Await(ctx)
			return "outer went on", err
		}))
	if err != nil {
		t.Fatal(err)
	}
	close(ready)
	got, err := outer.Await(soon(t))
	var deadlock *core.DeadlockError
	if got != "outer went on" || !errors.As(err, &deadlock) {
		t.Fatalf("%q, %v", got, err)
	}
	if diff := cmp.Diff([]string{"inner", "outer"}, deadlock.Tasks); diff != "" {
		t.Error(diff)
	}
}

// E-CORE-09: Go cannot stop the waiter's stack from being unwound too.
func TestWait_E_CORE_09_GoexitInline(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), quietly())
	var inner *core.Future[int]
	cleaned := false
	outer := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		defer func() { cleaned = true }()
		var err error
		inner, err = core.Submit(ctx, e, core.Func(func(context.Context) (int, error) {
			runtime.Goexit()
			return 0, nil
		}))
		if err != nil {
			return 0, err
		}
		return inner.Await(ctx)
	}))
	if _, err := outer.Await(soon(t)); !errors.Is(err, core.ErrGoexit) {
		t.Errorf("outer: %v", err)
	}
	if _, err := inner.Await(soon(t)); !errors.Is(err, core.ErrGoexit) {
		t.Errorf("inner: %v", err)
	}
	if !cleaned {
		t.Error("the outer task's deferred function did not run")
	}
	// Nothing was lost: the one worker still works, also for waits.
	if n, err := must(t, e, chainTask(e, 10)).Await(soon(t)); n != 10 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
	idle(t, e)
	if s := e.Stats(); s.Panicked != 2 || s.Workers != 1 || s.Running != 0 {
		t.Errorf("%+v", s)
	}
}

// Waiters outside the engine cause no more than N bodies either.
func TestWait_FromOutside(t *testing.T) {
	e, g := engineFor(t, core.WithWorkers(2)), new(gauge)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				f, err := core.Submit(context.Background(), e, tree(e, g, 2))
				if err != nil {
					t.Error(err)
					return
				}
				if n, err := f.Get(); n != 3 || err != nil {
					t.Errorf("%d, %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	idle(t, e)
	g.check(t, 2)
}

// A task that waits for another engine's future hands its slot over and does
// not run that engine's work.
func TestWait_TwoEngines(t *testing.T) {
	a, b := engineFor(t, core.WithWorkers(1)), engineFor(t, core.WithWorkers(1))
	if err := b.Pause(); err != nil {
		t.Fatal(err)
	}
	running := make(chan struct{})
	f := must(t, a, core.Func(func(ctx context.Context) (int, error) {
		other, err := core.Submit(ctx, b, core.Func(func(ctx context.Context) (int, error) {
			// And back: the only slot of a is free, since its holder waits.
			return core.Run(ctx, a, value(4))
		}))
		if err != nil {
			return 0, err
		}
		close(running)
		return other.Await(ctx)
	}))
	receive(t, running, "start")
	if n, err := must(t, a, value(9)).Await(soon(t)); n != 9 || err != nil {
		t.Errorf("the waiter kept its slot: %d, %v", n, err)
	}
	if s := b.Stats(); s.Queued != 1 || s.Running != 0 {
		t.Errorf("the waiter ran the other engine's task: %+v", s)
	}
	if err := b.Resume(); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Await(soon(t)); n != 4 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// A ring through two engines is found; then at least one task is refused.
func TestWait_RingOfTwoEngines(t *testing.T) {
	for range 200 {
		engines := []*core.Engine{engineFor(t, core.WithWorkers(1)), engineFor(t, core.WithWorkers(1))}
		futures := make([]*core.Future[bool], 2)
		ready := make(chan struct{})
		for i, e := range engines {
			futures[i] = must(t, e, core.Func(func(ctx context.Context) (bool, error) {
				<-ready
				_, err := futures[1-i].Await(ctx)
				return errors.Is(err, core.ErrDeadlock), nil
			}))
		}
		close(ready)
		first, err := futures[0].Await(soon(t))
		second, err2 := futures[1].Await(soon(t))
		if !first && !second || err != nil || err2 != nil {
			t.Fatalf("refused: %v, %v; %v, %v", first, second, err, err2)
		}
		for _, e := range engines {
			endEngine(t, e)
		}
	}
}

// A task waits for a future that somebody else has submitted and may cancel.
func TestWait_ForeignFuture(t *testing.T) {
	outcomes := map[string]int{}
	for i := range 2000 {
		e := engineFor(t, core.WithWorkers(2))
		shared := must(t, e, value(6))
		waiters := make([]*core.Future[int], 3)
		for i := range waiters {
			waiters[i] = must(t, e, core.Func(func(ctx context.Context) (int, error) { return shared.Await(ctx) }))
		}
		for range i % 30 {
			runtime.Gosched()
		}
		cancelled := shared.Cancel()
		for _, w := range waiters {
			n, err := w.Await(soon(t))
			switch {
			case n == 6 && err == nil:
				outcomes["value"]++
			case errors.Is(err, context.Canceled) && cancelled:
				outcomes["cancelled"]++
			default:
				t.Fatalf("%d, %v, cancelled %v", n, err, cancelled)
			}
		}
		endEngine(t, e)
	}
	if len(outcomes) != 2 {
		unseen(t, "an outcome never occurred: %v", outcomes)
	}
}

// Goroutines of a task's own use its context at the same time as the task. They
// may not corrupt anything; the bound on bodies is not promised then.
func TestWait_SideGoroutines(t *testing.T) {
	for round := range 300 {
		e := engineFor(t, core.WithWorkers(2), core.WithQueueCapacity(4))
		stop := sampler(t, e)
		var bodies, accepted atomic.Int64
		child := func() core.Task[int] {
			return core.Func(func(ctx context.Context) (int, error) {
				bodies.Add(1)
				return core.Run(ctx, e, value(1))
			})
		}
		var sides sync.WaitGroup
		parent := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			for range 3 {
				sides.Go(func() {
					for range 5 {
						f, err := core.Submit(ctx, e, child())
						if err != nil {
							if !errors.Is(err, context.Canceled) {
								t.Error(err)
							}
							return
						}
						accepted.Add(1)
						if n, err := f.Await(ctx); n != 1 && !errors.Is(err, context.Canceled) {
							t.Errorf("%d, %v", n, err)
						}
					}
				})
			}
			if round%2 == 0 {
				sides.Wait()
			}
			for range 5 {
				if _, err := core.Run(ctx, e, child()); err != nil {
					return 0, err
				}
				accepted.Add(1)
			}
			return 2, nil
		}))
		if n, err := parent.Await(soon(t)); n != 2 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		sides.Wait()
		idle(t, e)
		stop()
		if s := e.Stats(); uint64(bodies.Load())+s.Canceled < uint64(accepted.Load()) {
			t.Fatalf("%d bodies of %d: %+v", bodies.Load(), accepted.Load(), s)
		}
		endEngine(t, e)
	}
}

// The context of a task that has returned has ended, with a cause.
func TestWait_ContextAfterwards(t *testing.T) {
	e := engineFor(t)
	var kept context.Context
	f := must(t, e, core.Func(func(ctx context.Context) (int, error) { kept = ctx; return 1, nil }))
	if _, err := f.Await(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err, cause := kept.Err(), context.Cause(kept); err != context.Canceled || !errors.Is(cause, context.Canceled) {
		t.Errorf("%v, cause %v", err, cause)
	}
	if _, err := core.Submit(kept, e, value(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Any finite tree of tasks, each of which awaits its descendants only, ends, on
// any number of workers and with any capacity. (P-C11)
func TestWait_RandomTrees(t *testing.T) {
	for seed := range uint64(150) {
		random := rand.New(rand.NewPCG(seed, 11))
		workers, capacity := 1+random.IntN(4), 1+random.IntN(20)
		e, g := engineFor(t, core.WithWorkers(workers), core.WithQueueCapacity(capacity)), new(gauge)
		var nodes, ran atomic.Int64
		var node func(seed uint64, depth int) core.Task[int]
		node = func(seed uint64, depth int) core.Task[int] {
			nodes.Add(1)
			return core.Func(func(ctx context.Context) (int, error) {
				g.in()
				defer g.out()
				ran.Add(1)
				runtime.Gosched() // lets a body too many be seen
				mine := rand.New(rand.NewPCG(seed, uint64(depth)))
				if depth == 0 {
					return 1, nil
				}
				var children []*core.Future[int]
				for range mine.IntN(5) {
					g.out() // Submit may wait for room
					f, err := core.Submit(ctx, e, node(mine.Uint64(), depth-1))
					g.in()
					if err != nil {
						return 0, err
					}
					children = append(children, f)
				}
				if mine.IntN(2) == 0 {
					slices.Reverse(children)
				}
				sum := 1
				for _, f := range children {
					n, err := awaitOut(ctx, g, f)
					if err != nil {
						return 0, err
					}
					sum += n
				}
				return sum, nil
			})
		}
		n, err := must(t, e, node(seed, 5)).Await(soon(t))
		if int64(n) != nodes.Load() || nodes.Load() != ran.Load() || err != nil {
			t.Fatalf("seed %d: %d of %d nodes, %d ran, %v", seed, n, nodes.Load(), ran.Load(), err)
		}
		g.check(t, workers)
		endEngine(t, e)
	}
}
