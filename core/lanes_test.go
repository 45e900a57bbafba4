package core_test

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/uptutu/goman/core"
)

// auditor is a scheduler that passes every call on to another and checks that
// the engine keeps its side of the contract: one call at a time, and exactly one
// Completed for each job that Pop returned or Claim allowed.
type auditor struct {
	t                                                  testing.TB
	inner                                              core.Scheduler
	inside                                             bool // plain: the race detector watches too
	out                                                map[core.Job]int
	pushes, pops, claims, completions, sweeps, resizes int
}

func audited(t testing.TB, inner core.Scheduler) *auditor {
	return &auditor{t: t, inner: inner, out: map[core.Job]int{}}
}

func (a *auditor) call() func() {
	if a.inside {
		a.t.Error("two calls of the scheduler at the same time")
	}
	a.inside = true
	return func() { a.inside = false }
}

func (a *auditor) Push(job core.Job) {
	defer a.call()()
	if a.resizes == 0 {
		a.t.Error("Push before Resized")
	}
	a.pushes++
	a.inner.Push(job)
}

func (a *auditor) Pop(worker int) (core.Job, bool) {
	defer a.call()()
	job, ok := a.inner.Pop(worker)
	if ok {
		a.pops++
		a.out[job]++
	}
	return job, ok
}

func (a *auditor) Len() int { return a.inner.Len() }

func (a *auditor) Resized(int) { defer a.call()(); a.resizes++ }

func (a *auditor) Completed(job core.Job) {
	defer a.call()()
	a.completions++
	if a.out[job]--; a.out[job] < 0 {
		a.t.Errorf("Completed(%v) without a Pop or Claim", job)
	}
	if a.out[job] == 0 {
		delete(a.out, job)
	}
	if c, ok := a.inner.(core.Completer); ok {
		c.Completed(job)
	}
}

// balanced is called when the engine is idle.
func (a *auditor) balanced() {
	a.t.Helper()
	if len(a.out) != 0 {
		a.t.Errorf("%d jobs were popped or claimed and never completed", len(a.out))
	}
	if n := a.inner.Len(); n != 0 {
		a.t.Errorf("%d jobs are still stored", n)
	}
}

// claimingAuditor is an auditor that is asked before a waiter runs a job.
type claimingAuditor struct{ *auditor }

func (a claimingAuditor) Claim(job core.Job) (core.Job, bool) {
	defer a.call()()
	holder, ok := a.inner.(core.Claimer).Claim(job)
	if ok {
		a.claims++
		a.out[job]++
	}
	return holder, ok
}

// sweepingAuditor can remove jobs from the middle as well.
type sweepingAuditor struct{ claimingAuditor }

func (a sweepingAuditor) Sweep(drop func(core.Job) bool) {
	defer a.call()()
	a.sweeps++
	a.inner.(core.Sweeper).Sweep(drop)
}

// line stores jobs in one slice.
type line struct {
	jobs   []core.Job
	newest bool // last in, first out
}

func (l *line) Push(job core.Job) { l.jobs = append(l.jobs, job) }

func (l *line) Pop(int) (job core.Job, ok bool) {
	n := len(l.jobs)
	switch {
	case n == 0:
		return job, false
	case l.newest:
		job, l.jobs = l.jobs[n-1], l.jobs[:n-1]
	default:
		job, l.jobs = l.jobs[0], l.jobs[1:]
	}
	return job, true
}

func (l *line) Len() int { return len(l.jobs) }

func (l *line) Claim(job core.Job) (core.Job, bool) { return core.Job{}, true }

func (l *line) Sweep(drop func(core.Job) bool) { l.jobs = slices.DeleteFunc(l.jobs, drop) }

// lanes runs the jobs of one key one after another, in the order in which they
// came, and those of different keys side by side.
type lanes struct {
	lane  map[string]*lane
	ready []string
	count int
}

type lane struct {
	jobs    []core.Job
	current core.Job // that runs; zero for none
	listed  bool     // in ready
}

func newLanes() *lanes { return &lanes{lane: map[string]*lane{}} }

func (s *lanes) list(key string, l *lane) {
	if !l.listed && l.current.IsZero() && len(l.jobs) > 0 {
		l.listed = true
		s.ready = append(s.ready, key)
	}
}

func (s *lanes) Push(job core.Job) {
	l := s.lane[job.Key()]
	if l == nil {
		l = new(lane)
		s.lane[job.Key()] = l
	}
	l.jobs = append(l.jobs, job)
	s.count++
	s.list(job.Key(), l)
}

func (s *lanes) Pop(int) (core.Job, bool) {
	for len(s.ready) > 0 {
		l := s.lane[s.ready[0]]
		s.ready = s.ready[1:]
		l.listed = false
		if l.current.IsZero() && len(l.jobs) > 0 {
			return s.start(l), true
		}
	}
	return core.Job{}, false
}

func (s *lanes) start(l *lane) core.Job {
	l.current, l.jobs = l.jobs[0], l.jobs[1:]
	s.count--
	return l.current
}

func (s *lanes) Len() int { return s.count }

func (s *lanes) Completed(job core.Job) {
	l := s.lane[job.Key()]
	if l.current == job {
		l.current = core.Job{}
	}
	s.list(job.Key(), l)
}

func (s *lanes) Claim(job core.Job) (holder core.Job, ok bool) {
	l := s.lane[job.Key()]
	switch {
	case l == nil:
		return core.Job{}, false
	case !l.current.IsZero():
		return l.current, false
	case len(l.jobs) > 0 && l.jobs[0] == job:
		s.start(l)
		return core.Job{}, true
	}
	return core.Job{}, false
}

func (s *lanes) Sweep(drop func(core.Job) bool) {
	for _, l := range s.lane {
		before := len(l.jobs)
		l.jobs = slices.DeleteFunc(l.jobs, drop)
		s.count -= before - len(l.jobs)
	}
}

// waking holds jobs back until it is told to let them go, on any goroutine.
type waking struct {
	line
	open atomic.Bool
	wake func()
}

func (w *waking) SetWaker(wake func()) { w.wake = wake }

func (w *waking) Pop(worker int) (core.Job, bool) {
	if !w.open.Load() {
		return core.Job{}, false
	}
	return w.line.Pop(worker)
}
