package core

import (
	"context"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"github.com/uptutu/goman/core/internal/point"
)

// worker is a goroutine that runs tasks, while it holds a slot. There is one
// for each goroutine of the engine, and one for each goroutine of somebody
// else's that runs a task of the engine for a moment.
type worker struct {
	engine *Engine
	id     uint32
	wake   chan *slot // hands this worker a slot; nil tells it to end

	// slot is nil while the worker sleeps or has given its slot away for a
	// wait. Only the worker changes it; other goroutines of the task may look.
	slot atomic.Pointer[slot]

	// Owned by the worker's goroutine.
	searching bool   // it has the seat
	greeted   bool   // the hooks were told that it started
	foreign   bool   // it runs a task without a slot, on its submitter's goroutine
	unsettled bool   // job has ended well and is not counted yet
	random    uint32 // for the choice of victims

	// Changed by the worker's goroutine, under the mutex of its slot, or of
	// engine.outside while it has none, so that who holds all locks may read it.
	job    Job   // what the loop has started and not ended
	nested []Job // the same for tasks that run inside it, the innermost last

	// Guarded by the same mutex.
	forsaken  bool  // job was given up by a forced stop
	unordered []Job // those nested that their submitter runs here: the scheduler never had them

	// What the worker sleeps for (wait.go). It changes under engine.waitGraph,
	// but for the end of the wait.
	waits atomic.Pointer[record]

	// Guarded by lot.mu: its slot is given away for the time of a wait.
	away bool
}

// running calls visit for each task that w has started and not ended, the
// outermost first. The caller holds all locks.
func (w *worker) running(visit func(Job)) {
	if !w.job.IsZero() && !w.forsaken {
		visit(w.job)
	}
	for _, job := range w.nested {
		visit(job)
	}
}

// The signals that workers look at between tasks. They are set by rare events
// only, so the word stays in every core's cache.
const (
	signalPaused   uint32 = 1 << iota // start nothing
	signalDraining                    // accept nothing more
	signalStopping                    // start nothing, ever
	signalResume                      // somebody waits for a slot
	signalExcess                      // there are more slots in use than allowed
	signalHungry                      // the queue was seen full: return capacity at once
	signalIdle                        // somebody waits for the engine to be idle
	signalSlow                        // there are interceptors, hooks or a user's scheduler

	// signalLeave are those for which a worker gives up its slot.
	signalLeave = signalPaused | signalStopping | signalResume | signalExcess
)

// main is the life of a goroutine of the engine.
func (w *worker) main() {
	point.Enter("worker", int(w.id))
	normal := false
	defer func() {
		if normal {
			w.retire()
			return
		}
		// A task or a hook called Goexit: this goroutine is lost. Another takes
		// its place, and its slot.
		go w.main()
	}()
	if !w.greeted {
		w.greeted = true
		if w.engine.hooks.Load() != nil {
			w.found() // no hook runs with the seat taken
		}
		w.engine.hookWorker(w.id, true)
	}
	for w.session() {
	}
	normal = true // also if the hook calls Goexit: it must not bring the worker back
	w.engine.hookWorker(w.id, false)
}

// retire ends the worker's goroutine.
func (w *worker) retire() {
	l := &w.engine.lot
	l.mu.Lock()
	l.retired = append(l.retired, w)
	l.mu.Unlock()
	l.leave()
}

// session runs tasks until there is nothing left to do, which it reports with
// false, or a task panics. One recover serves all tasks of a session: a
// deferred call for each task would cost as much as a small task.
func (w *worker) session() (more bool) {
	defer w.rescue(&more)
	for {
		job, ok := w.next()
		if !ok {
			return false
		}
		w.run(job)
		point.At(point.Returned)
		if s := w.slot.Load(); w.unsettled && s != nil {
			w.runBatch(s)
		}
	}
}

// rescue ends the task that has panicked or called Goexit, if one has. After a
// Goexit what it reports is in vain: session does not return.
func (w *worker) rescue(more *bool) {
	if w.job.IsZero() || w.unsettled {
		// The session has ended by itself. A panic here is the engine's own: it
		// costs no worker either, but it is a bug, and the log says so.
		if v := recover(); v != nil {
			*more = true
			w.engine.reportFailure(context.Background(), "worker",
				&PanicError{Engine: w.engine.name, Task: "worker", Value: v, Stack: debug.Stack()})
		}
		return
	}
	err := w.engine.caught(w.job, recover())
	*more = true
	w.conclude(w.job, err)
}

// runBatch goes on with the slot's batch as long as there is nothing else to look
// at: next and run in one short loop, since it is here that an engine spends its
// time when tasks are tiny. See BenchmarkGo and BenchmarkSubmitAll.
func (w *worker) runBatch(s *slot) {
	e := w.engine
	for {
		point.At(point.Take)
		s.mu.Lock()
		w.settle(s)
		s.looks++
		if s.looks >= sharedEvery || s.first == s.end || len(s.children) > s.oldest || e.signal.Load() != 0 {
			s.mu.Unlock()
			return
		}
		job := s.batch[s.first]
		s.batch[s.first] = Job{}
		s.first++
		if job.isFunction() { // start and run, without the looks that it needs no more
			s.tally.started++
			s.credit++
			w.job = job
			s.mu.Unlock()
			point.At(point.Start)
			job.call()
			w.unsettled = true
			continue
		}
		started := w.start(s, job)
		s.mu.Unlock()
		if !started {
			return
		}
		if w.run(job); !w.unsettled || w.slot.Load() != s {
			return
		}
	}
}

// next returns the job to run next, counted as started, and sleeps while there
// is none. It reports false when the worker is to end.
func (w *worker) next() (Job, bool) {
	e := w.engine
	for {
		s := w.slot.Load()
		if s == nil {
			if !w.park() {
				return Job{}, false
			}
			continue
		}
		point.At(point.Take)
		// The usual case: something is left in the slot's own places.
		job, signals := w.nextLocal(s)
		if !job.IsZero() {
			if w.searching {
				w.found()
			}
			return job, true
		}
		if signals&signalLeave != 0 {
			if signals&(signalExcess|signalStopping) != 0 {
				e.flush(s)
			}
			if !w.park() {
				return Job{}, false
			}
			continue
		}
		if job := w.nextShared(s); !job.IsZero() {
			if w.searching {
				w.found()
			}
			return job, true
		}
		if w.searchOthers(s) {
			continue
		}
		if w.searching && w.watchFlags() {
			continue
		}
		if !w.park() {
			return Job{}, false
		}
	}
}

// nextLocal settles the last task and starts the next from the slot's own
// places, unless a signal says to leave.
func (w *worker) nextLocal(s *slot) (job Job, signals uint32) {
	e := w.engine
	if s.looks++; s.looks >= sharedEvery {
		s.looks = 0
		e.followProcs()
		if job := w.nextShared(s); !job.IsZero() {
			return job, 0
		}
	}
	s.mu.Lock()
	if w.unsettled {
		w.settle(s)
	}
	signals = e.signal.Load()
	if signals&signalLeave == 0 {
		for s.queued() > 0 {
			if job = s.take(); w.start(s, job) {
				break
			}
			job = Job{}
		}
	}
	hungry := signals&signalHungry != 0 && s.credit > 0
	s.mu.Unlock()
	if hungry {
		e.returnCredit(s)
	}
	return job, signals
}

// start claims and counts a job for w's loop. It reports false for a dead
// entry. The caller holds s.mu.
func (w *worker) start(s *slot, job Job) bool {
	if job.IsZero() {
		s.dropped++
		return false
	}
	if r := job.record(); r != nil && !r.claim(w) {
		s.dropped++
		return false
	}
	s.tally.started++
	s.credit++
	w.job = job
	return true
}

// startNested does the same for a job that runs inside the present one.
func (w *worker) startNested(s *slot, job Job) bool {
	if r := job.record(); r != nil && !r.claim(w) {
		return false
	}
	s.tally.started++
	s.credit++
	w.nested = append(w.nested, job)
	return true
}

// settle counts the end of a job that ended well. The caller holds
// s.mu, where the next start is counted: one critical section for both.
func (w *worker) settle(s *slot) {
	w.unsettled = false
	if !w.forsaken {
		s.tally.ended[OutcomeSucceeded]++
	} else {
		w.engine.late.Add(1)
	}
	w.job, w.forsaken = Job{}, false
}

// drop removes job from the running ones. It reports false if it was given up
// by a forced stop, which has counted it, and whether the scheduler knows of it.
// The caller holds the mutex that guards w.job and w.nested.
func (w *worker) drop(job Job) (counts, ordered bool) {
	ordered = true
	if i := slices.Index(w.unordered, job); i >= 0 {
		w.unordered = slices.Delete(w.unordered, i, i+1)
		ordered = false
	}
	if n := len(w.nested); n > 0 && w.nested[n-1] == job { // nearly always
		w.nested[n-1] = Job{}
		w.nested = w.nested[:n-1]
		return true, ordered
	}
	for i := len(w.nested) - 1; i >= 0; i-- {
		if w.nested[i] == job {
			w.nested = slices.Delete(w.nested, i, i+1)
			return true, ordered
		}
	}
	if w.job != job {
		return false, ordered
	}
	counts = !w.forsaken
	w.job, w.forsaken = Job{}, false
	return counts, ordered
}

// nextShared takes a batch from the shared queue, or one job from the user's
// scheduler, and starts the first.
func (w *worker) nextShared(s *slot) (job Job) {
	e := w.engine
	point.At(point.Share)
	if !e.in.visible.Load() || point.Fail(point.Share) {
		return Job{}
	}
	e.in.lock()
	s.mu.Lock()
	if w.unsettled {
		w.settle(s)
	}
	if e.signal.Load()&signalLeave == 0 {
		if e.in.scheduler == nil {
			job = w.startBatch(s)
		} else {
			e.in.optional.slot = s
			job = w.startScheduled(s)
			e.in.optional.slot = nil
		}
	}
	served := 0
	if e.signal.Load()&signalHungry != 0 {
		e.in.room += s.credit
		s.credit = 0
		s.mu.Unlock()
		served = e.serveBlocked()
	} else {
		s.mu.Unlock()
	}
	e.in.mu.Unlock()
	if served > 0 {
		e.notify()
	}
	return job
}

// found leaves the seat, if w has it, because w has found a job. What has become
// visible meanwhile was left to w by its producer: the next may search for it.
func (w *worker) found() {
	if w.searching {
		w.leaveSearch()
		if w.engine.visible() {
			w.engine.notify()
		}
	}
}

// startBatch fills the slot from the shared queue and starts the first job. The
// caller holds in.mu and s.mu.
func (w *worker) startBatch(s *slot) (job Job) {
	e := w.engine
	q := &e.in.queue
	// What is left of the slot's batch came before all that is shared: with one
	// worker the order of the outside is kept.
	for len(s.children) == s.oldest && s.first < s.end {
		if job = s.take(); w.start(s, job) {
			return job
		}
		job = Job{} // dead; and the shared queue may be empty by now
	}
	// A slot that has children of its own takes one: it looks only so that the
	// outside does not starve.
	n := 1
	if s.queued() == 0 {
		n = min(q.count, q.count/int(e.lot.width.Load())+1, batchJobs)
	}
	for q.count > 0 {
		if n > 1 {
			s.fill(q, n)
			n = 1
			for s.first < s.end {
				if job = s.take(); w.start(s, job) {
					break
				}
				job = Job{}
			}
		} else if job = q.pop(); !w.start(s, job) {
			job = Job{}
		}
		if !job.IsZero() {
			break
		}
	}
	if q.count == 0 {
		e.in.visible.Store(false)
	}
	if s.queued() > 0 && !e.lot.local.Load() {
		e.lot.local.Store(true)
	}
	return job
}

// startScheduled starts what the user's scheduler chooses. The caller holds
// in.mu and s.mu.
func (w *worker) startScheduled(s *slot) Job {
	e := w.engine
	for {
		wakes := e.in.optional.wakes.Load()
		job, live, ok := e.schedPop(s.index)
		if !ok {
			e.in.visible.Store(false)
			if e.in.optional.wakes.Load() != wakes {
				e.in.visible.Store(true) // the waker was called after Pop had looked
			}
			return Job{}
		}
		if live && w.start(s, job) {
			return job
		}
		e.schedDropped(job)
	}
}

// searchOthers looks into the other slots, and takes half of what the first
// that has something stores. It reports whether it did.
func (w *worker) searchOthers(s *slot) bool {
	l := &w.engine.lot
	point.At(point.Search)
	if !w.searching {
		if point.Fail(point.Seat) || !l.searching.CompareAndSwap(0, 1) {
			return false // somebody searches already, and will wake us if need be
		}
		w.searching = true
	}
	if !l.local.Load() {
		return false
	}
	l.local.Store(false) // before the look: see the top of park.go
	l.mu.Lock()
	slots := l.slots
	l.mu.Unlock()
	w.random = w.random*1664525 + 1013904223
	offset := int(w.random>>8) % len(slots)
	for i := range slots {
		victim := slots[(i+offset)%len(slots)]
		point.At(point.Steal)
		if point.Fail(point.Steal) {
			l.local.Store(true)
			return true // another look
		}
		if victim == s && s.holds() || victim != s && w.steal(s, victim) {
			l.local.Store(true)
			return true
		}
	}
	return false
}

// holds reports whether s stores anything. The searcher looks into its own slot
// as well: a goroutine that a task has left behind may have stored a child there
// since, and the flag that told of it has just been cleared.
func (s *slot) holds() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued() > 0
}

// steal takes half of what victim stores. Slots are locked in the order of
// their index.
func (w *worker) steal(s, victim *slot) bool {
	victim.mu.Lock()
	if victim.queued() == 0 {
		victim.mu.Unlock()
		return false
	}
	if s.index < victim.index {
		victim.mu.Unlock()
		s.mu.Lock()
		victim.mu.Lock()
	} else {
		s.mu.Lock()
	}
	// A child may have been stored here by another goroutine of a task.
	ok := s.first == s.end && s.stealFrom(victim)
	s.mu.Unlock()
	victim.mu.Unlock()
	return ok
}
