package timetable_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/scheduler/timetable"
)

// BenchmarkTimetable adds a delayed task and cancels it, among many others, and submits
// tasks that are due at once. B/entry is what one that waits takes; timers are the
// same with time.AfterFunc.
func BenchmarkTimetable(b *testing.B) {
	task := value(0)
	others := func() time.Duration { return time.Hour + rand.N(time.Hour) }
	for _, n := range []int{0, 1_000, 100_000} {
		b.Run(fmt.Sprintf("AddCancel/%d", n), func(b *testing.B) {
			d := deskFor(b, timetable.Config{})
			before := heap()
			for range n {
				after(b, d, others(), task)
			}
			entry := perEntry(before, n)
			b.ReportAllocs()
			for b.Loop() {
				after(b, d, others(), task).Cancel()
			}
			b.ReportMetric(entry, "B/entry")
		})
		b.Run(fmt.Sprintf("timers/%d", n), func(b *testing.B) {
			before := heap()
			list := make([]*time.Timer, n)
			for i := range list {
				list[i] = time.AfterFunc(others(), func() {})
			}
			entry := perEntry(before, n)
			b.ReportAllocs()
			for b.Loop() {
				time.AfterFunc(others(), func() {}).Stop()
			}
			b.ReportMetric(entry, "B/entry")
			for _, timer := range list {
				timer.Stop()
			}
		})
	}
	b.Run("Due", func(b *testing.B) {
		d := deskFor(b, timetable.Config{})
		b.ReportAllocs()
		last := after(b, d, 0, task)
		for b.Loop() {
			last = after(b, d, 0, task)
		}
		if _, err := last.Await(b.Context()); err != nil {
			b.Error(err)
		}
	})
}

// BenchmarkTimetable_Hook is what the hook of a timetable costs an engine's plain
// functions.
func BenchmarkTimetable_Hook(b *testing.B) {
	for _, with := range []string{"without", "with"} {
		b.Run(with, func(b *testing.B) {
			engine := deskFor(b, timetable.Config{}).engine
			if with == "without" {
				engine, _ = core.New()
				defer engine.Shutdown(b.Context())
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := engine.Go(func() {}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// perEntry is what each of n entries has added to the heap.
func perEntry(before uint64, n int) float64 {
	if n == 0 {
		return 0
	}
	return float64(heap()-before) / float64(n)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
