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
