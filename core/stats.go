package core

import (
	"errors"
	"fmt"
)

// Outcome is how a task ended.
type Outcome uint8

// The outcomes. A task that is to be run again has not ended.
const (
	OutcomeSucceeded Outcome = iota
	OutcomeFailed            // returned an error
	OutcomePanicked          // panicked or called runtime.Goexit
	OutcomeCanceled          // cancelled, before or after it started
	OutcomeTimedOut          // went over its queue limit or its run limit
	OutcomeDiscarded         // given up because the queue was full
	OutcomeUndone            // handed back by Shutdown or Close before it was started, or started again
	OutcomeAbandoned         // ignored the end of its context when the engine stopped
	outcomes
)

// String returns the name of o in lower case.
func (o Outcome) String() string {
	names := [...]string{"succeeded", "failed", "panicked", "canceled", "timed out", "discarded", "undone", "abandoned"}
	if int(o) < len(names) {
		return names[o]
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// Stats is a snapshot of an engine, exact at one instant between the beginning
// and the end of the call that took it; but Rejected and Failures are read just
// after that instant.
type Stats struct {
	// Name is the engine's name.
	Name string
	// Workers is how many tasks may run at a time. Idle of them have none.
	Workers, Idle int
	// Goroutines is how many goroutines the engine has: those of its workers,
	// of tasks that wait inside, and of callbacks.
	Goroutines int
	// Capacity is the queue's; -1 if unbounded. Blocked is how many callers
	// wait for room in it.
	Capacity, Blocked int

	// Accepted is how many tasks were accepted in all. Each is Queued, Running
	// or has ended, see Ended: Accepted = Queued + Running + Ended().
	Accepted uint64
	// Queued is how many wait to be started, among them Delayed ones that wait
	// to be run again.
	Queued, Delayed int
	// Running is how many have started and not ended. Waiting of them wait
	// inside for another task, so Running - Waiting execute at the moment.
	Running, Waiting int
	// Overdue is how many of the running tasks are over their run limit.
	Overdue int

	// How the ended tasks ended: see the outcomes of the same names.
	Succeeded, Failed, Panicked, Canceled, TimedOut, Discarded, Undone, Abandoned uint64

	// Retried is how often a task has asked to be run again.
	Retried uint64
	// Late is how many tasks ended after they were abandoned.
	Late uint64
	// Failures is how many panics there were of hooks, callbacks, policies and
	// other functions that are not tasks. Each was logged.
	Failures uint64
	// Rejected is how many submissions were refused, by reason.
	Rejected Rejections
}

// Rejections counts refused submissions by reason.
type Rejections struct {
	Invalid  uint64 // nil task, nil context and the like
	Closed   uint64 // after Shutdown or Close
	Context  uint64 // the caller's context ended
	Full     uint64 // no room in the queue
	Discard  uint64 // Go under RejectDiscardNewest
	Refused  uint64 // by a Refuser among schedulers
	Internal uint64 // the scheduler or the OnFull function failed
}

// Total returns the sum.
func (r Rejections) Total() uint64 {
	return r.Invalid + r.Closed + r.Context + r.Full + r.Discard + r.Refused + r.Internal
}

// Ended returns how many tasks have ended.
func (s Stats) Ended() uint64 {
	return s.Succeeded + s.Failed + s.Panicked + s.Canceled + s.TimedOut + s.Discarded + s.Undone + s.Abandoned
}

// Check returns an error that names each figure that does not add up, or nil.
// They always should: it is for tests.
func (s Stats) Check() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("core: engine %s: "+format, append([]any{s.Name}, args...)...))
	}
	for name, n := range map[string]int{"Queued": s.Queued, "Delayed": s.Delayed, "Running": s.Running,
		"Waiting": s.Waiting, "Overdue": s.Overdue, "Idle": s.Idle, "Blocked": s.Blocked} {
		if n < 0 {
			fault("%s is negative: %d", name, n)
		}
	}
	if sum := s.Ended() + uint64(s.Queued) + uint64(s.Running); sum != s.Accepted {
		fault("accepted %d is not queued %d + running %d + ended %d", s.Accepted, s.Queued, s.Running, s.Ended())
	}
	if s.Delayed > s.Queued {
		fault("delayed %d is more than queued %d", s.Delayed, s.Queued)
	}
	if s.Waiting > s.Running {
		fault("waiting %d is more than running %d", s.Waiting, s.Running)
	}
	return errors.Join(faults...)
}

// tally is one slot's share of the counters. It is changed and read under the
// slot's mutex, so counting costs no further synchronisation.
//
// A task that asks to be run again ends one attempt and is accepted for the
// next within one critical section.
type tally struct {
	started  uint64
	ended    [outcomes]uint64
	accepted uint64 // by tasks that ran in this slot, for themselves or their children
	again    uint64 // attempts that ended with the wish to be run again
	removed  uint64 // of those ended, how many were never started
}

func (t *tally) add(o *tally) {
	t.accepted += o.accepted
	t.started += o.started
	t.again += o.again
	t.removed += o.removed
	for i := range t.ended {
		t.ended[i] += o.ended[i]
	}
}

func (t *tally) sum() (n uint64) {
	for _, k := range t.ended {
		n += k
	}
	return n
}

// outstanding is how many accepted tasks have not ended.
func (t *tally) outstanding() uint64 { return t.accepted - t.again - t.sum() }

// lockAll stops the counting everywhere for a moment. The order is that of the
// whole package: intake, lot, slots by index, outside. There is one exception, the
// waker of a user's scheduler: see wakeScheduled, which says why it is safe.
func (e *Engine) lockAll() []*slot {
	e.in.lock()
	slots := e.lockSlots()
	e.outside.mu.Lock()
	return slots
}

func (e *Engine) unlockAll(slots []*slot) {
	e.outside.mu.Unlock()
	e.unlockSlots(slots)
	e.in.mu.Unlock()
}

// total adds up all tallies. The caller holds all locks.
func (e *Engine) total(slots []*slot) tally {
	t, _ := e.totals(slots)
	return t
}

// totals is total. A task that ended well is resolved before its worker counts it:
// who has seen its result must see it counted, so it is counted here. uncounted is
// how many of those there are; their workers still hold them as running.
func (e *Engine) totals(slots []*slot) (t tally, uncounted int) {
	t.accepted = e.in.accepted
	t.add(&e.outside.tally)
	for _, s := range slots {
		t.add(&s.tally)
	}
	for _, w := range e.lot.workers {
		if r := w.job.record(); r != nil && !w.forsaken && phase(r.state.Load()) == phaseDone {
			t.ended[OutcomeSucceeded]++
			uncounted++
		}
	}
	return t, uncounted
}

// Stats takes a snapshot. It holds up all workers for the time it takes to read
// their counters and to look at what they run: tens of nanoseconds for each worker
// that has ever been busy, and some for each goroutine the engine ever had.
func (e *Engine) Stats() Stats {
	if !e.made() {
		return Stats{}
	}
	slots := e.lockAll()
	t, uncounted := e.totals(slots)
	s := Stats{
		Name:       e.name,
		Workers:    e.lot.limit,
		Idle:       max(e.lot.limit-e.lot.busy, 0),
		Goroutines: int(e.lot.goroutines.Load()),
		Capacity:   e.in.capacity,
		Blocked:    e.in.blocked,
		Accepted:   t.accepted - t.again,
		Delayed:    len(e.in.delayed),
		Retried:    t.again,
		Late:       e.late.Load(),
		Succeeded:  t.ended[OutcomeSucceeded],
		Failed:     t.ended[OutcomeFailed],
		Panicked:   t.ended[OutcomePanicked],
		Canceled:   t.ended[OutcomeCanceled],
		TimedOut:   t.ended[OutcomeTimedOut],
		Discarded:  t.ended[OutcomeDiscarded],
		Undone:     t.ended[OutcomeUndone],
		Abandoned:  t.ended[OutcomeAbandoned],
	}
	// Running is what the workers hold, and not started less ended, so that
	// Check compares two things that are counted apart.
	s.Running = -uncounted
	s.Queued = int(t.accepted - t.started - t.removed)
	for _, w := range e.lot.workers {
		if w == nil {
			continue
		}
		started := 0
		w.running(func(job Job) {
			started++
			if r := job.record(); r != nil {
				if x := r.extra.Load(); x != nil && x.expired.Load() {
					s.Overdue++
				}
			}
		})
		s.Running += started
		s.Waiting += max(started-1, 0)
		if w.away && started > 0 {
			s.Waiting++
		}
	}
	e.unlockAll(slots)
	s.Failures = e.failures.Load()
	s.Rejected = Rejections{
		Invalid:  e.rejected[reasonInvalid].Load(),
		Closed:   e.rejected[reasonClosed].Load(),
		Context:  e.rejected[reasonContext].Load(),
		Full:     e.rejected[reasonFull].Load(),
		Discard:  e.rejected[reasonDiscard].Load(),
		Refused:  e.rejected[reasonScheduler].Load(),
		Internal: e.rejected[reasonInternal].Load(),
	}
	return s
}
