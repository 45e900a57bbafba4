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
	untold    Job    // has ended, and the user's scheduler is to be told (custom.go)
	random    uint32 // for the choice of victims

	// Changed by the worker's goroutine, under the mutex of its slot, or of
	// engine.outside while it has none, so that who holds all locks may read it.
	job    Job   // what the loop has started and not ended
	nested []Job // the same for tasks that run inside it, the innermost last

	// Those of them that the scheduler was told of as waiting without a worker. Who
	// gives the slot away for a wait takes it back, and nobody else looks.
	yielded []Job

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
			if w.ended(job); !w.unsettled {
				return
			}
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
