package queuetest

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// benchCapacity is that of the queues that are measured.
const benchCapacity = 1024

// Benchmark measures how long an item takes through a queue: "single" by one
// goroutine that pushes and pops in turn, "1x1" to "64x64" by that many producers
// and consumers, who yield the processor when there is no room, or nothing. One
// operation is one item.
func Benchmark(b *testing.B, spec Spec) {
	if err := spec.validate(); err != nil {
		b.Fatal(err)
	}
	if spec.New == nil {
		b.Fatal("queuetest: Benchmark needs Spec.New")
	}
	s := &spec
	capacity := benchCapacity
	if len(s.Capacities) > 0 {
		capacity = s.Capacities[len(s.Capacities)-1]
	}
	// With a queue that fails at this, a crowd might wait for ever.
	works := b.Run("single", func(b *testing.B) { benchSingle(b, s, s.New(capacity)) })
	if s.Sequential || !works {
		return
	}
	last := ""
	for _, n := range []int{1, 2, 4, 8, 64} {
		roles := s.crowd(n, n)
		producers, consumers := split(roles)
		name := fmt.Sprintf("%dx%d", producers, consumers)
		if name == last {
			break
		}
		last = name
		b.Run(name, func(b *testing.B) { benchCrowd(b, s, s.New(capacity), roles, producers) })
	}
}

// split counts the two kinds. The owner of a queue with thieves is a producer only.
func split(roles []role) (producers, consumers int) {
	for _, r := range roles {
		if r.pushes {
			producers++
		} else {
			consumers++
		}
	}
	return producers, consumers
}

// benchItems are used over and over, so that none is allocated while time runs.
func benchItems(s *Spec) []*Item {
	items, past := make([]*Item, 1024), time.Now().Add(-time.Hour)
	for i := range items {
		items[i] = &Item{ID: i, Cost: 1 + i%MaxCost, Key: i % keys, Rank: i * 7919 % 1024 % max(1, s.Ranks), Due: past}
		if s.Ranks == 0 {
			items[i].Rank = i * 7919 % 1024
		}
	}
	return items
}

func benchSingle(b *testing.B, s *Spec, q Queue) {
	items := benchItems(s)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if !q.TryPush(items[i%len(items)]) {
			b.Fatal("a push was refused by an empty queue")
		}
		if _, ok := q.TryPop(); !ok {
			b.Fatal("a pop found nothing, and there was an item")
		}
	}
}

func benchCrowd(b *testing.B, s *Spec, q Queue, roles []role, producers int) {
	items := benchItems(s)
	var wait sync.WaitGroup
	var left atomic.Int64 // what no consumer has got yet
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	first := true
	for i, r := range roles {
		n := 0
		if r.pushes {
			n = b.N / producers
			if first {
				n += b.N % producers
				first = false
			}
		}
		wait.Go(func() {
			for k := range n {
				for !q.TryPush(items[(i*131+k)%len(items)]) {
					runtime.Gosched()
				}
			}
			if !r.pushes {
				benchConsume(q, r, &left)
			}
		})
	}
	wait.Wait()
}

// benchConsume counts in lots of its own, so that the counter does not count for
// much in what is measured.
func benchConsume(q Queue, r role, left *atomic.Int64) {
	take := q.TryPop
	if r.steals {
		take = q.(Stealer).TrySteal
	}
	const lot = 64
	got := int64(0)
	for {
		if _, ok := take(); ok {
			if got++; got == lot {
				left.Add(-got)
				got = 0
			}
			continue
		}
		if got > 0 {
			left.Add(-got)
			got = 0
		}
		if left.Load() <= 0 {
			return
		}
		runtime.Gosched()
	}
}
