package main

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// W12: how long functions wait to be started when they arrive at random and one worker
// runs them. The submitter watches the clock on one processor, the worker has the other.
// A function is charged from the instant at which it was due, also where Submit waits.

// A load tells when functions arrive and how long they take.
type load struct {
	id, about string
	gap       func(random *rand.Rand, i int) time.Duration // before the i-th one
	long      func(i int) bool                             // takes 1 ms
	work      time.Duration                                // of the others
	goals     []goal
}

// poisson are gaps of that mean.
func poisson(mean time.Duration) func(*rand.Rand, int) time.Duration {
	return func(random *rand.Rand, _ int) time.Duration {
		return time.Duration(random.ExpFloat64() * float64(mean))
	}
}

func waitWorkloads(s scale) (list []workload) {
	never := func(int) bool { return false }
	const work = 20 * time.Microsecond
	for _, l := range []load{
		{"W12/50", "at 50 % of its capacity", poisson(work * 100 / 50), never, work,
			[]goal{{who: "goman", must: 0.50, aim: 0.15}}},
		{"W12/80", "at 80 % of its capacity", poisson(work * 100 / 80), never, work,
			[]goal{{who: "goman", must: 0.70, aim: 0.40}, {who: "goman", figure: "p99 us", must: 1}}},
		{"W12/95", "at 95 % of its capacity", poisson(work * 100 / 95), never, work, nil},
		{"W12/burst", "200 at once, then nothing for twice the time that they take", func(_ *rand.Rand, i int) time.Duration {
			if i%200 == 0 {
				return 2 * 200 * work
			}
			return 0
		}, never, work, nil},
		{"W12/mix", "at 50 % of its capacity, each hundredth takes 1 ms and the others 10 µs, whose waits are shown",
			poisson(2 * (10*time.Microsecond + 10*time.Microsecond)), func(i int) bool { return i%100 == 0 }, 10 * time.Microsecond, nil},
	} {
		list = append(list, l.workload(s.of(3000, 50)))
	}
	return list
}

// workload is the load with so many functions in a round.
func (l load) workload(arrivals int) workload {
	w := workload{
		id: l.id, about: "one worker, functions of " + l.work.String() + " that arrive " + l.about + ": wait for the start beyond that of an ideal server",
		figure: "added us", unit: "µs, mean", base: "chan", step: arrivals, fixed: true, goals: l.goals,
	}
	if l.id == "W12/mix" {
		w.about = "one worker, functions that arrive " + l.about + ": wait for the start beyond that of an ideal server"
	}
	for _, p := range without("errgroup", "ants-func") {
		w.who = append(w.who, contender{name: p.name, start: func() (func(*meter), func()) {
			pool, short, long := p.start(1), turns(l.work), turns(time.Millisecond)
			random := rand.New(rand.NewPCG(1, 2))
			return func(m *meter) { l.round(m, pool, random, short, long) }, pool.Close
		}})
	}
	return w
}

func (l load) round(m *meter, p pool, random *rand.Rand, short, long int) {
	due, began, ended := make([]time.Time, m.n), make([]time.Time, m.n), make([]time.Time, m.n)
	var all sync.WaitGroup
	all.Add(m.n)
	next := time.Now()
	for i := range m.n {
		next = next.Add(l.gap(random, i))
		for time.Now().Before(next) { // keeps its processor
		}
		due[i] = next
		work := short
		if l.long(i) {
			work = long
		}
		p.Submit(func() {
			began[i] = time.Now()
			spin(work)
			ended[i] = time.Now()
			all.Done()
		})
	}
	all.Wait()
	m.stop()
	var waits []time.Duration
	var sum time.Duration
	for i, ideal := range idealStarts(due, began, ended) {
		if l.long(i) {
			continue
		}
		sum += began[i].Sub(ideal)
		waits = append(waits, began[i].Sub(due[i]))
	}
	slices.Sort(waits)
	m.set("added us", microseconds(sum)/float64(len(waits)))
	m.set("p50 us", microseconds(waits[len(waits)/2]))
	m.set("p99 us", microseconds(waits[len(waits)*99/100]))
}

// idealStarts is when one server would have started them that needs no time in between,
// in the order in which they were due, if each took as long as it did take.
func idealStarts(due, began, ended []time.Time) []time.Time {
	starts := slices.Clone(due)
	var free time.Time
	for i := range starts {
		if free.After(starts[i]) {
			starts[i] = free
		}
		free = starts[i].Add(ended[i].Sub(began[i]))
	}
	return starts
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
