package flow_test

import (
	"context"
	"testing"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/flow"
)

// BenchmarkDivide is Fibonacci numbers by 28,656 parts of next to no work: as calls, as
// goroutines, as tasks that await tasks, and by Divide; ns/part and what they allocate.
func BenchmarkDivide(b *testing.B) {
	const n, parts = 22, 28656
	ctx := context.Background()
	for _, way := range []struct {
		name    string
		workers int
		compute func(*core.Engine) (int, error)
	}{
		{"serial", 1, func(*core.Engine) (int, error) { return fib(n), nil }},
		{"go", 1, func(*core.Engine) (int, error) { return goFib(n), nil }},
		{"tasks/2", 2, func(e *core.Engine) (int, error) { return core.Run(ctx, e, taskFib{e, n}) }},
		{"divide/1", 1, func(e *core.Engine) (int, error) { return flow.Divide(ctx, e, n, branchFib) }},
		{"divide/2", 2, func(e *core.Engine) (int, error) { return flow.Divide(ctx, e, n, branchFib) }},
		{"divide/8", 8, func(e *core.Engine) (int, error) { return flow.Divide(ctx, e, n, branchFib) }},
	} {
		b.Run(way.name, func(b *testing.B) {
			e, err := core.New(core.WithWorkers(way.workers))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if got, err := way.compute(e); got != 17711 || err != nil {
					b.Fatal(got, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/parts, "ns/part")
			if err := e.Shutdown(ctx); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func branchFib(b *flow.Branch[int, int], n int) (int, error) {
	if n < 2 {
		return n, nil
	}
	x, y, err := b.Both(n-1, n-2)
	return x + y, err
}

//go:noinline
func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func goFib(n int) int {
	if n < 2 {
		return n
	}
	x := make(chan int, 1)
	go func() { x <- goFib(n - 1) }()
	y := goFib(n - 2)
	return <-x + y
}

type taskFib struct {
	engine *core.Engine
	n      int
}

func (f taskFib) Execute(ctx context.Context) (int, error) {
	if f.n < 2 {
		return f.n, nil
	}
	x, err := core.Submit(ctx, f.engine, taskFib{f.engine, f.n - 1})
	if err != nil {
		return 0, err
	}
	y, err := taskFib{f.engine, f.n - 2}.Execute(ctx)
	if err != nil {
		return 0, err
	}
	z, err := x.Await(ctx)
	return y + z, err
}
