package main

import (
	"sync"
	"time"

	"github.com/uptutu/goman/core"
)

// Idle: what a pool costs that has worked and has nothing to do.

func idleWorkloads() []workload {
	quiet := workload{
		id: "idle/cpu", about: "a second of a process whose pool of 8 workers has run 1,000 functions before: processor time, and how often its threads are woken, as by timers",
		figure: "cpu us", unit: "µs of CPU", base: "nothing", step: 1, cold: true,
		who: []contender{simple("nothing", func(int) {})},
	}
	quiet.who[0].start = func() (func(*meter), func()) { return restful, func() {} }
	for _, p := range without("errgroup", "go+sem") {
		quiet.who = append(quiet.who, p.onPool(8, func(p pool, m *meter) {
			submitAll(p, &meter{n: 1000}, 1, nil)
			restful(m)
		}))
	}
	parked := workload{
		id: "idle/10000", about: "10,000 workers that have all worked at once and have nothing to do: memory for each",
		figure: "held B", unit: "B/worker", base: "chan", step: core.MaxWorkers, cold: true,
	}
	for _, p := range named("goman", "chan", "ants", "ants-func", "conc", "gammazero", "pond") {
		parked.who = append(parked.who, contender{name: p.name, start: func() (func(*meter), func()) {
			return func(m *meter) {
				before := heldMemory()
				pool := p.start(m.n)
				occupy(pool, m.n)()
				settle()
				m.stop()
				m.set("held B", (heldMemory()-before)/float64(m.n))
				var all sync.WaitGroup // it is still of use
				all.Add(1)
				pool.Submit(all.Done)
				all.Wait()
				pool.Close()
			}, func() {}
		}})
	}
	return []workload{quiet, parked}
}

// settle lets goroutines that have just ended their work come to rest.
func settle() { time.Sleep(50 * time.Millisecond) }

// restful measures a second without work.
func restful(m *meter) {
	settle()
	m.start()
	woken := wakeUps()
	time.Sleep(time.Second)
	m.set("wake-ups", wakeUps()-woken)
	m.stop()
	m.set("cpu us", microseconds(m.ended.cpu-m.began.cpu))
}
