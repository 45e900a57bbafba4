package queuetest

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// simple is a slice behind a mutex, in any order: it looks for the item that goes
// first. It is what other queues are compared with, and carries most flaws.
type simple struct {
	flaw flaw
	s    *Spec
	cap  int

	mu    sync.Mutex
	items []entry
	came  int
	calls int
	last  *Item // that has left
	keep  []*Item

	busy atomic.Bool // for flaws: somebody is at it
}

// simpleSpec completes a Spec with such queues.
func simpleSpec(f flaw, s Spec) Spec {
	var spec *Spec
	s.New = func(capacity int) Queue {
		if s.Unbounded {
			capacity = math.MaxInt
		}
		return &simple{flaw: f, s: spec, cap: capacity}
	}
	s.Points = setPoints
	spec = &s
	return s
}

func (q *simple) TryPush(it *Item) bool {
	point()
	if q.flaw == "spurious full" {
		if !q.busy.CompareAndSwap(false, true) {
			return false
		}
		defer q.busy.Store(false)
		point()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.push(it)
}

func (q *simple) push(it *Item) bool {
	q.calls++
	if q.flaw == "panic" && q.calls%30 == 29 {
		panic("index out of range")
	}
	most := q.cap
	switch {
	case q.flaw == "one too many" && q.cap != math.MaxInt:
		most++
	case q.flaw == "one too few" && q.cap > 1:
		most--
	}
	if len(q.items) >= most {
		return false
	}
	if q.flaw == "lost item" && q.calls%20 == 19 {
		return true
	}
	e := entry{item: it, came: q.came, due: later(it.Due, time.Now())}
	q.came++
	q.items = append(q.items, e)
	if n := len(q.items); q.flaw == "reordered" && q.calls%20 == 19 && n > 1 {
		q.items[n-1].came, q.items[n-2].came = q.items[n-2].came, q.items[n-1].came
	}
	return true
}

func (q *simple) TryPop() (*Item, bool) {
	point()
	if q.flaw == "spurious empty" {
		if !q.busy.CompareAndSwap(false, true) {
			return nil, false
		}
		defer q.busy.Store(false)
		point()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pop()
}

func (q *simple) pop() (*Item, bool) {
	q.calls++
	best := q.best()
	if q.flaw == "doubled item" && q.calls%20 == 19 && q.last != nil {
		return q.last, true
	}
	if best < 0 {
		if q.flaw == "nil item" {
			return nil, true
		}
		return nil, false
	}
	if q.flaw == "early" && q.calls%10 == 9 {
		best = 0
	}
	it := q.items[best].item
	if q.flaw == "retained" {
		q.keep = append(q.keep, it)
	}
	if q.flaw == "doubled item" {
		q.last = it
	}
	q.take(best)
	return it, true
}

// take removes an item, and keeps no reference to it.
func (q *simple) take(i int) {
	if i == 0 {
		q.items[0] = entry{}
		q.items = q.items[1:]
		return
	}
	q.items = slices.Delete(q.items, i, i+1)
}

// best is the place of the item that goes first, or -1.
func (q *simple) best() int {
	if n := len(q.items); q.flaw == "" && (q.s.Order == FIFO || q.s.Order == LIFO) && n > 0 {
		if q.s.Order == FIFO {
			return 0
		}
		return n - 1
	}
	best := -1
	for i, e := range q.items {
		if q.s.Order == Delayed && e.item.Due.After(time.Now()) && q.flaw != "early" {
			continue
		}
		if best < 0 || q.before(e, q.items[best]) {
			best = i
		}
	}
	if q.s.Order == Delayed && q.flaw == "early" && best >= 0 && q.items[best].item.Due.After(time.Now().Add(time.Millisecond)) {
		return -1
	}
	return best
}

func (q *simple) before(a, b entry) bool {
	switch q.s.Order {
	case LIFO:
		return a.came > b.came != (q.flaw == "FIFO for LIFO")
	case Priority:
		ranks := a.item.Rank - b.item.Rank
		if q.flaw == "overflow" {
			ranks = int(int32(a.item.Rank) - int32(b.item.Rank))
		} else if a.item.Rank < b.item.Rank {
			ranks = -1
		} else if a.item.Rank > b.item.Rank {
			ranks = 1
		}
		if q.flaw == "priority inversion" && q.calls%16 == 0 {
			ranks = -ranks
		}
		if ranks == 0 {
			return a.came < b.came != (q.flaw == "unstable")
		}
		return ranks < 0
	case Delayed:
		if a.due.Equal(b.due) || q.flaw == "not by due" {
			return a.came < b.came
		}
		return a.due.Before(b.due)
	case Fair:
		if q.flaw == "unfair" && a.item.Key != b.item.Key {
			return a.item.Key < b.item.Key
		}
	}
	return a.came < b.came
}

func (q *simple) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.flaw == "stale Len" && len(q.items) > 2 {
		return len(q.items) - 1
	}
	return len(q.items)
}

func (q *simple) Cap() int { return q.cap }

// full adds what a queue need not have.
type full struct{ *simple }

func fullSpec(f flaw, s Spec) Spec {
	s = simpleSpec(f, s)
	make := s.New
	s.New = func(capacity int) Queue { return full{make(capacity).(*simple)} }
	return s
}

func (q full) PushAll(items []*Item) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, it := range items {
		if !q.push(it) {
			if q.flaw == "batch counts one more" {
				return i + 1
			}
			return i
		}
	}
	return len(items)
}

func (q full) PopAll(into []*Item) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range into {
		it, ok := q.pop()
		if !ok {
			return i
		}
		into[i] = it
	}
	if n := len(into); q.flaw == "batch loses one" && n > 2 {
		return n - 1
	}
	return len(into)
}

func (q full) Remove(it *Item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.items, func(e entry) bool { return e.item == it })
	if i < 0 {
		return q.flaw == "removes what is gone"
	}
	if q.flaw == "removes another" {
		i = len(q.items) - 1
	}
	q.take(i)
	return true
}

func (q full) NextDue() (time.Time, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var next time.Time
	for i, e := range q.items {
		if i == 0 || e.due.Before(next) != (q.flaw == "wrong next") {
			next = e.due
		}
	}
	return next, len(q.items) > 0
}

// ranked is full with Update.
type ranked struct{ full }

func rankedSpec(f flaw, s Spec) Spec {
	s = fullSpec(f, s)
	make := s.New
	s.New = func(capacity int) Queue { return ranked{make(capacity).(full)} }
	return s
}

func (q ranked) Update(it *Item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.items, func(e entry) bool { return e.item == it })
	if i < 0 {
		return false
	}
	if q.flaw == "update moves behind" {
		q.items[i].came = q.came
		q.came++
	}
	return true
}

// thieves is a simple queue with thieves.
type thieves struct{ *simple }

func dequeSpec(f flaw) Spec {
	s := simpleSpec(f, Spec{Order: LIFO, Unbounded: true, Producers: One})
	make := s.New
	s.New = func(capacity int) Queue { return thieves{make(capacity).(*simple)} }
	return s
}

func (q thieves) TrySteal() (*Item, bool) {
	point()
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return nil, false
	}
	if n := len(q.items); q.flaw == "steals the last" && n > 1 {
		it := q.items[n-1].item
		q.take(n - 1)
		return it, true
	}
	it := q.items[0].item
	if q.flaw == "two winners" && len(q.items) == 1 {
		q.mu.Unlock()
		point()
		q.mu.Lock()
		if len(q.items) == 0 {
			return it, true
		}
		it = q.items[0].item
	}
	q.take(0)
	return it, true
}

func (q thieves) StealAll(into []*Item) (n int) {
	for n < min(len(into), max(1, q.Len()/2)) {
		it, ok := q.TrySteal()
		if !ok {
			break
		}
		into[n] = it
		n++
	}
	return n
}

// lanes is a MultiQueue (Rihani, Sanders, Dementiev, SPAA 2015): heaps, each with a
// lock, of which a pop looks at two and takes the better.
type lanes struct {
	flaw  flaw
	heaps [4]struct {
		sync.Mutex
		h rankHeap
	}
	n    sync.Mutex
	size int
}

type rankHeap []*Item

func (h rankHeap) Len() int           { return len(h) }
func (h rankHeap) Less(i, j int) bool { return h[i].Rank < h[j].Rank }
func (h rankHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *rankHeap) Push(it any)       { *h = append(*h, it.(*Item)) }
func (h *rankHeap) Pop() any {
	n := len(*h) - 1
	it := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	return it
}

func (q *lanes) TryPush(it *Item) bool {
	point()
	l := &q.heaps[rand.IntN(len(q.heaps))]
	l.Lock()
	defer l.Unlock()
	heap.Push(&l.h, it)
	q.count(1)
	return true
}

func (q *lanes) count(n int) {
	q.n.Lock()
	defer q.n.Unlock()
	q.size += n
}

func (q *lanes) TryPop() (*Item, bool) {
	point()
	choices := rand.Perm(len(q.heaps))
	best := choices[0]
	if q.flaw != "one choice" {
		if a, b := q.top(choices[0]), q.top(choices[1]); b < a {
			best = choices[1]
		}
	}
	for _, i := range append([]int{best}, choices...) {
		l := &q.heaps[i]
		l.Lock()
		if len(l.h) > 0 {
			it := heap.Pop(&l.h).(*Item)
			l.Unlock()
			q.count(-1)
			return it, true
		}
		l.Unlock()
		point()
	}
	return nil, false
}

func (q *lanes) top(i int) int {
	l := &q.heaps[i]
	l.Lock()
	defer l.Unlock()
	if len(l.h) == 0 {
		return math.MaxInt
	}
	return l.h[0].Rank
}

func (q *lanes) Len() int {
	q.n.Lock()
	defer q.n.Unlock()
	return max(q.size, 0)
}

func (q *lanes) Cap() int { return math.MaxInt }

// lanesSpec describes it. A pop that has looked at all lanes may have come too
// early to each, so that its answer is not exact.
func lanesSpec(f flaw) Spec {
	return Spec{
		New:   func(int) Queue { return &lanes{flaw: f} },
		Order: Priority, Unbounded: true, Empty: Loose, Points: setPoints,
		Slack: Slack{Max: math.MaxInt, Mean: 4, P999: 40},
	}
}
