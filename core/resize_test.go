package core_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/uptutu/goman/core"
)

func TestResize_E_SIZE_01_ShrinkUnderLoad(t *testing.T) {
	e := engineFor(t, core.WithWorkers(16))
	gates := make([]chan struct{}, 10)
	var futures []*core.Future[int]
	started := make(chan struct{}, len(gates))
	for i := range gates {
		gates[i] = make(chan struct{})
		futures = append(futures, must(t, e, core.Func(func(context.Context) (int, error) {
			started <- struct{}{}
			<-gates[i]
			return i, nil
		})))
	}
	for range gates {
		receive(t, started, "start")
	}
	g := new(gauge)
	for range 100 {
		if err := e.Go(func() { g.in(); g.out() }); err != nil {
			t.Fatal(err)
		}
	}
	synchronise(t, "work on the other six", func() bool { return e.Stats().Succeeded == 100 })
	if err := e.Resize(1); err != nil {
		t.Fatal(err)
	}
	later := new(gauge)
	for range 100 {
		if err := e.Go(func() { later.in(); later.out() }); err != nil {
			t.Fatal(err)
		}
	}
	for i, gate := range gates {
		s := e.Stats()
		if s.Workers != 1 || s.Idle != 0 || s.Running != 10-i {
			t.Errorf("after %d ends: %+v", i, s)
		}
		if i < 9 && s.Queued != 100 {
			t.Errorf("%d tasks started while %d ran on one worker", 100-s.Queued, 10-i)
		}
		close(gate)
		if n, err := futures[i].Await(soon(t)); n != i || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		synchronise(t, "end", func() bool { return e.Stats().Running <= 10-i-1 || i == 9 })
	}
	idle(t, e)
	later.check(t, 1)
	if n := g.entered.Load() + later.entered.Load(); n != 200 {
		t.Errorf("%d of 200 ran", n)
	}
}

func TestResize_E_SIZE_03_BadSizes(t *testing.T) {
	e := engineFor(t, core.WithWorkers(3), core.WithQueueCapacity(7))
	before := e.Config()
	for _, n := range []int{0, -1, math.MinInt, core.MaxWorkers + 1, math.MaxInt} {
		if err := e.Resize(n); !errors.Is(err, core.ErrConfig) {
			t.Errorf("Resize(%d): %v", n, err)
		}
	}
	for _, n := range []int{0, -2, math.MinInt, core.MaxQueueCapacity + 1, math.MaxInt} {
		if err := e.SetQueueCapacity(n); !errors.Is(err, core.ErrConfig) {
			t.Errorf("SetQueueCapacity(%d): %v", n, err)
		}
	}
	// All or nothing.
	if err := e.Reconfigure(core.WithWorkers(5), core.WithQueueCapacity(0), core.WithRunLimit(-1)); !errors.Is(err, core.ErrConfig) {
		t.Errorf("%v", err)
	}
	for range 2 {
		if err := e.Resize(3); err != nil {
			t.Error(err)
		}
	}
	after := e.Config()
	if s := e.Stats(); s.Workers != 3 || s.Capacity != 7 || after.Workers != before.Workers || after.QueueCapacity != before.QueueCapacity || after.RunLimit != 0 {
		t.Errorf("%+v, %+v", s, after)
	}
	for name, call := range map[string]func(*core.Engine) error{
		"Resize":           func(e *core.Engine) error { return e.Resize(2) },
		"SetQueueCapacity": func(e *core.Engine) error { return e.SetQueueCapacity(2) },
		"Pause":            (*core.Engine).Pause,
		"Resume":           (*core.Engine).Resume,
	} {
		if err := call(new(core.Engine)); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s of the zero Engine: %v", name, err)
		}
		if err := call(nil); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s of nil: %v", name, err)
		}
	}
}

func TestResize_E_SIZE_04_Flips(t *testing.T) {
	e := engineFor(t, core.WithWorkers(4), core.WithQueueCapacity(64))
	stop := sampler(t, e)
	quit := make(chan struct{})
	var submitted, ran atomic.Int64
	var load sync.WaitGroup
	for range 3 {
		load.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				f, err := core.Submit(context.Background(), e, core.Func(func(ctx context.Context) (int, error) {
					ran.Add(1)
					return core.Run(ctx, e, value(1))
				}))
				if err != nil {
					t.Error(err)
					return
				}
				if submitted.Add(1)%16 == 0 {
					_, _ = f.Get()
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(4, 4))
	for range rounds(2000) {
		if err := e.Resize(1 + random.IntN(64)); err != nil {
			t.Fatal(err)
		}
		if err := e.SetQueueCapacity(1 + random.IntN(100)); err != nil {
			t.Fatal(err)
		}
		// A goroutine for each slot, and one for each task that waits for a
		// child that runs in another.
		if s := e.Stats(); s.Goroutines > 2*64+16 {
			t.Errorf("%d goroutines", s.Goroutines)
			break
		}
	}
	close(quit)
	load.Wait()
	stop()
	if err := e.Resize(2); err != nil {
		t.Fatal(err)
	}
	idle(t, e)
	if submitted.Load() != ran.Load() {
		t.Errorf("%d of %d ran", ran.Load(), submitted.Load())
	}
	allIdle(t, e)
	if s := e.Stats(); s.Workers != 2 || s.Succeeded != 2*uint64(ran.Load()) {
		t.Errorf("%+v", s)
	}
	g := new(gauge)
	if _, err := must(t, e, tree(e, g, 8)).Await(soon(t)); err != nil {
		t.Error(err)
	}
	idle(t, e)
	g.check(t, 2)
}

func TestCapacity_E_SIZE_06_LoweredThenRaised(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(10))
	release := occupy(t, e, 1)
	fill(t, e, 10)
	if err := e.SetQueueCapacity(4); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.Queued != 10 || s.Capacity != 4 {
		t.Errorf("%+v", s)
	}
	const waiting = 3
	done := make(chan error, waiting)
	for range waiting {
		go func() { done <- e.Go(func() {}) }()
	}
	synchronise(t, "blocked submitters", func() bool { return e.Stats().Blocked == waiting })
	if err := e.TryGo(func() {}); !errors.Is(err, core.ErrQueueFull) {
		t.Errorf("%v", err)
	}
	if err := e.SetQueueCapacity(10); err != nil { // still full
		t.Fatal(err)
	}
	if s := e.Stats(); s.Blocked != waiting || s.Queued != 10 {
		t.Errorf("%+v", s)
	}
	if err := e.SetQueueCapacity(12); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := receive(t, done, "room"); err != nil {
			t.Error(err)
		}
	}
	if s := e.Stats(); s.Blocked != 1 || s.Queued != 12 {
		t.Errorf("%+v", s)
	}
	if err := e.SetQueueCapacity(core.Unbounded); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, done, "room"); err != nil {
		t.Error(err)
	}
	fill(t, e, 100)
	if err := e.SetQueueCapacity(5); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.Queued != 113 || s.Capacity != 5 || s.Blocked != 0 {
		t.Errorf("%+v", s)
	}
	// Now room comes only when fewer than five are queued.
	var mine uint64
	go func() { done <- e.Go(func() { mine = e.Stats().Ended() }) }()
	synchronise(t, "blocked submitter", func() bool { return e.Stats().Blocked == 1 })
	release()
	if err := receive(t, done, "room"); err != nil {
		t.Error(err)
	}
	idle(t, e)
	if mine != 114 {
		t.Errorf("it ran after %d others", mine)
	}
	if s := e.Stats(); s.Succeeded != 115 {
		t.Errorf("%+v", s)
	}
	// The books are right again: exactly five fit.
	release = occupy(t, e, 1)
	fill(t, e, 5)
	if err := e.TryGo(func() {}); !errors.Is(err, core.ErrQueueFull) {
		t.Errorf("a sixth of five: %v", err)
	}
	release()
}

func TestResize_E_SIZE_07_InsideTask(t *testing.T) {
	for workers := 1; workers <= 4; workers++ {
		e := engineFor(t, core.WithWorkers(workers))
		g := new(gauge)
		f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			if err := e.Resize(1); err != nil {
				return 0, err
			}
			return core.Run(ctx, e, tree(e, g, 6))
		}))
		if n, err := f.Await(soon(t)); n != 63 || err != nil {
			t.Errorf("%d workers: %d, %v", workers, n, err)
		}
		if s := e.Stats(); s.Workers != 1 {
			t.Errorf("%+v", s)
		}
	}
}

// Grown slots take over at once what waits, without a further submission.
// (P-C10)
func TestResize_GrownSlotsWork(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1))
	release := occupy(t, e, 1)
	const more = 7
	started, gate := make(chan struct{}, more), make(chan struct{})
	var wg sync.WaitGroup
	for range more {
		wg.Go(func() {
			if err := e.Go(func() { started <- struct{}{}; <-gate }); err != nil {
				t.Error(err)
			}
		})
	}
	synchronise(t, "full queue", func() bool { s := e.Stats(); return s.Queued == 1 && s.Blocked == more-1 })
	if err := e.Resize(1 + more); err != nil {
		t.Fatal(err)
	}
	for range more {
		receive(t, started, "start")
	}
	if s := e.Stats(); s.Running != 1+more || s.Idle != 0 || s.Blocked != 0 {
		t.Errorf("%+v", s)
	}
	wg.Wait()
	close(gate)
	release()
}

// Reconfigure is one step: who looks sees the old settings or the new ones.
func TestReconfigure_OneStep(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1))
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for {
			select {
			case <-quit:
				return
			default:
			}
			if c := e.Config(); c.Workers != c.QueueCapacity {
				t.Errorf("a mix: %d workers, capacity %d", c.Workers, c.QueueCapacity)
				return
			}
		}
	}()
	for i := range 2000 {
		n := 1 + i%9
		if err := e.Reconfigure(core.WithWorkers(n), core.WithQueueCapacity(n)); err != nil {
			t.Fatal(err)
		}
		if s := e.Stats(); s.Workers != n || s.Capacity != n {
			t.Fatalf("%+v", s)
		}
	}
	close(quit)
	<-gone
	for _, option := range []core.Option{core.WithName("other"), core.WithPrealloc(), core.WithPanics(core.PanicCrash)} {
		if err := e.Reconfigure(option); !errors.Is(err, core.ErrConfig) {
			t.Errorf("%v", err)
		}
	}
}
