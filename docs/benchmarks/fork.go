package main

import (
	"context"
	"fmt"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/flow"
)

// W8: tasks that wait for tasks. Fibonacci numbers by their definition; a figure is that
// of one of the calls that are submitted.

//go:noinline
func serialFib(n int) int {
	if n < 2 {
		return n
	}
	return serialFib(n-1) + serialFib(n-2)
}

// poolFib submits one of two calls and waits for it; where the pool refuses, it calls.
func poolFib(p pool, try trier, n int) int {
	if n < 2 {
		return n
	}
	result := make(chan int, 1)
	fork := func() { result <- poolFib(p, try, n-1) }
	if try == nil {
		p.Submit(fork)
	} else if !try.TrySubmit(fork) {
		fork()
	}
	y := poolFib(p, try, n-2)
	return <-result + y
}

// taskFib submits one of two calls as a task of the same engine.
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

func branchFib(b *flow.Branch[int, int], n int) (int, error) {
	if n < 2 {
		return n, nil
	}
	x, y, err := b.Both(n-1, n-2)
	return x + y, err
}

// A fibonacci is a number to compute: its place, its value, and how many calls are
// submitted for it.
type fibonacci struct{ of, value, parts int }

func newFibonacci(n int) fibonacci { return fibonacci{n, serialFib(n), serialFib(n+1) - 1} }

// again computes the number as often as m says.
func (f fibonacci) again(m *meter, compute func() int) {
	for range m.n / f.parts {
		expect(compute(), f.value)
	}
}

// onEngine is a contender that computes it on an engine.
func (f fibonacci) onEngine(name string, workers int, compute func(e *core.Engine) (int, error)) contender {
	return contender{name: name, start: func() (func(*meter), func()) {
		p := startEngine(core.WithWorkers(workers))
		return func(m *meter) { f.again(m, func() int { return must(compute(p.Engine)) }) }, p.Close
	}}
}

func forkWorkloads(s scale) []workload {
	fib := newFibonacci(s.of(22, 10))
	divide := func(e *core.Engine) (int, error) { return flow.Divide(background, e, fib.of, branchFib) }
	submit := func(e *core.Engine) (int, error) { return core.Run(background, e, taskFib{e, fib.of}) }
	w := workload{
		id: "W8", about: "tasks that wait for tasks: fib(22). go+sem and errgroup call where all places are taken, the other peers are without a limit",
		figure: wallNS, unit: "ns/part", base: "go", step: fib.parts, quick: true,
		goals: []goal{
			{who: "goman Divide", must: 0.06, aim: 0.025},
			{who: "goman Divide", base: "serial", must: 10, aim: 4},
			{who: "goman Submit", must: 0.5, aim: 0.2},
			{who: "goman Submit, 1 worker", must: 0.5, aim: 0.2},
			{who: "goman Submit, 64 workers", must: 0.5, aim: 0.2},
		},
		who: []contender{
			fib.onEngine("goman Divide", 2, divide).states(0.01), // its root is a task
			fib.onEngine("goman Submit", 2, submit).states(2),
			fib.onEngine("goman Submit, 1 worker", 1, submit).states(2),
			fib.onEngine("goman Submit, 64 workers", 64, submit).states(2),
			{name: "serial", start: func() (func(*meter), func()) {
				return func(m *meter) { fib.again(m, func() int { return serialFib(fib.of) }) }, func() {}
			}},
		},
	}
	for _, p := range without("goman", "chan", "ants-multi", "ants-func") {
		places := 0
		if p.name == "go+sem" || p.name == "errgroup" {
			places = 2
		}
		w.who = append(w.who, contender{name: p.name, start: func() (func(*meter), func()) {
			pool := p.start(places)
			try, _ := pool.(trier)
			return func(m *meter) { fib.again(m, func() int { return poolFib(pool, try, fib.of) }) }, pool.Close
		}})
	}
	return append([]workload{w}, boundedFork(2), boundedFork(64))
}

// boundedFork is the same where the number of workers is bounded and nobody refuses.
func boundedFork(workers int) workload {
	fib := newFibonacci(16)
	w := workload{
		id: fmt.Sprintf("W8/bounded%d", workers), about: fmt.Sprintf("fib(16) with at most %d workers, and no calls in place: who ends at all", workers),
		figure: "ms", unit: "ms", base: "goman", step: 1, cold: true, hangs: true,
	}
	for _, p := range without("go") {
		w.who = append(w.who, p.onPool(workers, func(p pool, m *meter) {
			if goman, ok := p.(*gomanPool); ok {
				expect(must(core.Run(background, goman.Engine, taskFib{goman.Engine, fib.of})), fib.value)
			} else {
				result := make(chan int, 1)
				p.Submit(func() { result <- poolFib(p, nil, fib.of) })
				expect(<-result, fib.value)
			}
			m.stop()
			m.set("ms", milliseconds(m.ended.at.Sub(m.began.at)))
		}))
	}
	return w
}
