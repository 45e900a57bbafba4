package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/uptutu/goman/queue"
)

// Producers wait for room, consumers for items; Close lets both come to an end.
func ExampleBlocking() {
	ring, err := queue.NewMPMC[int](8)
	if err != nil {
		panic(err)
	}
	q, err := queue.NewBlocking(ring)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()

	var consumers sync.WaitGroup
	sums := make([]int, 3)
	for i := range sums {
		consumers.Go(func() {
			for n := range q.All() {
				sums[i] += n
			}
		})
	}
	for n := range 1000 {
		if err := q.Push(ctx, n); err != nil {
			fmt.Println(err)
		}
	}
	q.Close()
	consumers.Wait()
	fmt.Println(sums[0] + sums[1] + sums[2])
	fmt.Println(errors.Is(q.Push(ctx, 1), queue.ErrClosed))
	// Output:
	// 499500
	// true
}

// A wait lasts no longer than its context.
func ExampleBlocking_Pop() {
	q, err := queue.NewBlocking(queue.NewUnbounded[int]())
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err = q.Pop(ctx)
	fmt.Println(err)
	// Output: context deadline exceeded
}

// A loop that is left early leaves the other items in the queue.
func ExampleBlocking_All() {
	q, err := queue.NewBlocking(queue.NewUnbounded[string]())
	if err != nil {
		panic(err)
	}
	for _, word := range []string{"one", "two", "stop", "three"} {
		q.TryPush(word)
	}
	for word := range q.All() {
		if word == "stop" {
			break
		}
		fmt.Println(word)
	}
	fmt.Println(q.Len(), "left")
	// Output:
	// one
	// two
	// 1 left
}

// A lock lets any goroutine use a queue that is for one at a time.
func ExampleLocked() {
	heap, err := queue.NewKeyHeap(func(e errand) int { return e.priority })
	if err != nil {
		panic(err)
	}
	errands, err := queue.NewLocked(heap)
	if err != nil {
		panic(err)
	}
	var guests sync.WaitGroup
	for _, e := range []errand{{"sweep", 9}, {"cook", 2}, {"serve", 3}} {
		guests.Go(func() { errands.TryPush(e) })
	}
	guests.Wait()
	first := make([]errand, 2)
	fmt.Println(first[:errands.PopAll(first)], "and", errands.Len(), "left")
	// Output: [{cook 2} {serve 3}] and 1 left
}

// With a lock in between, Pop sleeps until an item of a DelayQueue is due.
func ExampleBlocking_delayed() {
	itself := func(due time.Time) time.Time { return due }
	delayed, err := queue.NewDelayQueue(queue.DelayConfig[time.Time]{Due: itself})
	if err != nil {
		panic(err)
	}
	shared, err := queue.NewLocked(delayed)
	if err != nil {
		panic(err)
	}
	q, err := queue.NewBlocking(shared)
	if err != nil {
		panic(err)
	}
	q.TryPush(time.Now().Add(5 * time.Millisecond))
	due, err := q.Pop(context.Background())
	fmt.Println("early:", time.Now().Before(due), err)
	// Output: early: false <nil>
}
