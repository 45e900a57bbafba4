package scheduler

import "github.com/uptutu/goman/core"

// nested is a scheduler within another. The engine knows the outermost only, so every
// call that an inner one has asked for by an optional interface goes through here.
//
// A scheduler that nests implements all of these interfaces, and so the engine asks it
// before a job runs out of turn. For an inner one without that interface it answers as
// the engine would: see core.Claimer.
//
// An inner scheduler may keep the entry of a job that was claimed. Those entries are
// dead; here they are counted, passed over when they come out, and swept before there
// are more of them than of others. Nobody outside sees them: the outer scheduler would
// count a job twice that may by then have been pushed again.
type nested struct {
	inner core.Scheduler
	stale map[core.Job]int // dead entries
	dead  int              // how many
	tells bool             // inner is a core.Completer
	asks  bool             // inner is a core.Refuser
}

// sweepAfter is how many dead entries are let be in any case.
const sweepAfter = 64

// makeNested makes an inner scheduler. outer is in which one, for the error.
func makeNested[S core.Scheduler](outer string, inner func() (S, error)) (nested, error) {
	if inner == nil {
		return nested{}, invalidf("the function that makes the schedulers in a %s is nil: give NewFIFO, for example", outer)
	}
	s, err := inner()
	if err != nil {
		return nested{}, err
	}
	if isNil(s) {
		return nested{}, invalidf("the function that makes the schedulers in a %s has returned none", outer)
	}
	n := nested{inner: s}
	// For what is called for each job it is worth to know beforehand.
	_, n.tells = n.inner.(core.Completer)
	_, n.asks = n.inner.(core.Refuser)
	return n, nil
}

func (n *nested) Push(job core.Job) {
	if n.dead > 0 && n.stale[job] > 0 {
		// It ran in place, and is to run again: of two entries the wrong one would be
		// passed over.
		n.Sweep(func(core.Job) bool { return false })
	}
	n.inner.Push(job)
}

func (n *nested) Pop(worker int) (core.Job, bool) {
	for {
		job, ok := n.inner.Pop(worker)
		if !ok || !n.isStale(job) {
			return job, ok
		}
		n.Completed(job)
	}
}

// isStale reports whether an entry of job is dead, which is forgotten by that.
func (n *nested) isStale(job core.Job) bool {
	if n.dead == 0 {
		return false
	}
	left := n.stale[job]
	if left == 0 {
		return false
	}
	if n.dead--; left > 1 {
		n.stale[job] = left - 1
	} else {
		delete(n.stale, job)
	}
	return true
}

func (n *nested) Len() int { return n.inner.Len() - n.dead }

func (n *nested) Completed(job core.Job) {
	if n.tells {
		n.inner.(core.Completer).Completed(job)
	}
}

func (n *nested) Claim(job core.Job) (holder core.Job, ok bool) {
	before := n.inner.Len()
	if c, is := n.inner.(core.Claimer); is {
		if holder, ok = c.Claim(job); !ok {
			return holder, false
		}
	} else if n.tells {
		return core.Job{}, false
	}
	if n.inner.Len() < before {
		return core.Job{}, true
	}
	if n.stale == nil {
		n.stale = make(map[core.Job]int)
	}
	n.stale[job]++
	if n.dead++; n.dead > max(sweepAfter, n.Len()) {
		n.Sweep(func(core.Job) bool { return false })
	}
	return core.Job{}, true
}

// Sweep removes from the inner scheduler what it can, and leaves the rest.
func (n *nested) Sweep(drop func(core.Job) bool) {
	if s, ok := n.inner.(core.Sweeper); ok {
		s.Sweep(func(job core.Job) bool { return n.isStale(job) || drop(job) })
	}
}

func (n *nested) Resized(workers int) {
	if r, ok := n.inner.(core.Resizer); ok {
		r.Resized(workers)
	}
}

func (n *nested) SetWaker(wake func()) {
	if w, ok := n.inner.(core.WakerSetter); ok {
		w.SetWaker(wake)
	}
}

func (n *nested) Refuse(job core.Job) error {
	if n.asks {
		return n.inner.(core.Refuser).Refuse(job)
	}
	return nil
}

func (n *nested) Yielded(job core.Job) {
	if y, ok := n.inner.(core.Yielder); ok {
		y.Yielded(job)
	}
}

func (n *nested) Resumed(job core.Job) {
	if y, ok := n.inner.(core.Yielder); ok {
		y.Resumed(job)
	}
}
