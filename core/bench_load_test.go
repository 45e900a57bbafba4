package core_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// Benchmarks of loads that are not an even stream: see bench_test.go for how to read
// them.

// BenchmarkSleep is 100,000 functions that sleep for 10 ms on 10,000 workers, for which
// the ideal is 100 ms, beside plain goroutines, which are as many as there are functions.
func BenchmarkSleep(b *testing.B) {
	for _, r := range benchRunners {
		b.Run("10000w/"+r.name, func(b *testing.B) {
			for range b.N {
				submit, stop := r.start(b, 10_000)
				var wg sync.WaitGroup
				for range 100_000 {
					wg.Add(1)
					submit(func() {
						time.Sleep(10 * time.Millisecond)
						wg.Done()
					})
				}
				wg.Wait()
				b.StopTimer() // until all tasks are done; the channel does not wait for its workers to end
				stop()
				runtime.GC()
				b.StartTimer()
			}
		})
	}
}

// BenchmarkSkewed is 4,000 functions of which each hundredth takes 200 times as long as
// the others, either spread over all or the last of all, on two workers. The ideal
// gives each function in its order to the worker that is free first.
func BenchmarkSkewed(b *testing.B) {
	const tasks, long = 4000, 40
	small, large := benchCalibrate(2*time.Microsecond), benchCalibrate(400*time.Microsecond)
	for _, order := range []string{"anywhere", "last"} {
		rounds := slices.Repeat([]int{small}, tasks)
		for i := range long {
			at := tasks - 1 - i
			if order == "anywhere" {
				at = i * tasks / long
			}
			rounds[at] = large
		}
		b.Run(order+"/ideal", func(b *testing.B) {
			var parts [2][]int // what each of two workers does
			var busy [2]int
			for _, n := range rounds {
				w := 0
				if busy[1] < busy[0] {
					w = 1
				}
				busy[w] += n
				parts[w] = append(parts[w], n)
			}
			for range b.N {
				var wg sync.WaitGroup
				for _, part := range parts {
					wg.Go(func() {
						for _, n := range part {
							benchSpin(n)
						}
					})
				}
				wg.Wait()
			}
		})
		for _, r := range benchRunners {
			b.Run(order+"/"+r.name, func(b *testing.B) {
				submit, stop := r.start(b, 2)
				for range b.N {
					var wg sync.WaitGroup
					wg.Add(tasks)
					for _, n := range rounds {
						submit(func() {
							benchSpin(n)
							wg.Done()
						})
					}
					wg.Wait()
				}
				stop()
			})
		}
	}
}

// BenchmarkWait is what waking a worker adds to the time that a function waits to be
// started, when functions of 20 microseconds arrive at random, at 50 and 80 % of what
// one worker can do. The submitter keeps one processor busy. The figure is the mean, in
// microseconds, over what an ideal server would make the same arrivals wait, with the
// service times that were measured: so a machine that slows down does not count.
func BenchmarkWait(b *testing.B) {
	const work = 20 * time.Microsecond
	rounds := benchCalibrate(work)
	for _, load := range []int{50, 80} {
		for _, r := range benchRunners[:2] {
			b.Run(fmt.Sprintf("%d%%/%s", load, r.name), func(b *testing.B) {
				submit, stop := r.start(b, 1)
				began, ended, due := make([]time.Time, b.N), make([]time.Time, b.N), make([]time.Time, b.N)
				random := rand.New(rand.NewPCG(1, 2))
				var wg sync.WaitGroup
				wg.Add(b.N)
				next := time.Now()
				for i := range b.N {
					next = next.Add(time.Duration(random.ExpFloat64() * float64(work) * 100 / float64(load)))
					for time.Now().Before(next) { // this goroutine keeps its processor, the worker has the other
					}
					due[i] = next
					submit(func() {
						began[i] = time.Now()
						benchSpin(rounds)
						ended[i] = time.Now()
						wg.Done()
					})
				}
				wg.Wait()
				stop()
				added := make([]time.Duration, b.N)
				var sum time.Duration
				var free time.Time // when the ideal server is free
				for i := range b.N {
					start := due[i]
					if free.After(start) {
						start = free
					}
					free = start.Add(ended[i].Sub(began[i]))
					added[i] = began[i].Sub(start)
					sum += added[i]
				}
				slices.Sort(added)
				b.ReportMetric(float64(sum)/float64(b.N)/1e3, "us-added")
				b.ReportMetric(float64(added[b.N/2])/1e3, "us-p50")
				b.ReportMetric(float64(added[b.N*99/100])/1e3, "us-p99")
			})
		}
	}
}
