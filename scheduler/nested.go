package scheduler

import "github.com/uptutu/goman/core"

// What a scheduler does for those nested in it. The engine knows the outermost only,
// so every call that an inner one has asked for by an optional interface goes through
// here.
//
// A scheduler that nests implements all of these interfaces, and so the engine asks
// it before a job runs out of turn. For an inner one without that interface it answers
// as the engine would: see core.Claimer.

// settings is what the engine has told, for an inner scheduler that is made later.
type settings struct {
	workers int
	wake    func()
}

// tell sets up an inner scheduler.
func (s *settings) tell(inner core.Scheduler) {
	if s.wake != nil {
		setWaker(inner, s.wake)
	}
	if s.workers > 0 {
		resized(inner, s.workers)
	}
}

func completed(inner core.Scheduler, job core.Job) {
	if c, ok := inner.(core.Completer); ok {
		c.Completed(job)
	}
}

func claim(inner core.Scheduler, job core.Job) (holder core.Job, ok bool) {
	if c, ok := inner.(core.Claimer); ok {
		return c.Claim(job)
	}
	_, only := inner.(core.Completer)
	return core.Job{}, !only
}

// sweep removes from inner what it can, and leaves the rest.
func sweep(inner core.Scheduler, drop func(core.Job) bool) {
	if s, ok := inner.(core.Sweeper); ok {
		s.Sweep(drop)
	}
}

func resized(inner core.Scheduler, workers int) {
	if r, ok := inner.(core.Resizer); ok {
		r.Resized(workers)
	}
}

func setWaker(inner core.Scheduler, wake func()) {
	if w, ok := inner.(core.WakerSetter); ok {
		w.SetWaker(wake)
	}
}

func refuse(inner core.Scheduler, job core.Job) error {
	if r, ok := inner.(core.Refuser); ok {
		return r.Refuse(job)
	}
	return nil
}

func yielded(inner core.Scheduler, job core.Job) {
	if y, ok := inner.(core.Yielder); ok {
		y.Yielded(job)
	}
}

func resumed(inner core.Scheduler, job core.Job) {
	if y, ok := inner.(core.Yielder); ok {
		y.Resumed(job)
	}
}

// makeInner makes an inner scheduler, and says in which outer one it failed.
func makeInner[S core.Scheduler](outer string, inner func() (S, error)) (core.Scheduler, error) {
	if inner == nil {
		return nil, invalidf("the function that makes the schedulers in a %s is nil: give NewFIFO, for example", outer)
	}
	s, err := inner()
	if err != nil {
		return nil, err
	}
	if core.Scheduler(s) == nil {
		return nil, invalidf("the function that makes the schedulers in a %s has returned none", outer)
	}
	return s, nil
}
