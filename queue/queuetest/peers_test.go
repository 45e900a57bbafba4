package queuetest

import (
	"math"
	"math/bits"
	"slices"
	"testing"

	"github.com/gammazero/deque"
	"github.com/puzpuzpuz/xsync/v4"
)

// TestPeers runs the suite on queues of others, each as its documentation describes
// it, so that the suite is not made to measure for goman's own.
func TestPeers(t *testing.T) {
	for name, s := range map[string]Spec{
		"xsync.MPMCQueue":       xsyncMPMCSpec(),
		"xsync.SPSCQueue":       {New: newXsyncSPSC, Producers: One, Consumers: One, NoLen: true},
		"gammazero/deque, FIFO": {New: func(int) Queue { return &ends{} }, Sequential: true, Unbounded: true, Shrinks: true},
		"gammazero/deque, LIFO": {
			New:   func(int) Queue { return &ends{stack: true} },
			Order: LIFO, Sequential: true, Unbounded: true, Shrinks: true,
		},
	} {
		t.Run(name, func(t *testing.T) { run(tester{t}, &s, small(0.1)) })
	}
}

// xsyncMPMCSpec: a call that loses a race for a slot fails as if there were none.
func xsyncMPMCSpec() Spec {
	return Spec{New: newXsyncMPMC, Empty: Loose, Full: Loose, NoLen: true, Round: xsyncCapacity}
}

// xsyncCapacity is the next power of two, as its documentation says.
func xsyncCapacity(n int) int { return 1 << bits.Len(uint(n-1)) }

// TestPeers_Described describes a queue as what it is not.
func TestPeers_Described(t *testing.T) {
	s := xsyncMPMCSpec()
	s.Round = nil
	rec := newRecorder(t)
	run(rec, &s, small(0.05))
	for _, want := range []string{"Capacity", "Model", "Bound"} {
		if !slices.Contains(rec.names(), want) {
			t.Errorf("with exact capacities %s has not failed; what has: %v", want, rec.names())
		}
	}
}

type xsyncMPMC struct {
	q        *xsync.MPMCQueue[*Item]
	capacity int
}

func newXsyncMPMC(capacity int) Queue {
	return xsyncMPMC{xsync.NewMPMCQueue[*Item](capacity), xsyncCapacity(capacity)}
}

func (x xsyncMPMC) TryPush(it *Item) bool { return x.q.TryEnqueue(it) }
func (x xsyncMPMC) TryPop() (*Item, bool) { return x.q.TryDequeue() }
func (x xsyncMPMC) Len() int              { return 0 } // it has none
func (x xsyncMPMC) Cap() int              { return x.capacity }

type xsyncSPSC struct {
	q        *xsync.SPSCQueue[*Item]
	capacity int
}

func newXsyncSPSC(capacity int) Queue {
	return xsyncSPSC{xsync.NewSPSCQueue[*Item](capacity), capacity}
}

func (x xsyncSPSC) TryPush(it *Item) bool { return x.q.TryEnqueue(it) }
func (x xsyncSPSC) TryPop() (*Item, bool) { return x.q.TryDequeue() }
func (x xsyncSPSC) Len() int              { return 0 } // it has none
func (x xsyncSPSC) Cap() int              { return x.capacity }

// ends is a deque used at both ends, or at one.
type ends struct {
	q     deque.Deque[*Item]
	stack bool
}

func (e *ends) TryPush(it *Item) bool {
	e.q.PushBack(it)
	return true
}

func (e *ends) TryPop() (*Item, bool) {
	switch {
	case e.q.Len() == 0:
		return nil, false
	case e.stack:
		return e.q.PopBack(), true
	}
	return e.q.PopFront(), true
}

func (e *ends) Len() int { return e.q.Len() }
func (e *ends) Cap() int { return math.MaxInt }
