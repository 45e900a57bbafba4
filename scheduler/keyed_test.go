package scheduler_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/scheduler"
)

// Per key the order is that of submission, and never two run at once, on any number of
// workers and with cancelled ones among them.
func TestKeyed_OrderOfAKey(t *testing.T) {
	const keys, each = 7, 300
	s := must(scheduler.NewKeyed(1, scheduler.NewLIFO)) // whatever chooses among the keys
	e := coretest.New(t, core.WithWorkers(4), core.WithUnboundedQueue(), core.WithScheduler(s))
	var ran [keys][]int // no lock: each key is a lane
	var futures []*core.Future[int]
	for i := range keys * each {
		key := i % keys
		f := must(core.SubmitWith(t.Context(), e, core.Attributes{Key: fmt.Sprint(key)}, core.Func(func(context.Context) (int, error) {
			ran[key] = append(ran[key], i)
			return 0, nil
		})))
		if futures = append(futures, f); i%5 == 0 {
			f.Cancel()
		}
	}
	if err := e.WaitIdle(soon(t)); err != nil {
		t.Fatal(err)
	}
	total := 0
	for key := range ran {
		if total += len(ran[key]); !slices.IsSorted(ran[key]) {
			t.Errorf("key %d ran in the order %v", key, ran[key])
		}
	}
	succeeded := 0
	for _, f := range futures {
		if _, err := f.Get(); err == nil {
			succeeded++
		}
	}
	if total != succeeded {
		t.Errorf("%d have run, %d have succeeded", total, succeeded)
	}
}

// At most so many of a key, and all workers are busy as long as there are keys.
func TestKeyed_InFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := must(scheduler.NewKeyed(3, scheduler.NewFIFO))
		e := coretest.New(t, core.WithWorkers(6), core.WithUnboundedQueue(), core.WithScheduler(s))
		var running, most [2]atomic.Int32
		for i := range 120 {
			key := i / 60
			must(core.SubmitWith(t.Context(), e, core.Attributes{Key: fmt.Sprint(key)}, core.Func(func(context.Context) (int, error) {
				if n := running[key].Add(1); n > most[key].Load() {
					most[key].Store(n)
				}
				time.Sleep(time.Second)
				running[key].Add(-1)
				return 0, nil
			})))
		}
		began := time.Now()
		if err := e.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); most[0].Load() != 3 || most[1].Load() != 3 || took != 20*time.Second {
			t.Errorf("at most %d and %d ran, in %v; want 3, 3, 20s", most[0].Load(), most[1].Load(), took)
		}
	})
}

// An urgent task of a busy key waits for its key, one of another key does not.
func TestKeyed_OverPriority(t *testing.T) {
	s := must(scheduler.NewKeyed(1, func() (*scheduler.Priority, error) {
		return scheduler.NewPriority(scheduler.Strict(), scheduler.NewFIFO)
	}))
	order := queued(t, s, func(e *core.Engine, l *runs) {
		for _, job := range []struct {
			name, key string
			priority  core.Priority
		}{
			{"low x1", "x", core.Low}, {"critical x2", "x", core.Critical}, {"normal y1", "y", core.Normal},
			{"high z1", "z", core.High}, {"critical", "", core.Critical},
		} {
			must(core.SubmitWith(t.Context(), e, core.Attributes{Key: job.key, Priority: job.priority}, l.task(job.name)))
		}
	})
	want := []string{"critical", "high z1", "normal y1", "low x1", "critical x2"}
	if !slices.Equal(order, want) {
		t.Errorf("ran %q, want %q", order, want)
	}
}

// gone lets many jobs come and go, and returns how much more memory is used than before.
func gone(t *testing.T, n int, s core.Scheduler, attributes func(i int) core.Attributes) (kept int64) {
	t.Helper()
	e := coretest.New(t, core.WithWorkers(1), core.WithUnboundedQueue(), core.WithScheduler(s))
	nothing := core.Func(func(context.Context) (int, error) { return 0, nil })
	round := func(n int) {
		if err := e.Pause(); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			must(core.SubmitWith(context.Background(), e, attributes(i), nothing))
		}
		if err := e.Resume(); err != nil {
			t.Fatal(err)
		}
		if err := e.WaitIdle(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	heap := func() int64 {
		var stats runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	round(10_000)
	before := heap()
	if testing.Short() || raceEnabled {
		n /= 10
	}
	round(n)
	kept = heap() - before
	runtime.KeepAlive(s)
	return kept
}

// A million keys at once, or tenants, and then none: nothing of them is left.
func TestMemory_AMillionKeysGone(t *testing.T) {
	if raceEnabled {
		t.Skip("it has one goroutine at a time: go test -run TestMemory ./scheduler")
	}
	const most = 64 << 10
	keyed := must(scheduler.NewKeyed(1, scheduler.NewFIFO))
	if kept := gone(t, 1_000_000, keyed, func(i int) core.Attributes { return core.Attributes{Key: fmt.Sprint(i)} }); kept > most || keyed.Keys() != 0 {
		t.Errorf("Keyed: %d bytes are kept, and %d keys", kept, keyed.Keys())
	}
	fair := must(scheduler.NewFair())
	if kept := gone(t, 1_000_000, fair, func(i int) core.Attributes { return core.Attributes{Tenant: fmt.Sprint(i)} }); kept > most || fair.Tenants() != 0 {
		t.Errorf("Fair: %d bytes are kept, and %d tenants", kept, fair.Tenants())
	}
	priority := must(scheduler.NewPriority(scheduler.Aging(time.Second), scheduler.NewFIFO))
	if kept := gone(t, 100_000, priority, func(i int) core.Attributes { return core.Attributes{Priority: core.Priority(1 + i%4)} }); kept > most {
		t.Errorf("Priority: %d bytes are kept", kept)
	}
	due := time.Now().Add(time.Hour)
	deadline := must(scheduler.NewDeadlineWith(scheduler.DeadlineConfig{Refuse: true, Of: func(core.Job) (time.Time, bool) {
		due = due.Add(time.Millisecond) // another each time
		return due, true
	}}))
	if kept := gone(t, 100_000, deadline, func(i int) core.Attributes { return core.Attributes{Name: fmt.Sprint(i)} }); kept > 3*most {
		t.Errorf("Deadline: %d bytes are kept", kept) // a thousand names
	}
}
