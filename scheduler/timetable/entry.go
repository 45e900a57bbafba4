package timetable

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/queue"
)

// An Entry is a task in a [Timetable], and when it runs. Its methods may be called by any
// number of goroutines.
type Entry struct {
	// Immutable.
	tt    *Timetable
	id    uint64
	name  string
	wall  bool          // it goes by the wall clock
	delay time.Duration // of After
	plan  plan          // nil if it runs once
	rules Rules
	body  body
	once  once // body, if it runs once; else nil

	// Guarded by the timetable's mu.
	handle  queue.Handle
	planned time.Time     // the next planned instant, on the entry's clock
	jitter  time.Duration // how much later it is due
	ended   bool          // it is no longer among the timetable's entries
	stopped bool          // by Stop or CancelCause
	cause   error         // why
	active  int           // runs that were submitted, or are about to be, and have not ended
	waiting []time.Time   // planned instants that wait for the end of a run
	runs    uint64
	skipped uint64
	last    error
}

// body is the part of an entry that knows the type of its task.
type body interface {
	submit(ctx context.Context) error
}

// once is the body of an entry that runs once.
type once interface {
	body
	settle(err error) // it will not be submitted; called under mu
	work() any        // the task
	resubmit(to *Timetable, due time.Time) error
}

// EntryInfo is what [Entry.Info] tells of an entry at one moment.
type EntryInfo struct {
	// Name is that of the task: of its attributes, its Name method or its type.
	Name string
	// When says when it runs, such as "every 1m0s".
	When string
	// Next is when it is due next, on the wall clock; zero if it is not.
	Next time.Time
	// Active is how many runs are queued in the engine or running.
	Active int
	// Waiting is how many runs wait for the end of an active one.
	Waiting int
	// Runs is how many runs the engine has taken.
	Runs uint64
	// Skipped is how many planned runs did not take place, as OnSkipped is told.
	Skipped uint64
	// Err is what the run that ended last has returned; nil for an entry that runs once.
	Err error
}

// Info returns the state of e.
func (e *Entry) Info() EntryInfo {
	e.tt.mu.Lock()
	defer e.tt.mu.Unlock()
	info := EntryInfo{Name: e.name, When: e.when(), Active: e.active, Waiting: len(e.waiting),
		Runs: e.runs, Skipped: e.skipped, Err: e.last}
	if !e.ended {
		info.Next = e.onWall()
	}
	return info
}

func (e *Entry) when() string {
	switch p := e.plan.(type) {
	case periodic:
		return "every " + p.every.String()
	case *CronSpec:
		return p.String()
	}
	if e.wall {
		return "at " + e.planned.Format(time.RFC3339Nano)
	}
	return "after " + e.delay.String()
}

// Stop ends e: it is not submitted any more, nor is a run that waits for the end of the
// one before. Runs that the engine has taken go on. Stop
// reports whether this call made the difference. If e runs once its result fails with a
// *core.CancelError.
func (e *Entry) Stop() bool {
	e.tt.mu.Lock()
	defer e.tt.mu.Unlock()
	return e.stop(context.Canceled)
}

// stop is Stop for the caller who holds mu.
func (e *Entry) stop(cause error) bool {
	if e.stopped || e.ended && e.tt.current != e {
		return false
	}
	e.stopped, e.cause, e.waiting = true, cause, nil
	e.tt.remove(e)
	switch {
	case e.tt.current == e:
		e.tt.giveUp(cause) // the submission that is on its way
	case e.once != nil:
		e.once.settle(e.canceled())
	}
	return true
}

func (e *Entry) canceled() error {
	return &core.CancelError{Engine: e.tt.name, Task: e.name, Cause: e.cause}
}

// now tells the time on the clock of e.
func (e *Entry) now() time.Time {
	if e.wall {
		return e.tt.wall()
	}
	return time.Now()
}

// due is when e is to be submitted next, on its clock.
func (e *Entry) due() time.Time { return e.planned.Add(e.jitter) }

// onWall is due on the wall clock.
func (e *Entry) onWall() time.Time {
	if e.wall {
		return e.due()
	}
	return e.tt.wall().Add(time.Until(e.due()))
}

// planFrom makes instant the next planned one.
func (e *Entry) planFrom(instant time.Time) {
	e.planned = instant
	if e.rules.Jitter > 0 {
		e.jitter = rand.N(e.rules.Jitter + 1)
	}
}

// enqueue lets e wait until it is due. The caller holds mu.
func (e *Entry) enqueue() (err error) {
	at := e.due()
	if e.wall {
		wait := at.Sub(e.tt.wall())
		at = time.Now().Add(wait)
	}
	var ok bool
	if e.handle, ok = e.tt.due.Add(e, at); !ok {
		return fmt.Errorf("timetable: timetable of engine %s has no room for more than %d entries: %w",
			e.tt.name, e.tt.due.Cap(), core.ErrQueueFull)
	}
	return nil
}

// come does what is to be done now that e has left the queue. The caller holds mu.
func (e *Entry) come() {
	now := e.now()
	if now.Before(e.due()) { // the clock was put back a little
		_ = e.enqueue() // there is room: it has just left
		return
	}
	if e.plan == nil {
		e.start(e.planned)
		return
	}
	from, jitter := e.planned, e.jitter
	found := e.plan.upTo(from, now.Add(-jitter), e.rules.keep())
	run := found.latest
	if e.rules.Missed == MissedSkip && now.Sub(run[len(run)-1].Add(jitter)) > e.rules.grace() {
		run = nil
	}
	if missed := found.count - len(run); missed > 0 {
		e.skip(Skipped{Reason: ReasonMissed, Count: missed, First: from, Last: found.before(len(run))})
	}
	e.planFrom(found.next)
	_ = e.enqueue()
	for _, instant := range run {
		e.arrange(instant, len(run) > 1)
	}
}

// arrange starts a run, unless the overlap policy is against it. Runs that were missed
// and are made up wait for each other. The caller holds mu.
func (e *Entry) arrange(instant time.Time, madeUp bool) {
	room := 0
	switch {
	case e.rules.Overlap == OverlapAllow || e.active == 0:
		e.start(instant)
		return
	case madeUp:
		room = e.rules.keep()
	case e.rules.Overlap == OverlapQueue:
		room = 1
	}
	if len(e.waiting) < room {
		e.waiting = append(e.waiting, instant)
		return
	}
	e.skip(Skipped{Reason: ReasonOverlap, Count: 1, First: instant, Last: instant})
}

// start makes a run of e ready. The caller holds mu.
func (e *Entry) start(planned time.Time) {
	e.active++
	e.tt.ready = append(e.tt.ready, occurrence{e, planned})
}

// submitted notes that the engine has taken a run, or not. The caller holds mu.
func (e *Entry) submitted(planned time.Time, err error) {
	tt := e.tt
	if e.once != nil {
		tt.remove(e)
		e.active = 0 // the future tells the rest
	}
	switch {
	case err == nil:
		e.runs++
		return
	case e.once != nil && e.stopped:
		e.once.settle(e.canceled())
	case e.once != nil && tt.reason != nil:
		e.undone()
	case e.once != nil:
		e.once.settle(err)
	case e.stopped:
	case tt.reason != nil:
		e.skip(Skipped{Reason: ReasonStopped, Count: 1, First: planned, Last: planned, Err: tt.reason})
	default:
		e.skip(Skipped{Reason: ReasonRefused, Count: 1, First: planned, Last: planned, Err: err})
	}
	if e.once == nil {
		e.done()
	}
}

// finished notes that a run has ended with err.
func (e *Entry) finished(err error) {
	e.tt.mu.Lock()
	defer e.tt.mu.Unlock()
	e.last = err
	e.done()
	e.tt.arm()
}

// done notes that a run is over, and starts the one that waits for that. The caller
// holds mu.
func (e *Entry) done() {
	e.active--
	if len(e.waiting) > 0 && e.active == 0 && e.tt.reason == nil {
		next := e.waiting[0]
		e.waiting = e.waiting[1:]
		e.start(next)
	}
}

// leave ends e because the timetable ends. The caller holds mu.
func (e *Entry) leave() {
	if e.once != nil {
		e.undone()
	} else if n := len(e.waiting); n > 0 {
		e.skip(Skipped{Reason: ReasonStopped, Count: n, First: e.waiting[0], Last: e.waiting[n-1], Err: e.tt.reason})
		e.waiting = nil
	}
	e.tt.remove(e)
}

// undone hands back a task that was to run once. The caller holds mu.
func (e *Entry) undone() {
	e.tt.undone = append(e.tt.undone, Undone{Name: e.name, Attributes: e.rules.Attributes, Due: e.onWall(),
		Task: e.once.work(), resubmit: e.once.resubmit})
	e.once.settle(fmt.Errorf("%w: task %s: %w", e.tt.reason, e.name, core.ErrUndone))
}

// skip notes planned runs that do not take place. The caller holds mu.
func (e *Entry) skip(s Skipped) {
	e.skipped += uint64(s.Count)
	s.Entry, s.Name = e, e.name
	if !e.wall { // its clock means nothing to the user
		wall := e.tt.wall()
		s.First, s.Last = wall.Add(time.Until(s.First)), wall.Add(time.Until(s.Last))
	}
	e.tt.notices = append(e.tt.notices, s)
}

// planning is the context of a submission. It carries the planned time to the task.
type planning struct {
	context.Context
	planned time.Time
}

type plannedKey struct{}

func (p planning) Value(key any) any {
	if key == (plannedKey{}) {
		return p.planned
	}
	return p.Context.Value(key)
}

// Planned returns the time for which the run that ctx belongs to was planned, without
// jitter: the last one, if the run stands for several that were missed. Of [Every] and
// [After] it has a monotonic reading. It reports false outside a task of a timetable.
func Planned(ctx context.Context) (time.Time, bool) {
	t, ok := ctx.Value(plannedKey{}).(time.Time)
	return t, ok
}

// nameOf returns what to call a task.
func nameOf(attributes core.Attributes, task any) string {
	if attributes.Name != "" {
		return attributes.Name
	}
	if named, ok := task.(core.Named); ok {
		if name := named.Name(); name != "" {
			return name
		}
	}
	return reflect.TypeOf(task).String()
}

// checkTask reports what the engine would refuse in any case.
func checkTask(tt *Timetable, attributes core.Attributes, task any) error {
	if tt == nil || tt.engine == nil {
		return invalidf("the timetable is nil or was not made by New")
	}
	switch v := reflect.ValueOf(task); v.Kind() {
	case reflect.Invalid:
		return invalidf("the task is nil")
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan:
		if v.IsNil() {
			return invalidf("the task is a nil %v", v.Type())
		}
	}
	switch {
	case attributes.Priority > core.Critical:
		return invalidf("the priority is %d, allowed are Low, Normal, High and Critical", attributes.Priority)
	case attributes.Reject == core.RejectCallerRuns || attributes.Reject > core.RejectAsk:
		return invalidf("the reject policy is %v, allowed are the others but RejectCallerRuns", attributes.Reject)
	case attributes.Reject == core.RejectAsk && tt.engine.Config().OnFull == nil:
		return invalidf("the reject policy is %v, but the engine has no OnFull to ask", attributes.Reject)
	}
	return nil
}

// attributes returns those with which a run is submitted.
func (e *Entry) attributes() core.Attributes {
	a := e.rules.Attributes
	if a.Reject == 0 && e.tt.engine.Config().Reject == core.RejectCallerRuns {
		a.Reject = core.RejectWait
	}
	return a
}
