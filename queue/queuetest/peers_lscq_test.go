//go:build (amd64 || arm64) && !race

package queuetest

import (
	"math"
	"testing"
	"unsafe"

	"github.com/bytedance/gopkg/collection/lscq"
)

// TestPeers_LSCQ is not for the race detector: it does not see that the assembly of
// this queue puts producers and consumers in order, and reports what a producer
// wrote into an item before it pushed it. A program that uses the queue has the same
// trouble with the detector.
func TestPeers_LSCQ(t *testing.T) {
	s := Spec{New: func(int) Queue { return pointers{lscq.NewPointer()} }, Unbounded: true, NoLen: true}
	run(tester{t}, &s, small(0.02)) // a new one takes a megabyte
}

type pointers struct{ q *lscq.PointerQueue }

func (p pointers) TryPush(it *Item) bool { return p.q.Enqueue(unsafe.Pointer(it)) }

func (p pointers) TryPop() (*Item, bool) {
	it, ok := p.q.Dequeue()
	return (*Item)(it), ok
}

func (p pointers) Len() int { return 0 } // it has none
func (p pointers) Cap() int { return math.MaxInt }
