package queue

import (
	"sync"
	"testing"
)

// What MPMC's documentation says of its refusals: a push that has taken its place and
// not filled it hides what lies behind it, a pop that has not freed its place keeps
// producers from those behind it. Len counts what is hidden.
func TestMPMC_HiddenByWhoIsUnderWay(t *testing.T) {
	for name, start := range starts {
		q := newMPMC[int](2, 2*start)
		first := q.ring.tail.Load()
		q.ring.tail.Store(first + 2) // a push, up to its last step
		if !q.TryPush(2) || q.TryPush(3) {
			t.Fatalf("%s: the push under way does not count", name)
		}
		if n, ok := q.TryPop(); ok {
			t.Fatalf("%s: got %d before the oldest item", name, n)
		}
		if n := q.PopAll(make([]int, 2)); n != 0 || q.Len() != 2 {
			t.Fatalf("%s: got %d items, Len() = %d", name, n, q.Len())
		}
		q.ring.slot(first).item = 1
		q.ring.slot(first).seq.Store(first + 1)

		h := q.ring.head.Load()
		q.ring.head.Store(h + 2) // a pop, up to its last step
		if n, ok := q.TryPop(); !ok || n != 2 || q.Len() != 0 {
			t.Fatalf("%s: got %d, %t, Len() = %d", name, n, ok, q.Len())
		}
		if q.TryPush(3) || q.PushAll([]int{3}) != 0 {
			t.Fatalf("%s: pushed to a place that is not free", name)
		}
		q.ring.slot(h).seq.Store(h + q.ring.lap)
		if n := q.PushAll([]int{3, 4, 5}); n != 2 {
			t.Fatalf("%s: pushed %d", name, n)
		}
	}
}

// The exact capacity of a ring with more slots than that holds also while a pop of
// one lap ago is under way.
func TestMPMC_OddCapacityWithSlowPop(t *testing.T) {
	q := newMPMC[int](3, 0) // 4 slots
	q.TryPush(1)
	h := q.ring.head.Load()
	q.ring.head.Store(h + 2)
	if n := q.PushAll([]int{2, 3, 4, 5}); n != 2 {
		t.Errorf("%d items beside one that is being popped", n)
	}
	for want := 2; want <= 3; want++ {
		if n, ok := q.TryPop(); !ok || n != want {
			t.Errorf("got %d, %t", n, ok)
		}
	}
	if q.TryPush(4) {
		t.Error("pushed to a place whose predecessor is not free")
	}
}

// A sealed queue takes nothing more, keeps what it has, and counts it.
func TestQueues_Seal(t *testing.T) {
	for kind, make := range all[int](100) {
		q := make(starts["2^64"])
		s, ok := q.(sealer)
		if !ok {
			continue
		}
		q.PushAll(make2[int](50))
		s.seal()
		s.seal()
		if q.TryPush(1) || q.PushAll([]int{1}) != 0 || q.Len() != 50 {
			t.Errorf("%s: pushed after the seal, Len() = %d", kind, q.Len())
		}
		for i := range 51 {
			if _, ok := q.TryPop(); ok != (i < 50) {
				t.Errorf("%s: pop %d reports %t", kind, i, ok)
			}
		}
		if q.Len() != 0 {
			t.Errorf("%s: Len() = %d at the end", kind, q.Len())
		}
	}
}

// Each push against the seal either is refused, or its item comes out.
func TestQueues_SealAgainstPush(t *testing.T) {
	for kind, make := range all[int](40) {
		if _, ok := make(0).(sealer); !ok {
			continue
		}
		t.Run(kind, func(t *testing.T) {
			for range rounds(20_000) {
				q := make(0)
				q.PushAll(make2[int](30)) // so that Unbounded and MPSC extend meanwhile
				var g sync.WaitGroup
				var pushed [2]int
				for i := range pushed {
					g.Go(func() {
						for range 3 {
							if q.TryPush(i) {
								pushed[i]++
							}
						}
					})
				}
				q.(sealer).seal()
				before := q.Len()
				g.Wait()
				if n := 30 + pushed[0] + pushed[1]; q.Len() != n || before > n {
					t.Fatalf("%d pushed, Len() = %d, at the seal %d", n, q.Len(), before)
				}
				n := 0
				for range q.Len() {
					if _, ok := q.TryPop(); ok {
						n++
					}
				}
				if q.Len() != 0 || n != 30+pushed[0]+pushed[1] {
					t.Fatalf("%d came out", n)
				}
			}
		})
	}
}

// A producer that has seen the last segment long ago, and a consumer that has seen
// the first, go on where the chain is now.
func TestUnbounded_LateComers(t *testing.T) {
	q := NewUnbounded[int]()
	old := q.tail.Load()
	q.PushAll(make([]int, 10*maxSegment))
	if !q.extend(old) || q.tail.Load() == old {
		t.Error("the tail went back")
	}
	q.PopAll(make([]int, 10*maxSegment))
	if !q.advance(old) || q.head.Load() != q.tail.Load() {
		t.Error("the head went back")
	}
	q.TryPush(1)
	if n, ok := q.TryPop(); !ok || n != 1 {
		t.Errorf("got %d, %t", n, ok)
	}
}

// The last push into a sealed segment is under way: what lies behind it stays hidden.
func TestUnbounded_HiddenAcrossSegments(t *testing.T) {
	for name, start := range starts {
		q := newUnbounded[int](2 * start)
		r := &q.tail.Load().ring
		place := r.tail.Load()
		r.tail.Store(place + 2)
		q.PushAll(make([]int, minSegment))
		if q.head.Load() == q.tail.Load() {
			t.Fatal("there is one segment only")
		}
		if _, ok := q.TryPop(); ok || q.Len() != minSegment+1 || q.PopAll(make([]int, 3)) != 0 {
			t.Errorf("%s: got an item before the oldest; Len() = %d", name, q.Len())
		}
		r.slot(place).seq.Store(place + 1)
		if n := q.PopAll(make([]int, 100)); n != minSegment+1 {
			t.Errorf("%s: got %d", name, n)
		}
	}
}

func TestMPSC_HiddenAcrossSegments(t *testing.T) {
	for name, start := range starts {
		q := newMPSC[int](2 * start)
		s := q.tail.Load()
		place := s.tail.Load()
		s.tail.Store(place + 2)
		q.PushAll(make([]int, minSegment))
		if s == q.tail.Load() {
			t.Fatal("there is one segment only")
		}
		if _, ok := q.TryPop(); ok || q.Len() != minSegment+1 {
			t.Errorf("%s: got an item before the oldest; Len() = %d", name, q.Len())
		}
		s.fill(place, 1)
		if n := q.PopAll(make([]int, 100)); n != minSegment+1 {
			t.Errorf("%s: got %d", name, n)
		}
	}
}

// A producer that has read an old tail, or stores an old view of the consumer's
// place, takes nothing that is not free.
func TestMPSC_LateComers(t *testing.T) {
	q := NewMPSC[int]()
	s := q.tail.Load()
	old := s.tail.Load()
	for range 3 * minSegment {
		q.TryPush(1)
		q.TryPop()
	}
	if n := s.room(old, &q.head); n != 0 {
		t.Errorf("room for %d at an old tail", n)
	}
	s.freed.Store(old)
	if n := s.room(s.tail.Load(), &q.head); n != minSegment {
		t.Errorf("room for %d in an empty segment", n)
	}
	if old == s.freed.Load() {
		t.Error("the old view is kept")
	}
	q.PushAll(make([]int, 10*maxSegment))
	if !q.extend(s) || q.tail.Load() == s {
		t.Error("the tail went back")
	}
}
