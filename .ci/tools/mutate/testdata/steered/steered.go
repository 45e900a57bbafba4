// Package steered has points.
package steered

import (
	"sync"
	"sync/atomic"

	"steered.example/point"
)

// Raise changes two things.
func Raise(mu *sync.Mutex, n *atomic.Int64) bool {
	n.Store(1)
	point.At()
	mu.Lock()
	if point.Fail() {
		return false
	}
	return !point.Fail() && n.CompareAndSwap(1, 2)
}
