package queue_test

import (
	"errors"
	"fmt"
	"sync"

	"github.com/uptutu/goman/queue"
)

// A bounded queue refuses what does not fit, and says so at once.
func ExampleMPMC() {
	q, err := queue.NewMPMC[string](2)
	if err != nil {
		panic(err)
	}
	for _, name := range []string{"ann", "bob", "cid"} {
		fmt.Println(name, q.TryPush(name))
	}
	name, ok := q.TryPop()
	fmt.Println(name, ok, "and", q.Len(), "of", q.Cap(), "are left")
	// Output:
	// ann true
	// bob true
	// cid false
	// ann true and 1 of 2 are left
}

// Batches take several places in one step.
func ExampleMPMC_PushAll() {
	q, err := queue.NewMPMC[int](3)
	if err != nil {
		panic(err)
	}
	fmt.Println("stored:", q.PushAll([]int{1, 2, 3, 4, 5}))
	into := make([]int, 10)
	fmt.Println("popped:", into[:q.PopAll(into)])
	// Output:
	// stored: 3
	// popped: [1 2 3]
}

// Errors say what is allowed.
func ExampleNewMPMC() {
	_, err := queue.NewMPMC[int](0)
	fmt.Println(errors.Is(err, queue.ErrCapacity))
	fmt.Println(err)
	// Output:
	// true
	// queue: invalid argument: capacity of MPMC is 0, allowed are 1 to 1073741824
}

// A queue without a limit takes a flood, and gives the memory back afterwards.
func ExampleUnbounded() {
	q := queue.NewUnbounded[int]()
	var producers sync.WaitGroup
	for range 4 {
		producers.Go(func() {
			for i := range 10_000 {
				q.TryPush(i)
			}
		})
	}
	producers.Wait()
	fmt.Println(q.Len())
	sum := 0
	for i, ok := q.TryPop(); ok; i, ok = q.TryPop() {
		sum += i
	}
	fmt.Println(sum)
	// Output:
	// 40000
	// 199980000
}

// One goroutine pushes, another pops.
func ExampleSPSC() {
	q, err := queue.NewSPSC[byte](4)
	if err != nil {
		panic(err)
	}
	q.PushAll([]byte("ping"))
	into := make([]byte, 4)
	fmt.Printf("%s\n", into[:q.PopAll(into)])
	// Output: ping
}

// A mailbox: anybody writes, one reads.
func ExampleMPSC() {
	mailbox := queue.NewMPSC[string]()
	var writers sync.WaitGroup
	for _, letter := range []string{"from Ann", "from Bob"} {
		writers.Go(func() { mailbox.TryPush(letter) })
	}
	writers.Wait()
	letters := 0
	for _, ok := mailbox.TryPop(); ok; _, ok = mailbox.TryPop() {
		letters++
	}
	fmt.Println(letters)
	// Output: 2
}

// The owner works on what it pushed last, thieves take what has waited longest.
func ExampleDeque() {
	d := queue.NewDeque[string]()
	d.PushAll([]string{"a", "b", "c", "d", "e"})

	stolen := make([]string, 10)
	fmt.Println("stolen:", stolen[:d.StealHalf(stolen)])

	own, _ := d.TryPop()
	fmt.Println("own:", own)
	// Output:
	// stolen: [a b c]
	// own: e
}
