package queue

import (
	"cmp"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/uptutu/goman/queue/internal/point"
)

// MaxLanes is the largest number of lanes of a [MultiQueue].
const MaxLanes = 1 << 16

// MultiQueue is a priority queue for many goroutines at once, which gives up the
// strict order for it: TryPop removes one of the items with the smallest keys, not
// always the smallest. With one lane it is strict. NaN comes before all other keys.
//
// It is the MultiQueue of H. Rihani, P. Sanders and R. Dementiev (MultiQueues:
// Simple Relaxed Concurrent Priority Queues, SPAA 2015; M. Williams, P. Sanders and
// R. Dementiev, Engineering MultiQueues, ESA 2021), without the buffers and the
// stickiness of the latter: n lanes, each a [KeyHeap] with a lock. A push goes to a
// random lane, a pop compares the first items of two random lanes and takes the
// smaller. A lane whose lock is held is passed by for another.
//
// The rank error of a pop is how many smaller items it has left behind. With items
// enough for all lanes its mean is at most 5n/6 (S. Walzer and M. Williams, A
// Simple yet Exact Analysis of the MultiQueue, ESA 2025), and errors far above that
// are exponentially rare: of a million pops the test of it saw a mean of 0.6n with 8
// lanes and 0.8n with 64, one in a thousand above 5n, and none above 10n. With two
// lanes and one goroutine there is none. Concurrent calls add what they overtake. The
// smallest item leaves with each pop with a probability of 2/n, so after about n/2
// pops. There is no order among equals.
//
// TryPush and TryPop are safe for any number of goroutines. They block only while
// another goroutine is inside the lane they need, some tens of nanoseconds if its
// processor is not taken away. TryPush always succeeds. TryPop reports false only if
// there was an instant during the call at which the queue was empty: pushes that
// had ended were all popped. An item takes its size, that of its key and 8 bytes,
// at most twice that; a lane 192 bytes.
type MultiQueue[K cmp.Ordered, T any] struct {
	key   func(T) K
	lanes []multiLane[K, T]
}

// multiLane is one lane. size and pushes are stored under mu, in this order, and
// read without it: see empty.
type multiLane[K cmp.Ordered, T any] struct {
	mu     sync.Mutex
	heap   KeyHeap[K, T]
	size   atomic.Int64
	pushes atomic.Uint64
	_      [128]byte // apart from the next lane's cache lines
}

// multiTries is how often a call looks for a lane that is not locked.
const multiTries = 4

// NewMultiQueue returns an empty queue. lanes is 1 to [MaxLanes], or 0 for twice the
// number of processors that Go may use (GOMAXPROCS) as it is called: fewer lanes
// keep the order better, more let more goroutines in at once. key tells the key of
// an item as it is pushed.
func NewMultiQueue[K cmp.Ordered, T any](lanes int, key func(item T) K) (*MultiQueue[K, T], error) {
	if lanes < 0 || lanes > MaxLanes {
		return nil, invalidf("%d lanes, allowed are 0 to %d", lanes, MaxLanes)
	}
	if key == nil {
		return nil, invalidf("the key function of MultiQueue is nil")
	}
	if lanes == 0 {
		lanes = min(2*runtime.GOMAXPROCS(0), MaxLanes)
	}
	return &MultiQueue[K, T]{key: key, lanes: make([]multiLane[K, T], lanes)}, nil
}

// TryPush stores an item. It always succeeds. If the key function panics, nothing is
// stored.
func (q *MultiQueue[K, T]) TryPush(item T) bool {
	key := q.key(item)
	lane := q.lockOne()
	lane.heap.Push(key, item)
	lane.size.Store(int64(lane.heap.Len()))
	lane.pushes.Add(1)
	lane.mu.Unlock()
	return true
}

// lockOne returns a random lane, locked.
func (q *MultiQueue[K, T]) lockOne() *multiLane[K, T] {
	for range multiTries {
		point.At()
		lane := &q.lanes[rand.Uint32N(uint32(len(q.lanes)))]
		if lane.mu.TryLock() {
			return lane
		}
	}
	lane := &q.lanes[rand.Uint32N(uint32(len(q.lanes)))]
	lane.mu.Lock()
	return lane
}

// TryPop removes an item with one of the smallest keys. It reports false if the
// queue was empty at an instant of the call.
func (q *MultiQueue[K, T]) TryPop() (item T, ok bool) {
	for range multiTries {
		point.At()
		lane := q.lockBetter()
		if lane == nil {
			continue
		}
		if item, ok = lane.pop(); ok {
			return item, true
		}
	}
	// Most lanes are locked or empty: look through all of them, from any on.
	first := int(rand.Uint32N(uint32(len(q.lanes))))
	for {
		for i := range q.lanes {
			point.At()
			lane := &q.lanes[(first+i)%len(q.lanes)]
			if lane.size.Load() == 0 {
				continue
			}
			lane.mu.Lock()
			if item, ok = lane.pop(); ok {
				return item, true
			}
		}
		if q.empty() {
			return item, false
		}
	}
}

// lockBetter returns, locked, that of two random lanes whose first item is the
// smaller, or nil if it found none.
func (q *MultiQueue[K, T]) lockBetter() *multiLane[K, T] {
	n := uint64(len(q.lanes))
	if n == 1 {
		if lane := &q.lanes[0]; lane.mu.TryLock() {
			return lane
		}
		return nil
	}
	// Two different lanes from one random number.
	random := rand.Uint64()
	i, j := (random>>32)*n>>32, (random&math.MaxUint32)*(n-1)>>32
	if j >= i {
		j++
	}
	a, b := &q.lanes[i], &q.lanes[j]
	if a.size.Load() == 0 {
		a, b = b, a
	}
	if a.size.Load() == 0 || !a.mu.TryLock() {
		return nil
	}
	if b.size.Load() == 0 || !b.mu.TryLock() {
		return a
	}
	if len(b.heap.entries) > 0 &&
		(len(a.heap.entries) == 0 || cmp.Less(b.heap.entries[0].key, a.heap.entries[0].key)) {
		a, b = b, a
	}
	b.mu.Unlock()
	return a
}

// pop takes the first item of a locked lane, if there is one, and unlocks it.
func (lane *multiLane[K, T]) pop() (item T, ok bool) {
	if item, ok = lane.heap.TryPop(); ok {
		lane.size.Store(int64(lane.heap.Len()))
	}
	lane.mu.Unlock()
	return item, ok
}

// empty reports true only if there was an instant at which all lanes were empty: the
// end of the first look, if nobody has pushed between the looks. A push into a lane
// that the first look saw empty shows in the second one, by the lane's size, or, if
// the item is popped again, by its pushes, since it is stored before the lock is
// released. That needs size to be stored before pushes, and read before it in the
// second look and after it in the first.
func (q *MultiQueue[K, T]) empty() bool {
	var before, after uint64
	for i := range q.lanes {
		before += q.lanes[i].pushes.Load()
		if q.lanes[i].size.Load() != 0 {
			return false
		}
	}
	point.At()
	for i := range q.lanes {
		if q.lanes[i].size.Load() != 0 {
			return false
		}
		after += q.lanes[i].pushes.Load()
	}
	return before == after
}

// Len returns the number of items: exact if nobody else uses the queue, else the
// sum of what each lane held at some moment of the call.
func (q *MultiQueue[K, T]) Len() int {
	sum := 0
	for i := range q.lanes {
		sum += int(q.lanes[i].size.Load())
	}
	return sum
}

// Cap returns math.MaxInt: there is no limit but memory.
func (q *MultiQueue[K, T]) Cap() int { return math.MaxInt }

// Lanes returns the number of lanes.
func (q *MultiQueue[K, T]) Lanes() int { return len(q.lanes) }
