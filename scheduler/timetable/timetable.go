package timetable

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/queue"
)

// A Timetable submits tasks to an engine when they are due: at a time ([At]), after a
// delay ([After]), every period ([Every]), or by a cron expression ([Cron]). Until then
// a task is not in the engine: it takes no room in its queue, and the engine's
// statistics and its WaitIdle know nothing of it.
//
// # When
//
// A task is never submitted before its time. It is submitted after its time as soon as
// the process gets to it, exactly at its time in a bubble of testing/synctest; it then
// starts when the engine lets it. Tasks that are due at the same time are submitted in
// the order in which they were added or last planned.
//
// After and Every go by the monotonic clock: whoever sets the wall clock does
// not change them. At and Cron go by the wall clock. They look at it once in
// [Config.ClockCheck], so when it is put forward, or the machine has slept,
// what has become due is late by that much at most. No planned instant comes twice:
// when the clock is put back, Cron goes on where it was once the clock has come there
// again. Only if it is put back by more than a day is its old time taken to have been
// wrong, and Cron plans anew. See [CronSpec.Next] for daylight-saving time.
//
// # When the engine does not take it
//
// A timetable submits one task at a time, in order. If the queue is full the reject
// policy counts, that of the entry or else that of the engine; under the default
// policy the timetable waits for room, so nothing is lost, everything behind it waits too, and
// entries that come several times follow their [MissedPolicy] after that. RejectCallerRuns
// would run a task in the place of the timetable: it is not allowed in an entry, and that of
// the engine counts as RejectWait here. What is refused is told: by the result of a
// task that is due once, by [Config.OnSkipped] or the log for the others. A
// paused engine takes tasks and does not start them: runs pile up in its queue only
// if the entry's [OverlapPolicy] allows it.
//
// When the engine is shut down or closed the timetable ends at once, as by
// [Timetable.Stop]. Tasks that were submitted belong to the engine then, and end as it
// says; those that were not are undone: their results fail, and Stop hands them back.
// Stop the timetable before the engine to keep the two reports apart.
//
// # Cost
//
// One timer serves all entries, and one goroutine, which there is only while
// something is due. Adding an entry and removing it take the same time however many there are;
// BenchmarkTimetable shows it, and what an entry takes in memory.
//
// All methods and functions may be called by any number of goroutines, also from
// tasks. There is no context to give: an entry outlives the request that adds it. What
// a task needs, its function can hold.
type Timetable struct {
	// Immutable.
	engine   *core.Engine
	name     string // of the engine
	config   Config
	baseWall time.Time
	base     time.Time // the same moment on the monotonic clock

	callerRuns atomic.Bool // the reject policy of the engine is RejectCallerRuns

	mu          sync.Mutex // guards the following, and the state of all entries
	first, last *Entry     // the entries, in the order in which they came
	added       uint64     // entries ever
	due         *queue.DelayQueue[*Entry]
	walls       int           // entries that go by the wall clock
	offset      time.Duration // how far that clock has moved against the monotonic one
	timer       *time.Timer
	armed       time.Time // when the timer fires; zero if it does not
	firing      bool      // somebody is in fire
	seen        time.Time // when fire last looked at the clock
	rested      chan struct{}
	ready       []occurrence // due and to be submitted, in order
	free        []occurrence // the array of ready, for the next
	current     *Entry       // being submitted
	giveUp      *submission  // of current
	notices     []Skipped    // to be told
	reason      error        // why it has ended; nil while it runs
	unhook      func()       // removes the hook from the engine
	undone      []Undone
}

// occurrence is an entry whose time has come.
type occurrence struct {
	entry   *Entry
	planned time.Time
}

// Config tells how a [Timetable] is made. The zero value works.
type Config struct {
	// Now tells the wall clock time. The default is time.Now. It is for tests of
	// what happens when the clock is set; delays and periods do not go by it. It must not
	// call the timetable or its entries, nor runtime.Goexit. Where it panics the time since
	// New counts.
	Now func() time.Time
	// ClockCheck is how long the wall clock is left alone while there are
	// entries that go by it. The default, 0, is a minute; a millisecond is the least.
	ClockCheck time.Duration
	// OnSkipped is told of planned runs that did not take place. It is called on the
	// timetable's goroutine, or on that of the caller who stops it; no lock is held. It must
	// not call Stop. The default is a line in the log.
	OnSkipped func(Skipped)
	// Logger is for OnSkipped's default, and for panics. The default is the engine's.
	Logger *slog.Logger
}

// New returns a timetable for engine without entries. It starts nothing.
//
// The error matches core.ErrInvalid if the engine was not made by New or cfg holds a
// value that is not allowed, and core.ErrClosed if the engine is shut down.
func New(engine *core.Engine, cfg Config) (*Timetable, error) {
	switch {
	case cfg.ClockCheck == 0:
		cfg.ClockCheck = time.Minute
	case cfg.ClockCheck < time.Millisecond:
		return nil, invalidf("ClockCheck is %v, allowed are 1ms and more, or 0 for 1m", cfg.ClockCheck)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	settings := engine.Config()
	if cfg.Logger == nil {
		cfg.Logger = settings.Logger
	}
	tt := &Timetable{engine: engine, name: settings.Name, config: cfg, base: time.Now()}
	tt.callerRuns.Store(settings.Reject == core.RejectCallerRuns)
	tt.baseWall = tt.wall()
	// With ticks of a nanosecond it is exact.
	tt.due, _ = queue.NewDelayQueue[*Entry](queue.DelayConfig[*Entry]{Tick: 1})
	unhook, err := engine.AddHooks(core.Hooks{Changed: func(change core.Change) {
		switch change {
		case core.ChangeReconfigured:
			tt.callerRuns.Store(engine.Config().Reject == core.RejectCallerRuns)
		case core.ChangeShutdownBegun:
			tt.end(core.ErrClosed)
		}
	}})
	if err != nil {
		return nil, fmt.Errorf("timetable: %w", err) // New of core has not made the engine
	}
	tt.mu.Lock()
	defer tt.mu.Unlock()
	if engine.IsShutdown() || tt.reason != nil {
		unhook()
		return nil, stopError(settings.Name, core.ErrClosed)
	}
	tt.unhook = unhook
	return tt, nil
}

// Stop ends the timetable: nothing is submitted once it has returned, and nothing can be
// added. It returns the tasks that were to run once and were not submitted, in the
// order in which they were due; their results fail with an error that matches
// [ErrStopped] and core.ErrUndone. What was submitted goes on.
//
// It waits for the one submission that may be on its way, which gives up at once: the functions
// of the user that are called by that (OnSkipped, core.Config.OnFull, hooks) must not
// call it, for it would wait for them. A second call returns nothing.
func (tt *Timetable) Stop() []Undone {
	if tt == nil || tt.engine == nil {
		return nil
	}
	tt.end(nil)
	tt.mu.Lock()
	for tt.firing {
		if tt.rested == nil {
			tt.rested = make(chan struct{})
		}
		rested := tt.rested
		tt.mu.Unlock()
		<-rested
		tt.mu.Lock()
	}
	undone := tt.undone
	tt.undone = nil
	tt.mu.Unlock()
	// The one that was being submitted came last.
	slices.SortStableFunc(undone, func(a, b Undone) int { return a.Due.Compare(b.Due) })
	return undone
}

// Entries returns the entries that have runs to come, the soonest first.
func (tt *Timetable) Entries() []*Entry {
	if tt == nil {
		return nil
	}
	tt.mu.Lock()
	defer tt.mu.Unlock()
	type place struct {
		entry *Entry
		next  time.Time
	}
	var places []place
	for e := tt.first; e != nil; e = e.next {
		places = append(places, place{e, e.onWall()})
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(a.next.Compare(b.next), cmp.Compare(a.entry.id, b.entry.id))
	})
	list := make([]*Entry, len(places))
	for i, p := range places {
		list[i] = p.entry
	}
	return list
}

// add takes a new entry.
func (tt *Timetable) add(e *Entry) error {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	if tt.reason != nil {
		return tt.reason
	}
	if e.wall {
		if tt.walls == 0 {
			tt.offset = tt.drift()
		}
		tt.walls++
	}
	tt.added++
	e.id = tt.added
	if err := e.enqueue(0); err != nil {
		return err
	}
	if e.prev = tt.last; e.prev != nil {
		e.prev.next = e
	} else {
		tt.first = e
	}
	tt.last = e
	tt.arm()
	return nil
}

// remove forgets an entry. The caller holds mu.
func (tt *Timetable) remove(e *Entry) {
	if e.ended {
		return
	}
	e.ended = true
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		tt.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		tt.last = e.prev
	}
	e.prev, e.next = nil, nil
	tt.due.Cancel(e.handle)
	if e.wall {
		tt.walls--
	}
	if tt.first == nil {
		tt.arm() // there is nothing to wait for
	}
}

// list returns the entries, in the order in which they came. The caller holds mu.
func (tt *Timetable) list() (list []*Entry) {
	for e := tt.first; e != nil; e = e.next {
		list = append(list, e)
	}
	return list
}

// end ends the timetable, because of cause, or nil if it was stopped.
func (tt *Timetable) end(cause error) {
	tt.mu.Lock()
	if tt.reason != nil {
		tt.mu.Unlock()
		return
	}
	tt.reason = stopError(tt.name, cause)
	if tt.timer != nil {
		tt.timer.Stop()
	}
	left := tt.list()
	slices.SortStableFunc(left, func(a, b *Entry) int { return a.onWall().Compare(b.onWall()) })
	for _, e := range left {
		if e != tt.current || e.once == nil {
			e.leave()
		}
	}
	for _, o := range tt.ready {
		if o.entry.series != nil && !o.entry.stopped {
			o.entry.skip(Skipped{Reason: SkipStopped, Count: 1, First: o.planned, Last: o.planned, Err: tt.reason})
		}
	}
	tt.ready = nil
	if tt.current != nil && cause == nil { // an engine that ends refuses it itself
		tt.giveUp.end(tt.reason, false)
	}
	notices, unhook := tt.notices, tt.unhook
	tt.notices, tt.unhook = nil, nil
	tt.mu.Unlock()
	if unhook != nil { // nil if it ends before it is made
		unhook()
	}
	tt.tell(notices)
}
