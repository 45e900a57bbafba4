package timetable

import (
	"fmt"
	"time"

	"github.com/uptutu/goman/core"
)

// Rules say how an entry runs that comes several times: see [EveryWith] and
// [CronWith]. The zero value works.
type Rules struct {
	// Attributes are those of each run. RejectCallerRuns is not allowed.
	Attributes core.Attributes
	// Jitter is how much later than planned a run may be due: a random time from 0 to
	// Jitter, drawn for each, so that many programs with the same plan do not all come at
	// once. With Every it has to be shorter than the period. The default is none.
	Jitter time.Duration
	// Missed is what becomes of planned runs that could not be submitted in time. The
	// default is MissedOnce.
	Missed MissedPolicy
	// MissedMax is how many missed runs MissedAll makes up at most, from 1 to 1,000,
	// the latest. The default, 0, is 100.
	MissedMax int
	// Grace is how much later than due a run may be submitted under MissedSkip. The
	// default, 0, is a second.
	Grace time.Duration
	// Overlap is what becomes of a run that is due while the one before is still queued
	// in the engine, or runs. The default is OverlapSkip.
	Overlap OverlapPolicy
}

// MissedPolicy says what becomes of the runs of an entry that were missed: the
// timetable was waiting for room in the engine's queue, the machine slept, or the wall
// clock was put forward. (While the engine is paused nothing is missed: see OverlapPolicy.)
type MissedPolicy uint8

const (
	// MissedOnce makes up for all of them by one run, at once.
	MissedOnce MissedPolicy = iota
	// MissedSkip does not make up for them: the entry goes on with the next planned
	// run. A run that is late by no more than Rules.Grace is not missed.
	MissedSkip
	// MissedAll makes up for each, at once, up to Rules.MissedMax of them. Unless runs may
	// overlap they run one after the other.
	MissedAll
	missedEnd
)

// String returns the name of p in lower case.
func (p MissedPolicy) String() string { return nameFrom("missed", uint8(p), "once", "skip", "all") }

// OverlapPolicy says what becomes of a run of an entry that is due while the one
// before is still queued in the engine, or runs.
type OverlapPolicy uint8

const (
	// OverlapSkip skips it.
	OverlapSkip OverlapPolicy = iota
	// OverlapQueue lets one run wait for the end of the one before, and skips more.
	OverlapQueue
	// OverlapAllow submits it: runs of one entry may run beside each other.
	OverlapAllow
	overlapEnd
)

// String returns the name of p in lower case.
func (p OverlapPolicy) String() string {
	return nameFrom("overlap", uint8(p), "skip", "queue", "allow")
}

// Skipped tells of planned runs of one entry that do not take place.
type Skipped struct {
	// Entry is the entry, Name the name of its task.
	Entry *Entry
	Name  string
	// Reason is why.
	Reason SkipReason
	// Count is how many they are, First and Last the planned times of the first and the
	// last, on the wall clock. Of a cron expression no more than 10,000 are
	// counted at a time.
	Count       int
	First, Last time.Time
	// Err is the refusal for SkipRefused, and why the timetable has ended for SkipStopped.
	Err error
}

// SkipReason is why planned runs do not take place.
type SkipReason uint8

const (
	// SkipMissed says that they were missed, and the MissedPolicy is not to make up for them.
	SkipMissed SkipReason = iota + 1
	// SkipOverlap says that the run before had not ended.
	SkipOverlap
	// SkipRefused says that the engine has refused the task.
	SkipRefused
	// SkipStopped says that they were due, and the timetable or its engine was stopped.
	SkipStopped
)

// String returns the name of r in lower case.
func (r SkipReason) String() string {
	return nameFrom("reason", uint8(r), "none", "missed", "overlap", "refused", "stopped")
}

func nameFrom(kind string, i uint8, names ...string) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", kind, i)
}

// The limits and defaults of Rules.
const (
	maxMissed     = 1_000
	defaultMissed = 100
	defaultGrace  = time.Second
)

// check reports the first value that is not allowed.
func (r Rules) check() error {
	switch {
	case r.Jitter < 0:
		return invalidf("the jitter is %v, allowed are 0 and more", r.Jitter)
	case r.Missed >= missedEnd:
		return invalidf("%v is unknown, allowed are MissedOnce, MissedSkip and MissedAll", r.Missed)
	case r.MissedMax < 0 || r.MissedMax > maxMissed:
		return invalidf("MissedMax is %d, allowed are 1 to %d, or 0 for %d", r.MissedMax, maxMissed, defaultMissed)
	case r.Grace < 0:
		return invalidf("the grace is %v, allowed are 1ns and more, or 0 for %v", r.Grace, defaultGrace)
	case r.Overlap >= overlapEnd:
		return invalidf("%v is unknown, allowed are OverlapSkip, OverlapQueue and OverlapAllow", r.Overlap)
	}
	return nil
}

// keep is how many of the runs that are due may be made up.
func (r Rules) keep() int {
	switch {
	case r.Missed != MissedAll:
		return 1
	case r.MissedMax == 0:
		return defaultMissed
	}
	return r.MissedMax
}

func (r Rules) grace() time.Duration {
	if r.Grace == 0 {
		return defaultGrace
	}
	return r.Grace
}
