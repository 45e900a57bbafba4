package main_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alitto/pond/v2"
	"github.com/panjf2000/ants/v2"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/scheduler"
)

// pool is something that runs functions on two workers. Only goman knows attributes.
type pool struct {
	name   string
	submit func(attributes core.Attributes, fn func())
	stop   func()
}

const workers, capacity = 2, 1_000_000

func gomanPool(t *testing.T, name string, s core.Scheduler, err error) pool {
	engine, err := core.New(core.WithWorkers(workers), core.WithQueueCapacity(capacity), core.WithScheduler(s, err))
	if err != nil {
		t.Fatal(err)
	}
	return pool{"goman, " + name, func(attributes core.Attributes, fn func()) {
		_, err := core.SubmitWith(context.Background(), engine, attributes, core.Func(func(context.Context) (int, error) {
			fn()
			return 0, nil
		}))
		if err != nil {
			t.Error(err)
		}
	}, func() { _ = engine.Shutdown(context.Background()) }}
}

func channelPool(*testing.T) pool {
	queue := make(chan func(), capacity)
	for range workers {
		go func() {
			for fn := range queue {
				fn()
			}
		}()
	}
	return pool{"channel", func(_ core.Attributes, fn func()) { queue <- fn }, func() { close(queue) }}
}

func pondPool(*testing.T) pool {
	// Its Stop uses a pool that all share, which a bubble must not.
	ctx, cancel := context.WithCancel(context.Background())
	p := pond.NewPool(workers, pond.WithContext(ctx))
	return pool{"pond", func(_ core.Attributes, fn func()) { _ = p.Go(fn) }, cancel}
}

// antsPool has no queue: each submitter waits, so each is a goroutine here.
func antsPool(t *testing.T) pool {
	p, err := ants.NewPool(workers, ants.WithDisablePurge(true))
	if err != nil {
		t.Fatal(err)
	}
	return pool{"ants", func(_ core.Attributes, fn func()) {
		go func() { _ = p.Submit(fn) }()
		synctest.Wait() // so that they wait in the order of their submission
	}, func() { _ = p.ReleaseTimeout(time.Second) }}
}

// urgentWait is how long an urgent task waits behind 10,000 low ones of 10 µs.
func urgentWait(make func(*testing.T) pool, t *testing.T) (name string, wait, last time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		p := make(t)
		began := time.Now()
		var lastEnd, urgent atomic.Int64 // of several workers
		for range 10_000 {
			p.submit(core.Attributes{Priority: core.Low}, func() {
				time.Sleep(10 * time.Microsecond)
				lastEnd.Store(int64(time.Since(began)))
			})
		}
		p.submit(core.Attributes{Priority: core.Critical}, func() { urgent.Store(int64(time.Since(began))) })
		time.Sleep(time.Second)
		p.stop()
		name, wait, last = p.name, time.Duration(urgent.Load()), time.Duration(lastEnd.Load())
	})
	return name, wait, last
}

// TestUrgent_Table: priority inversion. The goal is a thousandth of the channel's wait.
func TestUrgent_Table(t *testing.T) {
	if raceEnabled {
		t.Skip("a table takes half a minute with the race detector: go test -v -run Table ./docs/benchmarks")
	}
	pools := []func(*testing.T) pool{
		channelPool, antsPool, pondPool,
		func(t *testing.T) pool { return gomanPool(t, "built-in", nil, nil) },
		func(t *testing.T) pool {
			s, err := scheduler.NewPriority(scheduler.Strict(), scheduler.NewFIFO)
			return gomanPool(t, "Priority", s, err)
		},
		func(t *testing.T) pool {
			s, err := scheduler.NewPriority(scheduler.Aging(5*time.Second), scheduler.NewFair)
			return gomanPool(t, "Priority(Aging, Fair)", s, err)
		},
		func(t *testing.T) pool {
			s, err := scheduler.NewPriority(scheduler.Strict().Reserving(core.Critical, 1), scheduler.NewFIFO)
			return gomanPool(t, "Priority, 1 of 2 workers kept", s, err)
		},
	}
	var channel time.Duration
	t.Logf("%-32s %12s %10s %12s", "10,000 low tasks of 10 µs queued", "urgent waits", "of channel", "last low one")
	for i, make := range pools {
		name, wait, last := urgentWait(make, t)
		if i == 0 {
			channel = wait
		}
		ratio := float64(wait) / float64(channel)
		t.Logf("%-32s %12v %9.4fx %12v", name, wait, ratio, last)
		if i >= 4 && ratio > 0.001 {
			t.Errorf("%s: %.4f of the channel's wait, want at most 0.001", name, ratio)
		}
	}
}

// p99 is the wait of the polite tenants' tasks, which come at random moments and take
// half of the two workers; and a flood of another tenant, if flood is set.
func p99(t *testing.T, make func(*testing.T) pool, flood bool) (name string, wait time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		p := make(t)
		random, lengths := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(3, 4))
		if flood {
			// Of various lengths: equal ones would let both workers look for work at the
			// same moments only.
			for range 100_000 {
				takes := 50*time.Microsecond + time.Duration(lengths.Int64N(int64(100*time.Microsecond)))
				p.submit(core.Attributes{Tenant: "flood"}, func() { time.Sleep(takes) })
			}
		}
		const tasks = 4000
		var waits []time.Duration
		results := newResults(tasks)
		for i := range tasks {
			time.Sleep(time.Duration(random.ExpFloat64() * float64(100*time.Microsecond)))
			came := time.Now()
			p.submit(core.Attributes{Tenant: []string{"a", "b", "c", "d"}[i%4]}, func() {
				results <- time.Since(came)
				time.Sleep(100 * time.Microsecond)
			})
		}
		time.Sleep(20 * time.Second)
		p.stop()
		for range tasks {
			waits = append(waits, <-results)
		}
		slices.Sort(waits)
		name, wait = p.name, waits[len(waits)*99/100]
	})
	return name, wait
}

func newResults(n int) chan time.Duration { return make(chan time.Duration, n) }

// TestTenants_Table: four tenants use half of two workers, a fifth floods them.
func TestTenants_Table(t *testing.T) {
	if raceEnabled {
		t.Skip("a table takes half a minute with the race detector: go test -v -run Table ./docs/benchmarks")
	}
	pools := []func(*testing.T) pool{
		channelPool,
		pondPool,
		func(t *testing.T) pool { return gomanPool(t, "built-in", nil, nil) },
		func(t *testing.T) pool { s, err := scheduler.NewFair(); return gomanPool(t, "Fair", s, err) },
		func(t *testing.T) pool {
			s, err := scheduler.NewFairWith(scheduler.FairConfig{InFlight: 1}, scheduler.NewFIFO)
			return gomanPool(t, "Fair, 1 in flight", s, err)
		},
	}
	t.Logf("%-20s %14s %14s %8s", "p99 wait", "alone", "with a flood", "ratio")
	for i, make := range pools {
		name, alone := p99(t, make, false)
		_, flooded := p99(t, make, true)
		ratio := float64(flooded) / float64(max(alone, 1))
		t.Logf("%-20s %14v %14v %7.1fx", name, alone, flooded, ratio)
		if i >= 3 && ratio > 3 { // a task that runs is not interrupted for one that comes
			t.Errorf("%s: the others wait %.2f times as long, want at most 3", name, ratio)
		}
	}
}
