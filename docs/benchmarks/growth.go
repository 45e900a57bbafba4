package main

import (
	"fmt"
	"strconv"
	"sync"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/scheduler"
)

// Growth: the cost of a task when there are more of something.

func growthWorkloads(s scale) (list []workload) {
	add := func(what string, n int, about string, goals []goal, step int, base string, who []contender) {
		list = append(list, workload{
			id: fmt.Sprintf("growth/%s-%d", what, n), about: about,
			figure: wallNS, unit: "ns/task", base: base, step: step, fixed: step >= 100_000, goals: goals, who: who,
			curve: what, at: float64(n),
		})
	}
	for _, n := range []int{1, 10, 100, 1_000, 10_000, 100_000, 1_000_000}[:s.of(7, 3)] {
		add("queued", n, count(n, "empty function")+", queued up behind 2 busy workers, then run", nil, n, "chan", queuedUp(n))
	}
	for _, n := range []int{1, 10, 100, 1_000, 10_000}[:s.of(5, 2)] {
		add("workers", n, "empty functions, 1 producer, "+count(n, "worker"), nil, 1, "chan",
			contenders(named("goman", "chan", "ants", "pond", "gopool"), n, 0, func(p pool, m *meter) { submitAll(p, m, 1, nil) }))
	}
	for _, n := range []int{1, 4, 16, 64, 256}[:s.of(5, 3)] {
		add("producers", n, "empty functions, "+count(n, "producer")+", 2 workers", nil, n, "chan",
			contenders(named("goman", "chan", "go", "ants", "pond", "gopool"), 2, 0, func(p pool, m *meter) { submitAll(p, m, n, nil) }))
	}
	for _, n := range []int{1, 100, 10_000, 1_000_000}[:s.of(4, 2)] {
		add("keys", n, "tasks of "+count(n, "key")+", queued up in an engine that is paused, then run on 2 workers",
			[]goal{{who: "goman Keyed", must: 2}}, max(n, 1000), "goman", keyedEngines(n))
	}
	return list
}

func queuedUp(n int) (list []contender) {
	for _, p := range named("goman", "chan", "pond", "gammazero", "gopool") {
		list = append(list, contender{name: p.name, start: func() (func(*meter), func()) {
			pool := unlimited(p, 2, n)
			return func(m *meter) {
				var all sync.WaitGroup
				all.Add(m.n)
				fn := all.Done
				for range m.n / n {
					open := occupy(pool, 2)
					for range n {
						pool.Submit(fn)
					}
					open()
				}
				all.Wait()
			}, pool.Close
		}})
	}
	return list
}

// keyedEngines are the built-in order, which does not look at keys, and two that do.
func keyedEngines(keys int) []contender {
	row := func(name string, order func() core.Option) contender {
		return contender{name: name, start: func() (func(*meter), func()) {
			options := []core.Option{core.WithWorkers(2), core.WithUnboundedQueue()}
			if order != nil {
				options = append(options, order())
			}
			p := startEngine(options...)
			attributes := make([]core.Attributes, keys)
			for i := range attributes {
				name := strconv.Itoa(i)
				attributes[i] = core.Attributes{Key: name, Tenant: name}
			}
			step := max(keys, 1000)
			return func(m *meter) {
				for range m.n / step {
					check(p.Pause())
					for i := range step {
						must(core.SubmitWith(background, p.Engine, attributes[i%keys], p.one))
					}
					check(p.Resume())
					check(p.WaitIdle(background))
				}
			}, p.Close
		}}
	}
	return []contender{
		row("goman", nil),
		row("goman Keyed", func() core.Option { return core.WithScheduler(scheduler.NewKeyed(1, scheduler.NewFIFO)) }),
		row("goman Fair", func() core.Option { return core.WithScheduler(scheduler.NewFair()) }),
	}
}
