package core

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The rule at the top of admit.go, and that of the earners in room.go, hold at every
// instant, whatever takes and returns units meanwhile: a unit in a slot that is not
// listed would be lost until that slot starts its next task.
func TestRoom_UnitsAddUpUnderChaos(t *testing.T) {
	const capacity = 32
	ctx := context.Background()
	for _, workers := range []int{1, 3, manyWorkers + 2} {
		e, err := New(WithWorkers(workers), WithQueueCapacity(capacity))
		if err != nil {
			t.Fatal(err)
		}
		var over atomic.Bool
		var chaos sync.WaitGroup
		keepDoing := func(do func()) {
			chaos.Go(func() {
				for !over.Load() {
					do()
					runtime.Gosched() // or each takes its whole turn on a processor
				}
			})
		}
		leaf := Func(func(context.Context) (int, error) { return 1, nil })
		tree := Func(func(ctx context.Context) (int, error) {
			children, err := SubmitAll(ctx, e, []Task[int]{leaf, leaf, leaf})
			for _, child := range children {
				_, awaited := child.Await(ctx)
				err = errors.Join(err, awaited)
			}
			return len(children), err
		})
		again := Func(func(ctx context.Context) (int, error) {
			if Attempt(ctx) == 0 {
				return 0, Again(time.Microsecond, nil)
			}
			return 1, nil
		})
		noted := func(err error) {
			if err != nil && !errors.Is(err, ErrQueueFull) && !errors.Is(err, ErrDiscarded) {
				t.Error(err)
			}
		}
		fns := slices.Repeat([]func(){func() {}}, 2*capacity)
		keepDoing(func() { noted(e.Go(func() {})) })
		keepDoing(func() { _, err := e.GoAll(ctx, fns); noted(err) })
		keepDoing(func() { _, err := Run(ctx, e, tree); noted(err) })
		keepDoing(func() { _, err := Run(ctx, e, again); noted(err) })
		for _, policy := range []RejectPolicy{RejectCallerRuns, RejectDiscardOldest, RejectFail} {
			keepDoing(func() { _, err := SubmitWith(ctx, e, Attributes{Reject: policy}, leaf); noted(err) })
		}
		keepDoing(func() {
			f, err := Submit(ctx, e, leaf)
			noted(err)
			f.Cancel()
		})
		keepDoing(func() {
			noted(e.Resize(1))
			noted(e.SetQueueCapacity(capacity / 4))
			noted(e.Resize(workers))
			noted(e.SetQueueCapacity(capacity))
		})
		for looks := 0; looks < 300 || e.Stats().Accepted < 10_000; looks++ {
			if err := e.checkUnits(); err != nil {
				t.Error(err)
				break
			}
			runtime.Gosched()
		}
		over.Store(true)
		chaos.Wait()
		if err := e.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := e.checkUnits(); err != nil {
			t.Error("at the end:", err)
		}
	}
}

// checkUnits reports whether every unit of capacity is somewhere, and every slot that
// has some is listed.
func (e *Engine) checkUnits() error {
	slots := e.lockAll()
	defer func() { e.unlockAll(slots) }()
	t, in := e.total(slots), &e.in
	units := in.room + int(t.accepted-t.started-t.removed) + e.outside.credit
	for _, s := range slots {
		units += s.credit
		switch listed := slices.Contains(in.earners, s); {
		case s.earns != listed:
			return fmt.Errorf("slot %d: earns is %v, and it is listed: %v", s.index, s.earns, listed)
		case !s.earns && (s.credit != 0 || s.queued() != 0):
			return fmt.Errorf("slot %d is no earner and has %d units and stores %d jobs", s.index, s.credit, s.queued())
		}
	}
	if units != in.capacity {
		return fmt.Errorf("there are %d units of %d", units, in.capacity)
	}
	return nil
}
