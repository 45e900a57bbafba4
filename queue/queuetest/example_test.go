package queuetest_test

import (
	"sync"
	"testing"

	"github.com/uptutu/goman/queue/queuetest"
)

// mutexRing is a queue that somebody has written.
type mutexRing[T any] struct {
	mu          sync.Mutex
	slots       []T
	head, count int
}

func newMutexRing[T any](capacity int) *mutexRing[T] {
	return &mutexRing[T]{slots: make([]T, capacity)}
}

func (r *mutexRing[T]) TryPush(item T) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == len(r.slots) {
		return false
	}
	r.slots[(r.head+r.count)%len(r.slots)] = item
	r.count++
	return true
}

func (r *mutexRing[T]) TryPop() (item T, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == 0 {
		return item, false
	}
	var none T
	item, r.slots[r.head] = r.slots[r.head], none
	r.head = (r.head + 1) % len(r.slots)
	r.count--
	return item, true
}

func (r *mutexRing[T]) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

func (r *mutexRing[T]) Cap() int { return len(r.slots) }

// spec says what it promises: FIFO, a capacity, exact answers, for any number of
// goroutines. These are the defaults.
var spec = queuetest.Spec{
	New: func(capacity int) queuetest.Queue { return newMutexRing[*queuetest.Item](capacity) },
}

// A queue of a third party needs these three functions.

func TestMutexRing(t *testing.T)      { queuetest.Run(t, spec) }
func FuzzMutexRing(f *testing.F)      { queuetest.Fuzz(f, spec) }
func BenchmarkMutexRing(b *testing.B) { queuetest.Benchmark(b, spec) }

func ExampleRun() {
	// In a file of tests, with newMutexRing being your constructor:
	_ = func(t *testing.T) {
		queuetest.Run(t, queuetest.Spec{
			New: func(capacity int) queuetest.Queue { return newMutexRing[*queuetest.Item](capacity) },
		})
	}
}
