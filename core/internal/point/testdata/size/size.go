// Package size is compiled by a test, which compares the sizes of its functions.
package size

import (
	"sync/atomic"

	"github.com/uptutu/goman/core/internal/point"
)

// Without has no points.
func Without(state *atomic.Uint64, n int) int {
	for {
		old := state.Load()
		if old > 7 {
			return n
		}
		if state.CompareAndSwap(old, old+1) {
			return n + 1
		}
	}
}

// With is Without with every kind of point.
func With(state *atomic.Uint64, n int) int {
	point.Enter("worker", n)
	for {
		point.At(point.Claim)
		old := state.Load()
		if old > 7 {
			point.At(point.Park)
			return n
		}
		if point.Fail(point.Claim) {
			continue
		}
		if state.CompareAndSwap(old, old+1) {
			return n + 1
		}
		point.Yield(point.Watch)
	}
}
