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
