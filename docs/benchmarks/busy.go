package main

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// W4, W5 and W7: functions that compute, on two workers.

var sink atomic.Uint64

// spin computes for so many turns.
func spin(turns int) {
	x := uint64(turns)
	for range turns {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	if x == 0 {
		sink.Add(1) // never; but the compiler does not know
	}
}

// turns is how many of spin take d here, when nothing disturbs.
func turns(d time.Duration) int {
	const many = 100_000
	best := time.Duration(1 << 62)
	for range 40 {
		began := time.Now()
		spin(many)
		best = min(best, time.Since(began))
	}
	return max(int(many*d/best), 1)
}

func busyWorkloads(s scale) (list []workload) {
	for _, c := range []struct {
		id        string
		work      time.Duration
		must, aim float64
	}{{"W4", time.Microsecond, 1.06, 1.03}, {"W5", 10 * time.Microsecond, 1.02, 1.01}} {
		w := workload{
			id: c.id, about: "functions that compute for " + c.work.String() + ": 1 producer, 2 workers; ideal is the work in two halves",
			figure: wallNS, unit: "ns/task", base: "ideal", step: 100, quick: true,
			goals: []goal{{who: "goman", must: c.must, aim: c.aim}},
			who:   []contender{busyIdeal(c.work)},
		}
		for _, p := range peers {
			w.who = append(w.who, contender{name: p.name, start: func() (func(*meter), func()) {
				pool, n := p.start(2), turns(c.work)
				return func(m *meter) { submitAll(pool, m, 1, func() { spin(n) }) }, pool.Close
			}})
		}
		list = append(list, w)
	}
	return append(list, skewed("anywhere", s), skewed("last", s))
}

func busyIdeal(work time.Duration) contender {
	return contender{name: "ideal", start: func() (func(*meter), func()) {
		n := turns(work)
		return func(m *meter) {
			var both sync.WaitGroup
			for half := range 2 {
				both.Go(func() {
					for range split(m.n, 2, half) {
						spin(n)
					}
				})
			}
			both.Wait()
		}, func() {}
	}}
}

// skewed is W7: 4,000 functions of 2 µs, of which each hundredth takes 400 µs instead.
func skewed(where string, s scale) workload {
	tasks, long := s.of(4000, 100), s.of(40, 1)
	work := func() []int {
		list := slices.Repeat([]int{turns(2 * time.Microsecond)}, tasks)
		large := turns(400 * time.Microsecond)
		for i := range long {
			at := tasks - 1 - i
			if where == "anywhere" {
				at = i * tasks / long
			}
			list[at] = large
		}
		return list
	}
	w := workload{
		id: "W7/" + where, about: "4,000 functions of 2 µs, of which each hundredth takes 400 µs, " + where + ": 2 workers; ideal gives each to who is free first",
		figure: wallNS, unit: "ns/task", base: "ideal", step: tasks, fixed: true, quick: true,
		goals: []goal{{who: "goman", must: 1.05, aim: 1.02}},
		who: []contender{{name: "ideal", start: func() (func(*meter), func()) {
			parts := firstFree(work())
			return func(*meter) {
				var both sync.WaitGroup
				for _, part := range parts {
					both.Go(func() {
						for _, n := range part {
							spin(n)
						}
					})
				}
				both.Wait()
			}, func() {}
		}}},
	}
	for _, p := range peers {
		w.who = append(w.who, contender{name: p.name, start: func() (func(*meter), func()) {
			pool, list := p.start(2), work()
			return func(*meter) {
				var all sync.WaitGroup
				all.Add(len(list))
				for _, n := range list {
					pool.Submit(func() {
						spin(n)
						all.Done()
					})
				}
				all.Wait()
			}, pool.Close
		}})
	}
	return w
}

// firstFree gives each piece of work, in its order, to the one of two that is free first.
func firstFree(work []int) (parts [2][]int) {
	var busy [2]int
	for _, n := range work {
		w := 0
		if busy[1] < busy[0] {
			w = 1
		}
		busy[w] += n
		parts[w] = append(parts[w], n)
	}
	return parts
}
