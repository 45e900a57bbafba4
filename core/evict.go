package core

import (
	"cmp"
	"slices"

	"github.com/uptutu/goman/core/internal/point"
)

// Jobs that leave the queue without being started: cancelled, expired,
// discarded, displaced, or handed back.
//
// A record is taken out by a compare-and-swap on its state; its entry stays
// behind, dead, and is dropped when it is popped. Dead entries are counted and
// swept before they outnumber the live ones, but for sweepAfter of them. A plain
// function has no state, so its entry itself is taken.

// sweepAfter is how many dead entries are let be in any case.
const sweepAfter = 64

// lookEvery is how many entries die between two looks at what the slots store,
// which costs time in proportion to the number of slots.
const lookEvery = 16

// countRemoved counts n jobs that ended without having been started. The
// caller holds in.mu.
func (e *Engine) countRemoved(outcome Outcome, n int) {
	e.outside.mu.Lock()
	e.outside.tally.ended[outcome] += uint64(n)
	e.outside.tally.removed += uint64(n)
	e.outside.mu.Unlock()
}

// dropQueued accounts for a record that was retired while it was queued. The caller
// has called beginLeaving.
func (e *Engine) dropQueued(r *record, outcome Outcome) {
	e.in.lock()
	e.countRemoved(outcome, 1)
	e.entryDied(jobOf(r))
	served := e.giveBack(1)
	e.in.mu.Unlock()
	if served > 0 {
		e.notify()
	}
}

// noteDead accounts for the entry of a job that was claimed in place.
func (e *Engine) noteDead(job Job) {
	e.in.lock()
	e.entryDied(job)
	e.in.mu.Unlock()
}

// entryDied removes the entry of job if that is easy, or remembers that there is
// one dead entry more. The caller holds in.mu.
func (e *Engine) entryDied(job Job) {
	in := &e.in
	if in.scheduler != nil {
		if in.optional.stored.remove(job) { // or else it was popped at this moment
			in.dead++
			e.sweepDeadScheduled()
		}
		return
	}
	if in.queue.popNewest(job) {
		if in.queue.count == 0 {
			in.visible.Store(false)
		}
		return
	}
	in.dead++
	if in.dead <= max(sweepAfter, in.queue.count-in.dead) || in.dead < in.look {
		return
	}
	if stored := e.countEntries(); in.dead > max(sweepAfter, stored-in.dead) {
		e.sweepDead()
	} else {
		e.in.look = in.dead + max(lookEvery, int(e.lot.width.Load()))
	}
}

// countEntries returns how many entries the built-in scheduler stores, and takes
// those dead ones off the count that the slots have dropped. The caller holds
// in.mu.
func (e *Engine) countEntries() (stored int) {
	in := &e.in
	stored = in.queue.count
	for _, s := range e.lockSlots() {
		stored += s.queued()
		in.dead -= s.dropped
		s.dropped = 0
		s.mu.Unlock()
	}
	e.lot.mu.Unlock()
	return stored
}

// sweepDead removes the dead entries of the built-in scheduler. The caller holds
// in.mu.
func (e *Engine) sweepDead() {
	in := &e.in
	dead := func(job Job) bool { return !job.IsQueued() }
	in.dead, in.look = 0, 0
	in.queue.sweep(dead)
	if in.queue.count == 0 {
		in.visible.Store(false)
	}
	for _, s := range e.lockSlots() {
		s.sweep(dead)
		s.dropped = 0
		s.mu.Unlock()
	}
	e.lot.mu.Unlock()
}

// take takes a queued job for good. It reports false if the entry is dead.
func take(job Job) bool {
	if job.IsZero() {
		return false
	}
	r := job.record()
	return r == nil || r.retire(phaseQueued)
}

// evict gives up one queued job of the built-in scheduler by policy to make room
// for newcomer. It reports false if there is none to give up. The caller holds
// in.mu.
func (e *Engine) evict(newcomer Job, policy RejectPolicy) (victim Job, ok bool) {
	for {
		var place *Job
		slots := e.lockSlots()
		if policy == RejectDiscardOldest {
			place = e.oldest(slots)
		} else {
			place = e.lowest(slots, newcomer.Priority())
		}
		if place != nil {
			victim = *place
			*place = Job{}
		}
		e.unlockSlots(slots)
		if place == nil {
			return Job{}, false
		}
		if !take(victim) {
			continue // it was cancelled or started at this moment
		}
		e.entryDied(Job{}) // its place is empty, but still there
		e.beginLeaving()   // the caller ends it
		e.countRemoved(OutcomeDiscarded, 1)
		e.in.room++
		return victim, true
	}
}

// oldest returns the place of the job that entered the shared queue first.
// Children, which never were there, come last.
func (e *Engine) oldest(slots []*slot) (place *Job) {
	best := ^uint64(0)
	for _, s := range slots {
		for i := s.first; i < s.end; i++ {
			if s.batch[i].IsQueued() {
				if sequence := s.sequence + uint64(i); sequence < best {
					place, best = &s.batch[i], sequence
				}
				break
			}
		}
	}
	if place == nil {
		e.in.queue.each(func(p *Job) bool {
			if p.IsQueued() {
				place = p
			}
			return place == nil
		})
	}
	for i := 0; place == nil && i < len(slots); i++ {
		slots[i].each(func(p *Job) bool {
			if p.IsQueued() {
				place = p
			}
			return place == nil
		})
	}
	return place
}

// lowest returns the place of the newest job of the lowest priority below p.
// Children, which never were in the shared queue, count as older than what was.
func (e *Engine) lowest(slots []*slot, p Priority) (place *Job) {
	best := p
	consider := func(entry *Job) bool {
		if !entry.IsQueued() {
			return true
		}
		if q := entry.Priority(); q < best || q == best && place != nil {
			place, best = entry, q
		}
		return true
	}
	for _, s := range slots {
		s.eachChild(consider)
	}
	batches := slices.Clone(slots)
	slices.SortFunc(batches, func(a, b *slot) int { return cmp.Compare(a.sequence, b.sequence) })
	for _, s := range batches {
		if s.sequence < noSequence {
			s.eachBatch(consider)
		}
	}
	e.in.queue.each(consider)
	return place
}

// choose is the first half of evict for the user's scheduler: it returns the job
// to give up, which is still queued. The caller holds in.mu.
func (e *Engine) choose(newcomer Job, policy RejectPolicy) (victim Job) {
	best := newcomer.Priority()
	e.in.dead = 0 // they are removed on the way
	e.sweepScheduled(func(job Job) bool {
		if e.isDeadScheduled(job) {
			return true
		}
		if policy == RejectDiscardOldest {
			if victim.IsZero() {
				victim = job
			}
		} else if p := job.Priority(); p < best || p == best && !victim.IsZero() {
			victim, best = job, p
		}
		return false
	})
	return victim
}

// displace is the second half, once the newcomer is stored: a newcomer that the
// scheduler fails to take costs nobody his place. It reports false if victim was
// cancelled at this moment: then its unit is about to be given back. The caller
// holds in.mu.
func (e *Engine) displace(victim Job) bool {
	in := &e.in
	if !take(victim) {
		return false
	}
	in.optional.stored.remove(victim)
	e.beginLeaving() // the caller ends it
	e.countRemoved(OutcomeDiscarded, 1)
	in.room++
	in.dead++
	e.sweepScheduled(func(job Job) bool {
		if job != victim || victim.IsZero() {
			return false
		}
		victim = Job{} // one entry only: a function may be stored many times
		in.dead--
		return true
	})
	return true
}

// lockSlots locks all slots. The caller holds in.mu.
func (e *Engine) lockSlots() []*slot {
	e.lot.mu.Lock()
	slots := e.lot.slots
	for _, s := range slots {
		s.mu.Lock()
	}
	return slots
}

func (e *Engine) unlockSlots(slots []*slot) {
	for _, s := range slots {
		s.mu.Unlock()
	}
	e.lot.mu.Unlock()
}

// flush moves what is stored in s to the shared queue. What came from there goes
// back to its front. Others may hold what is older, so all batches go back, in
// their order; children come last, as everywhere.
func (e *Engine) flush(s *slot) {
	in := &e.in
	in.lock()
	slots := e.lockSlots()
	if s.queued() > 0 {
		batches := slices.Clone(slots)
		slices.SortFunc(batches, func(a, b *slot) int { return cmp.Compare(b.sequence, a.sequence) })
		for _, b := range batches {
			if b == s || b.sequence < noSequence {
				in.dead -= b.flushBatch(&in.queue)
			}
		}
		in.dead -= s.flushChildren(&in.queue)
		in.visible.Store(true)
	}
	e.unlockSlots(slots)
	in.mu.Unlock()
}

// surelyFull reports whether a submission that does not wait would be refused,
// where that is easy to tell: while the engine is hungry no slot keeps units. The look
// without the lock spares the others the lock, and is not enough.
func (e *Engine) surelyFull() bool {
	if e.signal.Load()&signalHungry == 0 {
		return false
	}
	point.At(point.Admit)
	e.in.lock()
	defer e.in.mu.Unlock()
	hungry := e.signal.Load()&signalHungry != 0
	return !e.in.closed && hungry && (e.in.first != nil || e.in.room <= 0)
}
