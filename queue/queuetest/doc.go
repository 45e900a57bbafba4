// Package queuetest tries to break queues: one suite of properties that anybody's
// queue can run, in the manner of testing/fstest and golang.org/x/net/nettest.
//
// A [Spec] says what a queue promises: how it is made, in which order items leave,
// who may push and pop, what "empty" and "full" mean. [Run] holds it to that. The
// items are the suite's own, of type *[Item]; a queue that is generic is
// instantiated with them, and one with other method names gets an adapter:
//
//	type adapter struct{ q *ring.Ring[*queuetest.Item] }
//
//	func (a adapter) TryPush(it *queuetest.Item) bool  { return a.q.Offer(it) }
//	func (a adapter) TryPop() (*queuetest.Item, bool)  { return a.q.Poll() }
//	func (a adapter) Len() int                         { return a.q.Size() }
//	func (a adapter) Cap() int                         { return a.q.Capacity() }
//
//	var spec = queuetest.Spec{
//		New:   func(capacity int) queuetest.Queue { return adapter{ring.New[*queuetest.Item](capacity)} },
//		Round: func(capacity int) int { return max(2, capacity) }, // it says so
//		Empty: queuetest.Loose,                                    // a stopped producer hides others' items
//		Full:  queuetest.Loose,
//	}
//
//	func TestRing(t *testing.T)      { queuetest.Run(t, spec) }
//	func FuzzRing(f *testing.F)      { queuetest.Fuzz(f, spec) }
//	func BenchmarkRing(b *testing.B) { queuetest.Benchmark(b, spec) }
//
// Run that with -race and -cpu=1,2,4 too. The example of Run is a whole one.
//
// # Properties
//
// Each is a subtest, and a failure says what was done and what is wrong with it.
// Which of them run depends on the Spec.
//
//   - Capacity: it is reached, not exceeded, and nothing is refused below it; with 1,
//     2, 3, odd numbers, several times around.
//   - Model: what pgregory.net/rapid makes up, with each answer judged; batches,
//     steals, removals, updates and the passing of time, if the queue has them.
//   - Wrap: counters wrap around at 16, 31, 32, 63 and 64 bits. Needs Spec.NewAt.
//   - Retention, RetentionConcurrent: what has left can be collected while the queue
//     lives, by weak pointers.
//   - Memory: a drained queue has given memory back. For Spec.Shrinks.
//   - Slack: mean and 99.9th percentile of a relaxed order's error.
//   - Fairness: no key is ahead of another by more than said. For Spec.Fairness.
//   - Progress: calls end.
//   - Conservation: nothing is lost, doubled, or comes from nowhere.
//   - Bound, Len: no moment with more than Cap items; no length below 0 or above what
//     there can be.
//   - Empty, Full: no such answer while an item, or room, was there all the time.
//   - Order: no item leaves before one that goes first and was there all the time.
//   - Linearizable: porcupine (github.com/anishathalye/porcupine) finds an order of the
//     calls in which a simple queue gives the same answers, for FIFO and LIFO. A
//     history that is not decided in time is a failure.
//   - ExactlyOnce, ProducerOrder: with many items, as fast as it goes; the race
//     detector sees whether the queue puts producer and consumer in order.
//   - Blocking/WakeUp, Close, Context, All, Due, ExactlyOnce: for Spec.NewBlocking, in
//     testing/synctest bubbles. Nobody waits for an item while there is one, contexts
//     end waits in time and lose nothing, close drains and wakes, and a loop over All
//     that is left loses nothing.
//
// Progress to Linearizable look at the same 20,000 histories of 40 to 200 calls by 2
// to 4 goroutines, a few of thousands, and more with GOMAN_QUEUETEST_SCALE.
//
// # Points
//
// Goroutines of a short test hardly ever meet in the few instructions that matter.
// A queue that calls a function at its synchronisation steps, and lets a test set it
// by Spec.Points, is tested orders of magnitude harder: half of the histories are
// recorded with a yield at every eighth of these points or so, the other half with
// one goroutine at a time, let go from point to point in a random order that a seed
// repeats. Points belong between the look at a state and the step that depends on
// it, never into a critical section.
//
//	var step atomic.Pointer[func()] // in a file with a build tag; without it, point is empty
//
//	func point() {
//		if f := step.Load(); f != nil {
//			(*f)()
//		}
//	}
//
// Such a test must not run in parallel with others that use the queue.
//
// # Settings
//
// GOMAN_QUEUETEST_SCALE multiplies what is done; 1 is the default, and -short and the
// race detector are a tenth each. GOMAN_QUEUETEST_SEED repeats what can be repeated:
// the histories of one goroutine at a time are the same with the same seed, the
// others depend on the scheduler. The flags of rapid, -rapid.checks and so on, are
// for Model.
//
// # What it does not tell
//
// A run that passes is no proof. Weak memory is the race detector's part, and other
// processors than yours are not tested. Bounds on time are for [Benchmark], and
// lock-freedom cannot be seen from outside: Progress only finds calls that do not
// end. Items are pointers: that a larger value is torn, only the race detector sees.
package queuetest
