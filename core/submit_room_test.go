package core_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

// E-CORE-21: each TrySubmit on a full queue is refused at once, all are counted,
// and nothing is kept of them.
func TestTrySubmit_E_CORE_21_FullQueue(t *testing.T) {
	e := engineFor(t, core.WithName("narrow"), core.WithWorkers(1), core.WithQueueCapacity(2))
	release := occupy(t, e, 1)
	fill(t, e, 2)
	each := 250_000
	if raceEnabled || testing.Short() {
		each = 10_000
	}
	task := value(1)
	refuse := func() {
		f, err := core.TrySubmit(context.Background(), e, task)
		if f != nil || !errors.Is(err, core.ErrQueueFull) {
			t.Errorf("TrySubmit: %v, %v", f, err)
		}
	}
	refuse()
	before := heap()
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for range each {
				refuse()
			}
		})
	}
	callers.Wait()
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if got, want := e.Stats().Rejected.Full, uint64(4*each+1); got != want {
		t.Errorf("%d refused, want %d", got, want)
	}
	_, err := core.TrySubmit(context.Background(), e, task)
	want := &core.RefusedError{Engine: "narrow", Capacity: 2, Reason: core.ErrQueueFull}
	var got *core.RefusedError
	if !errors.As(err, &got) || *got != *want || err.Error() != "core: engine narrow: queue is full: its capacity is 2" {
		t.Errorf("%v", err)
	}
	if err := e.TryGo(func() {}); !errors.Is(err, core.ErrQueueFull) {
		t.Errorf("TryGo: %v", err)
	}
	release()
}

// E-CORE-23: submitters that wait for room go on as soon as all workers panic.
func TestSubmit_E_CORE_23_AllWorkersPanic(t *testing.T) {
	e := engineFor(t, core.WithWorkers(3), core.WithQueueCapacity(1), quietly())
	started, gate := make(chan struct{}), make(chan struct{})
	for range 3 {
		must(t, e, core.Func(func(context.Context) (int, error) {
			started <- struct{}{}
			<-gate
			panic("all at once")
		}))
		receive(t, started, "start")
	}
	fill(t, e, 1)
	var submitters sync.WaitGroup
	for range 8 {
		submitters.Go(func() {
			if _, err := core.Submit(soon(t), e, value(1)); err != nil {
				t.Error(err)
			}
		})
	}
	for e.Stats().Blocked != 8 {
		runtime.Gosched()
	}
	close(gate)
	submitters.Wait()
	idle(t, e)
	if s := e.Stats(); s.Panicked != 3 || s.Succeeded != 9 {
		t.Errorf("%+v", s)
	}
}

// Under RejectWait those who wait are served in order.
func TestSubmit_WaitersInOrder(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1))
	release := occupy(t, e, 1)
	fill(t, e, 1)
	var order []int
	var submitters sync.WaitGroup
	for i := range 20 {
		submitters.Go(func() {
			if err := e.Go(func() { order = append(order, i) }); err != nil {
				t.Error(err)
			}
		})
		for e.Stats().Blocked != i+1 {
			runtime.Gosched()
		}
	}
	release()
	submitters.Wait()
	idle(t, e)
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, order); diff != "" {
		t.Error(diff)
	}
}

// A wait for room ends with its context, for every way in, and the task never
// runs.
func TestSubmit_WaitEndsWithContext(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1))
	release := occupy(t, e, 1)
	fill(t, e, 1)
	mine := errors.New("mine")
	body := core.Func(func(context.Context) (int, error) { t.Error("the body ran"); return 0, nil })
	for name, call := range map[string]func(context.Context) error{
		"Submit":    func(ctx context.Context) error { _, err := core.Submit(ctx, e, body); return err },
		"SubmitAll": func(ctx context.Context) error { _, err := core.SubmitAll(ctx, e, []core.Task[int]{body}); return err },
		"Run":       func(ctx context.Context) error { _, err := core.Run(ctx, e, body); return err },
		"GoContext": func(ctx context.Context) error { return e.GoContext(ctx, func() { t.Error("it ran") }) },
	} {
		ctx, cancel := context.WithCancelCause(context.Background())
		result := make(chan error, 1)
		go func() { result <- call(ctx) }()
		for e.Stats().Blocked != 1 {
			runtime.Gosched()
		}
		cancel(mine)
		if err := receive(t, result, name); !errors.Is(err, mine) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := e.Stats(); s.Rejected.Context != 4 || s.Blocked != 0 || s.Accepted != 2 {
		t.Errorf("%+v", s)
	}
	release()
}
