package core

import (
	"slices"
	"unsafe"

	"github.com/uptutu/goman/core/internal/point"
)

// The built-in scheduler is work stealing. Tasks from outside enter a shared
// first-in first-out queue (intake.queue). Each worker slot has two places of
// its own: a batch, filled from the shared queue in order and worked off in
// order, and a stack of the children that its tasks have submitted, worked off
// newest first, because the newest child's data is warm and because a tree
// worked off depth first needs little memory. A slot that runs dry takes a batch
// from the shared queue, then half of another slot's batch or of the older end
// of its children.
//
// A slot's places and counters are under one mutex. It is almost never
// contended, costs about as much as the two full fences of a Chase-Lev deque in
// Go, and lets one critical section take a job, claim it and count it, so that
// the statistics are exact at every instant; see docs/decisions.md.

// batchJobs is the most jobs a slot takes from the shared queue at a time.
const batchJobs = 64

// sharedEvery is how often a slot looks into the shared queue before its own
// places, so that children that beget children cannot starve the outside. It
// is a prime, as in the Go runtime, to stay out of step with user patterns.
const sharedEvery = 61

// slot is the right to run one task at a time, with what belongs to it. There
// are as many as workers; goroutines borrow them.
type slot struct {
	mu    point.Mutex
	looks uint32 // how often this slot has looked for work
	earns bool   // it is in intake.earners; changes under in.mu and mu
	// credit is how many units of queue capacity this slot has taken back by
	// starting tasks and not yet returned (admit.go).
	credit int

	first, end int   // of batch
	oldest     int   // of children
	children   []Job // LIFO for the owner, children[oldest:]; FIFO for thieves
	batch      []Job // FIFO: batch[first:end]; made when first needed, for batchJobs
	tally      tally

	index    int
	sequence uint64 // of batch[0], in the order of the shared queue; noSequence for children
	dropped  int    // dead entries that have left, and still count as such (evict.go)
}

// paddedSlot is a slot that shares no cache line with another. A slot that has outgrown
// it does not compile.
type paddedSlot struct {
	slot
	_ [paddedSize - unsafe.Sizeof(slot{})]byte
}

// paddedSize is a size class of the allocator, which on 64 bits places objects of it one
// after another from the beginning of a page, and a multiple of a cache line, also where
// lines come in pairs or have 128 bytes. Objects of more than 512 bytes would begin with
// the allocator's own header.
const paddedSize = 384

// newSlot makes a slot. Those of an engine of many workers are not padded, but for the
// first: their tasks wait more than they run.
func newSlot(index int) *slot {
	if index >= manyWorkers {
		return &slot{index: index}
	}
	padded := new(paddedSlot)
	padded.index = index
	return &padded.slot
}

// noSequence is the sequence of children, which have no place in the order of the
// shared queue.
const noSequence = ^uint64(0) >> 1

// queued returns how many entries are stored in s.
func (s *slot) queued() int { return s.end - s.first + len(s.children) - s.oldest }

// take removes the next entry: the newest child, or else the oldest of the
// batch. The result is a zero Job if there is none. The caller holds s.mu.
func (s *slot) take() Job {
	if n := len(s.children); n > s.oldest {
		job := s.children[n-1]
		s.children[n-1] = Job{}
		s.children = s.children[:n-1]
		if s.oldest == n-1 {
			s.resetChildren()
		}
		return job
	}
	if s.first < s.end {
		job := s.batch[s.first]
		s.batch[s.first] = Job{}
		s.first++
		return job
	}
	return Job{}
}

// resetChildren starts over once all children are gone, and gives the memory
// of an unusual crowd back.
func (s *slot) resetChildren() {
	s.children, s.oldest = s.children[:0], 0
	if cap(s.children) > 1024 {
		s.children = nil
	}
}

// takeNewestChild removes job if it is the newest child.
func (s *slot) takeNewestChild(job Job) bool {
	n := len(s.children)
	if n == s.oldest || s.children[n-1] != job {
		return false
	}
	s.children[n-1] = Job{}
	s.children = s.children[:n-1]
	if s.oldest == n-1 {
		s.resetChildren()
	}
	return true
}

// needBatch makes the batch: a slot of an engine of many workers may never take more
// than one job at a time.
func (s *slot) needBatch() {
	if s.batch == nil {
		s.batch = make([]Job, batchJobs)
	}
}

// fill moves up to n jobs from the front of q into the empty batch.
func (s *slot) fill(q *fifo, n int) {
	s.needBatch()
	s.sequence = q.popped
	s.first, s.end = 0, q.popAll(s.batch[:n])
}

// stealFrom moves half of what victim stores, at most a batch, into s, whose
// batch must be empty: of its batch the newer half, or else of its children the
// older half. The caller holds both mutexes.
func (s *slot) stealFrom(victim *slot) bool {
	s.needBatch()
	s.first, s.end = 0, 0
	if n := victim.end - victim.first; n > 0 {
		n = (n + 1) / 2
		s.sequence = victim.sequence + uint64(victim.end-n)
		s.end = copy(s.batch, victim.batch[victim.end-n:victim.end])
		clear(victim.batch[victim.end-n : victim.end])
		victim.end -= n
		return true
	}
	n := len(victim.children) - victim.oldest
	if n == 0 {
		return false
	}
	n = min((n+1)/2, batchJobs)
	s.sequence = noSequence
	s.end = copy(s.batch, victim.children[victim.oldest:victim.oldest+n])
	clear(victim.children[victim.oldest : victim.oldest+n])
	victim.oldest += n
	switch {
	case victim.oldest == len(victim.children):
		victim.resetChildren()
	case victim.oldest > 1024 && victim.oldest > len(victim.children)/2:
		victim.children = append([]Job(nil), victim.children[victim.oldest:]...)
		victim.oldest = 0
	}
	return true
}

// each calls visit with the place of each entry, the oldest of each kind first,
// until it returns false.
func (s *slot) each(visit func(place *Job) bool) {
	if s.eachBatch(visit) {
		eachOf(s.children[s.oldest:], visit)
	}
}

// eachChild is each for children alone.
func (s *slot) eachChild(visit func(place *Job) bool) {
	if s.sequence < noSequence || s.eachBatch(visit) {
		eachOf(s.children[s.oldest:], visit)
	}
}

// eachBatch is each for the batch alone. It reports whether visit always did.
func (s *slot) eachBatch(visit func(place *Job) bool) bool {
	return eachOf(s.batch[s.first:s.end], visit)
}

func eachOf(places []Job, visit func(place *Job) bool) bool {
	for i := range places {
		if !visit(&places[i]) {
			return false
		}
	}
	return true
}

// sweep removes the entries that are dead or for which drop returns true.
func (s *slot) sweep(drop func(Job) bool) {
	end := s.first
	for i := s.first; i < s.end; i++ {
		if job := s.batch[i]; !job.IsZero() && !drop(job) {
			s.batch[end] = job
			end++
		}
	}
	clear(s.batch[end:s.end])
	s.end = end
	kept := s.oldest
	for i := s.oldest; i < len(s.children); i++ {
		if job := s.children[i]; !job.IsZero() && !drop(job) {
			s.children[kept] = job
			kept++
		}
	}
	clear(s.children[kept:])
	s.children = s.children[:kept]
	if kept == s.oldest {
		s.resetChildren()
	}
}

// flushBatch moves the batch to the front of q, or to its end if it was made of
// children. It returns how many places were empty.
func (s *slot) flushBatch(q *fifo) (empty int) {
	jobs := s.batch[s.first:s.end]
	kept := slices.DeleteFunc(jobs, Job.IsZero)
	if s.sequence < noSequence {
		q.pushFront(kept)
	} else {
		for _, job := range kept {
			q.push(job)
		}
	}
	clear(kept)
	s.first, s.end = 0, 0
	return len(jobs) - len(kept)
}

// flushChildren moves the children to the end of q. It returns how many places
// were empty.
func (s *slot) flushChildren(q *fifo) (empty int) {
	for _, job := range s.children[s.oldest:] {
		if job.IsZero() {
			empty++
			continue
		}
		q.push(job)
	}
	clear(s.children)
	s.resetChildren()
	return empty
}
