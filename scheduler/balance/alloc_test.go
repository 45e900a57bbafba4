package balance

import (
	"context"
	"runtime"
	"testing"

	"github.com/uptutu/goman/core"
)

// A choice allocates nothing, and a submission what core allocates: the future.
func TestGroup_Alloc(t *testing.T) {
	ctx := context.Background()
	var task core.Task[int] = answer(1)
	var keyed core.Task[int] = described{}
	for _, balancer := range allBalancers() {
		e := engineFor(t, core.WithWorkers(1), core.WithUnboundedQueue())
		other := engineFor(t, core.WithWorkers(1), core.WithUnboundedQueue())
		g := groupOf(t, balancer, e, other)
		if err := g.SetWeight(e, 3); err != nil {
			t.Fatal(err)
		}
		given := core.Attributes{Key: "key"}
		r := g.roster.Load()
		if n := testing.AllocsPerRun(1000, func() {
			wish, err := g.wish(r, &given, keyed)
			if err != nil || g.choose(r, nil, wish) < 0 {
				t.Fatal("no choice")
			}
		}); n != 0 && balancer.kind != byFunc { // where described makes a map of labels
			t.Errorf("%v: a choice allocates %v times", balancer, n)
		}
		core1 := testing.AllocsPerRun(1000, func() { _, _ = core.Run(ctx, e, task) })
		group := testing.AllocsPerRun(1000, func() { _, _ = Run(ctx, g, task) })
		if group > core1 {
			t.Errorf("%v: Run allocates %v times, core %v", balancer, group, core1)
		}
		fn := func() {}
		if n := testing.AllocsPerRun(1000, func() { _ = g.Go(fn) }); n > 0 {
			t.Errorf("%v: Go allocates %v times", balancer, n)
		}
		with1 := testing.AllocsPerRun(1000, func() { _, _ = core.RunWith(ctx, e, given, task) })
		with := testing.AllocsPerRun(1000, func() { _, _ = RunWith(ctx, g, given, task) })
		if with > with1 {
			t.Errorf("%v: RunWith allocates %v times, core %v", balancer, with, with1)
		}
	}
}

// Waiting for room, and engines that come and go, leave nothing behind.
func TestGroup_AllocReturnsToItsBase(t *testing.T) {
	ctx := soon(t)
	g := groupOf(t, LeastLoaded(), engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1)),
		engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1)))
	round := func(n int) {
		for range n {
			// The third waits until the first two have met.
			gate := make(chan struct{})
			for range 4 {
				if err := g.GoContext(ctx, func() { <-gate }); err != nil {
					t.Fatal(err)
				}
				if g.Stats().Total.Running < 2 {
					runtime.Gosched()
				}
			}
			waits := make(chan error, 1)
			go func() { waits <- g.GoContext(ctx, func() {}) }()
			for g.Stats().Waiting == 0 {
				runtime.Gosched()
			}
			close(gate)
			if err := <-waits; err != nil {
				t.Fatal(err)
			}
			for _, e := range g.Engines() {
				if err := e.WaitIdle(ctx); err != nil {
					t.Fatal(err)
				}
			}
			e, err := core.New()
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Join(e); err != nil {
				t.Fatal(err)
			}
			if err := g.Leave(e); err != nil {
				t.Fatal(err)
			}
			if err := e.Shutdown(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	guest := engineFor(t)
	live := func() uint64 {
		for range 3 { // the engines that have left go first, then what the group kept of them
			runtime.GC()
			if err := g.Join(guest); err != nil {
				t.Fatal(err)
			}
			if err := g.Leave(guest); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	round(100)
	base := live()
	round(400)
	if after := live(); after > base+60_000 {
		t.Errorf("%d bytes before, %d after; %d leavers", base, after, len(g.leavers))
	}
}
