package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/scheduler/timetable"
)

// W6: 100,000 functions that sleep for 10 ms, on 10,000 workers, for which the ideal is
// 100 ms, and on as many as there are functions; and tasks that are delayed instead. Each
// round has a process of its own, so that the most memory of the process is that of the round.

func sleepWorkloads(s scale) []workload {
	sleepers := s.of(100_000, 200)
	few := workload{
		id: "W6/10k", about: "100,000 functions that sleep 10 ms: 10,000 workers; ideal is 100 ms",
		figure: "ms", unit: "ms", base: "chan", step: sleepers, cold: true,
		goals: []goal{
			{who: "goman", absolute: true, must: 135, aim: 120},
			{who: "goman", figure: peakMB, must: 1},
		},
	}
	for _, p := range without("go") {
		few.who = append(few.who, p.onPool(s.of(10_000, 20), sleepAll))
	}
	many := workload{
		id: "W6/100k", about: "100,000 functions that sleep 10 ms: 100,000 workers",
		figure: "ms", unit: "ms", base: "go", step: sleepers, cold: true,
		goals: []goal{
			{who: "goman", must: 1.05, aim: 0.95},
			{who: "goman", figure: peakMB, must: 0.60, aim: 0.45},
		},
	}
	for _, p := range peers {
		c := p.onPool(sleepers, sleepAll)
		if p.name == "goman" {
			c.name = fmt.Sprintf("goman of %d", core.MaxWorkers) // which is the most that it takes
			many.goals[0].who, many.goals[1].who = c.name, c.name
			c.start = func() (func(*meter), func()) {
				pool := startGoman(core.MaxWorkers)
				return func(m *meter) { sleepAll(pool, m) }, pool.Close
			}
		}
		many.who = append(many.who, c)
	}
	delayed := workload{
		id: "W6b", about: "100,000 functions that do nothing after 10 ms: goroutines that sleep, and delayed tasks",
		figure: "ms", unit: "ms", base: "go", step: sleepers, cold: true,
		goals: []goal{
			{who: "goman timetable", must: 0.30, aim: 0.20},
			{who: "goman timetable", figure: peakMB, must: 0.25, aim: 0.15},
		},
		who: []contender{named("go")[0].onPool(0, sleepAll), {name: "goman timetable", start: delayedTasks}},
	}
	return []workload{few, many, delayed}
}

func sleepAll(p pool, m *meter) {
	var all sync.WaitGroup
	all.Add(m.n)
	began := time.Now()
	for range m.n {
		p.Submit(func() {
			time.Sleep(10 * time.Millisecond)
			all.Done()
		})
	}
	all.Wait()
	m.set("ms", milliseconds(time.Since(began)))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func delayedTasks() (func(*meter), func()) {
	p := startEngine(core.WithWorkers(2))
	table := must(timetable.New(p.Engine, timetable.Config{}))
	return func(m *meter) {
			var all sync.WaitGroup
			all.Add(m.n)
			task := core.Func(func(context.Context) (struct{}, error) {
				all.Done()
				return struct{}{}, nil
			})
			began := time.Now()
			for range m.n {
				_, err := timetable.After(table, 10*time.Millisecond, task)
				check(err)
			}
			all.Wait()
			m.set("ms", milliseconds(time.Since(began)))
		}, func() {
			table.Stop()
			p.Close()
		}
}
