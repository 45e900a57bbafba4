package scheduler

import (
	"math"
	"time"

	"github.com/uptutu/goman/core"
)

// Priority starts the jobs of a higher level first: Critical, High, Normal, Low. Each
// level is a scheduler of its own, which orders the jobs within it.
//
// A strict one, of the zero PriorityConfig, gives a lower level a turn only when
// none of the higher ones has a job that may start: low tasks wait as long as higher
// ones keep coming, for ever if need be.
//
// With Aging(d) a job rises by a level for each d that it waits. So no job starts
// before one that came more than d before it for each level between the two. Low
// tasks wait at most until all have started that were there when they came or came
// within 3·d after: what comes later stands behind them. (Where a level's own
// scheduler is not first in, first out, that holds for the number of jobs that the
// level has started. A task that was run in place by who waits for it gives its time to
// those that came after it.)
//
// With Reserve workers are kept free for a level and those above it: what is urgent
// then finds a worker at once, and not only a better place in the queue. That holds for
// tasks that do not wait inside: one that does gives its worker away, and takes
// one when it goes on, whatever is kept.
//
// Cost: that of the levels' schedulers, and a few nanoseconds; with Aging, a look at
// the clock for each Push (BenchmarkScheduler). Memory: theirs; with Aging, 8 bytes a
// job.
type Priority struct {
	aging    int64
	reserved [levels]int // of workers for each level
	wake     func()
	start    time.Time

	level   [levels]nested
	came    [levels]ring[int64] // when the jobs of a level came, one for each
	reserve reserve
}

// agingMax is as good as for ever, 36 years, and so small that no sum of times overflows.
const agingMax = math.MaxInt64 / 8

// levels is the number of priorities; 0 is Low.
const levels = int(core.Critical)

// PriorityConfig tells how a Priority is made. The zero value is strict.
type PriorityConfig struct {
	// Aging is the time in which a waiting job rises by a level; 0 is strict.
	Aging time.Duration
	// Reserve tells how many workers are kept for a level and those above it. What
	// lies below it starts on no more than the others at a time, of which one is
	// always left. A task that waits inside does not count, one that is run in
	// place by who waits for it neither; when a task goes on after a wait, there may be
	// too many until another has ended. Nothing can be kept for Low.
	Reserve map[core.Priority]int
}

// Strict returns the configuration of a Priority without aging.
func Strict() PriorityConfig { return PriorityConfig{} }

// Aging returns the configuration of a Priority whose jobs rise by a level for each d
// that they wait.
func Aging(d time.Duration) PriorityConfig {
	if d == 0 {
		d = wrongZero
	}
	return PriorityConfig{Aging: d}
}

// wrongZero stands for a zero that was asked for: in a configuration zero means the
// default, but Aging(0) is a mistake.
const wrongZero = math.MinInt64

// Reserving returns cfg with n workers kept for a level and those above it.
func (cfg PriorityConfig) Reserving(level core.Priority, n int) PriorityConfig {
	reserve := map[core.Priority]int{level: n}
	for other, m := range cfg.Reserve {
		if other != level {
			reserve[other] = m
		}
	}
	cfg.Reserve = reserve
	return cfg
}

// NewPriority makes a Priority whose levels are made by inner: NewFIFO, NewFair, or a
// function of the user's. The error matches core.ErrInvalid if cfg or inner is wrong, or
// is the one that inner has returned.
func NewPriority[S core.Scheduler](cfg PriorityConfig, inner func() (S, error)) (*Priority, error) {
	if cfg.Aging < 0 {
		if cfg.Aging == wrongZero {
			cfg.Aging = 0
		}
		return nil, invalidf("an aging of %v: allowed is more than 0, or Strict for none", cfg.Aging)
	}
	s := &Priority{aging: min(int64(cfg.Aging), agingMax), start: time.Now()}
	for level, n := range cfg.Reserve {
		if level <= core.Low || level > core.Critical {
			return nil, invalidf("workers kept for %v (%d): allowed are Normal, High and Critical", level, uint8(level))
		}
		if n < 0 || n > core.MaxWorkers {
			return nil, invalidf("%d workers kept for %v: allowed are 0 to %d", n, level, core.MaxWorkers)
		}
		s.reserved[level-1] = n
	}
	for i := range s.level {
		var err error
		if s.level[i], err = makeNested("Priority", inner); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func levelOf(job core.Job) int { return int(job.Priority()) - 1 }

// Push implements core.Scheduler.
func (s *Priority) Push(job core.Job) {
	i := levelOf(job)
	if s.aging > 0 {
		s.came[i].push(int64(time.Since(s.start)))
		defer s.settle(i) // if the level panics, it may have stored job or not
	}
	s.level[i].Push(job)
}

// Pop implements core.Scheduler.
func (s *Priority) Pop(worker int) (core.Job, bool) {
	if s.aging > 0 {
		return s.popOldest(worker)
	}
	for i := levels - 1; i >= 0; i-- {
		if job, ok := s.popLevel(i, worker); ok {
			return job, true
		}
	}
	return core.Job{}, false
}

func (s *Priority) popLevel(i, worker int) (core.Job, bool) {
	if !s.reserve.allows(i) {
		return core.Job{}, false
	}
	job, ok := s.level[i].Pop(worker)
	if ok {
		s.reserve.note(i, job, (*tally).started)
		if s.came[i].count > 0 {
			s.came[i].popFirst()
		}
	}
	return job, ok
}

// popOldest asks the levels in the order of their oldest jobs, as if each had come
// earlier by its level. Of two that are equal the higher one is first.
func (s *Priority) popOldest(worker int) (core.Job, bool) {
	var asked [levels]bool
	for {
		best, bestCame := -1, int64(0)
		for i := levels - 1; i >= 0; i-- {
			if asked[i] || s.came[i].count == 0 {
				continue
			}
			if came := *s.came[i].at(0) - int64(i)*s.aging; best < 0 || came < bestCame {
				best, bestCame = i, came
			}
		}
		if best < 0 {
			return core.Job{}, false
		}
		asked[best] = true
		if job, ok := s.popLevel(best, worker); ok {
			return job, true
		}
	}
}

// settle keeps one time for each job of the level, after some have been removed that
// came nobody knows when. The newest times go: so no job that is left counts as younger
// than it is.
func (s *Priority) settle(i int) {
	if s.aging == 0 {
		return
	}
	for s.came[i].count > s.level[i].Len() {
		s.came[i].popLast()
	}
}

// Len implements core.Scheduler.
func (s *Priority) Len() (n int) {
	for i := range s.level {
		n += s.level[i].Len()
	}
	return n
}

// Completed implements core.Completer.
func (s *Priority) Completed(job core.Job) {
	i := levelOf(job)
	s.reserve.note(i, job, (*tally).completed)
	s.level[i].Completed(job)
}

// Claim implements core.Claimer. The job runs on the worker of who waits for it, so
// it takes no other one away.
func (s *Priority) Claim(job core.Job) (holder core.Job, ok bool) {
	i := levelOf(job)
	if holder, ok = s.level[i].Claim(job); ok {
		s.reserve.note(i, job, (*tally).claimed)
		s.settle(i)
	}
	return holder, ok
}

// Sweep implements core.Sweeper. Among levels the lower ones come first.
func (s *Priority) Sweep(drop func(core.Job) bool) {
	for i := range s.level {
		if s.aging == 0 {
			s.level[i].Sweep(drop)
			continue
		}
		// The times of those that go, if the level comes in the order in which they came.
		dropped := make([]bool, 0, s.came[i].count)
		s.level[i].Sweep(func(job core.Job) bool {
			d := drop(job)
			dropped = append(dropped, d)
			return d
		})
		at := -1
		s.came[i].deleteFunc(func(int64) bool { at++; return at < len(dropped) && dropped[at] })
		s.settle(i)
	}
}

// Resized implements core.Resizer.
func (s *Priority) Resized(workers int) {
	s.reserve.resized(workers, s.reserved)
	for i := range s.level {
		s.level[i].Resized(workers)
	}
	if s.wake != nil && s.reserve.active && s.Len() > 0 {
		s.wake() // there may be a worker for what was held back
	}
}

// SetWaker implements core.WakerSetter.
func (s *Priority) SetWaker(wake func()) {
	s.wake = wake
	for i := range s.level {
		s.level[i].SetWaker(wake)
	}
}

// Refuse implements core.Refuser.
func (s *Priority) Refuse(job core.Job) error { return s.level[levelOf(job)].Refuse(job) }

// Yielded implements core.Yielder.
func (s *Priority) Yielded(job core.Job) {
	i := levelOf(job)
	s.reserve.note(i, job, (*tally).yielded)
	s.level[i].Yielded(job)
}

// Resumed implements core.Yielder.
func (s *Priority) Resumed(job core.Job) {
	i := levelOf(job)
	s.reserve.note(i, job, (*tally).resumed)
	s.level[i].Resumed(job)
}
