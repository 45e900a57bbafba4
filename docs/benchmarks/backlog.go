package main

import (
	"runtime"
	"sync"

	"github.com/alitto/pond/v2"

	"github.com/uptutu/goman/core"
)

// W13: what is held for each of 1,000,000 functions or tasks that wait behind two workers
// which are occupied, and the time to submit one. Of goroutines there are 100,000, which
// take 2.6 kB each.

// occupy makes the workers busy until the gate is opened.
func occupy(p pool, workers int) (open func()) {
	gate := make(chan struct{})
	var busy, free sync.WaitGroup
	busy.Add(workers)
	free.Add(workers)
	for range workers {
		p.Submit(func() {
			busy.Done()
			<-gate
			free.Done()
		})
	}
	busy.Wait()
	return func() {
		close(gate)
		free.Wait()
	}
}

// unlimited is a contender's pool that takes n functions beyond those that run.
func unlimited(p peer, workers, n int) pool {
	switch p.name {
	case "goman":
		return startEngine(core.WithWorkers(workers), core.WithUnboundedQueue())
	case "chan":
		return startChannelOf(workers, n)
	}
	return p.start(workers)
}

// held reports the memory of each of those that fill leaves behind.
func held(name string, n int, fill func(m *meter) (empty func())) contender {
	return contender{name: name, start: func() (func(*meter), func()) {
		return func(m *meter) {
			m.n = n
			none := heldMemory()
			empty := fill(m)
			m.stop()
			m.set("held B", (heldMemory()-none)/float64(n))
			empty()
		}, func() {}
	}}
}

func backlogWorkloads(s scale) []workload {
	backlog, goroutines := s.of(1_000_000, 1_000), s.of(100_000, 100)
	functions := workload{
		id: "W13/func", about: "1,000,000 functions that wait behind 2 busy workers: memory for each, and ns to submit it",
		figure: "held B", unit: "B/function", base: "chan", step: backlog, cold: true,
		goals: []goal{
			{who: "goman", absolute: true, must: 9, aim: 8.1},
			{who: "goman", figure: wallNS, must: 1.3, aim: 1},
		},
	}
	for _, p := range named("goman", "chan", "go", "pond", "gammazero", "gopool") {
		n := backlog
		if p.name == "go" {
			n = goroutines
		}
		functions.who = append(functions.who, held(p.name, n, func(m *meter) func() {
			pool := unlimited(p, 2, n)
			open := occupy(pool, 2)
			var all sync.WaitGroup
			all.Add(n)
			fn := all.Done
			if p.name == "go" { // who has no workers waits in each function
				gate := make(chan struct{})
				opened := open
				open = func() { close(gate); opened() }
				fn = func() { <-gate; all.Done() }
			}
			m.start()
			for range n {
				pool.Submit(fn)
			}
			return func() {
				open()
				all.Wait()
				pool.Close()
			}
		}))
	}
	return []workload{functions, typedBacklog(backlog, goroutines)}
}

func typedBacklog(backlog, goroutines int) workload {
	return workload{
		id: "W13/typed", about: "1,000,000 tasks with a result that wait behind 2 busy workers: memory for each, and ns to submit it",
		figure: "held B", unit: "B/task", base: "go", step: backlog, cold: true,
		goals: []goal{{who: "goman", absolute: true, must: 96, aim: 64}},
		who: []contender{
			held("goman", backlog, func(m *meter) func() {
				p := startEngine(core.WithWorkers(2), core.WithUnboundedQueue())
				check(p.Pause())
				futures := make([]*core.Future[int], backlog)
				m.start()
				for i := range futures {
					futures[i] = must(core.Submit(background, p.Engine, p.one))
				}
				return func() {
					m.set("held B", m.further["held B"]-8) // the list itself
					check(p.Resume())
					p.Close()
					runtime.KeepAlive(futures)
				}
			}),
			held("go", goroutines, func(m *meter) func() {
				gate := make(chan struct{})
				results := make([]chan int, goroutines)
				m.start()
				for i := range results {
					results[i] = make(chan int, 1)
					go func() {
						<-gate
						results[i] <- 1
					}()
				}
				return func() {
					m.set("held B", m.further["held B"]-8)
					close(gate)
					for _, r := range results {
						<-r
					}
				}
			}),
			held("pond", backlog, func(m *meter) func() {
				p := pond.NewResultPool[int](2)
				gate := make(chan struct{})
				for range 2 {
					p.Submit(func() int { <-gate; return 0 })
				}
				results := make([]pond.ResultTask[int], backlog)
				m.start()
				for i := range results {
					results[i] = p.Submit(one)
				}
				return func() {
					m.set("held B", m.further["held B"]-16)
					close(gate)
					p.StopAndWait()
					runtime.KeepAlive(results)
				}
			}),
		},
	}
}
