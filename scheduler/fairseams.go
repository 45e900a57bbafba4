package scheduler

import (
	"maps"
	"slices"

	"github.com/uptutu/goman/core"
)

// What a Fair implements of the optional interfaces, besides core.Completer.

// Len implements core.Scheduler.
func (s *Fair) Len() int { return s.count }

// Tenants returns how many tenants have a job that waits or runs. Like all methods
// it may be called by one goroutine at a time only: the engine's, while it runs.
func (s *Fair) Tenants() int { return len(s.tenants) - s.idle.count }

// Claim implements core.Claimer. The job runs on the worker of who waits for it, so
// the tenant's limit does not hold it back.
func (s *Fair) Claim(job core.Job) (holder core.Job, ok bool) {
	t := s.tenants[job.Tenant()]
	if t == nil {
		return core.Job{}, false
	}
	if holder, ok = t.jobs.Claim(job); ok {
		t.tally.claimed(job)
		s.started(t, job)
		s.recount(t)
		s.place(t, false)
	}
	return holder, ok
}

// Sweep implements core.Sweeper. Tenants come in the order of their names.
func (s *Fair) Sweep(drop func(core.Job) bool) {
	for _, name := range slices.Sorted(maps.Keys(s.tenants)) {
		t := s.tenants[name]
		if t == nil {
			continue // it had none, and was forgotten
		}
		t.jobs.Sweep(drop)
		s.recount(t)
		s.place(t, false)
	}
}

// Resized implements core.Resizer.
func (s *Fair) Resized(workers int) {
	s.told.workers = workers
	for _, t := range s.tenants {
		t.jobs.Resized(workers)
	}
	if s.spare != nil {
		s.spare.Resized(workers)
	}
	s.woken.Store(true)
}

// SetWaker implements core.WakerSetter.
func (s *Fair) SetWaker(wake func()) {
	s.told.wake = func() {
		s.woken.Store(true) // those held back may have a job by now
		wake()
	}
	if s.spare != nil {
		s.spare.SetWaker(s.told.wake)
	}
	for _, t := range s.tenants {
		t.jobs.SetWaker(s.told.wake)
	}
}

// Refuse implements core.Refuser.
func (s *Fair) Refuse(job core.Job) error {
	t, known, err := s.tenant(job)
	if err != nil {
		return err
	}
	if !known {
		defer func() { s.spare = t.jobs }()
	}
	return t.jobs.Refuse(job)
}

// Yielded implements core.Yielder.
func (s *Fair) Yielded(job core.Job) { s.wait(job, (*tally).yielded, (*nested).Yielded) }

// Resumed implements core.Yielder.
func (s *Fair) Resumed(job core.Job) { s.wait(job, (*tally).resumed, (*nested).Resumed) }

func (s *Fair) wait(job core.Job, count func(*tally, core.Job), tell func(*nested, core.Job)) {
	if t := s.tenants[job.Tenant()]; t != nil {
		count(&t.tally, job)
		tell(t.jobs, job)
		s.place(t, true)
	}
}
