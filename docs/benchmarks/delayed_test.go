package main_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/scheduler/timetable"
)

// delayedTasks is how many tasks wait at a time.
const delayedTasks = 100_000

// memory is what the runtime has in use for objects and stacks.
func memory() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// peakMB is the most memory that the process has had so far, where the system tells.
func peakMB() (mb float64) {
	status, _ := os.ReadFile("/proc/self/status")
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	_, _ = fmt.Sscanf(peak, "%f", &mb)
	return mb / 1024
}

// BenchmarkDelayed is 100,000 tasks that do nothing after a delay: goroutines that sleep,
// and tasks of a timetable on two workers. ns/task is the time beyond the delay. B/task is
// the memory for objects and stacks once the last was begun; of a short delay the first have
// ended by then. peak-MB is the most that the process has had: run one of them alone, once.
func BenchmarkDelayed(b *testing.B) {
	ways := []struct {
		name string
		run  func(b *testing.B, delay time.Duration, waiting func())
	}{{"sleep", sleepers}, {"timetable", timetabled}}
	for _, delay := range []time.Duration{10 * time.Millisecond, time.Second} {
		for _, way := range ways {
			b.Run(delay.String()+"/"+way.name, func(b *testing.B) {
				var beyond time.Duration
				var used uint64
				for b.Loop() {
					b.StopTimer()
					runtime.GC()
					b.StartTimer()
					before := memory()
					began := time.Now()
					way.run(b, delay, func() { used += max(memory(), before) - before })
					beyond += time.Since(began) - delay
				}
				each := float64(b.N) * delayedTasks
				b.ReportMetric(float64(beyond)/each, "ns/task")
				b.ReportMetric(float64(used)/each, "B/task")
				b.ReportMetric(peakMB(), "peak-MB")
			})
		}
	}
}

func sleepers(_ *testing.B, delay time.Duration, waiting func()) {
	var all sync.WaitGroup
	for range delayedTasks {
		all.Go(func() { time.Sleep(delay) })
	}
	waiting()
	all.Wait()
}

func timetabled(b *testing.B, delay time.Duration, waiting func()) {
	engine, err := core.New(core.WithWorkers(workers))
	if err != nil {
		b.Fatal(err)
	}
	tt, err := timetable.New(engine, timetable.Config{})
	if err != nil {
		b.Fatal(err)
	}
	var all sync.WaitGroup
	all.Add(delayedTasks)
	task := core.Func(func(context.Context) (struct{}, error) {
		all.Done()
		return struct{}{}, nil
	})
	for range delayedTasks {
		if _, err := timetable.After(tt, delay, task); err != nil {
			b.Fatal(err)
		}
	}
	waiting()
	all.Wait()
	tt.Stop()
	if err := engine.Shutdown(context.Background()); err != nil {
		b.Fatal(err)
	}
}
