package schedulertest

import (
	"slices"
	"time"

	"github.com/uptutu/goman/core"
)

// Model tells which jobs may start, as plainly as can be.
type Model interface {
	// Push stores job.
	Push(job core.Job)
	// May returns the jobs of which one is to start next; none if none may.
	May() []core.Job
	// Open reports whether job, which is stored, may start out of its turn.
	Open(job core.Job) bool
	// Started is told of a job that has started, in its turn or out of it.
	Started(job core.Job)
	// Completed is told of the end of such a job.
	Completed(job core.Job)
	// Dropped is told of a job that was swept.
	Dropped(job core.Job)
}

// list is the part of a model that keeps jobs in the order in which they came.
type list struct {
	jobs []core.Job
	next func(jobs []core.Job) []core.Job
}

func (l *list) Push(job core.Job)    { l.jobs = append(l.jobs, job) }
func (l *list) May() []core.Job      { return l.next(l.jobs) }
func (l *list) Open(core.Job) bool   { return true }
func (l *list) Started(job core.Job) { l.Dropped(job) }
func (l *list) Completed(core.Job)   {}
func (l *list) Dropped(job core.Job) {
	if i := slices.Index(l.jobs, job); i >= 0 {
		l.jobs = slices.Delete(l.jobs, i, i+1)
	}
}

// FIFO is the model of first in, first out.
func FIFO() Model {
	return &list{next: func(jobs []core.Job) []core.Job { return jobs[:min(1, len(jobs))] }}
}

// LIFO is the model of last in, first out.
func LIFO() Model {
	return &list{next: func(jobs []core.Job) []core.Job { return jobs[max(len(jobs)-1, 0):] }}
}

// Any is the model of a scheduler that may choose any job.
func Any() Model { return &list{next: func(jobs []core.Job) []core.Job { return jobs }} }

// Earliest is the model of the earliest deadline first: equal ones as they came, those
// without one last.
func Earliest() Model {
	before := func(a, b core.Job) int {
		x, some := a.Deadline()
		y, other := b.Deadline()
		switch {
		case some && other:
			return time.Time.Compare(x, y)
		case some:
			return -1
		case other:
			return 1
		}
		return 0
	}
	return &list{next: func(jobs []core.Job) []core.Job {
		if len(jobs) == 0 {
			return nil
		}
		return []core.Job{slices.MinFunc(jobs, before)} // the first of equal ones
	}}
}

// groups is a model of several, one for each value of an attribute.
type groups[K comparable] struct {
	key   func(core.Job) K
	make  func() Model
	of    map[K]Model
	merge func(groups map[K]Model) []core.Job
}

func (g *groups[K]) group(job core.Job) Model {
	k := g.key(job)
	if g.of[k] == nil {
		g.of[k] = g.make()
	}
	return g.of[k]
}

func (g *groups[K]) Push(job core.Job)      { g.group(job).Push(job) }
func (g *groups[K]) May() []core.Job        { return g.merge(g.of) }
func (g *groups[K]) Open(job core.Job) bool { return g.group(job).Open(job) }
func (g *groups[K]) Started(job core.Job)   { g.group(job).Started(job) }
func (g *groups[K]) Completed(job core.Job) { g.group(job).Completed(job) }
func (g *groups[K]) Dropped(job core.Job)   { g.group(job).Dropped(job) }

// Levels is the model of strict priority over models, one for each level.
func Levels(inner func() Model) Model {
	return &groups[core.Priority]{
		key: core.Job.Priority, make: inner, of: map[core.Priority]Model{},
		merge: func(of map[core.Priority]Model) []core.Job {
			for p := core.Critical; p >= core.Low; p-- {
				if m := of[p]; m != nil {
					if may := m.May(); len(may) > 0 {
						return may
					}
				}
			}
			return nil
		},
	}
}

// Each is the model of a scheduler that may choose any group of jobs of one key, as
// far as a model can tell, and within the group keeps to the order of another model.
// How fair the choice is, is a question of the Bound.
func Each(key func(core.Job) string, inner func() Model) Model {
	return &groups[string]{
		key: key, make: inner, of: map[string]Model{},
		merge: func(of map[string]Model) (may []core.Job) {
			for _, m := range of {
				may = append(may, m.May()...)
			}
			return may
		},
	}
}

// lanes is the model of lanes.
type lanes struct {
	perKey  int
	inner   Model
	waiting []core.Job
	out     map[string]int // places taken
}

// Lanes is the model of lanes: at most perKey jobs of one key have left their lane and
// not ended, and the order among those that have left it is that of another model.
// Jobs without a key are in no lane.
func Lanes(perKey int, inner Model) Model {
	return &lanes{perKey: perKey, inner: inner, out: map[string]int{}}
}

func (l *lanes) Push(job core.Job) {
	l.waiting = append(l.waiting, job)
	l.advance()
}

func (l *lanes) advance() {
	l.waiting = slices.DeleteFunc(l.waiting, func(job core.Job) bool {
		key := job.Key()
		if key != "" && l.out[key] >= l.perKey {
			return false
		}
		l.out[key]++
		l.inner.Push(job)
		return true
	})
}

func (l *lanes) May() []core.Job { return l.inner.May() }

func (l *lanes) Open(job core.Job) bool {
	return !slices.Contains(l.waiting, job) && l.inner.Open(job)
}

func (l *lanes) Started(job core.Job) { l.inner.Started(job) }

func (l *lanes) Completed(job core.Job) {
	l.inner.Completed(job)
	l.out[job.Key()]--
	l.advance()
}

func (l *lanes) Dropped(job core.Job) {
	if i := slices.Index(l.waiting, job); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
		return
	}
	l.inner.Dropped(job)
	l.out[job.Key()]--
	l.advance()
}
