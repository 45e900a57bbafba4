package queue

import (
	"cmp"
	stdheap "container/heap"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
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

// benchJob is what a scheduler orders: it is reached by a pointer.
type benchJob struct {
	key int64
	_   [5]int64
}

// boxedJobs is the standard library's heap of pointers.
type boxedJobs []*benchJob

func (h boxedJobs) Len() int           { return len(h) }
func (h boxedJobs) Less(i, j int) bool { return h[i].key < h[j].key }
func (h boxedJobs) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *boxedJobs) Push(x any)        { *h = append(*h, x.(*benchJob)) }
func (h *boxedJobs) Pop() any {
	last := len(*h) - 1
	job := (*h)[last]
	(*h)[last], *h = nil, (*h)[:last]
	return job
}

// holdJobs is hold for pointers.
func holdJobs(b *testing.B, depth int, push func(*benchJob), pop func() *benchJob) {
	random := rand.New(rand.NewPCG(3, 4))
	for range depth {
		push(&benchJob{key: random.Int64N(1 << 20)})
	}
	for range depth {
		job := pop()
		job.key += random.Int64N(1 << 20)
		push(job)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		job := pop()
		job.key += steps[i%len(steps)]
		push(job)
	}
}

// BenchmarkOrder pops and pushes at a constant depth: items of 16 bytes, and jobs
// behind a pointer.
func BenchmarkOrder(b *testing.B) {
	for _, depth := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("items/%d/container", depth), func(b *testing.B) {
			var h boxedHeap
			hold(b, depth, func(item benchItem) { stdheap.Push(&h, item) }, func() benchItem { return stdheap.Pop(&h).(benchItem) })
		})
		b.Run(fmt.Sprintf("items/%d/KeyHeap", depth), func(b *testing.B) {
			h := made(NewKeyHeap(func(item benchItem) int64 { return item.key }))
			hold(b, depth, func(item benchItem) { h.TryPush(item) }, func() benchItem { item, _ := h.TryPop(); return item })
		})
		b.Run(fmt.Sprintf("items/%d/Heap", depth), func(b *testing.B) {
			h := made(NewHeap(compareBench))
			hold(b, depth, func(item benchItem) { h.TryPush(item) }, func() benchItem { item, _ := h.TryPop(); return item })
		})
		b.Run(fmt.Sprintf("items/%d/Levels", depth), func(b *testing.B) {
			q := made(NewLevels(MaxLevels, func(item benchItem) int { return int(item.key) % MaxLevels }))
			hold(b, depth, func(item benchItem) { q.TryPush(item) }, func() benchItem { item, _ := q.TryPop(); return item })
		})
		b.Run(fmt.Sprintf("jobs/%d/container", depth), func(b *testing.B) {
			var h boxedJobs
			holdJobs(b, depth, func(job *benchJob) { stdheap.Push(&h, job) }, func() *benchJob { return stdheap.Pop(&h).(*benchJob) })
		})
		b.Run(fmt.Sprintf("jobs/%d/KeyHeap", depth), func(b *testing.B) {
			h := made(NewKeyHeap(func(job *benchJob) int64 { return job.key }))
			holdJobs(b, depth, func(job *benchJob) { h.TryPush(job) }, func() *benchJob { job, _ := h.TryPop(); return job })
		})
		b.Run(fmt.Sprintf("jobs/%d/Heap", depth), func(b *testing.B) {
			h := made(NewHeap(func(a, b *benchJob) int { return cmp.Compare(a.key, b.key) }))
			holdJobs(b, depth, func(job *benchJob) { h.TryPush(job) }, func() *benchJob { job, _ := h.TryPop(); return job })
		})
	}
}

// BenchmarkDelay adds and cancels among many that wait up to a minute, or a day.
func BenchmarkDelay(b *testing.B) {
	for _, depth := range []int{10_000, 100_000, 1_000_000, 10_000_000} {
		for _, span := range []time.Duration{time.Minute, 24 * time.Hour} {
			q := made(NewDelayQueue(DelayConfig[int]{Now: atEpoch}))
			random := rand.New(rand.NewPCG(1, 2))
			dues := make([]time.Time, 1<<16)
			for i := range dues {
				dues[i] = epoch.Add(time.Duration(random.Int64N(int64(span))))
			}
			handles := make([]Handle, depth)
			for i := range handles {
				handles[i], _ = q.Add(i, dues[i%len(dues)])
			}
			random.Shuffle(depth, func(i, j int) { handles[i], handles[j] = handles[j], handles[i] })
			name := fmt.Sprintf("%d/%s", depth, map[bool]string{true: "minute", false: "day"}[span == time.Minute])
			// Batches, so that neither the clock nor the depth counts for much.
			const batch = 4096
			added := make([]Handle, batch)
			b.Run(name+"/add", func(b *testing.B) {
				for i := 0; i < b.N; i += batch {
					for j := range min(batch, b.N-i) {
						added[j], _ = q.Add(j, dues[(i+j)%len(dues)])
					}
					b.StopTimer()
					for j := range min(batch, b.N-i) {
						q.Cancel(added[j])
					}
					b.StartTimer()
				}
			})
			b.Run(name+"/cancelRecent", func(b *testing.B) {
				for i := 0; i < b.N; i += batch {
					b.StopTimer()
					for j := range min(batch, b.N-i) {
						added[j], _ = q.Add(j, dues[(i+j)%len(dues)])
					}
					b.StartTimer()
					for j := range min(batch, b.N-i) {
						q.Cancel(added[j])
					}
				}
			})
			next := 0
			b.Run(name+"/cancelAny", func(b *testing.B) {
				for i := 0; i < b.N; i += batch {
					n := min(batch, b.N-i, depth-next)
					if n == 0 {
						n, next = min(batch, b.N-i, depth), 0
					}
					for j := range n {
						q.Cancel(handles[next+j])
					}
					b.StopTimer()
					for j := range n {
						handles[next+j], _ = q.Add(j, dues[(i+j)%len(dues)])
					}
					next += n
					i -= batch - n
					b.StartTimer()
				}
			})
		}
	}
}

// BenchmarkDelayHold pops the next that is due and adds it again.
func BenchmarkDelayHold(b *testing.B) {
	for _, depth := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(depth), func(b *testing.B) {
			q := made(NewDelayQueue(DelayConfig[int]{Now: atEpoch}))
			random := rand.New(rand.NewPCG(1, 2))
			for i := range depth {
				q.Add(i, epoch.Add(time.Duration(random.Int64N(int64(time.Minute)))))
			}
			now := epoch
			step := time.Minute / time.Duration(depth) / 2
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; {
				item, ok := q.PopDue(now)
				if !ok {
					now = now.Add(step)
					continue
				}
				q.Add(item, now.Add(time.Duration(steps[i%len(steps)])*time.Minute>>20))
				i++
			}
		})
	}
}

// BenchmarkFair pops an item and pushes one of the same key, or, with keys that come
// and go, of another.
func BenchmarkFair(b *testing.B) {
	for _, keys := range []int{100, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("%d/stay", keys), func(b *testing.B) {
			q := made(NewFair(FairConfig[int, int]{Key: itself}))
			for i := range 4 * keys {
				q.TryPush(i % keys)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				item, _ := q.TryPop()
				q.TryPush(item)
			}
		})
		b.Run(fmt.Sprintf("%d/random", keys), func(b *testing.B) {
			q := made(NewFair(FairConfig[int, int]{Key: itself}))
			for i := range 4 * keys {
				q.TryPush(int(steps[i%len(steps)]+int64(i)) % keys)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				q.TryPop()
				q.TryPush(int(steps[i%len(steps)]+int64(i)) % keys)
			}
		})
		b.Run(fmt.Sprintf("%d/comeAndGo", keys), func(b *testing.B) {
			q := made(NewFair(FairConfig[int, int]{Key: itself}))
			for i := range keys {
				q.TryPush(i)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				q.TryPop()
				q.TryPush(keys + i)
			}
		})
	}
}

// lockedHeap is a heap of all behind one lock: what MultiQueue is compared with.
type lockedHeap struct {
	mu   sync.Mutex
	heap *KeyHeap[int, int]
}

// BenchmarkMulti pops and pushes on all processors, with 16 goroutines on each.
func BenchmarkMulti(b *testing.B) {
	const depth = 100_000
	b.Run("locked", func(b *testing.B) {
		q := lockedHeap{heap: made(NewKeyHeap(itself))}
		for i := range depth {
			q.heap.TryPush(i)
		}
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				q.mu.Lock()
				item, _ := q.heap.TryPop()
				q.mu.Unlock()
				q.mu.Lock()
				q.heap.TryPush(item + int(steps[i%len(steps)]))
				q.mu.Unlock()
			}
		})
	})
	for _, lanes := range []int{1, 4, 8} {
		b.Run(fmt.Sprint(lanes), func(b *testing.B) {
			q := made(NewMultiQueue(lanes, itself))
			for i := range depth {
				q.TryPush(i)
			}
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					item, _ := q.TryPop()
					q.TryPush(item + int(steps[i%len(steps)]))
				}
			})
		})
	}
}
