package queue_test

import (
	"cmp"
	"fmt"
	"time"

	"github.com/uptutu/goman/queue"
)

type errand struct {
	name     string
	priority int
}

func ExampleLevels() {
	q, _ := queue.NewLevels(3, func(e errand) int { return e.priority })
	q.TryPush(errand{"sweep", 2})
	q.TryPush(errand{"cook", 1})
	q.TryPush(errand{"serve", 1})
	q.TryPush(errand{"put out the fire", 0})
	for e, ok := q.TryPop(); ok; e, ok = q.TryPop() {
		fmt.Println(e.name)
	}
	// Output:
	// put out the fire
	// cook
	// serve
	// sweep
}

func ExampleKeyHeap() {
	deadlines, _ := queue.NewKeyHeap(func(e errand) int { return e.priority })
	deadlines.TryPush(errand{"in the evening", 19})
	deadlines.TryPush(errand{"at dawn", 6})
	deadlines.TryPush(errand{"at noon", 12})
	first, _ := deadlines.Peek()
	fmt.Println(first.name, deadlines.Len())
	// Output: at dawn 3
}

func ExampleHeap() {
	h, _ := queue.NewHeap(func(a, b errand) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.name, b.name))
	})
	h.Push(errand{"cook", 2})
	sweep, _ := h.Push(errand{"sweep", 9})
	serve, _ := h.Push(errand{"serve", 3})

	h.Update(sweep, errand{"sweep", 1}) // guests are coming
	h.Remove(serve)                     // they serve themselves
	for e, ok := h.TryPop(); ok; e, ok = h.TryPop() {
		fmt.Println(e.name)
	}
	// Output:
	// sweep
	// cook
}

func ExampleMultiQueue() {
	// One lane keeps the order; more let more goroutines in at once.
	q, _ := queue.NewMultiQueue(1, func(e errand) int { return e.priority })
	q.TryPush(errand{"sweep", 9})
	q.TryPush(errand{"cook", 2})
	e, ok := q.TryPop()
	fmt.Println(e.name, ok)
	// Output: cook true
}

func ExampleDelayQueue() {
	noon := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	q, _ := queue.NewDelayQueue(queue.DelayConfig[string]{
		Tick: time.Second,
		Now:  func() time.Time { return noon }, // a test's clock; time.Now by default
	})
	q.Add("tea", noon.Add(5*time.Hour))
	q.Add("coffee", noon.Add(time.Hour))
	lunch, _ := q.Add("lunch", noon.Add(time.Minute))

	next, _ := q.NextDue()
	fmt.Println("look again at", next.Format(time.TimeOnly))
	q.Cancel(lunch)
	next, _ = q.NextDue()
	fmt.Println("look again at", next.Format(time.TimeOnly))

	_, early := q.PopDue(next.Add(-1))
	item, ok := q.PopDue(next)
	fmt.Println(early, item, ok)
	// Output:
	// look again at 12:01:00
	// look again at 13:00:00
	// false coffee true
}

func ExampleFair() {
	type request struct {
		tenant string
		bytes  int
	}
	q, _ := queue.NewFair(queue.FairConfig[string, request]{
		Key:     func(r request) string { return r.tenant },
		Cost:    func(r request) int { return r.bytes },
		Weight:  func(tenant string) int { return map[string]int{"gold": 2}[tenant] }, // others: 1
		Quantum: 100,
	})
	for range 6 {
		q.TryPush(request{"flood", 50})
	}
	for range 4 {
		q.TryPush(request{"gold", 100})
	}
	q.TryPush(request{"small", 10})
	for r, ok := q.TryPop(); ok; r, ok = q.TryPop() {
		fmt.Print(r.tenant, " ")
	}
	// Output: flood flood gold gold small flood flood gold gold flood flood
}
