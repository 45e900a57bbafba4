package timetable

import (
	"math/rand/v2"
	"time"
)

// planFrom makes instant the next planned one.
func (e *Entry) planFrom(instant time.Time) {
	e.planned = instant
	if j := e.series.rules.Jitter; j > 0 {
		e.series.jitter = time.Duration(rand.Uint64N(uint64(j) + 1))
	}
}

// comeAgain is come for an entry that comes several times, with the time of its clock.
// The caller holds mu.
func (e *Entry) comeAgain(now time.Time) {
	from, jitter, rules := e.planned, e.series.jitter, &e.series.rules
	found := e.series.plan.upTo(from, now.Add(-jitter), rules.keep())
	run := found.latest
	if rules.Missed == MissedSkip && now.Sub(run[len(run)-1].Add(jitter)) > rules.grace() {
		run = nil
	}
	if missed := found.count - len(run); missed > 0 {
		e.skip(Skipped{Reason: SkipMissed, Count: missed, First: from, Last: found.before(len(run))})
	}
	e.planFrom(found.next)
	_ = e.enqueue(0) // there is room: it has just left
	for _, instant := range run {
		e.arrange(instant, len(run) > 1)
	}
}

// arrange starts a run, unless the overlap policy is against it. Runs that were missed
// and are made up wait for each other. The caller holds mu.
func (e *Entry) arrange(instant time.Time, madeUp bool) {
	s, room := e.series, 0
	switch {
	case s.rules.Overlap == OverlapAllow || e.active == 0:
		e.start(instant)
		return
	case madeUp:
		room = s.rules.keep()
	case s.rules.Overlap == OverlapQueue:
		room = 1
	}
	if len(s.waiting) < room {
		s.waiting = append(s.waiting, instant)
		return
	}
	e.skip(Skipped{Reason: SkipOverlap, Count: 1, First: instant, Last: instant})
}

// submittedAgain is submitted for an entry that comes several times. The caller holds mu.
func (e *Entry) submittedAgain(planned time.Time, err error) {
	if err == nil {
		return
	}
	switch reason := e.tt.reason; {
	case e.stopped:
	case reason != nil:
		e.skip(Skipped{Reason: SkipStopped, Count: 1, First: planned, Last: planned, Err: reason})
	default:
		e.skip(Skipped{Reason: SkipRefused, Count: 1, First: planned, Last: planned, Err: err})
	}
	e.done()
}

// finished notes that a run has ended with err.
func (e *Entry) finished(err error) {
	e.tt.mu.Lock()
	defer e.tt.mu.Unlock()
	e.series.last = err
	e.done()
	e.tt.arm()
}

// done notes that a run is over, and starts the one that waits for that. The caller
// holds mu.
func (e *Entry) done() {
	s := e.series
	e.active--
	if len(s.waiting) > 0 && e.active == 0 && e.tt.reason == nil {
		next := s.waiting[0]
		s.waiting = s.waiting[1:]
		e.start(next)
	}
}

// skip notes planned runs that do not take place. The caller holds mu.
func (e *Entry) skip(s Skipped) {
	e.series.skipped += uint64(s.Count)
	s.Entry, s.Name = e, e.name
	if !e.wall { // its clock means nothing to the user
		wall := e.tt.wall()
		s.First, s.Last = wall.Add(time.Until(s.First)), wall.Add(time.Until(s.Last))
	}
	e.tt.notices = append(e.tt.notices, s)
}
