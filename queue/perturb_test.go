//go:build goman_points

package queue

import (
	"math/rand/v2"
	"runtime"

	"github.com/uptutu/goman/queue/internal/point"
)

// With this tag all tests run once more with a chance of one in eight, at each
// synchronisation step, that another goroutine goes first.
func init() {
	point.Set(func() {
		if rand.Uint32()%8 == 0 {
			runtime.Gosched()
		}
	})
}
