package timetable

import (
	"math"
	"time"
)

// plan is the planned instants of an entry that comes several times.
type plan interface {
	// next returns the first instant after t.
	next(t time.Time) time.Time
	// upTo looks at the planned instants from first, which is one, up to now, which is
	// not before it.
	upTo(first, now time.Time, keep int) found
	// String says when that is.
	String() string
}

// found is what upTo has found.
type found struct {
	count    int         // how many there are
	latest   []time.Time // the last ones, at most keep, at least one
	previous time.Time   // the one before them, if there are more
	next     time.Time   // the first after now
}

// before returns the last instant that is not among the n latest; n is the length of
// latest, or 0.
func (f found) before(n int) time.Time {
	if n > 0 {
		return f.previous
	}
	return f.latest[len(f.latest)-1]
}

// periodic is the plan of Every.
type periodic struct {
	start time.Time // one period before the first run
	every time.Duration
}

func (p periodic) String() string { return "every " + p.every.String() }

func (p periodic) next(t time.Time) time.Time {
	return p.start.Add(p.times(max(t.Sub(p.start), 0)/p.every + 1))
}

func (p periodic) upTo(first, now time.Time, keep int) (f found) {
	count := now.Sub(first)/p.every + 1
	f.next = first.Add(p.times(count))
	f.count = int(min(count, math.MaxInt32))
	kept := min(keep, f.count)
	for i := kept; i > 0; i-- {
		f.latest = append(f.latest, f.next.Add(-p.times(time.Duration(i))))
	}
	f.previous = f.latest[0].Add(-p.every)
	return f
}

// times returns n periods.
func (p periodic) times(n time.Duration) time.Duration {
	return n * p.every //nolint:durationcheck // n is a number: what a division of durations has left
}

// mostCounted is how many instants of a cron expression are looked at one by one; the
// latest are searched for then.
const mostCounted = 10_000

func (s *CronSpec) next(t time.Time) time.Time { return s.Next(t) }

func (s *CronSpec) upTo(first, now time.Time, keep int) (f found) {
	instant := first
	for ; !instant.After(now) && f.count < mostCounted; instant = s.Next(instant) {
		if f.count++; len(f.latest) == keep {
			f.previous = f.latest[0]
			f.latest = append(f.latest[:0], f.latest[1:]...)
		}
		f.latest = append(f.latest, instant)
	}
	if f.next = instant; !instant.After(now) { // there are more than are counted
		f.next = s.Next(now)
		f.latest = f.latest[:keep]
		for i := keep - 1; i >= 0; i-- {
			f.latest[i] = s.last(instant, now)
			now = f.latest[i].Add(-1)
		}
		f.previous = s.last(instant, now)
	}
	return f
}

// last returns the last instant up to now; first is an instant before that.
func (s *CronSpec) last(first, now time.Time) time.Time {
	end := now // none is between end and now
	for !s.Next(first).After(now) {
		middle := first.Add(end.Sub(first) / 2)
		if next := s.Next(middle); next.After(now) {
			end = middle
		} else {
			first = next
		}
	}
	return first
}
