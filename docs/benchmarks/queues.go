package main

import (
	"fmt"
	"runtime"
	"sync"

	workiva "github.com/Workiva/go-datastructures/queue"
	"github.com/puzpuzpuz/xsync/v4"

	"github.com/uptutu/goman/queue"
)

// W9: queues of 1,024 places between so many producers and as many consumers; time for
// each item through. "yield" lets others run and tries again where the queue is full or
// empty, the others sleep until they are woken.

const slots = 1024

// A wire is the ends of a queue: each call moves n items.
type wire struct {
	push, pop func(n int)
}

// through is a contender that moves items through what make makes for each round.
func through(name string, size int, make func() wire) contender {
	return contender{name: name, start: func() (func(*meter), func()) {
		return func(m *meter) {
			w := make()
			var all sync.WaitGroup
			m.start()
			for i := range size {
				all.Go(func() { w.push(split(m.n, size, i)) })
				all.Go(func() { w.pop(split(m.n, size, i)) })
			}
			all.Wait()
			m.stop()
		}, func() {}
	}}
}

// each is a wire of calls that wait.
func each(push func(i int), pop func()) wire {
	return wire{
		func(n int) {
			for i := range n {
				push(i)
			}
		},
		func(n int) {
			for range n {
				pop()
			}
		},
	}
}

// yielding is a wire of calls that do not wait.
func yielding(push func(i int) bool, pop func() bool) wire {
	return each(func(i int) {
		for !push(i) {
			runtime.Gosched()
		}
	}, func() {
		for !pop() {
			runtime.Gosched()
		}
	})
}

// A tryQueue is a queue that does not wait.
type tryQueue interface {
	TryPush(item int) bool
	TryPop() (int, bool)
}

func yieldingQueue(q tryQueue) wire {
	return yielding(q.TryPush, func() bool { _, ok := q.TryPop(); return ok })
}

func blocking(q queue.Queue[int]) wire {
	b := must(queue.NewBlocking(q))
	return each(func(i int) { check(b.Push(background, i)) }, func() { must(b.Pop(background)) })
}

// batches is a wire of up to 64 items at a time.
func batches(push, pop func(items []int) int) wire {
	all := func(move func(items []int) int) func(n int) {
		return func(n int) {
			var items [64]int
			for n > 0 {
				k := move(items[:min(n, len(items))])
				if n -= k; k == 0 {
					runtime.Gosched()
				}
			}
		}
	}
	return wire{all(push), all(pop)}
}

func channelWire() wire {
	ch := make(chan int, slots)
	return each(func(i int) { ch <- i }, func() { <-ch })
}

// lockedRing is the queue that one would write by hand.
type lockedRing struct {
	mu           sync.Mutex
	filled, room sync.Cond
	items        [slots]int
	first, count int
}

func lockedWire() wire {
	q := new(lockedRing)
	q.filled.L, q.room.L = &q.mu, &q.mu
	return each(func(i int) {
		q.mu.Lock()
		for q.count == slots {
			q.room.Wait()
		}
		q.items[(q.first+q.count)%slots] = i
		q.count++
		q.filled.Signal()
		q.mu.Unlock()
	}, func() {
		q.mu.Lock()
		for q.count == 0 {
			q.filled.Wait()
		}
		q.first = (q.first + 1) % slots
		q.count--
		q.room.Signal()
		q.mu.Unlock()
	})
}

func xsyncWire() wire {
	q := xsync.NewMPMCQueue[int](slots)
	return yielding(q.TryEnqueue, func() bool { _, ok := q.TryDequeue(); return ok })
}

func workivaWire() wire {
	q := workiva.NewRingBuffer(slots)
	return each(func(i int) { check(q.Put(i)) }, func() { must(q.Get()) })
}

func queueWorkloads(s scale) (list []workload) {
	for _, size := range []int{1, 2, 4, 8, 64} {
		w := workload{
			id: fmt.Sprintf("W9/%dx%d", size, size), about: "queues: " + count(size, "producer") + ", " + count(size, "consumer"),
			figure: wallNS, unit: "ns/item", base: "chan", step: s.of(1<<16, 256), quick: true, curve: "W9", at: float64(size),
			goals: []goal{
				{who: "goman MPMC, yield", must: 0.75, aim: 0.50},
				{who: "goman MPMC, blocking", must: 0.75, aim: 0.50},
				{who: "goman MPMC, batches", must: 0.75, aim: 0.25},
			},
			who: []contender{
				through("goman MPMC, yield", size, func() wire { return yieldingQueue(must(queue.NewMPMC[int](slots))) }).states(0),
				through("goman MPMC, blocking", size, func() wire { return blocking(must(queue.NewMPMC[int](slots))) }).states(0),
				through("goman MPMC, batches", size, func() wire {
					q := must(queue.NewMPMC[int](slots))
					return batches(q.PushAll, q.PopAll)
				}).states(0),
				through("goman Unbounded, yield", size, func() wire { return yieldingQueue(queue.NewUnbounded[int]()) }).states(0.1),
				through("chan", size, channelWire),
				through("mutex and cond", size, lockedWire),
				through("xsync MPMC, yield", size, xsyncWire),
				through("Workiva ring", size, workivaWire),
			},
		}
		w.who = append(w.who, lscqContenders(size)...)
		if size == 1 {
			w.who = append(w.who, singles()...)
			w.goals = append(w.goals,
				goal{who: "goman SPSC, yield", must: 0.30, aim: 0.12},
				goal{who: "goman SPSC, batches", must: 0.30, aim: 0.12})
		}
		list = append(list, w)
	}
	return list
}

// singles are the queues for one producer or one consumer.
func singles() []contender {
	return []contender{
		through("goman SPSC, yield", 1, func() wire { return yieldingQueue(must(queue.NewSPSC[int](slots))) }).states(0),
		through("goman SPSC, batches", 1, func() wire {
			q := must(queue.NewSPSC[int](slots))
			return batches(q.PushAll, q.PopAll)
		}).states(0),
		through("goman MPSC, yield", 1, func() wire { return yieldingQueue(queue.NewMPSC[int]()) }).states(0.1),
		through("xsync SPSC, yield", 1, func() wire {
			q := xsync.NewSPSCQueue[int](slots)
			return yielding(q.TryEnqueue, func() bool { _, ok := q.TryDequeue(); return ok })
		}),
		through("xsync UMPSC", 1, func() wire {
			q := xsync.NewUMPSCQueue[int]()
			return each(q.Enqueue, func() { q.Dequeue() })
		}),
	}
}
