package core

import "unsafe"

// Scheduler decides which queued job starts next. It stores jobs; it does not
// run, count or refuse them, and it knows nothing of goroutines.
//
// The engine calls the methods of one scheduler one at a time, so a plain data
// structure is enough, and schedulers nest by calling each other. It calls them
// under its own lock, on whatever goroutine needs them. They must not block and
// must not call the engine or a future (the function given by WakerSetter
// excepted). They may call the methods of a Job; but Job.Deadline calls the context
// given to Submit, which is bound by the same rules then.
//
// Push must accept every job: capacity is counted by the engine, and a scheduler
// that refuses jobs for another reason is a Refuser. A Push that panics
// refuses the job, with an error that matches ErrPanicked, and the job never
// starts, even if it was stored. A Pop that panics counts as one that has nothing,
// a Claim as one that refuses. Each panic is logged. A method that calls
// runtime.Goexit may end the goroutine that called it, once; a job that was being
// pushed is refused then. A job that Pop returns without having been given it, or
// returns twice, is not run. What a forced stop cannot get out of a scheduler is
// handed back all the same.
//
// Every job that Pop has returned, or Claim has allowed, is followed by exactly
// one call of Completer.Completed, even if the engine drops it because it
// was cancelled in the meantime.
//
// The optional interfaces are Completer, Claimer, Sweeper, Resizer, WakerSetter,
// Refuser and Yielder. A whole scheduler in a few lines stands in the example.
type Scheduler interface {
	// Push stores job.
	Push(job Job)
	// Pop removes and returns the job that is to start next. It reports false
	// if none may start now, which need not mean that none is stored. worker
	// is the index of the slot that asks, from 0 to the largest number of
	// workers there has been, less one. The same slot may ask on different
	// goroutines, and the engine asks as 0 where it empties the queue.
	Pop(worker int) (Job, bool)
	// Len returns how many jobs are stored, dead entries included: see Sweeper.
	Len() int
}

// Completer is a Scheduler that wants to know when a job that left it is done
// with: has ended, is about to be pushed again, or was dropped. After the call
// the engine asks Pop again, so a scheduler may release a job by it.
type Completer interface {
	Completed(job Job)
}

// Claimer is a Scheduler with a say in a job that is about to run out of turn,
// on the goroutine that waits for it, while it is still stored. A Scheduler that
// is no Claimer is not asked; if it is a Completer, its jobs start by Pop alone.
type Claimer interface {
	// Claim reports whether job may start now. If so the scheduler must count
	// it as started; its stored entry is dead. The scheduler may drop the entry;
	// if Pop returns it all the same, the engine calls Completed for that once
	// more and does not run it. If not, holder is a job that has to end first,
	// if there is one: the engine uses it to find rings of tasks that wait for
	// each other.
	Claim(job Job) (holder Job, ok bool)
}

// Sweeper is a Scheduler that can remove jobs from its middle. Without it the
// entries of cancelled jobs stay until they are popped, and RejectDiscardOldest
// and RejectDisplaceLowest refuse the newcomer with ErrQueueFull.
type Sweeper interface {
	// Sweep calls drop for each stored job, the oldest first as far as that is
	// known, and removes those for which it returns true. drop must not be called
	// after Sweep has returned.
	Sweep(drop func(Job) bool)
}

// Resizer is a Scheduler that wants to know how many workers there are.
type Resizer interface {
	// Resized is called before the first Push and at each change.
	Resized(workers int)
}

// WakerSetter is a Scheduler whose jobs may become ready without a Push or a
// Completed, for instance by the passing of time.
type WakerSetter interface {
	// SetWaker is called before the first Push. wake may be called from any
	// goroutine, also from within the scheduler's methods; it never blocks.
	SetWaker(wake func())
}

// Refuser is a Scheduler that may refuse a task at the door.
type Refuser interface {
	// Refuse is called before the first Push of a job, when there is room for it or
	// another job would give its place up; with an error, none does. The error refuses
	// the job: it is the Reason of the *RefusedError that the submitter is given, and
	// Rejections.Refused counts it. A Refuse that panics refuses the job as a Push
	// that panics does. A job that is run again is not asked about.
	Refuse(job Job) error
}

// Yielder is a Scheduler that wants to know which of the jobs that have started hold
// no worker at the moment, because they wait for something inside: one that limits
// how many run at a time would otherwise hold back what they wait for.
type Yielder interface {
	// Yielded is called when job is about to wait and its worker is free for other
	// work. Where job runs another one in place, and that one waits, it is called for
	// both. After the call the engine asks Pop again.
	Yielded(job Job)
	// Resumed is called when job has a worker again, whatever the scheduler would
	// allow. It may come after Completed, if a goroutine that job has left behind was
	// waiting.
	Resumed(job Job)
}

// isNilScheduler reports whether s is not nil but holds a nil pointer.
func isNilScheduler(s Scheduler) bool {
	return s != nil && (*words)(unsafe.Pointer(&s)).data == nil
}

// sameWords reports whether a and b are the same interface value, without
// comparing what they hold, which might not be comparable.
func sameWords[I any](a, b I) bool {
	return *(*words)(unsafe.Pointer(&a)) == *(*words)(unsafe.Pointer(&b))
}
