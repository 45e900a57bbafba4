package queue

import (
	"cmp"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchItem is what the benchmarks of ordered queues hold: a key and a reference.
type benchItem struct {
	key int64
	id  int32
}

func compareBench(a, b benchItem) int { return cmp.Compare(a.key, b.key) }

// boxedHeap is the standard library's heap of the same items: the baseline.
type boxedHeap []benchItem

func (h boxedHeap) Len() int           { return len(h) }
func (h boxedHeap) Less(i, j int) bool { return h[i].key < h[j].key }
func (h boxedHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *boxedHeap) Push(x any)        { *h = append(*h, x.(benchItem)) }
func (h *boxedHeap) Pop() any {
	last := len(*h) - 1
	item := (*h)[last]
	*h = (*h)[:last]
	return item
}

// steps are the random increments of the hold model, made before the clock runs.
var steps = func() []int64 {
	random := rand.New(rand.NewPCG(1, 2))
	steps := make([]int64, 1<<16)
	for i := range steps {
		steps[i] = random.Int64N(1 << 20)
	}
	return steps
}()

// hold pops the first item and pushes one with a larger key, at a constant depth.
func hold(b *testing.B, depth int, push func(benchItem), pop func() benchItem) {
	for i := range depth {
		push(benchItem{steps[i%len(steps)], int32(i)})
	}
	for i := range depth { // come to the steady state
		item := pop()
		item.key += steps[i%len(steps)]
		push(item)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		item := pop()
		item.key += steps[i%len(steps)]
		push(item)
	}
}

func BenchmarkOrder(b *testing.B) {
	for _, depth := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("%d/container", depth), func(b *testing.B) {
			var h boxedHeap
			hold(b, depth, func(item benchItem) { heap.Push(&h, item) }, func() benchItem { return heap.Pop(&h).(benchItem) })
		})
		b.Run(fmt.Sprintf("%d/Heap", depth), func(b *testing.B) {
			h, _ := NewHeap(compareBench)
			hold(b, depth, func(item benchItem) { h.TryPush(item) }, func() benchItem { item, _ := h.TryPop(); return item })
		})
		b.Run(fmt.Sprintf("%d/Levels", depth), func(b *testing.B) {
			q, _ := NewLevels(MaxLevels, func(item benchItem) int { return int(item.key) % MaxLevels })
			hold(b, depth, func(item benchItem) { q.TryPush(item) }, func() benchItem { item, _ := q.TryPop(); return item })
		})
	}
}
