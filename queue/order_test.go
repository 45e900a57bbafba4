package queue

import (
	"cmp"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"weak"
)

// made returns what a constructor made.
func made[Q any](q Q, err error) Q {
	if err != nil {
		panic(err)
	}
	return q
}

// orderStarts are numbers at which the counters of pushes begin in tests: the last
// three wrap around, or seem to, after some steps.
var orderStarts = []uint64{1, 1<<32 - 20, 1<<63 - 20, 1<<64 - 20}

// sized returns n, or less under the race detector, which has nothing to find where
// one goroutine does much.
func sized(n int) int {
	if raceEnabled {
		return n / 20
	}
	return n
}

// orderItem is too large to share its memory with another, as small ones do.
type orderItem [4]int

// orderQueue is an ordered queue with its name.
type orderQueue struct {
	Queue[*orderItem]
	name string
}

// orderQueues returns an empty queue of each ordered kind, in which all items are
// equal and due.
func orderQueues() []orderQueue {
	zero := func(*orderItem) int { return 0 }
	return []orderQueue{
		{made(NewLevels(3, zero)), "Levels"},
		{made(NewKeyHeap(zero)), "KeyHeap"},
		{made(NewHeap(func(a, b *orderItem) int { return 0 })), "Heap"},
		{made(NewMultiQueue(1, zero)), "MultiQueue"},
		{made(NewDelayQueue(DelayConfig[*orderItem]{})), "DelayQueue"},
		{made(NewFair(FairConfig[int, *orderItem]{Key: zero})), "Fair"},
	}
}

func TestOrder_Empty(t *testing.T) {
	for _, q := range orderQueues() {
		t.Run(q.name, func(t *testing.T) {
			for range 2 {
				if item, ok := q.TryPop(); ok || item != nil {
					t.Errorf("TryPop of an empty queue = %v, %v", item, ok)
				}
				if q.Len() != 0 || q.Cap() < 1<<31-1 {
					t.Errorf("Len %d, Cap %d", q.Len(), q.Cap())
				}
				if q.TryPush(new(orderItem)); q.Len() != 1 {
					t.Errorf("Len after a push = %d", q.Len())
				}
				q.TryPop()
			}
		})
	}
}

// The largest and the smallest priorities leave in their order: no difference of two
// is ever taken.
func TestOrder_E_QUE_08_Extremes(t *testing.T) {
	want := []int{math.MinInt, math.MinInt + 1, -1, 0, 1, math.MaxInt - 1, math.MaxInt}
	for _, q := range []Queue[int]{
		made(NewHeap(cmp.Compare[int])), made(NewKeyHeap(itself)), made(NewMultiQueue(1, itself)),
	} {
		for shift := range want {
			for i := range want {
				q.TryPush(want[(3*i+shift)%len(want)])
			}
			for _, want := range want {
				if item, ok := q.TryPop(); !ok || item != want {
					t.Errorf("%T: popped %d, %t, want %d", q, item, ok, want)
				}
			}
		}
	}
}

// FIFO among equals, across many blocks and chunks, while the length goes up and down.
func TestOrder_E_QUE_09_EqualsLeaveInTheirOrder(t *testing.T) {
	for _, q := range orderQueues() {
		t.Run(q.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 1))
			in, out := 0, 0
			for in < 10_000 || q.Len() > 0 {
				for range random.IntN(500) {
					if in < 10_000 {
						q.TryPush(&orderItem{in})
						in++
					}
				}
				for range random.IntN(500) {
					if item, ok := q.TryPop(); ok {
						if item[0] != out {
							t.Fatalf("item %d left as the %dth", item[0], out)
						}
						out++
					}
				}
			}
			if out != in {
				t.Fatalf("%d items of %d left", out, in)
			}
		})
	}
}

func TestOrder_PoppedItemsAreNotKept(t *testing.T) {
	for _, q := range orderQueues() {
		t.Run(q.name, func(t *testing.T) {
			const n = 300
			var refs []weak.Pointer[orderItem]
			for i := range n {
				item := new(orderItem)
				item[0] = i
				refs = append(refs, weak.Make(item))
				q.TryPush(item)
			}
			for range n - 3 {
				q.TryPop()
			}
			if q.Len() != 3 {
				t.Fatalf("Len %d", q.Len())
			}
			alive := liveRefs(refs)
			if alive != 3 {
				t.Errorf("%d items are alive, 3 are stored", alive)
			}
			runtime.KeepAlive(q)
		})
	}
}

// liveRefs collects garbage and counts what is still there.
func liveRefs(refs []weak.Pointer[orderItem]) int {
	runtime.GC()
	runtime.GC()
	alive := 0
	for _, ref := range refs {
		if ref.Value() != nil {
			alive++
		}
	}
	return alive
}

// heapBytes returns the size of what is alive.
func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// orderBase is how much memory a queue may keep when it is drained.
const orderBase = 64 << 10

func TestOrder_E_QUE_17_MemoryReturns(t *testing.T) {
	for _, q := range orderQueues() {
		t.Run(q.name, func(t *testing.T) {
			shared := new(orderItem)
			n := sized(1_000_000)
			base := heapBytes()
			for range n {
				q.TryPush(shared)
			}
			full := heapBytes() - base
			for range n {
				q.TryPop()
			}
			if left := heapBytes() - base; left > orderBase {
				t.Errorf("%d bytes are left of %d", left, full)
			}
			t.Logf("%.1f bytes for an item of 8", float64(full)/float64(n))
			runtime.KeepAlive(q)
		})
	}
}

func TestOrder_AllocSteady(t *testing.T) {
	for _, q := range orderQueues() {
		t.Run(q.name, func(t *testing.T) {
			shared := new(orderItem)
			for range 10_000 {
				q.TryPush(shared)
			}
			step := func() {
				for range 1_000 {
					q.TryPop()
					q.TryPush(shared)
				}
			}
			step()
			if n := testing.AllocsPerRun(50, step); n > 0 {
				t.Errorf("%v allocations in 1,000 pops and pushes", n)
			}
		})
	}
}

// forgotten gives n items to store, calls two thirds of the functions that it gets
// back, each of which takes its item out, and returns references to the items.
func forgotten(n int, store func(*orderItem) (drop func())) (refs []weak.Pointer[orderItem]) {
	var drops []func()
	for range n {
		item := new(orderItem)
		refs, drops = append(refs, weak.Make(item)), append(drops, store(item))
	}
	for i, drop := range drops {
		if i%3 != 0 {
			drop()
		}
	}
	return refs
}

func TestOrder_ItemsPoppedInBatchesAreNotKept(t *testing.T) {
	for _, q := range orderQueues() {
		batches, ok := q.Queue.(interface{ PopAll(into []*orderItem) int })
		if !ok {
			continue
		}
		t.Run(q.name, func(t *testing.T) {
			var refs []weak.Pointer[orderItem]
			for range 300 {
				item := new(orderItem)
				refs = append(refs, weak.Make(item))
				q.TryPush(item)
			}
			into := make([]*orderItem, 75)
			for range 3 {
				batches.PopAll(into)
			}
			clear(into)
			if alive := liveRefs(refs); alive != 75 || q.Len() != 75 {
				t.Errorf("%d items are alive, %d are stored", alive, q.Len())
			}
			if n := batches.PopAll(make([]*orderItem, 100)); n != 75 {
				t.Errorf("popped %d, want 75", n)
			}
		})
	}
}
