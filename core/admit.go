package core

import (
	"context"
	"math"
	"sync/atomic"

	"github.com/uptutu/goman/core/internal/point"
)

// This file alone lets jobs in or refuses them.
//
// Capacity is counted in units, one for each accepted job that has not started.
// At every instant
//
//	room + credits of all slots + queued jobs = capacity
//
// where room is kept by the intake and a slot's credit are the units it got
// back by starting jobs and has not returned yet. Children take their unit from
// their slot's credit, so a tree of tasks runs without touching the intake. A slot
// that may get credit is listed as an earner before it does (room.go).
// Only when room looks used up are the credits gathered. As long as somebody
// waits for room, or the queue was just seen full, the engine is "hungry":
// slots then return each unit at once, and it goes to the first who waits.
// Hungry is announced before the credits are gathered, and slots look at it
// after they have counted a start, under the same mutex that the gathering
// takes: a unit is either gathered or returned.
//
// A job that was stored by force (a task to be run again) may drive room below
// zero; then nobody gets in until that many have started.

// intake is where jobs enter.
type intake struct {
	_        [64]byte
	mu       point.Mutex
	closed   bool
	room     int // free units
	capacity int // -1 for unbounded
	accepted uint64
	queue    fifo // the built-in scheduler's shared queue
	visible  atomic.Bool
	watchers atomic.Int32 // submitters that look for room again and again (room.go)
	thin     atomic.Bool  // the shared queue was at most half full when a batch was last taken
	_        [64]byte

	scheduler Scheduler // the user's, or nil
	optional  optional
	dead      int // entries that were cancelled or claimed in place and are still stored, about
	look      int // how many there have to be for the next look at the slots

	earners []*slot // the slots that may have credit (room.go)

	first, last *blockedJob // who waits for room, in order
	blocked     int
	delayed     map[*record]struct{}
	held        bool // delayed jobs are handed back, not run again
}

// lock takes mu. It is held for tens of nanoseconds at a time by whoever submits
// or takes a batch, so whoever finds it taken looks again a few times, ever more
// rarely, before sync.Mutex puts the goroutine to sleep: with many goroutines
// waiting to run, that one never looks twice. See BenchmarkGo.
func (in *intake) lock() {
	for turns := 8; turns <= 64; turns *= 2 {
		if in.mu.TryLock() {
			return
		}
		pause(turns)
	}
	in.mu.Lock()
}

const manyUnits = math.MaxInt / 4

type reason int

const (
	reasonInvalid reason = iota
	reasonClosed
	reasonContext
	reasonFull
	reasonDiscard
	reasonScheduler
	reasonInternal
	reasons
)

// refuse counts a refusal and returns it as an error. The function that submits
// tells the hooks: see Engine.refused.
func (e *Engine) refuse(why reason, err error) error {
	if t, ok := err.(*refuserError); ok {
		why, err = reasonScheduler, t.error
	}
	e.rejected[why].Add(1)
	return e.refusal(err)
}

// refusal is the error of a call that e, which was made by New, refuses for reason.
func (e *Engine) refusal(reason error) *RefusedError {
	return &RefusedError{Engine: e.name, Capacity: e.settings.Load().QueueCapacity, Reason: reason}
}

// refuseEnded is refuse for a submitter whose context has ended.
func (e *Engine) refuseEnded(ctx context.Context) error {
	e.rejected[reasonContext].Add(1)
	own, cause := whyGivenUp(ctx)
	err := e.refusal(cause)
	err.own = own
	return err
}

// admission is one call of Submit and its like, on its way in.
type admission struct {
	ctx    context.Context // nil: wait without end
	job    Job
	policy RejectPolicy
	task   *record // the task of this engine that submits; nil outside
	worker *worker // its worker

	function  bool    // job is a function, even if it has a record
	submitter *record // the task that submits, of whatever engine
}

// admit accepts a.job or refuses it. A nil error means that it is accepted, and
// perhaps already resolved.
func (e *Engine) admit(a *admission) error {
	if a.worker != nil && e.in.scheduler == nil {
		if done, err := e.admitChild(a); done {
			return err
		}
	}
	in := &e.in
	point.At(point.Admit)
	in.lock()
	if in.closed && !e.acceptsChild(a) {
		in.mu.Unlock()
		return e.refuse(reasonClosed, ErrClosed)
	}
	if in.first == nil && (in.room > 0 || e.glean()) {
		err := e.store(a.job)
		in.mu.Unlock()
		if err != nil {
			return e.refuse(reasonInternal, err)
		}
		e.notify()
		return nil
	}
	in.mu.Unlock()
	return e.admitFull(a)
}

// acceptsChild reports whether a may enter although the engine drains.
func (e *Engine) acceptsChild(a *admission) bool {
	return a.worker != nil && e.signal.Load()&signalStopping == 0 && e.settings.Load().AcceptChildren
}

// store takes a unit and stores job. The caller holds in.mu.
func (e *Engine) store(job Job) error {
	in := &e.in
	if in.scheduler != nil {
		if err := e.schedPush(job); err != nil {
			return err
		}
	} else {
		in.queue.push(job)
	}
	point.At(point.Stored)
	e.countStored()
	return nil
}

// countStored counts a job that was stored. The caller holds in.mu.
func (e *Engine) countStored() {
	in := &e.in
	in.room--
	in.accepted++
	if !in.visible.Load() {
		in.visible.Store(true)
	}
}

// storeFor is store for the job of somebody who waits.
func (e *Engine) storeFor(job Job) error {
	if e.in.scheduler == nil {
		return e.store(job)
	}
	err := e.schedPushFor(job)
	if err == nil {
		e.countStored()
	}
	return err
}

// storeAll is store for n jobs, for which there is room. It returns how many it
// stored. The caller holds in.mu.
func (e *Engine) storeAll(n int, jobs jobList) (stored int, err error) {
	in := &e.in
	if in.scheduler != nil {
		for i := range n {
			if err := e.store(jobs.at(i)); err != nil {
				return i, err
			}
		}
		return n, nil
	}
	if jobs.fns != nil {
		in.queue.pushFuncs(jobs.fns[:n])
	} else {
		for _, r := range jobs.records[:n] {
			in.queue.push(jobOf(r))
		}
	}
	in.room -= n
	in.accepted += uint64(n)
	in.visible.Store(true)
	return n, nil
}

// admitChild stores a child in the slot of the task that submits it. It reports
// done = false if the child has to go the common way.
func (e *Engine) admitChild(a *admission) (done bool, err error) {
	var one jobList
	if r := a.job.record(); r != nil {
		one.records = []*record{r}
	} else {
		one.fns = []func(){a.job.function()}
	}
	n, err := e.admitChildren(a, one)
	return n == 1 || err != nil, err
}

// admitChildren stores as many children as get a unit in the slot of the task that
// submits them, so that the first of them is the newest, and is started first.
func (e *Engine) admitChildren(a *admission, jobs jobList) (n int, err error) {
	s := a.worker.slot.Load()
	if s == nil {
		return 0, nil
	}
	count := jobs.len()
	for lent := false; ; lent = true {
		point.At(point.AdmitChild)
		s.mu.Lock()
		signals := e.signal.Load()
		if signals&(signalDraining|signalStopping) != 0 && !e.acceptsChild(a) {
			s.mu.Unlock()
			err = e.refuse(reasonClosed, ErrClosed)
			break
		}
		if signals&(signalHungry|signalExcess) != 0 {
			s.mu.Unlock()
			break
		}
		if short := count - s.credit; short > 0 && !lent {
			s.mu.Unlock()
			e.lend(s, short)
			continue
		}
		n = min(s.credit, count)
		s.credit -= n
		s.tally.accepted += uint64(n)
		for i := n - 1; i >= 0; i-- {
			s.children = append(s.children, jobs.at(i))
		}
		s.mu.Unlock()
		break
	}
	if n > 0 {
		if !e.lot.local.Load() {
			e.lot.local.Store(true)
		}
		e.notify()
	}
	return n, err
}
