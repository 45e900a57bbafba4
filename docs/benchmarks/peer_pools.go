package main

import (
	"math"
	"time"

	"github.com/alitto/pond/v2"
	"github.com/bytedance/gopkg/util/gopool"
	"github.com/gammazero/workerpool"
	"github.com/panjf2000/ants/v2"
	concpool "github.com/sourcegraph/conc/pool"
)

// Pools of other libraries.

type antsPool struct{ *ants.Pool }

func startAnts(workers int) pool {
	if workers == 0 {
		workers = -1
	}
	return antsPool{must(ants.NewPool(workers))}
}

func (p antsPool) Submit(fn func()) { check(p.Pool.Submit(fn)) }
func (p antsPool) Close()           { _ = p.ReleaseTimeout(time.Second) }

// antsMultiPool is two pools of half the workers, taken in turn.
type antsMultiPool struct{ *ants.MultiPool }

func startAntsMulti(workers int) pool {
	return antsMultiPool{must(ants.NewMultiPool(2, max(workers/2, 1), ants.RoundRobin))}
}

func (p antsMultiPool) Submit(fn func()) { check(p.MultiPool.Submit(fn)) }
func (p antsMultiPool) Close()           { _ = p.ReleaseTimeout(time.Second) }

// antsFuncPool is a pool for one function, which calls its argument.
type antsFuncPool struct{ *ants.PoolWithFunc }

func startAntsFunc(workers int) pool {
	return antsFuncPool{must(ants.NewPoolWithFunc(workers, func(fn any) { fn.(func())() }))}
}

func (p antsFuncPool) Submit(fn func()) { check(p.Invoke(fn)) }
func (p antsFuncPool) Close()           { _ = p.ReleaseTimeout(time.Second) }

type pondPool struct {
	pond.Pool
	results pond.ResultPool[int]
}

func startPond(workers int) pool {
	return &pondPool{pond.NewPool(workers), pond.NewResultPool[int](workers)}
}

func (p *pondPool) Submit(fn func()) { check(p.Go(fn)) }

func (p *pondPool) Close() {
	p.StopAndWait()
	p.results.StopAndWait()
}

func (p *pondPool) Ask() int { return must(p.results.Submit(one).Wait()) }

func (p *pondPool) AskAll() (sum int) {
	tasks := make([]pond.ResultTask[int], askSize)
	for i := range tasks {
		tasks[i] = p.results.Submit(func() int { return i })
	}
	for _, task := range tasks {
		sum += must(task.Wait())
	}
	return sum
}

type concPool struct {
	*concpool.Pool
	workers int
}

func startConc(workers int) pool {
	p := concpool.New()
	if workers > 0 {
		p = p.WithMaxGoroutines(workers)
	}
	return concPool{p, workers}
}

func (p concPool) Submit(fn func()) { p.Go(fn) }
func (p concPool) Close()           { p.Wait() }

// A pool with results gives them when all have ended, and is of no use any more.
func (p concPool) results() *concpool.ResultPool[int] {
	return concpool.NewWithResults[int]().WithMaxGoroutines(p.workers)
}

func (p concPool) Ask() int {
	results := p.results()
	results.Go(one)
	return results.Wait()[0]
}

func (p concPool) AskAll() (sum int) {
	results := p.results()
	for i := range askSize {
		results.Go(func() int { return i })
	}
	for _, r := range results.Wait() {
		sum += r
	}
	return sum
}

type gammazeroPool struct{ *workerpool.WorkerPool }

func startGammazero(workers int) pool {
	if workers == 0 {
		workers = 1 << 20
	}
	return gammazeroPool{workerpool.New(workers)}
}

func (p gammazeroPool) Close() { p.StopWait() }

// gopoolPool has no end: its workers leave when there is nothing to do.
type gopoolPool struct{ gopool.Pool }

func startGopool(workers int) pool {
	if workers == 0 {
		workers = 1 << 20
	}
	return gopoolPool{gopool.NewPool("", int32(min(workers, math.MaxInt32)), gopool.NewConfig())}
}

func (p gopoolPool) Submit(fn func()) { p.Go(fn) }
func (gopoolPool) Close()             {}
