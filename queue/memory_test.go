package queue

import (
	"runtime"
	"testing"
	"weak"
)

// What was popped is not kept alive, on whatever way it left.
func TestQueues_NoRetention(t *testing.T) {
	type cargo [4096]byte
	const n = 100 // more than a first segment
	for kind, make := range all[*cargo](n) {
		ways := map[string]func(q batcher[*cargo]){
			"TryPop": func(q batcher[*cargo]) {
				for range n {
					q.TryPop()
				}
			},
			"PopAll": func(q batcher[*cargo]) {
				if p, ok := q.(popAller[*cargo]); ok {
					p.PopAll(make2[*cargo](60))
					p.PopAll(make2[*cargo](60))
				} else {
					d := q.(*Deque[*cargo])
					for d.StealHalf(make2[*cargo](60)) > 0 {
						d.Steal()
					}
				}
			},
		}
		for way, empty := range ways {
			t.Run(kind+"/"+way, func(t *testing.T) {
				q := make(0)
				for range 60 { // so that what follows wraps around in a ring
					q.TryPush(nil)
					q.TryPop()
				}
				var items [n]weak.Pointer[cargo]
				for i := range items {
					c := new(cargo)
					items[i] = weak.Make(c)
					q.TryPush(c)
				}
				empty(q)
				if q.Len() != 0 {
					t.Fatalf("%d are left", q.Len())
				}
				runtime.GC()
				for i, p := range items {
					if p.Value() != nil {
						t.Fatalf("item %d is kept", i)
					}
				}
				runtime.KeepAlive(q)
			})
		}
	}
}

func make2[T any](n int) []T { return make([]T, n) }

// heap returns the bytes in use after a thorough collection.
func heap() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// E-QUE-17: a queue without a limit gives its memory back when it is drained, but for
// one segment.
func TestQueues_E_QUE_17_MemoryReturns(t *testing.T) {
	n := 1_000_000
	if raceEnabled {
		n = 50_000
	}
	segment := int64(2 * maxSegment * 16) // the deque keeps an empty one besides
	for kind, make := range unbounded[int]() {
		for _, way := range []string{"TryPop", "Steal"} {
			q := make(0)
			d, ok := q.(*Deque[int])
			if way == "Steal" && !ok {
				continue
			}
			before := heap()
			for i := range n {
				q.TryPush(i)
			}
			if full := heap() - before; full < int64(16*n) || full > int64(17*n+20_000) {
				t.Errorf("%s: %.1f bytes an item", kind, float64(full)/float64(n))
			}
			for range n {
				if way == "Steal" {
					_, ok = d.Steal()
				} else {
					_, ok = q.TryPop()
				}
				if !ok {
					t.Fatalf("%s: %s got nothing", kind, way)
				}
			}
			if left := heap() - before; left > segment+8192 {
				t.Errorf("%s: %d bytes are kept after %s", kind, left, way)
			}
			runtime.KeepAlive(q)
		}
	}
}

// In steady state nothing is allocated.
func TestQueues_Alloc(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates by itself: bash .ci/run allocs")
	}
	for kind, make := range all[int](64) {
		q := make(0)
		items, into := make2[int](16), make2[int](16)
		run := func() {
			for i := range 40 {
				q.TryPush(i)
			}
			for range 40 {
				q.TryPop()
			}
			q.PushAll(items)
			switch q := q.(type) {
			case popAller[int]:
				q.PopAll(into)
			case *Deque[int]:
				q.StealHalf(into)
				q.Steal()
				for q.Len() > 0 {
					q.TryPop()
				}
			}
		}
		run()
		if n := testing.AllocsPerRun(1000, run); n != 0 {
			t.Errorf("%s: %v allocations in a round of 56 items", kind, n)
		}
	}
}
