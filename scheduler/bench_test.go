//go:build unix

package scheduler_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/scheduler"
)

// The benchmarks tell CPU time too, which on a busy machine is worth more than wall
// time. Compare with the built-in scheduler in the same run, in ratios.

// cpu is the time that the process has used.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// benched are the schedulers of BenchmarkScheduler and BenchmarkDirect.
func benched() []struct {
	name string
	new  func() core.Scheduler
} {
	type entry = struct {
		name string
		new  func() core.Scheduler
	}
	prioritized := func(cfg scheduler.PriorityConfig) func() core.Scheduler {
		return func() core.Scheduler { return must(scheduler.NewPriority(cfg, scheduler.NewFIFO)) }
	}
	return []entry{
		{"FIFO", func() core.Scheduler { return must(scheduler.NewFIFO()) }},
		{"LIFO", func() core.Scheduler { return must(scheduler.NewLIFO()) }},
		{"Priority", prioritized(scheduler.Strict())},
		{"Priority,Aging", prioritized(scheduler.Aging(time.Second))},
		{"Priority,Reserve", prioritized(scheduler.Strict().Reserving(core.Critical, 1))},
		{"Fair", func() core.Scheduler { return must(scheduler.NewFair()) }},
		{"Fair,ByTime", func() core.Scheduler {
			return must(scheduler.NewFairWith(scheduler.FairConfig{ByTime: true}, scheduler.NewFIFO))
		}},
		{"Deadline", func() core.Scheduler { return must(scheduler.NewDeadline()) }},
		{"Deadline,Refuse", func() core.Scheduler {
			return must(scheduler.NewDeadlineWith(scheduler.DeadlineConfig{Refuse: true}))
		}},
		{"Keyed", func() core.Scheduler { return must(scheduler.NewKeyed(1, scheduler.NewFIFO)) }},
		{"Priority(Fair)", func() core.Scheduler { return must(scheduler.NewPriority(scheduler.Strict(), scheduler.NewFair)) }},
		{"Keyed(Priority)", func() core.Scheduler {
			return must(scheduler.NewKeyed(1, func() (*scheduler.Priority, error) {
				return scheduler.NewPriority(scheduler.Strict(), scheduler.NewFIFO)
			}))
		}},
	}
}

// benchAttributes are those of 1,000 keys and 10 tenants.
func benchAttributes() (list []core.Attributes) {
	for i := range 1000 {
		list = append(list, core.Attributes{
			Key: fmt.Sprint("key ", i), Tenant: fmt.Sprint("tenant ", i%10), Priority: core.Priority(1 + i%4)})
	}
	return list
}

// BenchmarkScheduler is an engine of two workers that runs tasks that do nothing, one
// producer, with the same attributes for each scheduler.
func BenchmarkScheduler(b *testing.B) {
	attributes := benchAttributes()
	task := core.Func(func(context.Context) (int, error) { return 0, nil })
	run := func(b *testing.B, s core.Scheduler) {
		e, err := core.New(core.WithWorkers(2), core.WithScheduler(s))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		began := cpu()
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		for i := range b.N {
			if _, err := core.SubmitWith(ctx, e, attributes[i%1000], task); err != nil {
				b.Fatal(err)
			}
		}
		if err := e.Shutdown(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(cpu()-began)/float64(b.N), "cpu-ns/op")
	}
	b.Run("built-in", func(b *testing.B) { run(b, nil) })
	for _, s := range benched() {
		b.Run(s.name, func(b *testing.B) { run(b, s.new()) })
	}
}

// keeper keeps jobs and gives none out.
type keeper struct{ jobs []core.Job }

func (k *keeper) Push(job core.Job)        { k.jobs = append(k.jobs, job) }
func (k *keeper) Pop(int) (core.Job, bool) { return core.Job{}, false }
func (k *keeper) Len() int                 { return len(k.jobs) }

// BenchmarkDirect is a Push, a Pop and a Completed without an engine, with 1,000 jobs
// stored.
func BenchmarkDirect(b *testing.B) {
	kept := new(keeper)
	e, err := core.New(core.WithWorkers(1), core.WithUnboundedQueue(), core.WithScheduler(kept))
	if err != nil {
		b.Fatal(err)
	}
	attributes := benchAttributes()
	for i := range 2000 {
		_, err := core.SubmitWith(context.Background(), e, attributes[i%1000], core.Func(func(context.Context) (int, error) { return 0, nil }))
		if err != nil {
			b.Fatal(err)
		}
	}
	defer func() { _ = e.Close(context.Background()) }() // it hands them back
	for _, entry := range benched() {
		b.Run(entry.name, func(b *testing.B) {
			s := entry.new()
			if r, ok := s.(core.Resizer); ok {
				r.Resized(2)
			}
			completer, _ := s.(core.Completer)
			for _, job := range kept.jobs[:1000] {
				s.Push(job)
			}
			b.ReportAllocs()
			began := cpu()
			b.ResetTimer()
			free := kept.jobs[1000]
			for range b.N {
				s.Push(free)
				job, ok := s.Pop(0)
				if !ok {
					b.Fatal("nothing to pop")
				}
				if completer != nil {
					completer.Completed(job)
				}
				free = job
			}
			b.ReportMetric(float64(cpu()-began)/float64(b.N), "cpu-ns/op")
		})
	}
}
