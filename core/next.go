package core

import (
	"runtime"

	"github.com/uptutu/goman/core/internal/point"
)

// How a worker finds its next job: in its slot, in the shared queue or the user's
// scheduler, in the other slots.

// next returns the job to run next, counted as started, and sleeps while there
// is none. It reports false when the worker is to end.
func (w *worker) next() (Job, bool) {
	e := w.engine
	for {
		s := w.slot.Load()
		if s == nil {
			w.tell()
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
			w.tell()
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

// nextShared takes a batch from the shared queue, or one job from the user's
// scheduler, and starts the first.
func (w *worker) nextShared(s *slot) (job Job) {
	e := w.engine
	point.At(point.Share)
	told := !w.untold.IsZero()
	if !told && (!e.in.visible.Load() || point.Fail(point.Share)) {
		return Job{}
	}
	if n := e.in.watchers.Load(); n > 0 && n <= e.procs.Load() && !e.lot.wide() && e.in.thin.Load() {
		// Few submitters wait for a turn on a processor to fill the queue again:
		// better now than when the last job is gone, and all workers are idle. See
		// BenchmarkBusy.
		runtime.Gosched()
	}
	e.in.lock()
	s.mu.Lock()
	if w.unsettled {
		w.settle(s)
	}
	if e.in.scheduler != nil {
		e.in.optional.slot = s
		ended := w.untold
		w.untold = Job{}
		if e.signal.Load()&signalLeave == 0 {
			job = w.startScheduled(s, ended)
		} else if told {
			e.schedDropped(ended)
		}
		e.in.optional.slot = nil
	} else if e.signal.Load()&signalLeave == 0 {
		job = w.startBatch(s)
	}
	served := 0
	hungry := e.signal.Load()&signalHungry != 0
	if hungry || !s.earns { // only an earner may keep credit (room.go)
		e.in.room += s.credit
		s.credit = 0
	}
	s.mu.Unlock()
	if hungry {
		served = e.serveBlocked()
	}
	e.in.mu.Unlock()
	if served > 0 || told && e.in.visible.Load() {
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
	if thin := q.count <= e.in.capacity/2; thin != e.in.thin.Load() {
		e.in.thin.Store(thin)
	}
	n := 1
	if s.queued() == 0 {
		n = min(q.count, q.count/int(e.lot.width.Load())+1, batchJobs)
	}
	for q.count > 0 {
		if n > 1 {
			e.in.earner(s)
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

// startScheduled starts what the user's scheduler chooses, after it was told that ended
// has ended, if that is a job. The caller holds in.mu and s.mu.
func (w *worker) startScheduled(s *slot, ended Job) Job {
	e := w.engine
	told := !ended.IsZero()
	for {
		wakes := e.in.optional.wakes.Load()
		job, live, ok := e.schedPop(s.index, ended)
		ended = Job{}
		if !ok {
			e.in.visible.Store(false)
			if e.in.optional.wakes.Load() != wakes {
				e.in.visible.Store(true) // the waker was called after Pop had looked
			}
			return Job{}
		}
		if live && w.start(s, job) {
			if told && e.in.optional.stored.live > 0 {
				e.in.visible.Store(true) // the end may have let several go
			}
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

// steal takes half of what victim stores.
func (w *worker) steal(s, victim *slot) bool {
	if !victim.holds() {
		return false
	}
	lockPair(s, victim)
	if !s.earns {
		s.mu.Unlock()
		victim.mu.Unlock()
		in := &w.engine.in
		in.lock()
		lockPair(s, victim)
		in.earner(s)
		in.mu.Unlock()
	}
	// A child may have been stored here by another goroutine of a task.
	ok := s.first == s.end && s.stealFrom(victim)
	s.mu.Unlock()
	victim.mu.Unlock()
	return ok
}

// lockPair locks two slots in the order of their index.
func lockPair(a, b *slot) {
	if a.index > b.index {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
}
