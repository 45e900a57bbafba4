package main

import (
	"math"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Ways without a library.

type goPool struct{}

func startGo(int) pool { return goPool{} }

func (goPool) Submit(fn func()) { go fn() }
func (goPool) Close()           {}

// queueSize is how many functions wait in a channel, and in an engine of goman, before
// the next one is kept waiting.
const queueSize = 1024

// channelPool is workers that receive functions from a channel.
type channelPool chan func()

func startChannel(workers int) pool { return startChannelOf(workers, queueSize) }

func startChannelOf(workers, size int) channelPool {
	queue := make(channelPool, size)
	queue.work(workers)
	return queue
}

func (p channelPool) work(workers int) {
	for range workers {
		go func() {
			for fn := range p {
				fn()
			}
		}()
	}
}

func (p channelPool) Submit(fn func()) { p <- fn }
func (p channelPool) Close()           { close(p) }

// semaphorePool is a goroutine for each function, after a place was taken.
type semaphorePool chan struct{}

func startSemaphore(workers int) pool {
	if workers == 0 {
		workers = 1 << 20
	}
	return make(semaphorePool, workers)
}

func (p semaphorePool) Submit(fn func()) {
	p <- struct{}{}
	p.run(fn)
}

func (p semaphorePool) run(fn func()) {
	go func() {
		defer func() { <-p }()
		fn()
	}()
}

func (p semaphorePool) TrySubmit(fn func()) bool {
	select {
	case p <- struct{}{}:
		p.run(fn)
		return true
	default:
		return false
	}
}

func (semaphorePool) Close() {}

type errgroupPool struct{ group errgroup.Group }

func startErrgroup(workers int) pool {
	if workers == 0 {
		workers = math.MaxInt32
	}
	p := new(errgroupPool)
	p.group.SetLimit(workers)
	return p
}

func (p *errgroupPool) Submit(fn func()) {
	p.group.Go(func() error {
		fn()
		return nil
	})
}

func (p *errgroupPool) TrySubmit(fn func()) bool {
	return p.group.TryGo(func() error {
		fn()
		return nil
	})
}

func (p *errgroupPool) Close() { _ = p.group.Wait() }

// channels gives results to a pool that has none: a channel for one, and a slice and a
// WaitGroup for many, which is what one would write by hand.
type channels struct{ pool }

// asks returns the pool's own way to have results, or channels.
func asks(p pool) asker {
	if a, ok := p.(asker); ok {
		return a
	}
	return channels{p}
}

func (p channels) Ask() int {
	result := make(chan int, 1)
	p.Submit(func() { result <- one() })
	return <-result
}

func (p channels) AskAll() (sum int) {
	results := make([]int, askSize)
	var all sync.WaitGroup
	all.Add(askSize)
	for i := range results {
		p.Submit(func() {
			results[i] = i
			all.Done()
		})
	}
	all.Wait()
	for _, r := range results {
		sum += r
	}
	return sum
}
