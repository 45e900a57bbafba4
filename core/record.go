package core

import (
	"context"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/uptutu/goman/core/internal/point"
)

// A record is the part of a Future that does not depend on its type: what the
// engine queues, claims, runs and resolves.
//
// Its state word has one phase, two flags, and the number of the worker that
// runs it. The phases and who may change them:
//
//	queued     -> running    claim: the goroutine whose compare-and-swap wins
//	queued     -> resolving  cancel, queue limit, discard, shutdown: the same
//	delayed    -> queued     the delay is over (again.go)
//	delayed    -> resolving  cancel, shutdown
//	running    -> resolving  the goroutine that ran it, after Execute
//	running    -> done       the same, if it ended well and nobody asks
//	running    -> abandoned  shutdown, which counts it at the same moment
//	resolving  -> abandoned  the same, of one that is to be run again
//	resolving  -> done       whoever made it resolving; value and error are
//	                         written before
//	resolving  -> delayed    the goroutine that ran it, to run it again
//
// Whoever wins a transition out of queued owns the record's result: that is
// what makes a task start at most once and resolve exactly once. If the result
// were written after the step to done, waiters could read half of it; if claim
// were a store and no compare-and-swap, a worker and a waiter could both run it.
type record struct {
	state  atomic.Uint64
	origin *origin // immutable: what it shares with others
	extra  atomic.Pointer[extra]
	// work is the data word of the task, until the record is resolved; then it is
	// nil, or points to the failure that ended it. It belongs to whoever may take
	// the next step, and to everybody once the record is done.
	work unsafe.Pointer
}

// origin is what a task was submitted with, apart from itself. The tasks of one
// SubmitAll share one; the tasks that were submitted with context.Background
// share that of their kind.
type origin struct {
	kind   *kind
	up     atomic.Pointer[record] // the task in which it was submitted, while that matters
	parent contextRef             // the context given to Submit, until the task has ended
	batch  atomic.Int32           // how many tasks of a batch have not ended; 0 for a single task
	below  atomic.Uint32          // how many origins are linked to it, and flags (origin.go)
}

// kind is what the tasks of one type have in common in one engine.
type kind struct {
	origin // of those that were submitted with context.Background
	engine *Engine
	body   unsafe.Pointer // type word of the Future as a body
	task   unsafe.Pointer // type word of the task as a Task[T]
	name   string         // the name of the task's type
	brings bool           // it has methods that tell attributes
	told   bool           // it is a JobExecutor
}

// failure is the error of a record that is resolved. To keep it behind a pointer
// costs an allocation where a task fails, and saves two words where it does not.
type failure struct{ err error }

// body is what the engine needs of a Future without knowing its type.
type body interface {
	execute(ctx context.Context) error // runs the task, keeps its value
	task() any                         // the task, until the record is resolved
	dropValue()                        // forgets what an earlier run has left

	// resubmit returns a function that submits the task elsewhere.
	resubmit() func(context.Context, *Engine, Attributes) error
}

// body returns the typed half of the record: the Future that embeds it. The
// record is the Future's first field, so the interface's data word is the record
// itself, and its type word is the same for all of a kind.
func (r *record) body() body {
	w := words{r.origin.kind.body, unsafe.Pointer(r)}
	return *(*body)(unsafe.Pointer(&w))
}

func (r *record) engine() *Engine { return r.origin.kind.engine }

// setResult keeps err for a record that is about to be done, and forgets the task.
func (r *record) setResult(err error) {
	if err == nil {
		r.work = nil
		return
	}
	r.work = unsafe.Pointer(&failure{err})
}

// result returns the error of a record that is done.
func (r *record) result() error {
	if r.work == nil {
		return nil
	}
	return (*failure)(r.work).err
}

const (
	phaseQueued uint64 = iota // the zero value: a record is born queued
	phaseDelayed
	phaseRunning
	phaseResolving
	phaseDone
	phaseAbandoned
	phaseMask uint64 = 7

	// flagObserved: somebody waits, has registered a callback, or has made the
	// context that merges all cancellations; whoever resolves must look into extra.
	flagObserved uint64 = 1 << 3
	// flagBusy: a goroutine with the task's context is inside a call of the
	// engine that uses the task's slot (wait.go).
	flagBusy uint64 = 1 << 4
	// flagPerformed: the interceptors have called the task itself.
	flagPerformed uint64 = 1 << 5
	// flagAgain: in phase resolving, the next phase is delayed.
	flagAgain uint64 = 1 << 6

	workerShift = 32
)

func phase(state uint64) uint64   { return state & phaseMask }
func ended(state uint64) bool     { return phase(state) >= phaseDone }
func runner(state uint64) uint32  { return uint32(state >> workerShift) }
func flagsOf(state uint64) uint64 { return state & flagObserved }

// claim takes a queued record for worker w. It reports whether this call won.
func (r *record) claim(w *worker) bool {
	for {
		old := r.state.Load()
		if phase(old) != phaseQueued {
			return false
		}
		point.At(point.Claim)
		if !point.Fail(point.Claim) && r.state.CompareAndSwap(old, phaseRunning|flagsOf(old)|uint64(w.id)<<workerShift) {
			return true
		}
	}
}

// retire takes a record that does not run, in phase from, so that the caller
// can resolve it without running it.
func (r *record) retire(from uint64) bool {
	for {
		old := r.state.Load()
		if phase(old) != from {
			return false
		}
		point.At(point.Retire)
		if !point.Fail(point.Retire) && r.state.CompareAndSwap(old, phaseResolving|flagsOf(old)) {
			return true
		}
	}
}

// leave ends the running phase after Execute has returned. It reports false if
// the record was abandoned, and whether another goroutine with the task's
// context is inside a call that uses the slot. mark is flagAgain or zero.
func (r *record) leave(mark uint64) (busy, ok bool) {
	for {
		old := r.state.Load()
		if phase(old) != phaseRunning {
			return old&flagBusy != 0, false
		}
		point.At(point.Resolve)
		if !point.Fail(point.Resolve) && r.state.CompareAndSwap(old, old&^phaseMask|phaseResolving|mark) {
			return old&flagBusy != 0, true
		}
	}
}

// abandon gives up a running record with verdict, or one that has returned and is
// about to be delayed: nobody would run it again, or hand it back in time. The caller
// holds all locks.
func (r *record) abandon(verdict error) bool {
	x := r.needExtra()
	x.mu.Lock()
	x.verdict = &failure{verdict}
	x.mu.Unlock()
	for {
		old := r.state.Load()
		if phase(old) != phaseRunning && (phase(old) != phaseResolving || old&flagAgain == 0) {
			return false
		}
		if r.state.CompareAndSwap(old, old&^(phaseMask|flagAgain)|phaseAbandoned) {
			return true
		}
	}
}

// extra is what most tasks never need: attributes, waiters, callbacks, a
// context that can be cancelled, timers. It is allocated when first asked for.
type extra struct {
	attrs    *Attributes // immutable after Submit
	attempts atomic.Int32
	expired  atomic.Bool               // the run limit has passed
	runLimit time.Duration             // the limit in force while it runs
	runEnd   atomic.Pointer[time.Time] // when it passes

	mu        point.Mutex
	waiters   []*waiter
	callbacks []func()
	calling   bool          // a goroutine is running callbacks
	done      chan struct{} // closed when resolved
	verdict   *failure      // of an abandoned task
	values    map[any]any   // see Job.SetValue
	timer     *time.Timer   // queue limit, delay or run limit, whichever is on
	unwatch   func() bool   // stops watching the parent while queued
	idle      chan struct{} // closed when no call uses the slot any more
	requeued  chan struct{} // closed when it is pushed to be run again (ring.go)

	// The merged context of the first run, made when somebody asks for Done
	// (merged.go), and the context of the present run, from the second on.
	inner atomic.Pointer[mergedContext]
	again atomic.Pointer[attemptContext]
	// Why the task was cancelled while it ran: by the first Cancel, or because
	// of its run limit.
	cause atomic.Pointer[error]
}

// waiter is one goroutine that waits for something; the channel has room for
// its one signal. Waiters are pooled by the engine.
type waiter struct{ signal chan struct{} }

func (r *record) needExtra() *extra {
	if x := r.extra.Load(); x != nil {
		return x
	}
	x := new(extra)
	if r.extra.CompareAndSwap(nil, x) {
		return x
	}
	return r.extra.Load()
}

func (r *record) attributes() *Attributes {
	if x := r.extra.Load(); x != nil {
		return x.attrs
	}
	return nil
}

func (r *record) name() string {
	if a := r.attributes(); a != nil && a.Name != "" {
		return a.Name
	}
	return r.origin.kind.name
}

// reject returns the policy for this task.
func (r *record) reject() RejectPolicy {
	if a := r.attributes(); a != nil {
		return a.Reject
	}
	return rejectDefault
}

// limits returns the task's limits, where c is in force; zero for none.
func (r *record) limits(c *Config) (queue, run time.Duration) {
	queue, run = c.QueueLimit, c.RunLimit
	if a := r.attributes(); a != nil {
		if a.QueueLimit != 0 {
			queue = max(a.QueueLimit, 0)
		}
		if a.RunLimit != 0 {
			run = max(a.RunLimit, 0)
		}
	}
	return queue, run
}

// setTimer replaces the record's timer if it is still in the phase for which
// the timer is meant.
func (r *record) setTimer(in uint64, d time.Duration, fire func()) {
	x := r.needExtra()
	x.mu.Lock()
	defer x.mu.Unlock()
	if phase(r.state.Load()) != in {
		return
	}
	if x.timer != nil {
		x.timer.Stop()
	}
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		x.mu.Lock()
		current := x.timer == timer // not stopped after it had begun to fire
		x.mu.Unlock()
		if current {
			fire()
		}
	})
	x.timer = timer
}

// stopTimer stops whatever timer is on.
func (r *record) stopTimer() {
	x := r.extra.Load()
	if x == nil {
		return
	}
	x.mu.Lock()
	if x.timer != nil {
		x.timer.Stop()
		x.timer = nil
	}
	x.mu.Unlock()
}
