package main

import "slices"

// A pool runs functions on some workers. It is all that a workload knows of a peer.
type pool interface {
	// Submit has fn run, as the peer's users would. It may wait for a place.
	Submit(fn func())
	// Close ends the pool. All functions have returned.
	Close()
}

// A trier is a pool that can refuse a function instead of waiting.
type trier interface {
	TrySubmit(fn func()) bool
}

// A batcher is a pool that takes many functions at once.
type batcher interface {
	SubmitAll(fns []func())
}

// An asker is a pool whose tasks have results of a type.
type asker interface {
	// Ask submits a task that returns 1, and waits for it.
	Ask() int
	// AskAll submits askSize tasks that return their number, waits for all, and
	// returns the sum.
	AskAll() int
}

// askSize is how many tasks AskAll submits, and askSum what they return together.
const (
	askSize = 1000
	askSum  = askSize * (askSize - 1) / 2
)

// one is the task of Ask.
func one() int { return 1 }

// A peer is one kind of pool.
type peer struct {
	name string
	// start makes a pool of so many workers, of no limit for 0.
	start func(workers int) pool
	// unlimited tells that functions are never kept waiting in Submit: there is a queue
	// without a limit, or a goroutine for each.
	unlimited bool
}

// peers are those that run functions, goman first. A goroutine for each function has no
// workers, and go+sem and errgroup are the usual ways to bound it.
var peers = []peer{
	{"goman", startGoman, false},
	{"chan", startChannel, false},
	{"go", startGo, true},
	{"go+sem", startSemaphore, false},
	{"errgroup", startErrgroup, false},
	{"ants", startAnts, false},
	{"ants-multi", startAntsMulti, false},
	{"ants-func", startAntsFunc, false},
	{"pond", startPond, true},
	{"conc", startConc, false},
	{"gammazero", startGammazero, true},
	{"gopool", startGopool, true},
}

// without returns the peers but for those named.
func without(names ...string) []peer {
	return slices.DeleteFunc(slices.Clone(peers), func(p peer) bool { return slices.Contains(names, p.name) })
}

// named returns the peers of these names.
func named(names ...string) []peer {
	return slices.DeleteFunc(slices.Clone(peers), func(p peer) bool { return !slices.Contains(names, p.name) })
}

// onPool makes a contender of a peer.
func (p peer) onPool(workers int, round func(p pool, m *meter)) contender {
	return contender{name: p.name, start: func() (func(*meter), func()) {
		pool := p.start(workers)
		return func(m *meter) { round(pool, m) }, pool.Close
	}}
}

// contenders makes one of each peer. Goman is stated to allocate so often.
func contenders(peers []peer, workers int, allocs float64, round func(p pool, m *meter)) []contender {
	var list []contender
	for _, p := range peers {
		c := p.onPool(workers, round)
		if p.name == "goman" {
			c = c.states(allocs)
		}
		list = append(list, c)
	}
	return list
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

// check stops the process: what is measured is not what was meant.
func check(err error) {
	if err != nil {
		panic(err)
	}
}
