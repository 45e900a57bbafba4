package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alitto/pond/v2"
	lop "github.com/samber/lo/parallel"
	"github.com/sourcegraph/conc/iter"
	"golang.org/x/sync/errgroup"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/flow"
)

// W11: a function of each element of a slice, on two workers.

// A mapper writes fn of each element of in to out.
type mapper func(in, out []int, fn func(int) int)

func serialMap(in, out []int, fn func(int) int) {
	for i, x := range in {
		out[i] = fn(x)
	}
}

const chunk = 1024

// chunkedMap is what one would write by hand.
func chunkedMap(in, out []int, fn func(int) int) {
	var next atomic.Int64
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for {
				to := int(next.Add(chunk))
				from := to - chunk
				if from >= len(in) {
					return
				}
				to = min(to, len(in))
				serialMap(in[from:to], out[from:to], fn)
			}
		})
	}
	both.Wait()
}

// gomanMap calls fn by flow.ForN.
func gomanMap(engine *core.Engine) mapper {
	return func(in, out []int, fn func(int) int) {
		check(flow.ForN(background, engine, len(in), func(_ context.Context, i int) error {
			out[i] = fn(in[i])
			return nil
		}))
	}
}

// errgroupMap, pondMap and channelMap make a task of each element.
func errgroupMap(in, out []int, fn func(int) int) {
	group, _ := errgroup.WithContext(context.Background())
	group.SetLimit(2)
	for i, x := range in {
		group.Go(func() error {
			out[i] = fn(x)
			return nil
		})
	}
	check(group.Wait())
}

func pondMap(pool pond.Pool) mapper {
	return func(in, out []int, fn func(int) int) {
		group := pool.NewGroup()
		for i, x := range in {
			group.Submit(func() { out[i] = fn(x) })
		}
		check(group.Wait())
	}
}

func channelMap(in, out []int, fn func(int) int) {
	queue := make(chan int, queueSize)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for i := range queue {
				out[i] = fn(in[i])
			}
		})
	}
	for i := range in {
		queue <- i
	}
	close(queue)
	both.Wait()
}

func concMap(in, out []int, fn func(int) int) {
	iter.Iterator[int]{MaxGoroutines: 2}.ForEachIdx(in, func(i int, x *int) { out[i] = fn(*x) })
}

func loMap(in, out []int, fn func(int) int) {
	lop.ForEach(in, func(x, i int) { out[i] = fn(x) })
}

func mapWorkloads(s scale) []workload {
	return []workload{
		mapWorkload("W11/cheap", "1,000,000 numbers, a cheap function", s.of(1_000_000, 5_000), 0, 1.10, 1),
		mapWorkload("W11/1us", "20,000 numbers, a function of 1 µs", s.of(20_000, 2_000), time.Microsecond, 1.03, 1),
	}
}

func mapWorkload(id, about string, size int, work time.Duration, must, aim float64) workload {
	row := func(name string, start func() (mapper, func())) contender {
		return contender{name: name, start: func() (func(*meter), func()) {
			fn := func(x int) int { return x*x + 1 }
			if work > 0 {
				n := turns(work)
				fn = func(x int) int {
					spin(n)
					return x*x + 1
				}
			}
			in, out := make([]int, size), make([]int, size)
			for i := range in {
				in[i] = i
			}
			do, stop := start()
			return func(m *meter) {
				for range m.n / size {
					do(in, out, fn)
				}
				expect(out[size-1], (size-1)*(size-1)+1)
			}, stop
		}}
	}
	plain := func(do mapper) func() (mapper, func()) {
		return func() (mapper, func()) { return do, func() {} }
	}
	return workload{
		id: id, about: about + ", on 2 workers",
		figure: wallNS, unit: "ns/element", base: "chunked", step: size, quick: true,
		goals: []goal{{who: "goman", must: must, aim: aim}},
		who: []contender{
			row("goman", func() (mapper, func()) {
				p := startEngine(core.WithWorkers(2))
				return gomanMap(p.Engine), p.Close
			}).states(0.01),
			row("chunked", plain(chunkedMap)), row("serial", plain(serialMap)),
			row("conc/iter", plain(concMap)), row("lo/parallel", plain(loMap)), row("errgroup", plain(errgroupMap)),
			row("pond group", func() (mapper, func()) {
				pool := pond.NewPool(2)
				return pondMap(pool), pool.StopAndWait
			}),
			row("chan", plain(channelMap)),
		},
	}
}
