package coretest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/uptutu/goman/core"
)

// order is the Scheduler of a Stepper. Pop gives out one job each time that it was
// opened. It has a mutex of its own because Step does not hold the engine's lock.
type order struct {
	random  *rand.Rand
	wake    func()
	changed chan struct{} // has room for one: something was queued or has ended

	// Guarded by mu.
	mu     sync.Mutex
	jobs   []core.Job // in the order in which they were pushed
	opened bool       // the next Pop may have one
	out    bool       // it has had it
	trace  []string
}

func newOrder(seed uint64) *order {
	return &order{random: rand.New(rand.NewPCG(seed, seed)), changed: make(chan struct{}, 1)}
}

// open lets one job out.
func (o *order) open() {
	o.mu.Lock()
	o.opened, o.out = len(o.jobs) > 0, false
	wake := o.opened
	o.mu.Unlock()
	if wake {
		o.wake()
	}
}

// shut ends that and reports whether one was let out.
func (o *order) shut() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opened = false
	return o.out
}

// Push stores job.
func (o *order) Push(job core.Job) {
	o.mu.Lock()
	o.jobs = append(o.jobs, job)
	o.mu.Unlock()
	o.signal()
}

// Pop draws a job, once after each open.
func (o *order) Pop(int) (core.Job, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.opened || len(o.jobs) == 0 {
		return core.Job{}, false
	}
	o.opened, o.out = false, true
	i := o.random.IntN(len(o.jobs))
	job := o.jobs[i]
	o.jobs = slices.Delete(o.jobs, i, i+1)
	return job, true
}

// Len returns how many jobs are stored.
func (o *order) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.jobs)
}

// Claim allows every task to run what it awaits, and drops the entry. Only tasks ask:
// who awaits from outside never runs what a user's scheduler stores.
func (o *order) Claim(job core.Job) (core.Job, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.remove(job)
	return core.Job{}, true
}

// Sweep removes jobs, the oldest first.
func (o *order) Sweep(drop func(core.Job) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.jobs = slices.DeleteFunc(o.jobs, drop)
}

// SetWaker keeps the function that makes the engine call Pop.
func (o *order) SetWaker(wake func()) { o.wake = wake }

func (o *order) hooks() core.Hooks {
	return core.Hooks{
		Started: o.started,
		Retried: func(core.RetryInfo) { o.signal() },
		Ended:   o.ended,
	}
}

func (o *order) started(job core.Job) {
	name := job.Name()
	if n := job.Attempt(); n > 0 {
		name = fmt.Sprintf("%s#%d", name, n)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.trace) < TraceLimit {
		o.trace = append(o.trace, name)
	}
}

// ended drops the entry of a job that ended while it was queued: no step is to be
// spent on it. Only those that can be told apart end so; a plain function, which may
// be stored twice, cannot be cancelled.
func (o *order) ended(info core.EndInfo) {
	if info.Outcome == core.OutcomeCanceled || info.Outcome == core.OutcomeTimedOut {
		o.mu.Lock()
		o.remove(info.Job)
		o.mu.Unlock()
	}
	o.signal()
}

// remove removes the entry of job, if there is one. The caller holds o.mu.
func (o *order) remove(job core.Job) {
	if i := slices.Index(o.jobs, job); i >= 0 {
		o.jobs = slices.Delete(o.jobs, i, i+1)
	}
}

func (o *order) signal() {
	select {
	case o.changed <- struct{}{}:
	default:
	}
}
