package queuetest_test

import (
	"cmp"
	"math"
	"os"
	"testing"
	"time"

	"github.com/uptutu/goman/queue"
	"github.com/uptutu/goman/queue/queuetest"
)

type item = queuetest.Item

// What the queues have under the build tag goman_points alone.
var (
	setPoints func(func())
	starting  = func(string) func(int, uint64) queuetest.Queue { return nil }
)

// must is for constructors with arguments that are allowed.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// thieves names the methods of a Deque as the suite does.
type thieves struct{ *queue.Deque[*item] }

func (d thieves) TrySteal() (*item, bool)   { return d.Steal() }
func (d thieves) StealAll(into []*item) int { return d.StealHalf(into) }

// handles keeps the handle of each item, so that items can be removed.
type handles struct {
	*queue.Heap[*item]
	of map[*item]queue.Handle
}

func (h handles) TryPush(it *item) bool {
	handle, ok := h.Push(it)
	h.of[it] = handle
	return ok
}

func (h handles) TryPop() (*item, bool) {
	it, ok := h.Heap.TryPop()
	delete(h.of, it)
	return it, ok
}

func (h handles) Remove(it *item) bool {
	removed, ok := h.Heap.Remove(h.of[it])
	delete(h.of, it)
	return ok && removed == it
}

func (h handles) Update(it *item) bool { return h.Heap.Update(h.of[it], it) }

// timers does so for a DelayQueue.
type timers struct {
	*queue.DelayQueue[*item]
	of map[*item]queue.Handle
}

func (d timers) TryPush(it *item) bool {
	handle, ok := d.Add(it, it.Due)
	d.of[it] = handle
	return ok
}

func (d timers) TryPop() (*item, bool) {
	it, ok := d.DelayQueue.TryPop()
	delete(d.of, it)
	return it, ok
}

func (d timers) PopAll(into []*item) int {
	n := d.DelayQueue.PopAll(into)
	for _, it := range into[:n] {
		delete(d.of, it)
	}
	return n
}

func (d timers) Remove(it *item) bool {
	removed, ok := d.Cancel(d.of[it])
	delete(d.of, it)
	return ok && removed == it
}

func blocking(make func(int) queuetest.Queue) func(int) queuetest.Blocking {
	return func(capacity int) queuetest.Blocking {
		return must(queue.NewBlocking(make(capacity)))
	}
}

func rankOf(it *item) int { return it.Rank }

// capOf is for queues whose capacity is that of their tables.
func capOf(q queuetest.Queue) func(int) int {
	n := q.Cap()
	return func(int) int { return n }
}

// lanes is how many a MultiQueue has here, which its error depends on.
const lanes = 8

// specs says of each queue of goman what its documentation does.
func specs() map[string]queuetest.Spec {
	mpmc := func(capacity int) queuetest.Queue { return must(queue.NewMPMC[*item](capacity)) }
	spsc := func(capacity int) queuetest.Queue { return must(queue.NewSPSC[*item](capacity)) }
	mpsc := func(int) queuetest.Queue { return queue.NewMPSC[*item]() }
	unbounded := func(int) queuetest.Queue { return queue.NewUnbounded[*item]() }
	heap := func(int) queuetest.Queue {
		return must(queue.NewHeap(func(a, b *item) int { return cmp.Compare(a.Rank, b.Rank) }))
	}
	delay := func(int) queuetest.Queue {
		return must(queue.NewDelayQueue(queue.DelayConfig[*item]{Due: func(it *item) time.Time { return it.Due }}))
	}
	fair := func(int) queuetest.Queue {
		return must(queue.NewFair(queue.FairConfig[int, *item]{
			Key:     func(it *item) int { return it.Key },
			Cost:    func(it *item) int { return it.Cost },
			Weight:  func(key int) int { return 1 + key%3 },
			Quantum: 4,
		}))
	}
	all := map[string]queuetest.Spec{
		"MPMC": {New: mpmc, NewBlocking: blocking(mpmc), Empty: queuetest.Loose, Full: queuetest.Loose},
		"SPSC": {New: spsc, NewBlocking: blocking(spsc), Producers: queuetest.One, Consumers: queuetest.One},
		"MPSC": {
			New: mpsc, NewBlocking: blocking(mpsc), Consumers: queuetest.One,
			Empty: queuetest.Loose, Unbounded: true, Shrinks: true,
		},
		"Unbounded": {New: unbounded, NewBlocking: blocking(unbounded), Empty: queuetest.Loose, Unbounded: true, Shrinks: true},
		"Deque": {
			New:   func(int) queuetest.Queue { return thieves{queue.NewDeque[*item]()} },
			Order: queuetest.LIFO, Producers: queuetest.One, Unbounded: true, Shrinks: true,
		},
		"Levels": {
			New:   func(int) queuetest.Queue { return must(queue.NewLevels(5, rankOf)) },
			Order: queuetest.Priority, Ranks: 5, Stable: true, Sequential: true, Unbounded: true, Shrinks: true,
		},
		"Heap": {New: heap, Order: queuetest.Priority, Stable: true, Sequential: true, Unbounded: true, Shrinks: true, Round: capOf(heap(0))},
		"Heap_handles": {
			New: func(int) queuetest.Queue {
				return handles{heap(0).(*queue.Heap[*item]), map[*item]queue.Handle{}}
			},
			Order: queuetest.Priority, Stable: true, Sequential: true, Unbounded: true, Round: capOf(heap(0)),
		},
		"KeyHeap": {
			New:   func(int) queuetest.Queue { return must(queue.NewKeyHeap(rankOf)) },
			Order: queuetest.Priority, Stable: true, Sequential: true, Unbounded: true, Shrinks: true,
		},
		"MultiQueue": {
			New:   func(int) queuetest.Queue { return must(queue.NewMultiQueue(lanes, rankOf)) },
			Order: queuetest.Priority, Unbounded: true, Shrinks: true,
			Slack: queuetest.Slack{Max: math.MaxInt, Mean: 5. / 6 * lanes, P999: 10 * lanes},
		},
		"MultiQueue_one": {
			New:   func(int) queuetest.Queue { return must(queue.NewMultiQueue(1, rankOf)) },
			Order: queuetest.Priority, Unbounded: true, Shrinks: true,
		},
		"DelayQueue": {
			New: delay, Order: queuetest.Delayed, Tick: time.Millisecond, Stable: true,
			Sequential: true, Unbounded: true, Shrinks: true, Round: capOf(delay(0)),
		},
		"DelayQueue_handles": {
			New: func(int) queuetest.Queue {
				return timers{delay(0).(*queue.DelayQueue[*item]), map[*item]queue.Handle{}}
			},
			Order: queuetest.Delayed, Tick: time.Millisecond, Stable: true,
			Sequential: true, Unbounded: true, Round: capOf(delay(0)),
		},
		"Fair": {
			New: fair, Order: queuetest.Fair, Fairness: 4 + 2*queuetest.MaxCost, Weight: func(key int) int { return 1 + key%3 },
			Sequential: true, Unbounded: true, Shrinks: true, Round: capOf(fair(0)),
		},
	}
	locked := func(make func(int) queuetest.Queue) func(int) queuetest.Queue {
		return func(capacity int) queuetest.Queue { return must(queue.NewLocked(make(capacity))) }
	}
	for _, name := range []string{"Levels", "Heap", "DelayQueue", "Fair"} {
		s := all[name]
		s.New, s.Sequential = locked(s.New), false
		s.NewBlocking = blocking(s.New)
		all["Locked_"+name] = s
	}
	for name, s := range all {
		s.Points, s.Closed = setPoints, queue.ErrClosed
		if s.NewAt = starting(name); s.NewBlocking == nil {
			s.Closed = nil
		}
		all[name] = s
	}
	return all
}

// E-QUE-03: among its properties are 20,000 short histories of each kind with
// perturbation, in which an undecided check is a failure.
func TestGoman_E_QUE_03(t *testing.T) {
	if scale := "GOMAN_QUEUETEST_SCALE"; os.Getenv(scale) == "" {
		t.Setenv(scale, "0.5")
	}
	for name, s := range specs() {
		t.Run(name, func(t *testing.T) { queuetest.Run(t, s) })
	}
}

func FuzzGoman_MPMC(f *testing.F)       { queuetest.Fuzz(f, specs()["MPMC"]) }
func FuzzGoman_SPSC(f *testing.F)       { queuetest.Fuzz(f, specs()["SPSC"]) }
func FuzzGoman_MPSC(f *testing.F)       { queuetest.Fuzz(f, specs()["MPSC"]) }
func FuzzGoman_Unbounded(f *testing.F)  { queuetest.Fuzz(f, specs()["Unbounded"]) }
func FuzzGoman_Deque(f *testing.F)      { queuetest.Fuzz(f, specs()["Deque"]) }
func FuzzGoman_Levels(f *testing.F)     { queuetest.Fuzz(f, specs()["Levels"]) }
func FuzzGoman_Heap(f *testing.F)       { queuetest.Fuzz(f, specs()["Heap_handles"]) }
func FuzzGoman_KeyHeap(f *testing.F)    { queuetest.Fuzz(f, specs()["KeyHeap"]) }
func FuzzGoman_DelayQueue(f *testing.F) { queuetest.Fuzz(f, specs()["DelayQueue_handles"]) }
func FuzzGoman_Fair(f *testing.F)       { queuetest.Fuzz(f, specs()["Fair"]) }

func BenchmarkGoman(b *testing.B) {
	for name, s := range specs() {
		b.Run(name, func(b *testing.B) { queuetest.Benchmark(b, s) })
	}
}
