package queue

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// E-QUE-06: one item, the owner pops while three thieves steal. Each round has
// exactly one winner.
func TestDeque_E_QUE_06_LastItem(t *testing.T) {
	for name, start := range starts {
		t.Run(name, func(t *testing.T) { lastItem(t, newDeque[int](start), rounds(1_000_000)/len(starts)) })
	}
}

func lastItem(t *testing.T, d *Deque[int], n int) {
	won := make([]atomic.Uint32, n)
	var quit atomic.Bool
	var thieves sync.WaitGroup
	stolen := 0
	var mu sync.Mutex
	for range 3 {
		thieves.Go(func() {
			count := 0
			for !quit.Load() {
				if i, ok := d.Steal(); ok {
					won[i].Add(1)
					count++
				} else {
					runtime.Gosched()
				}
			}
			mu.Lock()
			stolen += count
			mu.Unlock()
		})
	}
	popped := 0
	for i := range n {
		d.TryPush(i)
		if i%16 == 0 {
			runtime.Gosched() // also on one processor thieves win sometimes
		} else {
			pause(i % 64)
		}
		if j, ok := d.TryPop(); ok {
			won[j].Add(1)
			popped++
		}
	}
	quit.Store(true)
	thieves.Wait()
	for i := range won {
		if won[i].Load() != 1 {
			t.Fatalf("item %d of %d was won %d times", i, n, won[i].Load())
		}
	}
	t.Logf("%d popped, %d stolen", popped, stolen)
	if d.Len() != 0 {
		t.Errorf("Len() = %d", d.Len())
	}
}

// pause lets some time pass, but nobody else run.
func pause(turns int) {
	for range turns {
		runtime.KeepAlive(turns)
	}
}

// E-QUE-06: the deque grows and shrinks by rings while thieves take one or half.
func TestDeque_E_QUE_06_GrowthDuringSteal(t *testing.T) {
	for name, start := range starts {
		t.Run(name, func(t *testing.T) { growth(t, newDeque[int](start), rounds(400_000)) })
	}
}

func growth(t *testing.T, d *Deque[int], n int) {
	won := make([]atomic.Uint32, n)
	var quit atomic.Bool
	var thieves sync.WaitGroup
	for thief := range 3 {
		thieves.Go(func() {
			into := make([]int, 100)
			for !quit.Load() {
				k := 0
				if thief == 0 {
					k = d.StealHalf(into)
				} else if i, ok := d.Steal(); ok {
					into[0], k = i, 1
				}
				for j, i := range into[:k] {
					won[i].Add(1)
					if j > 0 && into[j-1] >= i {
						t.Errorf("stolen in the order %d, %d", into[j-1], i)
					}
				}
				if k == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	// Bursts of all sizes up to five rings, of which the owner takes back a part:
	// from none to all.
	batch := make([]int, 0, 5000)
	for next, burst := 0, 0; next < n; burst++ {
		size := min((burst*burst*7)%5000+1, n-next)
		if burst%2 == 0 {
			for range size {
				d.TryPush(next)
				next++
			}
		} else {
			batch = batch[:0]
			for range size {
				batch = append(batch, next)
				next++
			}
			d.PushAll(batch)
		}
		last := n
		for range size * (burst % 4) / 3 {
			i, ok := d.TryPop()
			if !ok {
				break
			}
			if i >= last {
				t.Fatalf("popped %d after %d", i, last)
			}
			last = i
			won[i].Add(1)
		}
	}
	for {
		i, ok := d.TryPop()
		if !ok {
			break
		}
		won[i].Add(1)
	}
	quit.Store(true)
	thieves.Wait()
	for i := range won {
		if won[i].Load() != 1 {
			t.Fatalf("item %d of %d was won %d times", i, n, won[i].Load())
		}
	}
	if rings := d.rings(); d.Len() != 0 || rings > 2 {
		t.Errorf("%d items and %d rings are left", d.Len(), rings)
	}
}

// rings counts the rings that are reachable.
func (d *Deque[T]) rings() int {
	n := 1
	for r := d.current.prev.Load(); r != nil; r = r.prev.Load() {
		n++
	}
	for r := d.current.next.Load(); r != nil; r = r.next.Load() {
		n++
	}
	return n
}

// A deque whose owner works alone does not pile up rings, although no thief drops
// those that all have left.
func TestDeque_OwnerAloneDropsRings(t *testing.T) {
	d := NewDeque[int]()
	for range 200 {
		// The last item of each round advances top by one: in time the places move on.
		for i := range 5000 {
			d.TryPush(i)
		}
		for i := 4999; i >= 0; i-- {
			if n, ok := d.TryPop(); !ok || n != i {
				t.Fatalf("got %d, %t for %d", n, ok, i)
			}
		}
		for range 300 {
			d.TryPush(1)
			d.TryPop()
		}
		if rings := d.rings(); rings > 4 {
			t.Fatalf("%d rings", rings)
		}
	}
}

// A thief that has won an item and not yet taken it keeps the owner from its slot.
func TestDeque_SlowThief(t *testing.T) {
	d := NewDeque[int]()
	d.TryPush(1)
	// What Steal does, up to the moment between its two last steps.
	top := d.top.Load()
	r := d.ringOf(top)
	d.top.Store(top + 1)

	for i := range 10 * minSegment {
		d.TryPush(i)
		if n, ok := d.Steal(); !ok || n != i {
			t.Fatalf("got %d, %t for %d", n, ok, i)
		}
	}
	if r.next.Load() == nil {
		t.Fatal("the owner has used the slot")
	}
	if n := len(d.current.slots); n != minSegment {
		t.Errorf("a ring of %d for one item", n)
	}
	if n := r.take(top); n != 1 {
		t.Errorf("the thief got %d", n)
	}
	r.pass(top)
}

// The owner comes too late for the last item, which lies in the ring before its own.
func TestDeque_LastItemInRingBefore(t *testing.T) {
	d := NewDeque[int]()
	for i := range minSegment + 1 {
		d.TryPush(i)
	}
	if n, ok := d.TryPop(); !ok || n != minSegment {
		t.Fatalf("got %d, %t", n, ok)
	}
	for range minSegment - 1 {
		d.Steal()
	}
	if n, ok := d.TryPop(); !ok || n != minSegment-1 || d.Len() != 0 {
		t.Fatalf("got %d, %t, Len() = %d", n, ok, d.Len())
	}
	d.TryPush(7)
	if n, ok := d.Steal(); !ok || n != 7 {
		t.Fatalf("got %d, %t", n, ok)
	}
	if d.oldest.Load() != d.current || d.current.prev.Load() != nil {
		t.Error("the ring before is kept")
	}
	if n := d.StealHalf(make([]int, 3)); n != 0 {
		t.Errorf("StealHalf got %d of nothing", n)
	}
}

// One item at a time needs one ring, however often: its slots are used again.
func TestDeque_OneItemStaysInItsRing(t *testing.T) {
	d := NewDeque[int]()
	r := d.current
	for i := range 10 * minSegment {
		d.TryPush(i)
		if i%3 == 0 {
			d.Steal()
		} else {
			d.TryPop()
		}
	}
	if d.current != r || r.next.Load() != nil {
		t.Error("there is another ring")
	}
}
