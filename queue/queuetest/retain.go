package queuetest

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
	"weak"
)

// ways are the ways in which an item leaves a queue.
func ways(q Queue) map[string]func(*Item) (*Item, bool) {
	pop := func(*Item) (*Item, bool) { return q.TryPop() }
	all := map[string]func(*Item) (*Item, bool){"TryPop": pop}
	if b, ok := q.(BatchPopper); ok {
		all["PopAll"] = batchOf(b.PopAll)
	}
	if st, ok := q.(Stealer); ok {
		all["TrySteal"] = func(*Item) (*Item, bool) { return st.TrySteal() }
	}
	if b, ok := q.(BatchStealer); ok {
		all["StealAll"] = batchOf(b.StealAll)
	}
	if r, ok := q.(Remover); ok {
		all["Remove"] = func(it *Item) (*Item, bool) { return it, r.Remove(it) }
	}
	return all
}

func batchOf(pop func([]*Item) int) func(*Item) (*Item, bool) {
	return func(*Item) (*Item, bool) {
		var one [1]*Item
		if pop(one[:]) == 0 {
			return nil, false
		}
		return one[0], true
	}
}

// checkRetention lets items through a queue and looks whether the garbage
// collector gets them while the queue lives.
func checkRetention(_ harness, s *Spec, _ effort) error {
	for _, capacity := range s.capacities() {
		for way := range ways(s.New(capacity)) {
			q := s.New(capacity)
			var err error
			gone := passThrough(q, s, limited(s.wantCap(capacity)), ways(q)[way], &err)
			if err != nil {
				return fmt.Errorf("capacity %d: %w", capacity, err)
			}
			if n := retained(gone, s.Keeps); n > s.Keeps {
				return fmt.Errorf("capacity %d: the empty queue still refers to %d of the %d items that have left by %s, and it may to %d",
					capacity, n, len(gone), way, s.Keeps)
			}
			runtime.KeepAlive(q)
		}
	}
	return nil
}

// passThrough pushes and pops, with one item in the queue, with some, and with as
// many as fit. It returns weak pointers to them, and keeps no others.
//
//go:noinline
func passThrough(q Queue, s *Spec, most int, leave func(*Item) (*Item, bool), err *error) (gone []weak.Pointer[Item]) {
	for _, n := range []int{1, (most + 1) / 2, most, 1} {
		items := make([]*Item, 0, n)
		for i := range n {
			it := &Item{ID: len(gone), Cost: 1, Due: time.Now().Add(-time.Second), Rank: i % max(1, min(s.Ranks, ranks))}
			gone = append(gone, weak.Make(it))
			if !q.TryPush(it) {
				*err = fmt.Errorf("a push was refused with %d of %d items in the queue", i, most)
				return nil
			}
			items = append(items, it)
		}
		for _, it := range items {
			if _, ok := leave(it); !ok {
				*err = fmt.Errorf("nothing left with items in the queue")
				return nil
			}
		}
	}
	return gone
}

// retained returns how many of the items are still alive, after several
// collections if it takes them.
func retained(items []weak.Pointer[Item], allowed int) (n int) {
	for range 4 {
		runtime.GC()
		n = 0
		for _, p := range items {
			if p.Value() != nil {
				n++
			}
		}
		if n <= allowed {
			break
		}
	}
	return n
}

// checkRetentionConcurrent does so with several goroutines: a slot may be cleared
// by one that loses it to another.
func checkRetentionConcurrent(_ harness, s *Spec, e effort) error {
	for i := range e.of(30) {
		capacity := s.capacities()[i%len(s.capacities())]
		q := s.New(capacity)
		gone, err := passThroughTogether(q, s, 64, e.patience)
		if err != nil {
			return err
		}
		if n := retained(gone, s.Keeps); n > s.Keeps {
			return fmt.Errorf("capacity %d: the empty queue still refers to %d of the %d items that have left while several goroutines used it, and it may to %d",
				capacity, n, len(gone), s.Keeps)
		}
		runtime.KeepAlive(q)
	}
	return nil
}

// passThroughTogether keeps no item, and returns weak pointers.
//
//go:noinline
func passThroughTogether(q Queue, s *Spec, each int, patience time.Duration) ([]weak.Pointer[Item], error) {
	var (
		mu   sync.Mutex
		gone []weak.Pointer[Item]
	)
	r := newStress(s, q, s.crowd(2, 2), each, patience)
	r.made = func(it *Item) {
		mu.Lock()
		defer mu.Unlock()
		gone = append(gone, weak.Make(it))
	}
	err := guard(func() error { return r.run() })
	return gone, err
}

// checkMemory fills a queue without limit, drains it, and looks what is left.
func checkMemory(_ harness, s *Spec, e effort) error {
	n := min(max(e.of(1_000_000), 100_000), 1_000_000)
	q := s.New(s.capacities()[0])
	it := &Item{Cost: 1, Due: time.Now().Add(-time.Hour)}
	before := heapInUse()
	for range n {
		if !q.TryPush(it) {
			return errors.New("a push was refused by a queue without limit")
		}
	}
	full := heapInUse()
	for range n {
		if _, ok := q.TryPop(); !ok {
			return errors.New("a pop found nothing with items in the queue")
		}
	}
	after := heapInUse()
	runtime.KeepAlive(q)
	if after-before > max((full-before)/10, 64<<10) {
		return fmt.Errorf("%d items took %d bytes, and the drained queue still takes %d", n, full-before, after-before)
	}
	return nil
}

// heapInUse returns how many bytes are in use.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
