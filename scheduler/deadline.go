package scheduler

import (
	"fmt"
	"math"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/queue"
)

// Deadline starts the job whose deadline is earliest first. The deadline is that of
// the context given to Submit, or what a function of the user's tells. Jobs with the
// same one start in the order in which they came; those without one come last.
//
// A task whose context has ended is not run: that is the engine's doing, with every
// scheduler. A deadline that a function tells only orders.
//
// With Refuse a task is refused at submission, with ErrDeadlineUnmeetable, if it is
// expected to end after its deadline: by how long the tasks of its name, and of those
// that are queued before it, have taken of late, and by the number of workers. It is
// an estimate, and wrong where the past does not tell the future; nothing is refused
// for its running time before eight tasks of its name have ended. Of more than a thousand
// names the later ones count as one. A cancelled task counts as queued until its entry is
// gone, at the latest when there are more such entries than others, but for 64.
//
// Waiting: a job waits for those with an earlier deadline that come before it starts,
// so one with a deadline starts, at the latest, after all that come before that
// deadline has passed and have an earlier one; one without may wait for ever. If all
// tasks can be done in time on one worker in some order, this order does it (C. L. Liu
// and J. W. Layland, Scheduling Algorithms for Multiprogramming in a Hard-Real-Time
// Environment, JACM 1973); where they cannot, it is a bad one, since all are late a
// little: then let it refuse.
//
// Cost: that of queue.KeyHeap, which grows with the logarithm of the jobs; with Refuse
// four looks at the clock and some forty entries of a map, most of a microsecond in all
// (BenchmarkDirect). Memory: 40 bytes a job; with Refuse about a kilobyte.
type Deadline struct {
	of   func(core.Job) (time.Time, bool)
	jobs *queue.KeyHeap[int64, deadlined]
	load *load    // nil if nothing is refused
	dead core.Job // what Pop gave out last, if its entry was dead: its Completed comes next
}

// DeadlineConfig tells how a Deadline is made. The zero value is valid.
type DeadlineConfig struct {
	// Of tells the deadline of a job, or false for none, once, as it is pushed; and
	// once before if Refuse is set. The default is core.Job.Deadline.
	Of func(job core.Job) (time.Time, bool)
	// Refuse refuses tasks whose deadline cannot be met.
	Refuse bool
}

// deadlined is a queued job.
type deadlined struct {
	job  core.Job
	due  int64
	cost int64 // how long it is expected to take
}

// NewDeadline makes a Deadline by the contexts' deadlines that refuses nothing. The
// error is nil: see NewFIFO.
func NewDeadline() (*Deadline, error) { return NewDeadlineWith(DeadlineConfig{}) }

// NewDeadlineWith makes a Deadline. The error is nil: see NewFIFO.
func NewDeadlineWith(cfg DeadlineConfig) (*Deadline, error) {
	s := &Deadline{of: cfg.Of}
	if s.of == nil {
		s.of = core.Job.Deadline
	}
	var err error
	if s.jobs, err = queue.NewKeyHeap(func(d deadlined) int64 { return d.due }); err != nil {
		return nil, err
	}
	if cfg.Refuse {
		s.load = newLoad()
	}
	return s, nil
}

// due returns a job's deadline as a number; the largest is none.
func (s *Deadline) due(job core.Job) int64 {
	t, ok := s.of(job)
	switch {
	case !ok || t.IsZero():
		return math.MaxInt64
	case t.After(latest):
		return math.MaxInt64 - 1
	case t.Before(earliest):
		return math.MinInt64
	}
	return t.UnixNano()
}

// The times between which UnixNano is right.
var (
	earliest = time.Unix(0, math.MinInt64)
	latest   = time.Unix(0, math.MaxInt64-1)
)

// Push implements core.Scheduler.
func (s *Deadline) Push(job core.Job) {
	d := deadlined{job: job, due: s.due(job)}
	if s.load != nil {
		d.cost, _ = s.load.usual(job)
		s.load.queued(d.due, d.cost)
	}
	s.jobs.Push(d.due, d)
}

// Pop implements core.Scheduler.
func (s *Deadline) Pop(int) (core.Job, bool) {
	d, ok := s.jobs.TryPop()
	if ok && s.load != nil {
		s.load.left(d.due, d.cost)
		if d.job.IsQueued() {
			s.start(d.job, d.cost)
		} else {
			s.dead = d.job
		}
	}
	return d.job, ok
}

// start counts a job that starts, unless its context has ended: then it will not run,
// and tell nothing of how long tasks take.
func (s *Deadline) start(job core.Job, cost int64) {
	if due, ok := job.Deadline(); !ok || due.After(time.Now()) {
		s.load.started(job, cost)
	}
}

// Len implements core.Scheduler.
func (s *Deadline) Len() int { return s.jobs.Len() }

// Completed implements core.Completer.
func (s *Deadline) Completed(job core.Job) {
	switch {
	case s.load == nil:
	case job == s.dead: // it has not run: that tells nothing of how long tasks take
		s.dead = core.Job{}
	default:
		s.load.completed(job)
	}
}

// Claim implements core.Claimer.
func (s *Deadline) Claim(job core.Job) (core.Job, bool) {
	if s.load != nil {
		cost, _ := s.load.usual(job)
		s.start(job, cost) // its entry goes when its turn comes
	}
	return core.Job{}, true
}

// Sweep implements core.Sweeper. The earliest deadline comes first.
func (s *Deadline) Sweep(drop func(core.Job) bool) {
	kept := make([]deadlined, 0, s.jobs.Len())
	for {
		d, ok := s.jobs.TryPop()
		if !ok {
			break
		}
		if !drop(d.job) {
			kept = append(kept, d)
		} else if s.load != nil {
			s.load.left(d.due, d.cost)
		}
	}
	for _, d := range kept {
		s.jobs.Push(d.due, d)
	}
}

// Resized implements core.Resizer.
func (s *Deadline) Resized(workers int) {
	if s.load != nil {
		s.load.workers = int64(max(workers, 1))
	}
}

// Refuse implements core.Refuser.
func (s *Deadline) Refuse(job core.Job) error {
	if s.load == nil {
		return nil
	}
	due := s.due(job)
	if due == math.MaxInt64 {
		return nil
	}
	now := time.Now()
	cost, known := s.load.usual(job)
	if !known {
		cost = 0
	}
	wait := s.load.before(due, now)
	if end := now.UnixNano() + wait + cost; end > due {
		return fmt.Errorf("%w: task %s would end %v after it, having waited for %v", ErrDeadlineUnmeetable,
			job.Name(), time.Duration(end-due), time.Duration(wait))
	}
	return nil
}
