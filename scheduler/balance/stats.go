package balance

import (
	"errors"
	"fmt"
	"slices"
	"weak"

	"github.com/uptutu/goman/core"
)

// Stats is a snapshot of a group. The figures of each engine are exact at one
// instant; those of different engines are not of the same one. They count what ended
// after the engine had joined, so
//
//	Total = the sum of Engines + Left
//	Total.Accepted = Total.Queued + Total.Running + Total.Ended()
//
// holds in every snapshot, and no count of Total ever becomes smaller.
type Stats struct {
	// Name is the group's name.
	Name string
	// Engines are the figures of the engines in the group, in the order in which they
	// joined, without the tasks that had ended before.
	Engines []core.Stats
	// Left are those of the engines that have left. Each counts until Stats, Join or Leave
	// finds it idle; a task of the group that comes to it after that counts too. They
	// count tasks alone; the workers of an engine that has left are not the group's.
	Left core.Stats
	// Total is the sum. Its Capacity is -1 if that of one engine is. Its Rejected counts
	// the refusals of the engines, also those after which another engine has accepted the
	// task.
	Total core.Stats
	// Waiting is how many submissions wait for room in any of the engines.
	Waiting int
	// Refused is how many submissions the group has refused.
	Refused uint64
}

// Check returns an error that names each figure that does not add up, or nil. They
// always should: it is for tests.
func (s Stats) Check() error {
	var faults []error
	sum := core.Stats{Name: s.Name}
	for _, part := range append(slices.Clone(s.Engines), s.Left) {
		faults = append(faults, part.Check())
		addStats(&sum, part)
	}
	faults = append(faults, s.Total.Check())
	if sum != s.Total {
		faults = append(faults, fmt.Errorf("balance: group %s: the engines' figures do not add up: they are %+v, the total is %+v", s.Name, sum, s.Total))
	}
	return errors.Join(faults...)
}

// Stats takes a snapshot. It asks each engine in turn, see [core.Engine.Stats], and
// holds Join and Leave up meanwhile. It is the zero Stats for a group that was not
// made by New.
func (g *Group) Stats() Stats {
	if !g.made() {
		return Stats{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Stats{Name: g.name, Left: g.settled, Total: core.Stats{Name: g.name}}
	s.Left.Name = "left"
	for _, l := range g.leavers {
		l.look()
		addStats(&s.Left, l.last)
	}
	addStats(&s.Total, s.Left)
	for _, seat := range g.roster.Load().seats {
		part := since(seat.engine.Stats(), seat.base)
		s.Engines = append(s.Engines, part)
		addStats(&s.Total, part)
	}
	s.Waiting = int(g.room.waiting.Load())
	s.Refused = g.refused.Load()
	return s
}

// leaver is an engine that has left. As long as it is busy it is looked at; then
// its figures are kept, and the engine is not.
type leaver struct {
	engine *core.Engine // nil once it was idle
	self   weak.Pointer[core.Engine]
	base   core.Stats
	last   core.Stats // what it did for the group, when last looked at
}

func newLeaver(s *seat) *leaver {
	l := &leaver{engine: s.engine, self: weak.Make(s.engine), base: s.base}
	l.look()
	return l
}

// look brings last up to date.
func (l *leaver) look() {
	if l.engine == nil {
		return
	}
	now := l.engine.Stats()
	l.last = since(now, l.base)
	l.last.Workers, l.last.Idle, l.last.Goroutines, l.last.Capacity, l.last.Blocked = 0, 0, 0, 0, 0
	if now.Queued == 0 && now.Running == 0 {
		l.engine = nil
	}
}

// reap forgets the engines that have left and do not exist any more. The caller holds
// mu.
func (g *Group) reap() {
	g.leavers = slices.DeleteFunc(g.leavers, func(l *leaver) bool {
		l.look()
		if l.engine != nil || l.self.Value() != nil {
			return false
		}
		addStats(&g.settled, l.last)
		return true
	})
}

// baseOf returns the figures from which those of an engine that joins are counted: those
// of now; of an engine that comes back those from which they were counted before, so that
// nothing is counted twice, or missed. The caller holds mu.
func (g *Group) baseOf(engine *core.Engine, now core.Stats) core.Stats {
	self := weak.Make(engine)
	if i := slices.IndexFunc(g.leavers, func(l *leaver) bool { return l.self == self }); i >= 0 {
		base := g.leavers[i].base
		g.leavers = slices.Delete(g.leavers, i, i+1)
		return base
	}
	now.Accepted = now.Ended() // what is queued or runs will end in the group
	return now
}

// late is called by a submission whose task was accepted by an engine that has left:
// its figures are looked at again.
func (g *Group) late(s *seat) {
	g.mu.Lock()
	defer g.mu.Unlock()
	self := weak.Make(s.engine)
	for _, l := range g.leavers {
		if l.self == self {
			l.engine = s.engine
		}
	}
}

// counters returns the counts of s, which only grow.
func counters(s *core.Stats) []*uint64 {
	r := &s.Rejected
	return []*uint64{&s.Accepted, &s.Succeeded, &s.Failed, &s.Panicked, &s.Canceled, &s.TimedOut, &s.Discarded, &s.Undone,
		&s.Abandoned, &s.Retried, &s.Late, &s.Failures, &r.Invalid, &r.Closed, &r.Context, &r.Full, &r.Discard, &r.Refused, &r.Internal}
}

// gauges returns those figures of s that come and go, but for Capacity.
func gauges(s *core.Stats) []*int {
	return []*int{&s.Workers, &s.Idle, &s.Goroutines, &s.Blocked, &s.Queued, &s.Delayed, &s.Running, &s.Waiting, &s.Overdue}
}

// since returns now without what base has counted.
func since(now, base core.Stats) core.Stats {
	earlier := counters(&base)
	for i, n := range counters(&now) {
		*n -= *earlier[i]
	}
	return now
}

// addStats adds part to sum.
func addStats(sum *core.Stats, part core.Stats) {
	more := counters(&part)
	for i, n := range counters(sum) {
		*n += *more[i]
	}
	here := gauges(&part)
	for i, n := range gauges(sum) {
		*n += *here[i]
	}
	if part.Capacity < 0 || sum.Capacity < 0 {
		sum.Capacity = core.Unbounded
	} else {
		sum.Capacity += part.Capacity
	}
}
