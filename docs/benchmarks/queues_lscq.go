//go:build (amd64 || arm64) && !race

package main

import "github.com/bytedance/gopkg/collection/lscq"

// lscqContenders is a queue that needs a compare-and-swap of 128 bits, in assembly that the
// race detector does not see.
func lscqContenders(size int) []contender {
	return []contender{through("bytedance LSCQ, yield", size, func() wire {
		q := lscq.NewUint64()
		return yielding(func(i int) bool { return q.Enqueue(uint64(i)) }, func() bool { _, ok := q.Dequeue(); return ok })
	})}
}
