package scheduler_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/queue"
	"github.com/uptutu/goman/scheduler"
)

// picky is a queue that takes no more than two jobs, and none of a certain name.
type picky struct{ queue.Queue[core.Job] }

func (q picky) TryPush(job core.Job) bool { return job.Name() != "unwanted" && q.Queue.TryPush(job) }

// What a queue does not take even when it is empty is not lost.
func TestFromQueue_Picky(t *testing.T) {
	s := must(scheduler.FromQueue(picky{must(queue.NewMPMC[core.Job](2))}))
	order := queued(t, s, func(e *core.Engine, l *runs) {
		for _, name := range []string{"a", "unwanted", "b", "unwanted", "c"} {
			must(core.SubmitWith(t.Context(), e, core.Attributes{Name: name}, l.task(name)))
		}
	})
	if want := []string{"a", "unwanted", "b", "unwanted", "c"}; !slices.Equal(order, want) {
		t.Errorf("ran %v, want %v", order, want)
	}
}

// A function that was queued twice does not look like a stack to a sweep.
func TestFromQueue_SweptSameFunction(t *testing.T) {
	s := must(scheduler.FromQueue(must(queue.NewMPMC[core.Job](512))))
	var order []string
	again := func() { order = append(order, "again") }
	queued(t, s, func(e *core.Engine, l *runs) {
		for range 2 {
			if err := e.Go(again); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"a", "b"} {
			if err := e.Go(func() { order = append(order, name) }); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			must(core.Submit(t.Context(), e, l.task("cancelled"))).Cancel()
		}
	})
	if want := []string{"again", "again", "a", "b"}; !slices.Equal(order, want) {
		t.Errorf("ran %v, want %v", order, want)
	}
}

// tired is a queue that takes n jobs, and then no more.
type tired struct {
	queue.Queue[core.Job]
	left int
}

func (q *tired) TryPush(job core.Job) bool {
	if q.left == 0 {
		return false
	}
	q.left--
	return q.Queue.TryPush(job)
}

// A sweep that cannot put back what it took out of the queue loses nothing.
func TestFromQueue_SweptAndTired(t *testing.T) {
	const n = 200
	q := &tired{queue.NewDeque[core.Job](), n + 50}
	s := must(scheduler.FromQueue(q))
	order := queued(t, s, func(e *core.Engine, l *runs) {
		for i := range n {
			f := must(core.Submit(t.Context(), e, l.task(fmt.Sprint(i))))
			if i%4 != 0 {
				defer f.Cancel()
			}
		}
	})
	if len(order) != n/4 {
		t.Errorf("%d have run, want %d", len(order), n/4)
	}
}
