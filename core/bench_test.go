package core_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
)

// The benchmarks run an engine beside what a programmer would write by hand, in
// the same process: "go" is a goroutine for each task and a WaitGroup, "chan" is
// a fixed set of goroutines that receive functions from a channel of 1,024,
// "ideal" is the work itself split evenly. Compare within one run only, and as
// ratios: `make bench` interleaves several runs and prints medians.

const benchQueue = 1024

// benchRunner is one way to run functions on a number of workers.
type benchRunner struct {
	name  string
	start func(b *testing.B, workers int) (submit func(func()), stop func())
}

var benchRunners = []benchRunner{
	{"goman", func(b *testing.B, workers int) (func(func()), func()) {
		e := benchEngine(b, workers)
		return func(fn func()) { _ = e.Go(fn) }, func() { _ = e.Shutdown(context.Background()) }
	}},
	{"chan", func(_ *testing.B, workers int) (func(func()), func()) {
		queue := make(chan func(), benchQueue)
		for range workers {
			go func() {
				for fn := range queue {
					fn()
				}
			}()
		}
		return func(fn func()) { queue <- fn }, func() { close(queue) }
	}},
	{"go", func(*testing.B, int) (func(func()), func()) {
		return func(fn func()) { go fn() }, func() {}
	}},
}

func benchEngine(b *testing.B, workers int) *core.Engine {
	e, err := core.New(core.WithWorkers(workers), core.WithQueueCapacity(benchQueue))
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// benchAll submits b.N times fn from several producers and waits for all.
func benchAll(b *testing.B, r benchRunner, workers, producers int, fn func()) {
	submit, stop := r.start(b, workers)
	var done, submitted sync.WaitGroup
	done.Add(b.N)
	task := func() {
		fn()
		done.Done()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for p := range producers {
		n := b.N / producers
		if p < b.N%producers {
			n++
		}
		submitted.Go(func() {
			for range n {
				submit(task)
			}
		})
	}
	submitted.Wait()
	done.Wait()
	b.StopTimer()
	stop()
}

// BenchmarkGo is fire and forget of empty functions.
func BenchmarkGo(b *testing.B) {
	for _, c := range []struct{ producers, workers int }{{1, 2}, {1, 8}, {64, 2}, {64, 8}} {
		for _, r := range benchRunners {
			b.Run(fmt.Sprintf("%dp%dw/%s", c.producers, c.workers, r.name), func(b *testing.B) {
				benchAll(b, r, c.workers, c.producers, func() {})
			})
		}
	}
}

// BenchmarkGoAll is fire and forget of empty functions, 64 at a time.
func BenchmarkGoAll(b *testing.B) {
	const size = 64
	b.Run("goman", func(b *testing.B) {
		e := benchEngine(b, 2)
		var done sync.WaitGroup
		fns := make([]func(), size)
		for i := range fns {
			fns[i] = done.Done
		}
		b.ReportAllocs()
		for n := 0; n < b.N; n += size {
			done.Add(size)
			if _, err := e.GoAll(context.Background(), fns); err != nil {
				b.Fatal(err)
			}
		}
		done.Wait()
		_ = e.Shutdown(context.Background())
	})
	b.Run("chan", func(b *testing.B) {
		submit, stop := benchRunners[1].start(b, 2)
		var done sync.WaitGroup
		fn := done.Done
		b.ReportAllocs()
		for n := 0; n < b.N; n += size {
			done.Add(size)
			for range size {
				submit(fn)
			}
		}
		done.Wait()
		stop()
	})
}

// BenchmarkBusy is functions that compute for about 1 and 10 microseconds.
func BenchmarkBusy(b *testing.B) {
	for _, work := range []int{1, 10} {
		rounds := benchCalibrate(time.Duration(work) * time.Microsecond)
		for _, r := range append(benchRunners[:len(benchRunners):len(benchRunners)], benchRunner{name: "ideal"}) {
			b.Run(fmt.Sprintf("%dus/%s", work, r.name), func(b *testing.B) {
				if r.name == "ideal" {
					benchIdeal(b, rounds)
					return
				}
				benchAll(b, r, 2, 1, func() { benchSpin(rounds) })
			})
		}
	}
}

var benchSink uint64

func benchSpin(rounds int) {
	x := uint64(rounds)
	for range rounds {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	if x == 0 {
		benchSink++
	}
}

// benchCalibrate returns how many rounds of benchSpin take d here.
func benchCalibrate(d time.Duration) int {
	best := time.Duration(1 << 62)
	for range 20 {
		began := time.Now()
		benchSpin(100_000)
		best = min(best, time.Since(began))
	}
	return max(int(100_000*d/best), 1)
}

func benchIdeal(b *testing.B, rounds int) {
	var wg sync.WaitGroup
	for half := range 2 {
		wg.Go(func() {
			for range (b.N + half) / 2 {
				benchSpin(rounds)
			}
		})
	}
	wg.Wait()
}

// BenchmarkAwait is one typed task at a time, submitted and awaited.
func BenchmarkAwait(b *testing.B) {
	ctx := context.Background()
	task := core.Func(func(context.Context) (int, error) { return 1, nil })
	b.Run("goman", func(b *testing.B) {
		e := benchEngine(b, 2)
		b.ReportAllocs()
		for b.Loop() {
			f, err := core.Submit(ctx, e, task)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := f.Await(ctx); err != nil {
				b.Fatal(err)
			}
		}
		_ = e.Shutdown(ctx)
	})
	b.Run("chan", func(b *testing.B) {
		submit, stop := benchRunners[1].start(b, 2)
		b.ReportAllocs()
		for b.Loop() {
			result := make(chan int, 1)
			submit(func() { result <- 1 })
			<-result
		}
		stop()
	})
	b.Run("go", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			result := make(chan int, 1)
			go func() { result <- 1 }()
			<-result
		}
	})
}

// BenchmarkSubmitAll is batches of typed tasks, submitted and awaited together.
func BenchmarkSubmitAll(b *testing.B) {
	ctx := context.Background()
	for _, size := range []int{64, 1000} {
		b.Run(fmt.Sprintf("%d/goman", size), func(b *testing.B) {
			e := benchEngine(b, 2)
			tasks := make([]core.Task[int], size)
			for i := range tasks {
				tasks[i] = core.Func(func(context.Context) (int, error) { return i, nil })
			}
			b.ReportAllocs()
			for n := 0; n < b.N; n += size {
				futures, err := core.SubmitAll(ctx, e, tasks)
				if err != nil {
					b.Fatal(err)
				}
				for _, f := range futures {
					if _, err := f.Await(ctx); err != nil {
						b.Fatal(err)
					}
				}
			}
			_ = e.Shutdown(ctx)
		})
		b.Run(fmt.Sprintf("%d/chan", size), func(b *testing.B) {
			submit, stop := benchRunners[1].start(b, 2)
			results := make([]int, size)
			b.ReportAllocs()
			for n := 0; n < b.N; n += size {
				var wg sync.WaitGroup
				wg.Add(size)
				for i := range size {
					submit(func() {
						results[i] = i
						wg.Done()
					})
				}
				wg.Wait()
			}
			stop()
		})
	}
}

// BenchmarkTree is tasks that submit tasks and await them: Fibonacci numbers by
// their definition. A figure is the time of one submitted task.
func BenchmarkTree(b *testing.B) {
	const n, spawned = 22, 28656
	for _, workers := range []int{1, 2, 64} {
		b.Run(fmt.Sprintf("%dw/goman", workers), func(b *testing.B) {
			e := benchEngine(b, workers)
			b.ReportAllocs()
			for i := 0; i < b.N; i += spawned {
				if _, err := core.Run(context.Background(), e, benchFib{e, n}); err != nil {
					b.Fatal(err)
				}
			}
			_ = e.Shutdown(context.Background())
		})
	}
	b.Run("2w/go", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; i < b.N; i += spawned {
			goFib(n)
		}
	})
}

type benchFib struct {
	engine *core.Engine
	n      int
}

func (f benchFib) Execute(ctx context.Context) (int, error) {
	if f.n < 2 {
		return f.n, nil
	}
	child, err := core.Submit(ctx, f.engine, benchFib{f.engine, f.n - 1})
	if err != nil {
		return 0, err
	}
	y, err := benchFib{f.engine, f.n - 2}.Execute(ctx)
	if err != nil {
		return 0, err
	}
	x, err := child.Await(ctx)
	return x + y, err
}

func goFib(n int) int {
	if n < 2 {
		return n
	}
	child := make(chan int, 1)
	go func() { child <- goFib(n - 1) }()
	y := goFib(n - 2)
	return <-child + y
}

// BenchmarkQueuedFunc is the memory of a deep queue of functions, and the time
// to submit one into it.
func BenchmarkQueuedFunc(b *testing.B) {
	fn := func() {}
	b.Run("goman", func(b *testing.B) {
		e, err := core.New(core.WithWorkers(1), core.WithUnboundedQueue())
		if err != nil {
			b.Fatal(err)
		}
		_ = e.Pause()
		before := benchHeap()
		b.ResetTimer()
		for range b.N {
			_ = e.Go(fn)
		}
		b.StopTimer()
		b.ReportMetric(float64(benchHeap()-before)/float64(b.N), "B/queued")
		_ = e.Resume()
		_ = e.Shutdown(context.Background())
	})
	b.Run("chan", func(b *testing.B) {
		before := benchHeap()
		queue := make(chan func(), b.N)
		b.ResetTimer()
		for range b.N {
			queue <- fn
		}
		b.StopTimer()
		b.ReportMetric(float64(benchHeap()-before)/float64(b.N), "B/queued")
		runtime.KeepAlive(queue)
	})
}

func benchHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkSubmit is the submission of a typed task whose result nobody awaits,
// and BenchmarkIntercepted adds interceptors that do nothing.
func BenchmarkSubmit(b *testing.B) {
	benchSubmit(b, 0)
}

func BenchmarkIntercepted(b *testing.B) {
	for _, n := range []int{1, 5} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchSubmit(b, n) })
	}
}

func benchSubmit(b *testing.B, interceptors int) {
	e := benchEngine(b, 2)
	for range interceptors {
		_, err := e.Intercept(func(next core.Handler) core.Handler {
			return func(ctx context.Context, job core.Job) error { return next(ctx, job) }
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	ctx := context.Background()
	task := core.Func(func(context.Context) (int, error) { return 1, nil })
	b.ReportAllocs()
	for b.Loop() {
		if _, err := core.Submit(ctx, e, task); err != nil {
			b.Fatal(err)
		}
	}
	_ = e.Shutdown(ctx)
}

// BenchmarkScheduler is BenchmarkGo and BenchmarkAwait with a scheduler of the
// user's that does next to nothing, so it shows what the engine does for one.
func BenchmarkScheduler(b *testing.B) {
	for _, capacity := range []int{1000, 4} {
		engine := func(b *testing.B) *core.Engine {
			e, err := core.New(core.WithWorkers(2), core.WithScheduler(&loop{}), core.WithQueueCapacity(capacity))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			return e
		}
		b.Run(fmt.Sprint("Go/", capacity), func(b *testing.B) {
			e := engine(b)
			for range b.N {
				if err := e.Go(func() {}); err != nil {
					b.Fatal(err)
				}
			}
			_ = e.Shutdown(context.Background())
		})
		b.Run(fmt.Sprint("Submit/", capacity), func(b *testing.B) {
			e := engine(b)
			task := value(1)
			for range b.N {
				if _, err := core.Submit(context.Background(), e, task); err != nil {
					b.Fatal(err)
				}
			}
			_ = e.Shutdown(context.Background())
		})
	}
}
