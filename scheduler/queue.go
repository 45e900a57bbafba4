package scheduler

import (
	"slices"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/queue"
)

// Queue starts the jobs in the order of a queue: one of package queue's kinds, or the
// user's own.
//
// A queue whose items become ready as time passes, such as queue.DelayQueue, does not
// work: nobody would wake a worker for them. One that needs no lock, such as
// queue.KeyHeap, is enough, since the engine calls a scheduler one call at a time.
//
// Waiting: as the queue says. A job that finds the queue full waits outside, and
// enters, first come, first served, before the next one leaves: a scheduler refuses
// nothing for lack of room, so the queue should be at least as large as the engine's
// queue capacity. What the queue does not take even when it is empty starts then. Cost and memory: those of the queue, and those of FIFO for what
// waits outside. To sweep it, all jobs are taken out and put back.
type Queue struct {
	jobs    queue.Queue[core.Job]
	outside FIFO
}

// FromQueue makes a scheduler of a queue, which must be empty, and must not be used
// by anybody else from then on. The error matches core.ErrInvalid if the queue is nil or
// not empty.
func FromQueue(jobs queue.Queue[core.Job]) (*Queue, error) {
	if isNil(jobs) {
		return nil, invalidf("the queue is nil")
	}
	if n := jobs.Len(); n != 0 {
		return nil, invalidf("the queue holds %d jobs: it has to be empty", n)
	}
	return &Queue{jobs: jobs}, nil
}

// Push implements core.Scheduler.
func (s *Queue) Push(job core.Job) {
	if s.outside.Len() > 0 || !s.jobs.TryPush(job) {
		s.outside.Push(job)
	}
}

// Pop implements core.Scheduler.
func (s *Queue) Pop(worker int) (core.Job, bool) {
	s.enter() // first: what has been popped would be lost if this panicked
	if job, ok := s.jobs.TryPop(); ok {
		return job, true
	}
	return s.outside.Pop(worker)
}

// enter lets in who waits outside, as far as there is room.
func (s *Queue) enter() {
	for s.outside.Len() > 0 && s.jobs.TryPush(*s.outside.jobs.at(0)) {
		s.outside.jobs.popFirst()
	}
}

// Len implements core.Scheduler.
func (s *Queue) Len() int { return s.jobs.Len() + s.outside.Len() }

// Sweep implements core.Sweeper.
func (s *Queue) Sweep(drop func(core.Job) bool) {
	var all, kept []core.Job
	for {
		job, ok := s.jobs.TryPop()
		if !ok {
			break
		}
		all = append(all, job)
	}
	defer func() { // also if drop panics
		s.putBack(append(kept, all...))
	}()
	for len(all) > 0 {
		job := all[0]
		if !drop(job) {
			kept = append(kept, job)
		}
		all = all[1:]
	}
	s.outside.Sweep(drop)
}

// putBack stores jobs that came out in this order so that they come out in it again.
// Most queues do that if they are stored in it; a stack wants the last one first. So
// two are tried, which must not be the same function. What the queue does not take back
// goes outside, before those that are there.
func (s *Queue) putBack(jobs []core.Job) {
	later := s.outside
	s.outside = FIFO{}
	other := slices.IndexFunc(jobs, func(job core.Job) bool { return job != jobs[0] })
	if other > 0 && s.jobs.TryPush(jobs[0]) {
		s.jobs.TryPush(jobs[other])
		first, _ := s.jobs.TryPop()
		s.jobs.TryPop()
		if first != jobs[0] {
			slices.Reverse(jobs)
		}
	}
	for _, job := range jobs {
		s.Push(job)
	}
	for job, ok := later.Pop(0); ok; job, ok = later.Pop(0) {
		s.outside.Push(job)
	}
}
