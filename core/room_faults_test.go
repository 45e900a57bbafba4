package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// roomAddsUp checks the rule at the top of admit.go, and that of the earners in room.go.
func roomAddsUp(e *Engine) error {
	slots := e.lockAll()
	defer e.unlockAll(slots)
	in := &e.in
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	t := e.total(slots)
	credits, queued := e.outside.credit, int(t.accepted-t.started-t.removed)
	listed := make(map[*slot]int)
	for _, s := range in.earners {
		listed[s]++
	}
	for _, s := range slots {
		credits += s.credit
		if n := listed[s]; n > 1 || s.earns != (n == 1) {
			fault("slot %d: earns %v, listed %d times", s.index, s.earns, n)
		}
		if s.credit < 0 || !s.earns && (s.credit != 0 || s.queued() > 0) {
			fault("slot %d: earns %v, credit %d, stores %d", s.index, s.earns, s.credit, s.queued())
		}
	}
	if in.room+credits+queued != in.capacity {
		fault("room %d + credits %d + queued %d is not %d", in.room, credits, queued, in.capacity)
	}
	if in.first != nil && e.signal.Load()&signalHungry == 0 {
		fault("%d wait for room, and the engine is not hungry", in.blocked)
	}
	return errors.Join(faults...)
}

// fork is a task whose children beget children, let in and awaited in every way.
func fork(e *Engine, depth int) Task[int] {
	return Func(func(ctx context.Context) (int, error) {
		if depth == 0 {
			return 1, nil
		}
		child := fork(e, depth-1)
		fs, err := SubmitAll(ctx, e, slices.Repeat([]Task[int]{child}, 1+depth%2))
		if err != nil {
			return 0, err
		}
		n := 1
		if len(fs) == 1 { // and another that is run at once
			if n, err = Run(ctx, e, child); err != nil {
				return 0, err
			}
			n++
		}
		for _, f := range fs {
			waits := ctx
			if depth%3 == 0 { // gives the slot away
				derived, cancel := context.WithCancel(ctx)
				defer cancel()
				waits = derived
			}
			k, err := f.Await(waits)
			if err != nil {
				return 0, err
			}
			n += k
		}
		return n, nil
	})
}

// crowd submits to e in every way, and returns when all that was accepted has ended.
func crowd(soon context.Context, t *testing.T, e *Engine, n int) {
	check := func(err error) {
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%v; %+v", err, e.Stats())
		}
	}
	one := Func(func(context.Context) (int, error) { return 1, nil })
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := range n {
				depth := i % 6
				v, err := Run(soon, e, fork(e, depth))
				if check(err); v != 1<<(depth+1)-1 {
					t.Errorf("a tree of depth %d has %d nodes", depth, v)
				}
			}
		})
		wg.Go(func() {
			for i := range n {
				_, err := e.GoAll(soon, slices.Repeat([]func(){runtime.Gosched}, 1+i%70))
				check(err)
			}
		})
		wg.Go(func() {
			for i := range n {
				fs, err := SubmitAll(soon, e, slices.Repeat([]Task[int]{one}, 1+i%200))
				check(err)
				for j, f := range fs {
					if j%5 == 0 {
						f.Cancel()
					}
				}
				for _, f := range fs {
					_, err := f.Await(soon)
					check(err)
				}
			}
		})
		wg.Go(func() {
			for range 10 * n {
				f, err := TrySubmit(context.Background(), e, one)
				if err != nil {
					runtime.Gosched()
					continue
				}
				_, err = f.Get()
				check(err)
				check(e.Go(func() {}))
			}
		})
		wg.Go(func() {
			for i := range n {
				_, err := Run(soon, e, Func(func(ctx context.Context) (int, error) {
					if Attempt(ctx) < i%3 {
						return 0, Again(0, nil)
					}
					return 1, nil
				}))
				check(err)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		wg.Wait()
	}()
	select {
	case <-done:
	case <-soon.Done():
		stacks := make([]byte, 1<<20)
		t.Fatalf("it hangs: %+v; %v\n%s", e.Stats(), roomAddsUp(e), stacks[:runtime.Stack(stacks, true)])
	}
}

// meddle changes the settings of e again and again until quit is closed.
func meddle(t *testing.T, e *Engine, workers, capacity int, quit <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-quit:
			return
		default:
		}
		if err := errors.Join(e.Resize(1+i*7%workers), e.SetQueueCapacity(1+i%(capacity+2)), e.Pause(), e.Resume()); err != nil {
			t.Error(err)
			return
		}
		for range i % 50 {
			runtime.Gosched()
		}
	}
}

// Whatever happens, no unit of capacity is lost, and none lies in a slot that nobody
// looks through: in engines of few and of many workers, and in tiny queues.
func TestRoom_AddsUp(t *testing.T) {
	n := 100
	if testing.Short() || runtime.GOMAXPROCS(0) == 1 {
		n = 20
	}
	for _, workers := range []int{1, 2, 65, 100, 10_000} {
		for _, capacity := range []int{1, 2, 1000} {
			for _, meddled := range []bool{false, true} {
				t.Run(fmt.Sprintf("%dw/%dc/%v", workers, capacity, meddled), func(t *testing.T) {
					e, err := New(WithWorkers(workers), WithQueueCapacity(capacity), WithLogger(slog.New(slog.DiscardHandler)))
					if err != nil {
						t.Fatal(err)
					}
					soon, cancel := context.WithTimeout(context.Background(), time.Minute)
					defer cancel()
					quit := make(chan struct{})
					var others sync.WaitGroup
					others.Go(func() {
						for {
							select {
							case <-quit:
								return
							default:
							}
							if err := roomAddsUp(e); err != nil {
								t.Error(err)
								return
							}
							for range 100 {
								runtime.Gosched()
							}
						}
					})
					if meddled {
						others.Go(func() { meddle(t, e, workers, capacity, quit) })
					}
					crowd(soon, t, e, n)
					close(quit)
					others.Wait()
					if err := e.WaitIdle(soon); err != nil {
						t.Fatal(err)
					}
					if err := roomAddsUp(e); err != nil {
						t.Error(err)
					}
					if err := e.Shutdown(soon); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}
