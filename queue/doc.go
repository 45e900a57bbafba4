// Package queue holds queues as data structures: each a concrete type with one
// contract, [Queue], usable without an engine.
//
// # Which one
//
//   - [MPMC]: bounded, any number of producers and consumers. The default.
//   - [Unbounded]: the same without a limit.
//   - [SPSC]: bounded, one producer and one consumer; the fastest.
//   - [MPSC]: without a limit, one consumer; a mailbox.
//   - [Deque]: an owner that works last in, first out, and thieves.
//   - [Levels]: strict priority over a few levels, at the same cost at any depth.
//   - [KeyHeap]: by a number or a string; [Heap]: in any order, with removal and change.
//   - [MultiQueue]: by a number or a string, nearly, for many goroutines at once.
//   - [DelayQueue]: each item when it is due.
//   - [Fair]: keys in turn, each a share by its weight.
//   - [Locked]: makes any queue usable by many goroutines, one at a time.
//   - [Blocking]: lets goroutines wait for an item or for room, with a context, and
//     closes a queue. It goes around any of the others but Deque, with a Locked in
//     between where one goroutine at a time may use them.
//
// A buffered channel is simpler, and can be used in a select. These cost about 0.4
// of one for an item, 0.6 with Blocking (BenchmarkTry, BenchmarkBlocking), take
// batches, and need not have a limit.
//
// # Put together
//
// A queue that wakes those who wait is one of the kinds with Blocking around it, and
// with Locked in between if that kind is for one goroutine at a time:
//
//	heap, err := queue.NewHeap(byUrgency)  // compares two jobs
//	locked, err := queue.NewLocked(heap)   // not needed for MPMC, Unbounded, MultiQueue
//	jobs, err := queue.NewBlocking(locked) // jobs.Push(ctx, job), jobs.Pop(ctx), jobs.All()
//
// # What they promise
//
// A method that begins with Try never waits for an item, or for room. The kinds
// without a lock say of each method whether it is wait-free (it ends after a bounded
// number of its own steps), lock-free (somebody always gets on), or neither; and what
// a refusal means while others are in the middle of a call, which is not the same for
// all. What one goroutine has written before a push is seen by the one that pops the
// item. [Locked], [MultiQueue] and, while somebody sleeps, [Blocking] take a lock,
// which is held for the time of one call at most.
//
// Counters are 64 bits wide and may wrap around. Removed items are never kept alive.
// All kinds are to be made by their constructors, must not be copied, and are not
// closed or released: the garbage collector does that. A function that is given to a
// constructor must not use the queue. If it panics, the call panics with that and has
// changed nothing, but for the items before it in a batch.
package queue
