package queuetest

import (
	"slices"
)

// drr is deficit round robin (Shreedhar, Varghese, SIGCOMM 1995) for one goroutine.
type drr struct {
	flaw    flaw
	cap     int
	size    int
	flows   map[int]*flow
	active  []*flow
	quantum int
}

type flow struct {
	key, credit int
	fresh       bool // it has not got its quantum in this round
	items       []*Item
}

func drrSpec(f flaw) Spec {
	return Spec{
		New: func(capacity int) Queue {
			return &drr{flaw: f, cap: capacity, flows: map[int]*flow{}, quantum: MaxCost}
		},
		Order: Fair, Sequential: true, Capacities: []int{1, 2, 3, 7, 500},
		Fairness: 2*MaxCost + MaxCost, Weight: weightOf,
	}
}

func weightOf(key int) int { return 1 + key%2 }

func (q *drr) TryPush(it *Item) bool {
	if q.size == q.cap {
		return false
	}
	q.size++
	fl := q.flows[it.Key]
	if fl == nil {
		fl = &flow{key: it.Key, fresh: true}
		q.flows[it.Key] = fl
		q.active = append(q.active, fl)
	}
	fl.items = append(fl.items, it)
	return true
}

func (q *drr) TryPop() (*Item, bool) {
	for q.size > 0 {
		fl := q.active[0]
		if fl.fresh {
			fl.fresh = false
			fl.credit += q.quantum * weightOf(fl.key)
			if q.flaw == "no weights" {
				fl.credit = q.quantum
			}
		}
		it := fl.items[0]
		if fl.credit < it.Cost && q.flaw != "no turns" {
			fl.fresh = true
			q.active = append(q.active[1:], fl)
			continue
		}
		fl.credit -= it.Cost
		fl.items = slices.Delete(fl.items, 0, 1)
		q.size--
		if len(fl.items) == 0 {
			delete(q.flows, fl.key)
			q.active = slices.Delete(q.active, 0, 1)
		}
		return it, true
	}
	return nil, false
}

func (q *drr) Len() int { return q.size }
func (q *drr) Cap() int { return q.cap }
