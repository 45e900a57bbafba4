package core_test

import (
	"context"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/uptutu/goman/core"
)

// burst makes n workers busy at the same time, once.
func burst(t testing.TB, e *core.Engine, n int) {
	t.Helper()
	occupy(t, e, n)()
	idle(t, e)
}

func TestIdle_GoroutinesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(8), core.WithIdleTimeout(time.Minute, 0))
		if n := e.Stats().Goroutines; n != 0 {
			t.Errorf("%d goroutines before there is work", n)
		}
		burst(t, e, 8)
		synctest.Wait()
		if n := e.Stats().Goroutines; n != 8 {
			t.Errorf("%d goroutines", n)
		}
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if n := e.Stats().Goroutines; n != 8 {
			t.Errorf("%d goroutines before the idle timeout", n)
		}
		time.Sleep(62 * time.Second)
		synctest.Wait()
		if n := e.Stats().Goroutines; n != 0 {
			t.Errorf("%d goroutines after twice the idle timeout", n)
		}
		// And it works as before.
		burst(t, e, 8)
		if n := e.Stats().Goroutines; n != 8 {
			t.Errorf("%d goroutines", n)
		}
	})
}

// What is used now and then is kept, what is not used goes.
func TestIdle_KeepsWhatIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var started atomic.Int64
		e := engineFor(t, core.WithWorkers(8), core.WithIdleTimeout(time.Minute, 0),
			core.WithHooks(core.Hooks{Worker: func(_ int, start bool) {
				if start {
					started.Add(1)
				}
			}}))
		burst(t, e, 8)
		for range 20 {
			// One after the other: a goroutine that has just been woken, or is not
			// asleep yet, would otherwise let a third be needed for a moment.
			synctest.Wait()
			first := occupy(t, e, 1)
			synctest.Wait()
			second := occupy(t, e, 1)
			synctest.Wait()
			first()
			second()
			time.Sleep(10 * time.Second)
		}
		synctest.Wait()
		if n := e.Stats().Goroutines; n != 2 {
			t.Errorf("%d goroutines, two are used", n)
		}
		if n := started.Load(); n != 8 {
			t.Errorf("%d goroutines were started in all: some ended although they were used", n)
		}
	})
}

// The id of a goroutine that has ended is used again, so an engine that is now busy and
// now idle does not grow.
func TestIdle_IDsAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var most, started atomic.Int64
		e := engineFor(t, core.WithWorkers(3), core.WithIdleTimeout(time.Second, 0),
			core.WithHooks(core.Hooks{Worker: func(id int, start bool) {
				if start {
					started.Add(1)
					most.Store(max(most.Load(), int64(id)))
				}
			}}))
		for range 20 {
			burst(t, e, 3)
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		if started.Load() != 20*3 || most.Load() != 2 {
			t.Errorf("%d goroutines were started, with ids up to %d", started.Load(), most.Load())
		}
	})
}

func TestIdle_MinIdleAndForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(8), core.WithIdleTimeout(time.Second, 3))
		burst(t, e, 8)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := e.Stats().Goroutines; n != 3 {
			t.Errorf("%d goroutines, 3 are to be kept", n)
		}
		forever := engineFor(t, core.WithWorkers(4), core.WithIdleTimeout(-1, 0))
		burst(t, forever, 4)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := forever.Stats().Goroutines; n != 4 {
			t.Errorf("%d goroutines, all are to be kept", n)
		}
		// A setting that changes counts for those that are idle already.
		if err := forever.Reconfigure(core.WithIdleTimeout(time.Second, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := forever.Stats().Goroutines; n != 1 {
			t.Errorf("%d goroutines, 1 is to be kept by now", n)
		}
	})
}

func TestIdle_Prealloc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(5), core.WithPrealloc(), core.WithIdleTimeout(-1, 0))
		if n := e.Stats().Goroutines; n != 5 {
			t.Errorf("%d goroutines", n)
		}
		time.Sleep(time.Hour)
		burst(t, e, 5)
		if n := e.Stats().Goroutines; n != 5 {
			t.Errorf("%d goroutines", n)
		}
		// One that was never used ends well too.
		unused := freshEngine(t, core.WithWorkers(5), core.WithPrealloc())
		if err := unused.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if s := over(t, unused); s.Goroutines != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// E-CORE-26: an idle engine does nothing at all: no timer, no wake-up, no
// allocation. In a bubble a timer that ticks would show as time that passes in
// steps; outside, as scheduling of goroutines and as allocated objects.
func TestIdle_E_CORE_26_NoTicking(t *testing.T) {
	e := engineFor(t, core.WithWorkers(4), core.WithIdleTimeout(-1, 0))
	burst(t, e, 4)
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/sched/latencies:seconds"}}
	measure := func() (objects, scheduled uint64) {
		metrics.Read(samples)
		for _, n := range samples[1].Value.Float64Histogram().Counts {
			scheduled += n
		}
		return samples[0].Value.Uint64(), scheduled
	}
	measure() // allocates the histogram
	leastObjects, leastScheduled := ^uint64(0), ^uint64(0)
	for range 5 { // the runtime's own work may fall into some of them
		timer := time.NewTimer(100 * time.Millisecond)
		objects, scheduled := measure()
		<-timer.C
		moreObjects, moreScheduled := measure()
		leastObjects = min(leastObjects, moreObjects-objects)
		leastScheduled = min(leastScheduled, moreScheduled-scheduled)
	}
	if leastObjects > 20 || leastScheduled > 20 {
		t.Errorf("in 100 ms of idleness %d objects were allocated and goroutines scheduled %d times", leastObjects, leastScheduled)
	}
}

// E-STOP-13: an engine that was dropped is collected once it is idle.
func TestIdle_E_STOP_13_DroppedEngineIsCollected(t *testing.T) {
	for name, special := range map[string]func() core.Option{
		"plain":     func() core.Option { return core.WithName("plain") },
		"with base": func() core.Option { return core.WithBaseContext(t.Context()) },
		"scheduler": func() core.Option { return core.WithScheduler(&line{}) },
	} {
		t.Run(name, func(t *testing.T) {
			pointer := func() weak.Pointer[core.Engine] {
				e := freshEngine(t, special(), core.WithWorkers(2), core.WithIdleTimeout(time.Millisecond, 0))
				for range 10 {
					if _, err := core.Run(context.Background(), e, value(1)); err != nil {
						t.Fatal(err)
					}
				}
				idle(t, e)
				return weak.Make(e)
			}()
			synchronise(t, "collection of the engine", func() bool {
				runtime.GC()
				return pointer.Value() == nil
			})
		})
	}
}

// The number of workers follows GOMAXPROCS, unless it was given.
func TestIdle_FollowsProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(before)
	s := sweepingAuditor{claimingAuditor{audited(t, &line{})}}
	follows, given := engineFor(t), engineFor(t, core.WithWorkers(3))
	told := engineFor(t, core.WithScheduler(s))
	for _, procs := range []int{5, 1, 4} {
		runtime.GOMAXPROCS(procs)
		for e, want := range map[*core.Engine]int{follows: procs, given: 3, told: procs} {
			// The next submission that wakes a worker notices.
			if _, err := core.Run(soon(t), e, value(1)); err != nil {
				t.Fatal(err)
			}
			idle(t, e)
			if _, err := core.Run(soon(t), e, value(1)); err != nil {
				t.Fatal(err)
			}
			if n := e.Stats().Workers; n != want {
				t.Errorf("%d workers on %d processors", n, procs)
			}
			burst(t, e, want)
		}
	}
	if s.resizes != 4 {
		t.Errorf("the scheduler was told %d times", s.resizes)
	}
}

// So does that of an engine with very many workers, and at once.
func TestIdle_ManyFollowProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(100))
	e := engineFor(t)
	for _, procs := range []int{2, 80, 70} {
		runtime.GOMAXPROCS(procs)
		burst(t, e, procs)
		if n := e.Stats().Workers; n != procs {
			t.Errorf("%d workers on %d processors", n, procs)
		}
	}
}

// hasty is a scheduler that calls its waker inside its methods, and wants to
// know how many workers there are.
type hasty struct {
	waking
	resized atomic.Int64
}

func (h *hasty) Push(job core.Job) { h.open.Store(true); h.line.Push(job); h.wake() }
func (h *hasty) Pop(w int) (core.Job, bool) {
	if h.Len() > 0 {
		h.wake()
	}
	return h.line.Pop(w)
}
func (h *hasty) Resized(n int) { h.resized.Store(int64(n)); h.wake() }

// The waker may be called inside the scheduler's methods, also at the moment at
// which the engine follows GOMAXPROCS.
func TestIdle_WakerInsideMethods(t *testing.T) {
	before := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(before)
	h := new(hasty)
	e := engineFor(t, core.WithScheduler(h))
	for i := range 100 {
		runtime.GOMAXPROCS(1 + i%3)
		if n, err := must(t, e, value(i)).Await(soon(t)); n != i || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	idle(t, e)
}
