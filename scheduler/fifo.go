package scheduler

import "github.com/uptutu/goman/core"

// FIFO starts the jobs in the order in which they came: what the innermost of nested
// schedulers usually is. An engine whose only order is this one is better served by
// the built-in scheduler, whose workers need no common lock (BenchmarkScheduler).
//
// Waiting: a job waits until all that came before it have started. Cost: a few
// nanoseconds for a Push and a Pop. Memory: 8 bytes a job, at most four times that
// after many have left, and 64 bytes when it is empty.
type FIFO struct{ jobs ring[core.Job] }

// NewFIFO makes an empty FIFO. The error is nil: it is there so that NewFIFO can be
// given to what nests schedulers, as it is.
func NewFIFO() (*FIFO, error) { return new(FIFO), nil }

// Push implements core.Scheduler.
func (s *FIFO) Push(job core.Job) { s.jobs.push(job) }

// Pop implements core.Scheduler.
func (s *FIFO) Pop(int) (core.Job, bool) {
	if s.jobs.count == 0 {
		return core.Job{}, false
	}
	return s.jobs.popFirst(), true
}

// Len implements core.Scheduler.
func (s *FIFO) Len() int { return s.jobs.count }

// Sweep implements core.Sweeper.
func (s *FIFO) Sweep(drop func(core.Job) bool) { s.jobs.deleteFunc(drop) }

// LIFO starts the newest job first: where the newest is worth most, as with requests
// whose clients give up soon, and together with core.RejectDiscardOldest.
//
// Waiting: without a bound, as long as newer jobs keep coming. Cost and memory: those
// of FIFO.
type LIFO struct{ jobs ring[core.Job] }

// NewLIFO makes an empty LIFO. The error is nil: see NewFIFO.
func NewLIFO() (*LIFO, error) { return new(LIFO), nil }

// Push implements core.Scheduler.
func (s *LIFO) Push(job core.Job) { s.jobs.push(job) }

// Pop implements core.Scheduler.
func (s *LIFO) Pop(int) (core.Job, bool) {
	if s.jobs.count == 0 {
		return core.Job{}, false
	}
	return s.jobs.popLast(), true
}

// Len implements core.Scheduler.
func (s *LIFO) Len() int { return s.jobs.count }

// Sweep implements core.Sweeper.
func (s *LIFO) Sweep(drop func(core.Job) bool) { s.jobs.deleteFunc(drop) }
