package balance

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

func answers(n int) (tasks []core.Task[int]) {
	for i := range n {
		tasks = append(tasks, answer(i))
	}
	return tasks
}

// awaitAll demands that futures have the results 0, 1, 2, …
func awaitAll(ctx context.Context, t *testing.T, futures []*core.Future[int]) {
	t.Helper()
	for i, f := range futures {
		if n, err := f.Await(ctx); n != i || err != nil {
			t.Fatalf("future %d: %d, %v", i, n, err)
		}
	}
}

func TestBatch_KeepsTheOrder(t *testing.T) {
	ctx := soon(t)
	for _, balancer := range allBalancers() {
		for _, n := range []int{1, 63, 64, 65, 1000} {
			g := groupOf(t, balancer, engineFor(t, core.WithQueueCapacity(10)), engineFor(t), engineFor(t, core.WithUnboundedQueue()))
			futures, err := SubmitAll(ctx, g, answers(n))
			if err != nil || len(futures) != n {
				t.Fatal(len(futures), err)
			}
			awaitAll(ctx, t, futures)
			futures, err = SubmitAllWith(ctx, g, core.Attributes{Name: "named", Priority: core.High}, answers(n))
			if err != nil || len(futures) != n {
				t.Fatal(len(futures), err)
			}
			awaitAll(ctx, t, futures)
			if s := g.Stats(); s.Total.Accepted != uint64(2*n) || s.Refused != 0 {
				t.Errorf("%v, %d tasks: %+v", balancer, n, s)
			}
		}
	}
}

func TestBatch_Spreads(t *testing.T) {
	g := busyGroup(t, RoundRobin(), 4)
	if _, err := SubmitAll(soon(t), g, answers(64*8)); err != nil {
		t.Fatal(err)
	}
	for _, n := range queuedAt(g) {
		if n != 128 {
			t.Errorf("queued: %v", queuedAt(g))
		}
	}
}

// A batch that does not wait takes what fits into all engines, and no more.
func TestBatch_TryTakesWhatFits(t *testing.T) {
	ctx := soon(t)
	for _, balancer := range allBalancers() {
		var engines []*core.Engine
		for range 3 {
			e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(100))
			defer occupy(t, e)()
			engines = append(engines, e)
		}
		g := groupOf(t, balancer, engines...)
		futures, err := TrySubmitAll(ctx, g, answers(1000))
		if len(futures) != 300 || !errors.Is(err, core.ErrQueueFull) {
			t.Errorf("%v: %d, %v", balancer, len(futures), err)
		}
		if s := g.Stats(); s.Refused != 1 {
			t.Errorf("%+v", s)
		}
	}
}

// A batch waits for room as often as it needs to, and gives up with the context.
func TestBatch_Waits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := groupOf(t, RoundRobin(), engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(3)), engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(3)))
		slow := func(n int) core.Task[int] {
			return core.Func(func(context.Context) (int, error) { time.Sleep(time.Second); return n, nil })
		}
		var tasks []core.Task[int]
		for i := range 100 {
			tasks = append(tasks, slow(i))
		}
		futures, err := SubmitAll(t.Context(), g, tasks)
		if err != nil {
			t.Fatal(err)
		}
		awaitAll(t.Context(), t, futures)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+time.Millisecond)
		defer cancel()
		futures, err = SubmitAllWith(ctx, g, core.Attributes{Name: "slow"}, tasks)
		// 2 run at once and 6 are queued, and 2 more are let in each second.
		if len(futures) != 28 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d were accepted: %v", len(futures), err)
		}
		for _, e := range g.Engines() {
			if err := e.WaitIdle(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// fickle is a task whose key is another each time it is asked for.
type fickle struct{ asked *int }

func (f fickle) Execute(context.Context) (int, error) { return 0, nil }

func (f fickle) Key() string {
	*f.asked++
	return fmt.Sprint("key ", *f.asked)
}

// A piece of no tasks was cut for a first one whose key changes, and that panicked.
func TestBatch_KeyThatChanges(t *testing.T) {
	ctx := soon(t)
	g := groupOf(t, ByKey(), engineFor(t), engineFor(t))
	tasks := make([]core.Task[int], 100)
	for i := range tasks {
		tasks[i] = fickle{new(int)}
	}
	futures, err := SubmitAll(ctx, g, tasks)
	if err != nil || len(futures) != len(tasks) {
		t.Fatal(len(futures), err)
	}
	for _, f := range futures {
		if _, err := f.Await(ctx); err != nil {
			t.Error(err)
		}
	}
}
