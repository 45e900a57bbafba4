package core

import "unsafe"

// fifo is an unbounded first-in first-out queue of jobs in segments of one page
// each: 8 bytes a job, no copying when it grows, and memory goes back as it
// drains, but for a few segments kept for reuse. It is not safe for concurrent
// use. The built-in scheduler's shared queue is one.
type fifo struct {
	head, tail *segment // nil until the first push
	first      int      // index in head of the oldest job
	next       int      // index in tail of the next free place; segmentJobs without one
	count      int      // entries, dead ones included
	popped     uint64   // entries that have left at the front so far: the sequence number of the oldest
	spare      *segment // drained segments, linked by next
	spares     int
	keep       int // the most spare segments kept
}

// segmentJobs makes a segment 8 bytes less than 4 KiB on 64 bits: the allocator
// puts a header of its own before an object of this size, and one word more
// would take the next size class, a fifth larger. See BenchmarkQueuedFunc.
const segmentJobs = 510

type segment struct {
	next *segment
	jobs [segmentJobs]Job
}

// keepSegments is how many drained segments are kept by default.
const keepSegments = 4

// init makes the zero fifo an empty one. push is short enough to be inlined where
// each task is pushed, if there is one case only in which it needs a segment.
func (q *fifo) init() { q.next = segmentJobs }

func (q *fifo) push(job Job) {
	if q.next == segmentJobs {
		q.grow()
	}
	q.tail.jobs[q.next] = job
	q.next++
	q.count++
}

// pushFuncs is push for many functions. It copies them in a few pieces: a function
// and its job are the same word.
func (q *fifo) pushFuncs(fns []func()) {
	jobs := unsafe.Slice((*Job)(unsafe.Pointer(unsafe.SliceData(fns))), len(fns))
	for len(jobs) > 0 {
		if q.next == segmentJobs {
			q.grow()
		}
		n := copy(q.tail.jobs[q.next:], jobs)
		q.next += n
		q.count += n
		jobs = jobs[n:]
	}
}

func (q *fifo) grow() {
	s := q.fresh()
	if q.tail == nil {
		q.head, q.first = s, 0
	} else {
		q.tail.next = s
	}
	q.tail, q.next = s, 0
}

// fresh returns an empty segment.
func (q *fifo) fresh() *segment {
	s := q.spare
	if s == nil {
		return new(segment)
	}
	q.spare, s.next = s.next, nil
	q.spares--
	return s
}

// pushFront puts back jobs that had left at the front, in their order.
func (q *fifo) pushFront(jobs []Job) {
	q.popped -= uint64(len(jobs))
	if q.count == 0 {
		for _, job := range jobs {
			q.push(job)
		}
		return
	}
	for i := len(jobs) - 1; i >= 0; i-- {
		if q.first == 0 {
			s := q.fresh()
			s.next, q.head, q.first = q.head, s, segmentJobs
		}
		q.first--
		q.head.jobs[q.first] = jobs[i]
		q.count++
	}
}

// pop removes the oldest entry, which may be dead: a zero Job.
func (q *fifo) pop() Job {
	s := q.head
	job := s.jobs[q.first]
	s.jobs[q.first] = Job{}
	q.advance(1)
	return job
}

// popAll removes the oldest entries, as many as fit into jobs and are there, and
// returns how many. It moves them in one or two pieces, since it is called while
// everybody who submits waits for the lock.
func (q *fifo) popAll(jobs []Job) (n int) {
	for n < len(jobs) && q.count > 0 {
		end := segmentJobs
		if q.head == q.tail {
			end = q.next
		}
		piece := q.head.jobs[q.first:end]
		moved := copy(jobs[n:], piece)
		clear(piece[:moved])
		q.advance(moved)
		n += moved
	}
	return n
}

// advance takes note that the n oldest entries of the first segment are gone.
func (q *fifo) advance(n int) {
	s := q.head
	q.first += n
	q.count -= n
	q.popped += uint64(n)
	switch {
	case q.count == 0:
		// Start over in the same segment, so that a queue that is often empty
		// stays within one piece of memory. The newest segment differs from the
		// oldest when popNewest has emptied it.
		q.head, q.first, q.next = q.tail, 0, 0
	case q.first == segmentJobs:
		q.head, q.first = s.next, 0
		s.next = nil
		if q.spares < max(q.keep, keepSegments) {
			s.next, q.spare = q.spare, s
			q.spares++
		}
	}
}

// popNewest removes job if it is the newest entry.
func (q *fifo) popNewest(job Job) bool {
	if q.count == 0 || q.next == 0 || q.tail.jobs[q.next-1] != job {
		return false
	}
	q.next--
	q.tail.jobs[q.next] = Job{}
	q.count--
	if q.count == 0 {
		q.head, q.first, q.next = q.tail, 0, 0
	}
	return true
}

// each calls visit with the place of each entry, the oldest first, until it
// returns false.
func (q *fifo) each(visit func(place *Job) bool) {
	first := q.first
	for s := q.head; s != nil; s = s.next {
		end := segmentJobs
		if s == q.tail {
			end = q.next
		}
		for i := first; i < end; i++ {
			if !visit(&s.jobs[i]) {
				return
			}
		}
		first = 0
	}
}

// sweep removes the entries that are dead or for which drop returns true.
func (q *fifo) sweep(drop func(Job) bool) {
	old := *q
	q.head, q.tail, q.first, q.next, q.count = nil, nil, 0, segmentJobs, 0
	old.each(func(place *Job) bool {
		if job := *place; !job.IsZero() && !drop(job) {
			q.push(job)
		}
		return true
	})
}

// reserve gets the memory for n jobs now and keeps it.
func (q *fifo) reserve(n int) {
	q.keep = n/segmentJobs + 1
	for q.spares < q.keep {
		q.spare = &segment{next: q.spare}
		q.spares++
	}
}
