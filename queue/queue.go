package queue

// Queue is what all queues of this package have in common. Nothing in it waits for an
// item or for room.
//
// Which goroutines may call what, in which order items leave, and what a refusal
// means is told by each implementation.
type Queue[T any] interface {
	// TryPush stores an item. It reports false if the queue is full.
	TryPush(item T) bool

	// TryPop removes the next item. It reports false if there is none.
	TryPop() (item T, ok bool)

	// Len returns how many items are stored. It is exact if nobody else uses the queue;
	// otherwise items that come or leave during the call may count or not. It is
	// never negative and never more than Cap.
	Len() int

	// Cap returns how many items the queue can hold, or math.MaxInt if it has no
	// limit but memory.
	Cap() int
}
