package main

import (
	"cmp"
	"container/heap"
	"fmt"
	"math/rand/v2"

	zyedidia "github.com/zyedidia/generic/heap"

	"github.com/tidwall/btree"

	"github.com/uptutu/goman/queue"
)

// W10: queues by priority in the hold model, on one thread: the first item leaves and one
// with a larger key enters, at a depth that stays the same.

// A keyed item is ordered by its key.
type keyed struct {
	key int64
	id  int32
}

// boxed is the standard library's heap.
type boxed []keyed

func (h boxed) Len() int           { return len(h) }
func (h boxed) Less(i, j int) bool { return h[i].key < h[j].key }
func (h boxed) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *boxed) Push(item any)     { *h = append(*h, item.(keyed)) }

func (h *boxed) Pop() any {
	last := len(*h) - 1
	item := (*h)[last]
	*h = (*h)[:last]
	return item
}

// An order is a queue's two ends.
type order struct {
	push func(item keyed)
	pop  func() keyed
}

func ordered(q queue.Queue[keyed]) order {
	return order{
		func(item keyed) { q.TryPush(item) },
		func() keyed {
			item, _ := q.TryPop()
			return item
		},
	}
}

// hold is a contender that holds so many items.
func hold(name string, depth int, make func() order) contender {
	return contender{name: name, start: func() (func(*meter), func()) {
		random := rand.New(rand.NewPCG(1, 2))
		steps := [1 << 16]int64{}
		for i := range steps {
			steps[i] = random.Int64N(1 << 20)
		}
		q := make()
		for i := range depth {
			q.push(keyed{steps[i%len(steps)], int32(i)})
		}
		turn := func(n int) {
			for i := range n {
				item := q.pop()
				item.key += steps[i%len(steps)]
				q.push(item)
			}
		}
		turn(depth) // comes to the steady state
		return func(m *meter) { turn(m.n) }, func() {}
	}}
}

func byKey(a, b keyed) int    { return cmp.Compare(a.key, b.key) }
func lessKey(a, b keyed) bool { return a.key < b.key }

func orderWorkloads(s scale) (list []workload) {
	for _, depth := range []int{1_000, s.of(100_000, 2_000), s.of(1_000_000, 3_000)} {
		w := workload{
			id: fmt.Sprintf("W10/%d", depth), about: fmt.Sprintf("queues by priority, %d items deep, one thread: an item leaves, one enters", depth),
			figure: wallNS, unit: "ns/pair", base: "container/heap", step: 1000, quick: depth == 1000, curve: "W10", at: float64(depth),
			goals: []goal{
				{who: "goman Levels", must: 0.10, aim: 0.05},
				{who: "goman KeyHeap", must: 0.65, aim: 0.45},
			},
			who: []contender{
				hold("goman Levels", depth, func() order {
					return ordered(must(queue.NewLevels(queue.MaxLevels, func(item keyed) int { return int(item.key % queue.MaxLevels) })))
				}).states(0),
				hold("goman KeyHeap", depth, func() order {
					return ordered(must(queue.NewKeyHeap(func(item keyed) int64 { return item.key })))
				}).states(0),
				hold("goman Heap", depth, func() order { return ordered(must(queue.NewHeap(byKey))) }).states(0),
				hold("container/heap", depth, func() order {
					h := new(boxed)
					return order{func(item keyed) { heap.Push(h, item) }, func() keyed { return heap.Pop(h).(keyed) }}
				}),
				hold("zyedidia heap", depth, func() order {
					h := zyedidia.New(lessKey)
					return order{h.Push, func() keyed { item, _ := h.Pop(); return item }}
				}),
				hold("tidwall btree", depth, func() order {
					// A tree holds no two equal items.
					t := btree.NewBTreeGOptions(func(a, b keyed) bool {
						return a.key < b.key || a.key == b.key && a.id < b.id
					}, btree.Options{NoLocks: true})
					return order{func(item keyed) { t.Set(item) }, func() keyed { item, _ := t.PopMin(); return item }}
				}),
			},
		}
		if depth == 1_000 { // the goal of levels is told for 100,000
			w.goals = w.goals[1:]
		}
		list = append(list, w)
	}
	return list
}
