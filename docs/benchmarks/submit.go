package main

import (
	"fmt"
	"slices"
	"sync"
)

// W1, W1b and W2: functions that do nothing, fire and forget; time for each until all are
// done.

// split is what the i-th of so many parts has of n.
func split(n, parts, i int) int { return n*(i+1)/parts - n*i/parts }

// submitAll submits m.n times fn from several producers, and waits for all.
func submitAll(p pool, m *meter, producers int, fn func()) {
	var all, submitted sync.WaitGroup
	all.Add(m.n)
	task := all.Done
	if fn != nil {
		task = func() {
			fn()
			all.Done()
		}
	}
	for i := range producers {
		submitted.Go(func() {
			for range split(m.n, producers, i) {
				p.Submit(task)
			}
		})
	}
	submitted.Wait()
	all.Wait()
}

func submitWorkloads() (list []workload) {
	for _, c := range []struct {
		id                 string
		producers, workers int
		must, aim          float64
	}{
		{"W1/1p2w", 1, 2, 0.80, 0.50}, {"W1/1p8w", 1, 8, 0.80, 0.50},
		{"W2/64p2w", 64, 2, 0.90, 0.60}, {"W2/64p8w", 64, 8, 0.90, 0.60},
	} {
		w := workload{
			id:     c.id,
			about:  "empty functions, fire and forget: " + count(c.producers, "producer") + ", " + count(c.workers, "worker"),
			figure: wallNS, unit: "ns/task", base: "chan", step: 1000, quick: true,
			goals: []goal{{who: "goman", must: c.must, aim: c.aim}},
			who: contenders(peers, c.workers, 0, func(p pool, m *meter) {
				submitAll(p, m, c.producers, nil)
			}),
		}
		if c.producers > 1 {
			w.goals = append(w.goals, goal{who: "goman", base: "go", must: 1, aim: 0.1},
				goal{who: "goman", in: fmt.Sprintf("W1/1p%dw", c.workers), must: 1.5})
		}
		list = append(list, w)
	}
	return append(list, batchWorkload())
}

// batchWorkload is W1b: 64 functions are there at once.
func batchWorkload() workload {
	const size = 64
	return workload{
		id:     "W1b/64",
		about:  "empty functions, submitted 64 at once where the peer has a way: 1 producer, 2 workers",
		figure: wallNS, unit: "ns/task", base: "chan", step: size, quick: true,
		goals: []goal{{who: "goman", must: 0.40, aim: 0.25}},
		who: contenders(peers, 2, 0, func(p pool, m *meter) {
			var all sync.WaitGroup
			all.Add(m.n)
			fns := slices.Repeat([]func(){all.Done}, size)
			b, ok := p.(batcher)
			for range m.n / size {
				if ok {
					b.SubmitAll(fns)
					continue
				}
				for _, fn := range fns {
					p.Submit(fn)
				}
			}
			all.Wait()
		}),
	}
}

// W3: tasks with a result, one at a time, and 1,000 of which the results are then awaited.
func typedWorkloads() []workload {
	peers := without("ants-multi", "ants-func")
	return []workload{
		{
			id:     "W3/one",
			about:  "a task with a result is submitted and awaited, one at a time: 2 workers",
			figure: wallNS, unit: "ns/task", base: "go", step: 100, quick: true,
			goals: []goal{
				{who: "goman", must: 0.60, aim: 0.20},
				{who: "goman", figure: allocBytes, absolute: true, must: 96, aim: 64},
			},
			who: contenders(peers, 2, 1, func(p pool, m *meter) {
				a := asks(p)
				for range m.n {
					expect(a.Ask(), 1)
				}
			}),
		},
		{
			id:     "W3/1000",
			about:  "1,000 tasks with a result are submitted, then all are awaited: 2 workers",
			figure: wallNS, unit: "ns/task", base: "chan", step: askSize, quick: true,
			goals: []goal{
				{who: "goman", must: 0.80, aim: 0.55},
				{who: "goman", figure: allocBytes, absolute: true, must: 48, aim: 24},
			},
			who: contenders(peers, 2, 0.02, func(p pool, m *meter) {
				a := asks(p)
				for range m.n / askSize {
					expect(a.AskAll(), askSum)
				}
			}),
		},
	}
}

// expect stops the process if a result is wrong.
func expect[T comparable](got, want T) {
	if got != want {
		panic(fmt.Sprintf("the result is %v, not %v", got, want))
	}
}
