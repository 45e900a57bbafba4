package core_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/uptutu/goman/core"
)

// Jobs become ready by the waker alone, called while Pop looks.
func TestScheduler_Waker(t *testing.T) {
	for range 3000 {
		s := new(waking)
		e := freshEngine(t, core.WithWorkers(1), core.WithScheduler(s))
		f := must(t, e, value(1))
		start := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { <-start; s.open.Store(true); s.wake() })
		close(start)
		if n, err := f.Await(soon(t)); n != 1 || err != nil {
			t.Fatalf("%d, %v; %+v", n, err, e.Stats())
		}
		wg.Wait()
		endEngine(t, e)
	}
}

// belated has a job become ready just after Pop has looked.
type belated struct{ waking }

func (b *belated) Pop(worker int) (core.Job, bool) {
	if !b.open.Load() {
		b.open.Store(true)
		b.wake()
		return core.Job{}, false
	}
	return b.line.Pop(worker)
}

func TestScheduler_WakerWhilePopLooks(t *testing.T) {
	for _, workers := range []int{1, 3} {
		e := engineFor(t, core.WithWorkers(workers), core.WithScheduler(new(belated)))
		if n, err := must(t, e, value(1)).Await(soon(t)); n != 1 || err != nil {
			t.Errorf("%d, %v; %+v", n, err, e.Stats())
		}
	}
}

// noisy panics now and then in every method.
type noisy struct {
	line
	calls atomic.Int64
}

func (n *noisy) panicNow() {
	if n.calls.Add(1)%5 == 0 {
		panic("scheduler")
	}
}

func (n *noisy) Push(job core.Job) { n.panicNow(); n.line.Push(job) }

func (n *noisy) Pop(w int) (core.Job, bool) { n.panicNow(); return n.line.Pop(w) }

func (n *noisy) Completed(core.Job) { n.panicNow() }

func (n *noisy) Resized(int) { n.panicNow() }

func (n *noisy) Sweep(drop func(core.Job) bool) { n.panicNow(); n.line.Sweep(drop) }

func (n *noisy) Claim(job core.Job) (core.Job, bool) {
	n.panicNow()
	return n.line.Claim(job)
}

// A scheduler that panics costs the submission at hand at most.
func TestScheduler_Panics(t *testing.T) {
	book := new(logbook)
	e := engineFor(t, core.WithWorkers(2), core.WithScheduler(new(noisy)), book.option(), core.WithUnboundedQueue())
	var accepted, refused, ran atomic.Int64
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 300 {
				f, err := core.Submit(context.Background(), e, core.Func(func(ctx context.Context) (int, error) {
					ran.Add(1)
					_, _ = core.Run(ctx, e, value(1))
					return 1, nil
				}))
				if err != nil {
					var p *core.PanicError
					if !errors.As(err, &p) {
						t.Errorf("%v", err)
					}
					refused.Add(1)
					continue
				}
				accepted.Add(1)
				if n, err := f.Await(soon(t)); n != 1 || err != nil {
					t.Errorf("%d, %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	idle(t, e)
	if accepted.Load() != ran.Load() || refused.Load() == 0 || e.Stats().Rejected.Internal == 0 {
		t.Errorf("%d accepted, %d ran, %d refused; %+v", accepted.Load(), ran.Load(), refused.Load(), e.Stats())
	}
	if book.String() == "" {
		t.Error("nothing was logged")
	}
}
