package core_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/uptutu/goman/core"
)

// allocations returns how many allocations a call of fn makes on average, those
// of the workers included. It skips the test where that cannot be counted.
func allocations(t *testing.T, fn func()) float64 {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates by itself, so allocations cannot be counted under -race: bash .ci/run allocs")
	}
	for range 2000 { // grows what is reused
		fn()
	}
	best := testing.AllocsPerRun(2000, fn)
	for range 4 { // the collector empties pools now and then
		best = min(best, testing.AllocsPerRun(2000, fn))
	}
	return best
}

// allocationsUntilDone is allocations of a task, from submit to its end.
func allocationsUntilDone(t *testing.T, submit func() (*core.Future[int], error)) float64 {
	t.Helper()
	return allocations(t, func() {
		f, err := submit()
		if err != nil {
			t.Fatal(err)
		}
		for !f.IsDone() {
			runtime.Gosched()
		}
	})
}

func TestAlloc_Go(t *testing.T) {
	for name, options := range map[string][]core.Option{"plain": nil, "small queue": {core.WithQueueCapacity(1)},
		"intercepted": {core.WithInterceptors(pass, pass, pass)},
		"scheduler":   {core.WithScheduler(&loop{})}} {
		t.Run(name, func(t *testing.T) {
			e := engineFor(t, append(options, core.WithWorkers(1))...)
			done := make(chan struct{}, 1)
			fn := func() { done <- struct{}{} }
			if n := allocations(t, func() {
				if err := e.Go(fn); err != nil {
					t.Fatal(err)
				}
				<-done
			}); n != 0 {
				t.Errorf("Go makes %v allocations", n)
			}
			if n := allocations(t, func() {
				if err := e.TryGo(fn); err == nil {
					<-done
				}
			}); n != 0 && name != "small queue" { // whose refusals are errors
				t.Errorf("TryGo makes %v allocations", n)
			}
		})
	}
}

// loop is a scheduler that allocates nothing.
type loop struct {
	jobs        [4096]core.Job
	first, next uint32
}

func (r *loop) Push(job core.Job) { r.jobs[r.next%4096] = job; r.next++ }
func (r *loop) Len() int          { return int(r.next - r.first) }

func (r *loop) Pop(int) (core.Job, bool) {
	if r.first == r.next {
		return core.Job{}, false
	}
	r.first++
	return r.jobs[(r.first-1)%4096], true
}

func TestAlloc_Submit(t *testing.T) {
	ctx := context.Background()
	cancellable, cancel := context.WithCancel(ctx)
	defer cancel()
	task := value(1)
	pointer := core.Task[int](&pointerTask{7})
	for name, c := range map[string]struct {
		options []core.Option
		call    func(e *core.Engine) (*core.Future[int], error)
	}{
		"Submit":      {nil, func(e *core.Engine) (*core.Future[int], error) { return core.Submit(ctx, e, task) }},
		"pointer":     {nil, func(e *core.Engine) (*core.Future[int], error) { return core.Submit(ctx, e, pointer) }},
		"TrySubmit":   {nil, func(e *core.Engine) (*core.Future[int], error) { return core.TrySubmit(ctx, e, task) }},
		"with cancel": {nil, func(e *core.Engine) (*core.Future[int], error) { return core.Submit(cancellable, e, task) }},
		"intercepted": {[]core.Option{core.WithInterceptors(pass, pass, pass, pass, pass)}, func(e *core.Engine) (*core.Future[int], error) { return core.Submit(ctx, e, task) }},
	} {
		t.Run(name, func(t *testing.T) {
			e := engineFor(t, append(c.options, core.WithWorkers(1))...)
			if n := allocationsUntilDone(t, func() (*core.Future[int], error) { return c.call(e) }); n != 1 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// Hooks cost no allocation for a task.
func TestAlloc_Hooks(t *testing.T) {
	var calls atomic.Int64
	e := engineFor(t, core.WithWorkers(1), core.WithHooks(core.Hooks{
		Accepted: func(core.Job) { calls.Add(1) },
		Started:  func(core.Job) { calls.Add(1) },
		Ended:    func(end core.EndInfo) { calls.Add(int64(end.Outcome) + 1) },
	}))
	task := value(1)
	if n := allocationsUntilDone(t, func() (*core.Future[int], error) {
		return core.Submit(context.Background(), e, task)
	}); n != 1 {
		t.Errorf("%v allocations", n)
	}
	if calls.Load() == 0 {
		t.Error("no hook was called")
	}
}

// Attributes cost two allocations more.
func TestAlloc_Attributes(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	ctx, task := context.Background(), value(1)
	attributes := core.Attributes{Name: "x"}
	if n := allocationsUntilDone(t, func() (*core.Future[int], error) {
		return core.SubmitWith(ctx, e, attributes, task)
	}); n != 3 {
		t.Errorf("%v allocations", n)
	}
}

// A refusal costs its error and nothing else.
func TestAlloc_TrySubmitFull(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1))
	release := occupy(t, e, 1)
	defer release()
	fill(t, e, 1)
	ctx, task := context.Background(), value(1)
	if n := allocations(t, func() {
		if _, err := core.TrySubmit(ctx, e, task); !errors.Is(err, core.ErrQueueFull) {
			t.Fatal(err)
		}
	}); n != 1 {
		t.Errorf("%v allocations", n)
	}
}

// A chain of interceptors costs nothing for each task: a task costs the same
// without and with it, a hook too.
func TestAlloc_Chain(t *testing.T) {
	task := value(1)
	count := func(options ...core.Option) float64 {
		e := engineFor(t, append(options, core.WithWorkers(1))...)
		defer endEngine(t, e)
		return allocations(t, func() {
			f, err := core.Submit(context.Background(), e, task)
			if err != nil {
				t.Fatal(err)
			}
			for !f.IsDone() {
				runtime.Gosched()
			}
		})
	}
	bare := count()
	if with := count(core.WithInterceptors(pass, pass, pass, pass, pass)); with != bare {
		t.Errorf("%v allocations with five interceptors, %v without", with, bare)
	}
	if bare != 1 {
		t.Errorf("%v allocations", bare)
	}
}

// A batch costs one allocation for all its futures, and its slices.
func TestAlloc_SubmitAll(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	tasks := make([]core.Task[int], 100)
	for i := range tasks {
		tasks[i] = value(i)
	}
	if n := allocations(t, func() {
		futures, err := core.SubmitAll(context.Background(), e, tasks)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range futures {
			for !f.IsDone() {
				runtime.Gosched()
			}
		}
	}); n > 4 {
		t.Errorf("%v allocations for %d tasks", n, len(tasks))
	}
}
