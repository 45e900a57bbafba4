package main

import (
	"sync"
	"time"

	"github.com/uptutu/goman/core"
)

// Idle: what a pool costs that has worked and has nothing to do.

func idleWorkloads(s scale) []workload {
	parkedWorkers := s.of(core.MaxWorkers, 50)
	restful := func(m *meter) { rest(m, time.Duration(s.of(1000, 1))*time.Millisecond) }
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
		figure: "held B", unit: "B/worker", base: "chan", step: parkedWorkers, cold: true,
	}
	for _, p := range named("goman", "chan", "ants", "ants-func", "conc", "gammazero", "pond") {
		parked.who = append(parked.who, contender{name: p.name, start: func() (func(*meter), func()) {
			return func(m *meter) {
				empty := heldMemory()
				pool := p.start(m.n)
				occupy(pool, m.n)()
				settle()
				m.stop()
				m.set("held B", (heldMemory()-empty)/float64(m.n))
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

// rest measures a time without work.
func rest(m *meter, d time.Duration) {
	settle()
	woken := wakeUps()
	m.start()
	time.Sleep(d)
	m.stop()
	m.set("wake-ups", wakeUps()-woken)
	m.set("cpu us", microseconds(m.ended.cpu-m.began.cpu))
}
