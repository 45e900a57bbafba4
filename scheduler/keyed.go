package scheduler

import "github.com/uptutu/goman/core"

// Keyed lets the tasks of one key (core.Attributes.Key) start in the order in which
// they were submitted, one after another or at most so many at a time, while those of
// different keys run side by side. Tasks without a key are not held back.
//
// Each key is a lane. The first of a lane, or as many as may run, stand in the nested
// scheduler, which chooses among them: NewFIFO, or a Priority of the lanes' heads. No
// worker belongs to a lane and no lane to another by a hash, so a slow task delays its
// own key alone, and as long as any lane has a task that may start, no worker is idle.
//
// A task that is run again (core.Again) goes to the end of its lane. With one at a
// time a task that waits for one of its own key that stands behind it would wait for
// ever: it is given core.ErrDeadlock. Nobody tells it so where it waits by
// core.AwaitAny, or for room in a queue that is full of its own key's tasks: give such
// a wait an end. With more at a time a task that waits inside
// does not count, so the next may start; when it goes on there may be one too many
// until another has ended. A Keyed within a Keyed makes no sense.
//
// Waiting: a task waits for those of its key before it, and then as the nested
// scheduler says. Cost: a look-up of the key for each Push and each end; 2.5 times the
// built-in scheduler's time for a task that does nothing, on two cores
// (BenchmarkScheduler); and a look at each of the tasks of its key that may run, so that
// thousands at a time are dear. Memory: about 150 bytes for a key that has tasks, none for
// one that has not. With many keys that are gone, the memory returns to its base.
type Keyed struct {
	perKey  int
	jobs    nested // those that may start
	lanes   lanes
	waiting int // jobs that stand in the lanes
}

// NewKeyed makes a Keyed that lets perKey tasks of one key run at a time, 1 or more,
// over a scheduler that is made by inner: NewFIFO, or a function of the user's. The
// error matches core.ErrInvalid if perKey or inner is wrong, or is the one that inner
// has returned.
func NewKeyed[S core.Scheduler](perKey int, inner func() (S, error)) (*Keyed, error) {
	if perKey < 1 {
		return nil, invalidf("%d tasks of a key at a time: allowed is 1 or more", perKey)
	}
	jobs, err := makeNested("Keyed", inner)
	if err != nil {
		return nil, err
	}
	return &Keyed{perKey: perKey, jobs: jobs, lanes: newLanes()}, nil
}

// Push implements core.Scheduler.
func (s *Keyed) Push(job core.Job) {
	key := job.Key()
	if key == "" {
		s.jobs.Push(job)
		return
	}
	hash := s.lanes.hash(key)
	l := s.lanes.look(key, hash)
	if l != nil && (l.waiting.count > 0 || l.full(s.perKey)) {
		l.waiting.push(job)
		s.waiting++
		if len(l.out) == 0 { // those before it could not enter: see advance
			s.advance(l)
		}
		return
	}
	s.jobs.Push(job) // which may panic: then the lane does not know of job
	if l == nil {
		l = s.lanes.add(key, hash)
	}
	l.out = append(l.out, place{job: job})
}

// full reports whether no job more of the lane may start.
func (l *lane) full(perKey int) bool {
	running := len(l.out)
	if perKey > 1 {
		for i := range l.out {
			if l.out[i].away {
				running--
			}
		}
	}
	return running >= perKey
}

// find returns the index of the place of job, or -1.
func (l *lane) find(job core.Job) int {
	if l != nil {
		for i := range l.out {
			if l.out[i].job == job {
				return i
			}
		}
	}
	return -1
}

// Pop implements core.Scheduler. The place of a job stays its own until it is completed.
func (s *Keyed) Pop(worker int) (core.Job, bool) { return s.jobs.Pop(worker) }

// Len implements core.Scheduler.
func (s *Keyed) Len() int { return s.jobs.Len() + s.waiting }

// Keys returns how many keys have a task that waits or runs. Like all methods it may
// be called by one goroutine at a time only: the engine's, while it runs.
func (s *Keyed) Keys() int { return s.lanes.count }

// Completed implements core.Completer.
func (s *Keyed) Completed(job core.Job) {
	s.jobs.Completed(job)
	key := job.Key()
	if key == "" {
		return
	}
	if l := s.lanes.find(key); l != nil {
		l.leave(l.find(job))
		s.advance(l)
	}
}

// leave takes the place with index i back, if there is one.
func (l *lane) leave(i int) {
	if i < 0 {
		return
	}
	last := len(l.out) - 1 // their order does not matter
	l.out[i] = l.out[last]
	l.out[last] = place{}
	l.out = l.out[:last]
}

// advance lets the next jobs of a lane start, and drops a lane without any.
func (s *Keyed) advance(l *lane) {
	for l.waiting.count > 0 && !l.full(s.perKey) {
		job := *l.waiting.at(0)
		s.jobs.Push(job) // which may panic: then job stays where it is
		l.waiting.popFirst()
		s.waiting--
		l.out = append(l.out, place{job: job})
	}
	if len(l.out) == 0 && l.waiting.count == 0 {
		s.lanes.remove(l)
	}
}

// advanceAll advances lanes: the others too if the nested scheduler fails to take a job.
func (s *Keyed) advanceAll(list []*lane) {
	done := 0
	defer func() {
		if done < len(list) {
			s.advanceAll(list[done:])
		}
	}()
	for done < len(list) {
		done++
		s.advance(list[done-1])
	}
}

// Claim implements core.Claimer.
func (s *Keyed) Claim(job core.Job) (holder core.Job, ok bool) {
	key := job.Key()
	if key == "" {
		return s.jobs.Claim(job)
	}
	l := s.lanes.find(key)
	if l.find(job) >= 0 {
		return s.jobs.Claim(job)
	}
	if l != nil && s.perKey == 1 && len(l.out) > 0 {
		return l.out[0].job, false
	}
	return core.Job{}, false
}

// Sweep implements core.Sweeper. Jobs that may start come before those that wait in
// their lanes, which come in the order of their keys.
func (s *Keyed) Sweep(drop func(core.Job) bool) {
	var moved []*lane
	defer func() { // also if the nested scheduler panics
		for _, l := range moved {
			l.moved = false
		}
		s.advanceAll(moved)
	}()
	s.jobs.Sweep(func(job core.Job) bool {
		if !drop(job) {
			return false
		}
		if l := s.lanes.find(job.Key()); l != nil {
			if i := l.find(job); i >= 0 {
				l.leave(i)
				if !l.moved {
					l.moved = true
					moved = append(moved, l)
				}
			}
		}
		return true
	})
	if s.waiting > 0 {
		for _, l := range s.lanes.sorted() {
			before := l.waiting.count
			l.waiting.deleteFunc(drop)
			s.waiting -= before - l.waiting.count
		}
	}
}

// Resized implements core.Resizer.
func (s *Keyed) Resized(workers int) { s.jobs.Resized(workers) }

// SetWaker implements core.WakerSetter.
func (s *Keyed) SetWaker(wake func()) { s.jobs.SetWaker(wake) }

// Refuse implements core.Refuser.
func (s *Keyed) Refuse(job core.Job) error { return s.jobs.Refuse(job) }

// Yielded implements core.Yielder.
func (s *Keyed) Yielded(job core.Job) { s.jobs.Yielded(job); s.wait(job, true) }

// Resumed implements core.Yielder.
func (s *Keyed) Resumed(job core.Job) { s.jobs.Resumed(job); s.wait(job, false) }

func (s *Keyed) wait(job core.Job, away bool) {
	if s.perKey == 1 {
		return
	}
	l := s.lanes.find(job.Key())
	if i := l.find(job); i >= 0 {
		l.out[i].away = away
		s.advance(l)
	}
}
