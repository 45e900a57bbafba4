package core

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A queue to whose front jobs are put back keeps the order, across segments.
func TestFifo_PushFront(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var q fifo
	q.init()
	var model []Job
	for range 3000 {
		switch n := random.IntN(100); random.IntN(3) {
		case 0:
			for range n {
				job := jobOf(new(record))
				q.push(job)
				model = append(model, job)
			}
		case 1:
			jobs := make([]Job, n)
			jobs = jobs[:q.popAll(jobs)]
			if !slices.Equal(jobs, model[:len(jobs)]) {
				t.Fatal("wrong jobs")
			}
			model = model[len(jobs):]
			back := jobs[random.IntN(len(jobs)+1):]
			q.pushFront(back)
			model = slices.Concat(back, model)
		case 2:
			if len(model) > 0 && q.popNewest(model[len(model)-1]) {
				model = model[:len(model)-1]
			}
		}
		if q.count != len(model) {
			t.Fatalf("%d entries, want %d", q.count, len(model))
		}
	}
	for _, job := range model {
		if q.pop() != job {
			t.Fatal("wrong order")
		}
	}
}

// Slots that are given up put their batches back in the order in which the jobs
// were submitted, whichever is first.
func TestFlush_KeepsTheOrderOfSeveralSlots(t *testing.T) {
	for first := range 3 {
		e, err := New(WithWorkers(3), WithQueueCapacity(1000))
		if err != nil {
			t.Fatal(err)
		}
		var want []Job
		for range 300 {
			job := jobOf(new(record))
			want = append(want, job)
			e.in.queue.push(job)
		}
		e.lot.mu.Lock()
		slots := []*slot{e.lot.takeSlot(), e.lot.takeSlot(), e.lot.takeSlot()}
		e.lot.mu.Unlock()
		for _, i := range []int{1, 2, 0} {
			slots[i].fill(&e.in.queue, 50)
		}
		child := jobOf(new(record))
		slots[first].children = append(slots[first].children, child)
		for i := range slots {
			e.flush(slots[(first+i)%3])
		}
		var got []Job
		for e.in.queue.count > 0 {
			got = append(got, e.in.queue.pop())
		}
		if !slices.Equal(got, append(want, child)) {
			t.Errorf("slot %d first: the order has changed", first)
		}
	}
}
