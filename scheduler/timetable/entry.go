package timetable

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/queue"
)

// An Entry is a task in a [Timetable], and when it runs. Its methods may be called by any
// number of goroutines.
type Entry struct {
	// Immutable.
	tt         *Timetable
	id         uint64
	name       string
	attributes *core.Attributes // nil for none
	once       once             // its task, if it runs once; else nil
	series     *series          // nil if it runs once
	delay      time.Duration    // of After
	wall       bool             // it goes by the wall clock

	// Guarded by the timetable's mu.
	ended      bool // it is no longer among the timetable's entries
	stopped    bool // by Stop or CancelCause
	settled    bool // of a Delayed: there is a future, or there will be none
	active     int32
	handle     queue.Handle
	prev, next *Entry    // its neighbours in the timetable's list
	planned    time.Time // the next planned instant, on the entry's clock
	cause      error     // why it was stopped
	runs       uint64
}

// series is what an entry has that comes several times.
type series struct {
	// Immutable.
	plan  plan
	rules Rules
	body  body

	// Guarded by the timetable's mu. active, of Entry, is how many runs were submitted, or
	// are about to be, and have not ended.
	jitter  time.Duration // how much later than planned the next run is due
	waiting []time.Time   // planned instants that wait for the end of a run
	skipped uint64
	last    error
}

// body is the part of an entry that knows the type of its task.
type body interface {
	// submit hands the task to the engine and returns its *core.Future.
	submit(ctx *submission) (future any, err error)
}

// once is the body of an entry that runs once.
type once interface {
	body
	// settle notes the future of the task, or why there is none, and forgets the task; called
	// under mu.
	settle(future any, err error)
	// handBack returns the task, and a function that adds it to another timetable.
	handBack() (task any, resubmit func(to *Timetable, due time.Time) error)
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
	info := EntryInfo{Name: e.name, When: e.when(), Active: int(e.active), Runs: e.runs}
	if s := e.series; s != nil {
		info.Waiting, info.Skipped, info.Err = len(s.waiting), s.skipped, s.last
	}
	if !e.ended {
		info.Next = e.onWall()
	}
	return info
}

func (e *Entry) when() string {
	switch {
	case e.series != nil:
		return e.series.plan.String()
	case e.wall:
		return "at " + e.planned.Format(time.RFC3339Nano)
	}
	return "after " + e.delay.String()
}

// Stop ends e: it is not submitted any more, nor is a run that waits for the end of the
// one before. Runs that the engine has taken go on; but of one that waits for room in its
// queue, and gets it at this moment, the context may end. Stop
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
	e.stopped, e.cause = true, cause
	if e.series != nil {
		e.series.waiting = nil
	}
	e.tt.remove(e)
	switch {
	case e.tt.current == e:
		e.tt.giveUp.end(cause, e.once != nil) // the submission that is on its way
	case e.once != nil:
		e.once.settle(nil, e.canceled())
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
func (e *Entry) due() time.Time {
	if e.series != nil {
		return e.planned.Add(e.series.jitter)
	}
	return e.planned
}

// onWall is due on the wall clock.
func (e *Entry) onWall() time.Time {
	if e.wall {
		return e.due()
	}
	return e.tt.wall().Add(time.Until(e.due()))
}

// enqueue lets e wait until it is due, for least at least if it goes by the clock on the
// wall. The caller holds mu.
func (e *Entry) enqueue(least time.Duration) (err error) {
	at := e.due()
	if e.wall {
		wait := max(at.Sub(e.tt.wall()), least)
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
	if e.series == nil && !e.wall {
		e.start(e.planned)
		return
	}
	switch now := e.now(); {
	case now.Before(e.due()):
		// The clock was put back a little. There is room: it has just left.
		_ = e.enqueue(clockPatience)
	case e.series != nil:
		e.comeAgain(now)
	default:
		e.start(e.planned)
	}
}

// start makes a run of e ready. The caller holds mu.
func (e *Entry) start(planned time.Time) {
	e.active++
	e.tt.ready = append(e.tt.ready, occurrence{e, planned})
}

// submitted notes that the engine has taken a run, or not. The caller holds mu.
func (e *Entry) submitted(planned time.Time, future any, err error) {
	tt := e.tt
	if err == nil {
		e.runs++
	}
	if e.series != nil {
		e.submittedAgain(planned, err)
		return
	}
	tt.remove(e)
	e.active = 0 // the future tells the rest
	switch {
	case err == nil:
		e.once.settle(future, nil)
	case e.stopped:
		e.once.settle(nil, e.canceled())
	case tt.reason != nil:
		e.undone()
	default:
		e.once.settle(nil, err)
	}
}

// leave ends e because the timetable ends. The caller holds mu.
func (e *Entry) leave() {
	if e.once != nil {
		e.undone()
	} else if w := e.series.waiting; len(w) > 0 {
		e.skip(Skipped{Reason: SkipStopped, Count: len(w), First: w[0], Last: w[len(w)-1], Err: e.tt.reason})
		e.series.waiting = nil
	}
	e.tt.remove(e)
}

// undone hands back a task that was to run once. The caller holds mu.
func (e *Entry) undone() {
	task, resubmit := e.once.handBack()
	e.tt.undone = append(e.tt.undone, Undone{Name: e.name, Attributes: e.given(), Due: e.onWall(), Task: task, resubmit: resubmit})
	e.once.settle(nil, fmt.Errorf("%w: task %s: %w", e.tt.reason, e.name, core.ErrUndone))
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

// given returns the attributes of e.
func (e *Entry) given() core.Attributes {
	if e.attributes == nil {
		return core.Attributes{}
	}
	return *e.attributes
}

// keep returns attributes as an entry has them.
func keep(a core.Attributes) *core.Attributes {
	if a.Name == "" && a.Priority == 0 && a.Key == "" && a.Tenant == "" && a.Labels == nil &&
		a.QueueLimit == 0 && a.RunLimit == 0 && a.Reject == 0 {
		return nil
	}
	return &a
}
