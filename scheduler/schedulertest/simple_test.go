package schedulertest

import (
	"slices"

	"github.com/uptutu/goman/core"
)

// simple is a slow and plainly right scheduler with lanes, by whose mistakes the suite
// is tested: first in, first out among the jobs whose key does not run.
type simple struct {
	wrong   string // which mistake it makes; "" is none
	jobs    []core.Job
	busy    map[string]core.Job // the running job of a key
	calls   int
	workers int
	last    core.Job
}

func newSimple(wrong string) func() (core.Scheduler, error) {
	return func() (core.Scheduler, error) { return &simple{wrong: wrong, busy: map[string]core.Job{}}, nil }
}

func (s *simple) is(wrong string) bool { return s.wrong == wrong }

func (s *simple) Push(job core.Job) {
	s.calls++
	switch {
	case s.is("loses one") && s.calls%7 == 0:
		return
	case s.is("newest first"):
		s.jobs = slices.Insert(s.jobs, 0, job)
		return
	case s.is("forgets who comes again") && job == s.last:
		return
	}
	s.jobs = append(s.jobs, job)
}

func (s *simple) key(job core.Job) string {
	if s.is("lanes by hash") && job.Key() != "" {
		return "one for all"
	}
	return job.Key()
}

func (s *simple) open(job core.Job) bool {
	_, busy := s.busy[s.key(job)]
	return s.key(job) == "" || !busy || s.is("ignores the lanes")
}

// head reports whether job is the first of its key.
func (s *simple) head(job core.Job) bool {
	i := slices.IndexFunc(s.jobs, func(other core.Job) bool { return s.key(other) == s.key(job) })
	return s.key(job) == "" || i >= 0 && s.jobs[i] == job
}

func (s *simple) Pop(int) (core.Job, bool) {
	switch {
	case s.is("keeps the last one") && len(s.jobs) == 1,
		s.is("stops at one worker") && s.workers == 1:
		return core.Job{}, false
	}
	i := slices.IndexFunc(s.jobs, s.open)
	if s.is("gives up behind a busy lane") && i > 0 {
		return core.Job{}, false
	}
	if i < 0 {
		return core.Job{}, false
	}
	job := s.jobs[i]
	s.calls++
	if s.is("twice") && s.calls%5 == 0 && job.Key() == "" {
		return job, true // and keeps it
	}
	s.jobs = slices.Delete(s.jobs, i, i+1)
	if s.key(job) != "" {
		s.busy[s.key(job)] = job
	}
	return job, true
}

func (s *simple) Len() int {
	if s.is("counts what runs") {
		return len(s.jobs) + len(s.busy)
	}
	return len(s.jobs)
}

func (s *simple) Completed(job core.Job) {
	s.last = job
	switch {
	case s.is("never hears of an end") && job.Priority() == core.Low:
		return
	case s.is("any end frees all lanes"):
		clear(s.busy)
	case s.busy[s.key(job)] == job:
		delete(s.busy, s.key(job))
	}
}

func (s *simple) Claim(job core.Job) (core.Job, bool) {
	switch {
	case s.is("claims freely"):
		s.jobs = slices.DeleteFunc(s.jobs, func(other core.Job) bool { return other == job })
		return core.Job{}, true
	case !s.open(job) && s.is("holds itself up"):
		return job, false
	case !s.open(job) && s.is("held up by what has ended") && !s.last.IsZero():
		return s.last, false
	case !s.open(job):
		return s.busy[s.key(job)], false
	case !s.head(job):
		return core.Job{}, false
	}
	s.jobs = slices.DeleteFunc(s.jobs, func(other core.Job) bool { return other == job })
	if key := s.key(job); key != "" && !s.is("does not count a claim") {
		s.busy[key] = job
	}
	return core.Job{}, true
}

func (s *simple) Sweep(drop func(core.Job) bool) {
	switch {
	case s.is("sweeps all but the first") && len(s.jobs) > 0:
		kept := s.jobs[0]
		s.jobs = slices.Insert(slices.DeleteFunc(s.jobs[1:], drop), 0, kept)
		return
	case s.is("keeps what is dropped"):
		for _, job := range s.jobs {
			drop(job)
		}
		return
	case s.is("asks twice"):
		for _, job := range s.jobs {
			drop(job)
		}
	case s.is("drops the next one too") && len(s.jobs) > 1:
		before := len(s.jobs)
		if s.jobs = slices.DeleteFunc(s.jobs, drop); len(s.jobs) < before && len(s.jobs) > 0 {
			s.jobs = s.jobs[1:]
		}
		return
	}
	s.jobs = slices.DeleteFunc(s.jobs, drop)
	if s.is("turns the order around") {
		slices.Reverse(s.jobs)
	}
}

func (s *simple) Resized(workers int) { s.workers = workers }

// passing nests one scheduler and passes all on, but for its mistake.
type passing struct {
	core.Scheduler
	wrong string
}

func newPassing(wrong string) func(func() (core.Scheduler, error)) (core.Scheduler, error) {
	return func(inner func() (core.Scheduler, error)) (core.Scheduler, error) {
		s, err := inner()
		if err != nil && wrong != "drops the error" {
			return nil, err
		}
		return &passing{s, wrong}, nil
	}
}

func (p *passing) Completed(job core.Job) {
	if c, ok := p.Scheduler.(core.Completer); ok && p.wrong != "Completed" {
		c.Completed(job)
	}
}

func (p *passing) Claim(job core.Job) (core.Job, bool) {
	if c, ok := p.Scheduler.(core.Claimer); ok && p.wrong != "Claim" {
		return c.Claim(job)
	}
	return core.Job{}, true
}

func (p *passing) Sweep(drop func(core.Job) bool) {
	if s, ok := p.Scheduler.(core.Sweeper); ok && p.wrong != "Sweep" {
		s.Sweep(drop)
	}
}

func (p *passing) Resized(workers int) {
	if r, ok := p.Scheduler.(core.Resizer); ok && (p.wrong != "Resized" || workers == 2) {
		r.Resized(workers)
	}
}

func (p *passing) SetWaker(wake func()) {
	if w, ok := p.Scheduler.(core.WakerSetter); ok && p.wrong != "SetWaker" {
		w.SetWaker(wake)
	}
}

func (p *passing) Refuse(job core.Job) error {
	if r, ok := p.Scheduler.(core.Refuser); ok && p.wrong != "Refuse" {
		return r.Refuse(job)
	}
	return nil
}

func (p *passing) Yielded(job core.Job) {
	if y, ok := p.Scheduler.(core.Yielder); ok && p.wrong != "Yielded" {
		y.Yielded(job)
	}
}

func (p *passing) Resumed(job core.Job) {
	if y, ok := p.Scheduler.(core.Yielder); ok {
		y.Resumed(job)
	}
}

// limited lets one job run at a time, but for those that wait inside.
type limited struct {
	bare
	wrong   string
	running int
	away    map[core.Job]bool
}

func newLimited(wrong string) func() (core.Scheduler, error) {
	return func() (core.Scheduler, error) { return &limited{wrong: wrong, away: map[core.Job]bool{}}, nil }
}

func (l *limited) Pop(worker int) (core.Job, bool) {
	if l.running > 0 {
		return core.Job{}, false
	}
	job, ok := l.bare.Pop(worker)
	if ok {
		l.running++
	}
	return job, ok
}

func (l *limited) Completed(job core.Job) {
	if l.away[job] {
		delete(l.away, job)
	} else {
		l.running--
	}
}

func (l *limited) Yielded(job core.Job) {
	if l.wrong != "counts who waits" {
		l.away[job] = true
		l.running--
	}
}

func (l *limited) Resumed(job core.Job) {
	if l.away[job] {
		delete(l.away, job)
		l.running++
	}
}
