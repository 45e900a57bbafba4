package queue

import "math"

// Fair is a queue that serves keys in turn, each a share by its weight: what one key
// stores does not delay the items of others beyond their turn. Items of one key
// leave in the order in which they came.
//
// It is deficit round robin (M. Shreedhar and G. Varghese, Efficient Fair Queueing
// using Deficit Round Robin, SIGCOMM 1995). The keys that have items stand in a
// ring. At its turn a key gets a credit of Quantum times its weight, and its items
// leave as long as the credit covers their cost; what is left of the credit is kept
// for its next turn. A key whose last item has left is forgotten with its credit,
// and costs nothing; if it comes again it stands at the end of the ring.
//
// Two keys with the same weight w that both have items all the time are served
// costs that differ by at most Quantum·w and twice the cost of the dearest item. An
// item of cost c that is the first of its key, of weight w, leaves with the
// ceil(c/(Quantum·w))th turn of its key at the latest; in n turns a key of weight v is
// served at most n·Quantum·v and the cost of its dearest item.
//
// TryPush and TryPop take the same time however many keys and items there are, but
// for the misses of the processor's caches, if the usual item costs no more than
// Quantum; BenchmarkFair shows it. If every key has to wait several turns for its
// first item, one TryPop looks at all keys, twice at most.
//
// It is not safe for concurrent use: one goroutine at a time, each call ends. It
// holds nearly 2^32 items at most; then a push is refused. An item takes its size
// and 8 bytes, a key that has items its size and 24 bytes and an entry of a map,
// which is made anew when few of many keys are left. When all have left, all of the
// memory is given back but for a chunk of 64 items and keys and a map of 128 keys. A
// queue whose length and keys stay the same allocates nothing; keys that come and go,
// next to nothing.
type Fair[K comparable, T any] struct {
	cfg   FairConfig[K, T]
	items slab[fairItem[T]]
	flows slab[fairFlow[K]]
	index map[K]uint32 // the flow of each key that has items
	most  int          // keys in index at once since it was made
	count int

	first, last uint32 // the ring, cut between the two; none if it is empty
	turn        bool   // the first has got the credit of its turn
}

// FairConfig tells how a [Fair] is made. Key is needed; the rest may be zero. The
// functions must not use the queue.
type FairConfig[K comparable, T any] struct {
	// Key tells whose an item is, as it is pushed. A key that does not equal itself,
	// such as NaN, counts as the zero key.
	Key func(item T) K
	// Cost tells the cost of an item as it is pushed: its length in bytes, its time
	// in microseconds. Less than 1 counts as 1, more than MaxCost as MaxCost. The
	// default is 1 for each item.
	Cost func(item T) int
	// Weight tells the weight of a key each time that it comes to have items: a key
	// of weight 3 is served three times as much as one of weight 1. Less than 1
	// counts as 1, more than MaxWeight as MaxWeight. The default is 1 for each key.
	Weight func(key K) int
	// Quantum is what a key of weight 1 may be served at a turn, 1 to MaxCost; 0 is
	// 1. It should be the cost of a usual item: more makes turns longer, less makes
	// TryPop slower.
	Quantum int
}

const (
	// MaxCost is the largest cost of an item in a [Fair].
	MaxCost = math.MaxInt32
	// MaxWeight is the largest weight of a key in a [Fair].
	MaxWeight = 1 << 20
)

// fairItem is an item in the list of its key.
type fairItem[T any] struct {
	item T
	cost int32
	next uint32
}

// fairFlow is a key that has items, in the ring.
type fairFlow[K comparable] struct {
	key         K
	credit      int64 // below MaxCost and a quantum times the weight: no overflow
	weight      int32
	first, last uint32 // its items
	next        uint32 // the flow behind it in the ring
}

// fairShrink is the number of keys below which the map is not made anew.
const fairShrink = 128

// NewFair returns an empty queue. No Key, or a Quantum out of its range, is an error that
// matches ErrInvalid.
func NewFair[K comparable, T any](cfg FairConfig[K, T]) (*Fair[K, T], error) {
	if cfg.Key == nil {
		return nil, invalidf("the key function of Fair is nil")
	}
	if cfg.Quantum < 0 || cfg.Quantum > MaxCost {
		return nil, invalidf("a quantum of %d of Fair, allowed are 1 to %d, or 0 for 1", cfg.Quantum, MaxCost)
	}
	cfg.Quantum = max(cfg.Quantum, 1)
	return &Fair[K, T]{
		cfg:   cfg,
		items: newSlab[fairItem[T]](),
		flows: newSlab[fairFlow[K]](),
		index: make(map[K]uint32),
		first: none,
		last:  none,
	}, nil
}

// TryPush stores an item behind those of its key. It reports false if the queue is
// full. If a function of the configuration panics, nothing is stored.
func (q *Fair[K, T]) TryPush(item T) bool {
	key, cost := q.cfg.Key(item), 1
	if key != key { // true of NaN
		key = *new(K)
	}
	if q.cfg.Cost != nil {
		cost = min(max(q.cfg.Cost(item), 1), MaxCost)
	}
	f, known := q.index[key]
	weight := 1
	if !known && q.cfg.Weight != nil {
		weight = min(max(q.cfg.Weight(key), 1), MaxWeight)
	}
	index, place, ok := q.items.take()
	if !ok {
		return false
	}
	*place = fairItem[T]{item, int32(cost), none}
	q.count++
	if known {
		flow := q.flows.at(f)
		q.items.at(flow.last).next = index
		flow.last = index
		return true
	}
	f, flow, _ := q.flows.take() // there are at least as many places as for items
	*flow = fairFlow[K]{key: key, weight: int32(weight), first: index, last: index, next: none}
	q.index[key] = f
	q.most = max(q.most, len(q.index))
	q.enqueue(f)
	return true
}

// TryPop removes the next item of the key whose turn it is. It reports false if there is
// none.
func (q *Fair[K, T]) TryPop() (item T, ok bool) {
	if q.count == 0 {
		return item, false
	}
	for turns := 0; ; turns++ {
		if turns == len(q.index) { // every key has had its turn, and none could pay
			q.skip()
		}
		flow := q.flows.at(q.first)
		if !q.turn {
			q.turn = true
			flow.credit += q.share(flow)
		}
		if head := q.items.at(flow.first); int64(head.cost) <= flow.credit {
			flow.credit -= int64(head.cost)
			return q.leave(flow, head), true
		}
		q.enqueue(q.dequeue())
	}
}

// PopAll removes up to len(into) items, in the order of TryPop, stores them in
// into, and returns how many.
func (q *Fair[K, T]) PopAll(into []T) int {
	n := min(len(into), q.count)
	for i := range n {
		into[i], _ = q.TryPop()
	}
	return n
}

// Len returns the number of items.
func (q *Fair[K, T]) Len() int { return q.count }

// Cap returns how many items there may be: nearly 2^32, or math.MaxInt where an int
// has 32 bits.
func (q *Fair[K, T]) Cap() int { return q.items.capacity() }

// Keys returns the number of keys that have items.
func (q *Fair[K, T]) Keys() int { return len(q.index) }

// share is what a key gets at its turn.
func (q *Fair[K, T]) share(flow *fairFlow[K]) int64 {
	return int64(q.cfg.Quantum) * int64(flow.weight)
}

// leave removes the first item of the first flow, and the flow with its last item.
func (q *Fair[K, T]) leave(flow *fairFlow[K], head *fairItem[T]) T {
	item, index := head.item, flow.first
	flow.first = head.next
	q.items.give(index)
	q.count--
	if flow.first == none {
		delete(q.index, flow.key)
		q.flows.give(q.dequeue())
		if q.most >= fairShrink && len(q.index) <= q.most/8 {
			q.rebuild()
		}
	}
	return item
}

// skip gives all keys the credit of as many turns as pass before the first of them
// can pay for its first item, but for the last of these turns.
func (q *Fair[K, T]) skip() {
	turns := int64(math.MaxInt64)
	for f := q.first; f != none; {
		flow := q.flows.at(f)
		missing := int64(q.items.at(flow.first).cost) - flow.credit
		turns = min(turns, (missing-1)/q.share(flow))
		f = flow.next
	}
	for f := q.first; f != none && turns > 0; {
		flow := q.flows.at(f)
		flow.credit += turns * q.share(flow)
		f = flow.next
	}
}

// enqueue puts a flow at the end of the ring.
func (q *Fair[K, T]) enqueue(f uint32) {
	q.flows.at(f).next = none
	if q.first == none {
		q.first = f
	} else {
		q.flows.at(q.last).next = f
	}
	q.last = f
}

// dequeue ends the turn of the first flow and takes it out of the ring.
func (q *Fair[K, T]) dequeue() uint32 {
	f := q.first
	q.first, q.turn = q.flows.at(f).next, false
	return f
}

// rebuild makes the map anew, since a map does not shrink.
func (q *Fair[K, T]) rebuild() {
	q.most = len(q.index)
	q.index = make(map[K]uint32, q.most)
	for f := q.first; f != none; {
		flow := q.flows.at(f)
		q.index[flow.key] = f
		f = flow.next
	}
}
