//go:build goman_points

package queue

import (
	"testing"

	"github.com/uptutu/goman/queue/internal/point"
)

// An item that comes and goes between the two looks: sizes alone do not tell, the
// count of pushes does.
func TestMultiQueue_E_QUE_14_PushAndPopBetweenTheLooks(t *testing.T) {
	q := made(NewMultiQueue(4, itself))
	inside := false
	point.Set(func() {
		if !inside {
			inside = true
			q.TryPush(1)
			q.TryPop()
		}
	})
	defer point.Set(nil)
	if q.empty() {
		t.Error("a push between the looks is not seen")
	}
	if !q.empty() {
		t.Error("an empty queue is not")
	}
}

// The only item is taken by another goroutine at any point of a pop that looks for it:
// one of the two gets it, and the other nothing.
func TestMultiQueue_E_QUE_14_TakenFromUnderIt(t *testing.T) {
	const lanes = 64 // most pops look through all of them, from any on
	for i := range 20 * lanes {
		q := made(NewMultiQueue(lanes, itself))
		q.TryPush(7)
		var items [2]int
		var got [2]bool
		between(1+i%(lanes+multiTries+2), func() { items[0], got[0] = q.TryPop() }, func() { items[1], got[1] = q.TryPop() })
		if got[0] == got[1] || items[0]+items[1] != 7 || q.Len() != 0 {
			t.Fatalf("popped %v, %v", items, got)
		}
	}
}
