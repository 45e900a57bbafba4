package queuetest

import (
	"math/bits"
	"sync/atomic"
)

// The points of the queues in these tests.
var hook atomic.Pointer[func()]

func setPoints(f func()) {
	if f == nil {
		hook.Store(nil)
		return
	}
	hook.Store(&f)
}

func point() {
	if f := hook.Load(); f != nil {
		(*f)()
	}
}

// flaw is a mistake that a queue is made with.
type flaw string

// ring is D. Vyukov's bounded queue: a slot's number says whose turn it is.
type ring struct {
	flaw       flaw
	capacity   uint64
	mask       uint64
	slots      []slot
	head, tail atomic.Uint64
}

type slot struct {
	turn atomic.Uint64
	item atomic.Pointer[Item] // atomic, so that a flaw is found without the race detector
}

func newRing(f flaw) func(int) Queue {
	return func(capacity int) Queue { return newRingAt(f)(capacity, 0) }
}

func newRingAt(f flaw) func(int, uint64) Queue {
	return func(capacity int, start uint64) Queue {
		n := uint64(ringSize(capacity))
		r := &ring{flaw: f, capacity: n, mask: n - 1, slots: make([]slot, n)}
		for i := range n {
			r.slots[(start+i)&r.mask].turn.Store(start + i)
		}
		r.head.Store(start)
		r.tail.Store(start)
		return r
	}
}

// ringSize rounds up: with a single slot the numbers would be ambiguous.
func ringSize(capacity int) int {
	return 1 << bits.Len(uint(max(capacity, 2)-1))
}

func (r *ring) TryPush(it *Item) bool {
	for {
		point()
		tail := r.tail.Load()
		s := &r.slots[tail&r.mask]
		turn := s.turn.Load()
		behind := int64(turn - tail)
		if r.flaw == "missed wrap" {
			behind = int64(min(turn, 1<<40)) - int64(min(tail, 1<<40)) // a comparison, and no difference
		}
		switch {
		case behind < 0:
			return false
		case behind > 0:
			continue
		}
		point()
		if r.flaw == "CAS as store" {
			r.tail.Store(tail + 1)
		} else if !r.tail.CompareAndSwap(tail, tail+1) {
			continue
		}
		point()
		if r.flaw == "publish before store" {
			s.turn.Store(tail + 1)
			point()
			s.item.Store(it)
			return true
		}
		s.item.Store(it)
		point()
		s.turn.Store(tail + 1)
		return true
	}
}

func (r *ring) TryPop() (*Item, bool) {
	for {
		point()
		head := r.head.Load()
		s := &r.slots[head&r.mask]
		stale := s.item.Load()
		point()
		turn := s.turn.Load()
		switch behind := int64(turn - (head + 1)); {
		case behind < 0:
			return nil, false
		case behind > 0:
			continue
		}
		point()
		if r.flaw == "CAS as store" {
			r.head.Store(head + 1)
		} else if !r.head.CompareAndSwap(head, head+1) {
			continue
		}
		point()
		if r.flaw == "early reuse" {
			s.turn.Store(head + r.capacity)
			point()
			return s.item.Load(), true
		}
		it := s.item.Load()
		if r.flaw == "stale read" {
			it = stale
		}
		if r.flaw != "retained" {
			s.item.Store(nil)
		}
		point()
		s.turn.Store(head + r.capacity)
		return it, true
	}
}

func (r *ring) Len() int {
	head, tail := r.head.Load(), r.tail.Load()
	if r.flaw == "negative Len" {
		point()
		return int(int64(tail - r.head.Load()))
	}
	return int(min(max(int64(tail-head), 0), int64(r.capacity)))
}

func (r *ring) Cap() int { return int(r.capacity) }

// ringSpec describes it. Its refusals promise nothing while others are under way.
func ringSpec(f flaw) Spec {
	return Spec{
		New: newRing(f), NewAt: newRingAt(f), Empty: Loose, Full: Loose,
		Round: ringSize, Points: setPoints,
	}
}

// line is L. Lamport's ring for one producer and one consumer.
type line struct {
	flaw       flaw
	slots      []atomic.Pointer[Item]
	head, tail atomic.Int64
}

func newLine(f flaw) func(int) Queue {
	return func(capacity int) Queue { return &line{flaw: f, slots: make([]atomic.Pointer[Item], capacity)} }
}

func (l *line) TryPush(it *Item) bool {
	point()
	tail := l.tail.Load()
	n := int64(len(l.slots))
	if l.flaw == "off by one" {
		n--
	}
	if tail-l.head.Load() >= n {
		return false
	}
	if l.flaw == "publish before store" {
		l.tail.Store(tail + 1)
		point()
		l.slots[tail%int64(len(l.slots))].Store(it)
		return true
	}
	l.slots[tail%int64(len(l.slots))].Store(it)
	point()
	l.tail.Store(tail + 1)
	return true
}

func (l *line) TryPop() (*Item, bool) {
	point()
	head := l.head.Load()
	if head == l.tail.Load() {
		return nil, false
	}
	point()
	s := &l.slots[head%int64(len(l.slots))]
	it := s.Load()
	s.Store(nil)
	point()
	l.head.Store(head + 1)
	return it, true
}

func (l *line) Len() int {
	head := l.head.Load()
	return int(min(l.tail.Load()-head, int64(len(l.slots))))
}

func (l *line) Cap() int { return len(l.slots) }

func lineSpec(f flaw) Spec {
	return Spec{New: newLine(f), Producers: One, Consumers: One, Points: setPoints}
}

// stack is R. K. Treiber's, without a limit.
type stack struct {
	flaw flaw
	top  atomic.Pointer[node]
	n    atomic.Int64
}

type node struct {
	item *Item
	next *node
}

func newStack(f flaw) func(int) Queue { return func(int) Queue { return &stack{flaw: f} } }

func (st *stack) TryPush(it *Item) bool {
	n := &node{item: it}
	st.n.Add(1)
	for {
		point()
		n.next = st.top.Load()
		point()
		if st.top.CompareAndSwap(n.next, n) {
			return true
		}
	}
}

func (st *stack) TryPop() (*Item, bool) {
	for {
		point()
		n := st.top.Load()
		if n == nil {
			return nil, false
		}
		point()
		if st.flaw == "CAS as store" {
			st.top.Store(n.next)
		} else if !st.top.CompareAndSwap(n, n.next) {
			if st.flaw == "spurious empty" {
				return nil, false
			}
			continue
		}
		st.n.Add(-1)
		return n.item, true
	}
}

func (st *stack) Len() int { return int(max(st.n.Load(), 0)) }
func (st *stack) Cap() int { return 1<<(bits.UintSize-1) - 1 }

func stackSpec(f flaw) Spec {
	return Spec{New: newStack(f), Order: LIFO, Unbounded: true, Shrinks: true, Points: setPoints}
}
