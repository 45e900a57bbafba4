package core_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/uptutu/goman/core"
)

// heap returns the bytes in use after a thorough collection.
func heap() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// gone collects until the object is gone; finalisers and pools need more than
// one round.
func gone[T any](p weak.Pointer[T]) bool {
	for range 20 {
		if p.Value() == nil {
			return true
		}
		runtime.GC()
		runtime.Gosched()
	}
	return false
}

// cargo is something large that a task carries.
type cargo struct{ bytes [1 << 16]byte }

type cargoTask struct{ *cargo }

func (c *cargoTask) Execute(context.Context) (int, error) { return int(c.bytes[0]), nil }

type cargoKey struct{}

// P-C15: a resolved future, held on to, keeps neither task nor closure nor
// context alive, however it was resolved.
func TestMemory_ResolvedFuturePinsNothing(t *testing.T) {
	type pins struct {
		task, closure, context weak.Pointer[cargo]
		futures                []*core.Future[int]
	}
	// submit makes everything in a frame of its own.
	submit := func(e *core.Engine, cancellable bool, before func(ctx context.Context) error) (p pins) {
		inTask, inClosure, inContext := new(cargo), new(cargo), new(cargo)
		p.task, p.closure, p.context = weak.Make(inTask), weak.Make(inClosure), weak.Make(inContext)
		ctx := context.WithValue(context.Background(), cargoKey{}, inContext)
		if cancellable {
			var cancel context.CancelFunc
			ctx, cancel = context.WithCancel(ctx)
			t.Cleanup(func() { cancel() })
		}
		f, err := core.Submit[int](ctx, e, &cargoTask{inTask})
		if err != nil {
			t.Fatal(err)
		}
		g, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
			if before != nil {
				if err := before(ctx); err != nil {
					return 0, err
				}
			}
			return int(inClosure.bytes[1]), nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		p.futures = []*core.Future[int]{f, g}
		return p
	}
	for name, c := range map[string]struct {
		options []core.Option
		before  func(ctx context.Context) error
		then    func(e *core.Engine, p pins)
	}{
		"value": {},
		"done asked for": {before: func(ctx context.Context) error {
			if ctx.Done() == nil {
				panic("no channel")
			}
			return nil
		}},
		"panic":  {options: []core.Option{quietly()}, before: func(context.Context) error { panic("x") }},
		"goexit": {options: []core.Option{quietly()}, before: func(context.Context) error { runtime.Goexit(); return nil }},
		"limits": {options: []core.Option{core.WithRunLimit(time.Hour), core.WithQueueLimit(time.Hour)}},
		"again": {before: func(ctx context.Context) error {
			if core.Attempt(ctx) < 2 {
				return core.Again(time.Millisecond, nil)
			}
			return nil
		}},
		"intercepted": {options: []core.Option{core.WithInterceptors(pass), core.WithHooks(core.Hooks{Ended: func(core.EndInfo) {}})}},
		"waited for": {then: func(_ *core.Engine, p pins) {
			for _, f := range p.futures {
				f.OnDone(func(int, error) {})
				_, _ = f.Await(soon(t))
				<-f.Done()
			}
		}},
		"cancelled": {then: func(_ *core.Engine, p pins) {
			for _, f := range p.futures {
				f.Cancel()
			}
		}},
		"one worker busy": {options: []core.Option{core.WithWorkers(1)}, then: func(e *core.Engine, p pins) {
			release := occupy(t, e, 1)
			release()
		}},
	} {
		for _, cancellable := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " with cancel"}[cancellable], func(t *testing.T) {
				e := engineFor(t, c.options...)
				p := submit(e, cancellable, c.before)
				if c.then != nil {
					c.then(e, p)
				} else {
					idle(t, e) // so that nobody waits when it ends
				}
				for _, f := range p.futures {
					_, _ = f.Await(soon(t))
				}
				idle(t, e)
				if !gone(p.task) {
					t.Error("the task is kept")
				}
				if !gone(p.closure) {
					t.Error("the closure is kept")
				}
				// The test itself keeps the cancellable one for its clean-up.
				if !cancellable && !gone(p.context) {
					t.Error("the context is kept")
				}
				runtime.KeepAlive(p.futures)
			})
		}
	}
}

// Tasks that never start are let go too: cancelled, expired, discarded and
// handed back, while the worker is still busy.
func TestMemory_NeverStarted(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(4), core.WithReject(core.RejectDiscardOldest))
	release := occupy(t, e, 1)
	submit := func() (weak.Pointer[cargo], *core.Future[int]) {
		c := new(cargo)
		return weak.Make(c), must[int](t, e, &cargoTask{c})
	}
	first, discarded := submit()
	second, cancelled := submit()
	cancelled.Cancel()
	for range 5 {
		submit()
	}
	for name, p := range map[string]weak.Pointer[cargo]{"discarded": first, "cancelled": second} {
		if !gone(p) {
			t.Errorf("the %s task is kept", name)
		}
	}
	if !discarded.IsDone() || !cancelled.IsDone() {
		t.Error("not resolved")
	}
	release()
}

// The engine keeps no plain function that has run: neither in its queues, nor
// with the worker that ran it last.
func TestMemory_PlainFunctions(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2))
	var pointers []weak.Pointer[cargo]
	for range 200 {
		c := new(cargo)
		pointers = append(pointers, weak.Make(c))
		if err := e.Go(func() { c.bytes[0]++ }); err != nil {
			t.Fatal(err)
		}
	}
	idle(t, e)
	kept := 0
	for _, p := range pointers {
		if !gone(p) {
			kept++
		}
	}
	if kept > 0 {
		t.Errorf("%d of %d functions are kept", kept, len(pointers))
	}
}

// After a million tasks of all kinds the heap is back where it was.
func TestMemory_MillionTasks(t *testing.T) {
	for name, option := range map[string]core.Option{
		"built-in":  core.WithQueueCapacity(10_000),
		"scheduler": func(c *core.Config) { c.QueueCapacity, c.Scheduler = 100, new(tidy) },
	} {
		t.Run(name, func(t *testing.T) { million(t, option) })
	}
}

func million(t *testing.T, option core.Option) {
	n := 1_000_000
	if raceEnabled || testing.Short() {
		n = 50_000
	}
	e := engineFor(t, core.WithWorkers(2), option, quietly())
	var ran atomic.Int64
	load := func(n int) {
		task := core.Func(func(context.Context) (int, error) { ran.Add(1); return 1, nil })
		for i := range n {
			switch i % 4 {
			case 0, 1:
				if err := e.Go(func() { ran.Add(1) }); err != nil {
					t.Fatal(err)
				}
			case 2:
				must(t, e, task)
			case 3:
				f := must(t, e, task)
				if i%8 == 3 {
					if f.Cancel() {
						ran.Add(1)
					}
				}
			}
		}
		idle(t, e)
	}
	load(n / 10)
	base := heap()
	ran.Store(0)
	load(n)
	if grown := heap() - base; grown > 1<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if ran.Load() < int64(n)*9/10 {
		t.Errorf("%d of %d ran", ran.Load(), n)
	}
}

// A queue that is refilled by discarding its oldest for a long time stays small,
// and stays fast.
func TestMemory_E_POL_03_DiscardForever(t *testing.T) {
	n := 200_000
	if raceEnabled {
		n = 50_000
	}
	for _, policy := range []core.RejectPolicy{core.RejectDiscardOldest, core.RejectDisplaceLowest} {
		e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(10), core.WithReject(policy))
		release := occupy(t, e, 1)
		base := heap()
		begin := time.Now()
		for i := range n {
			priority := core.Low + core.Priority(i*4/n)
			_, err := core.SubmitWith(context.Background(), e, core.Attributes{Priority: priority}, value(1))
			if err != nil && policy == core.RejectDiscardOldest {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took > patience {
			t.Errorf("%v: it took %v", policy, took)
		}
		if grown := heap() - base; grown > 1<<18 {
			t.Errorf("%v: the heap has grown by %d bytes", policy, grown)
		}
		release()
		endEngine(t, e)
	}
}
