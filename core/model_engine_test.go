package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
)

// The model of an engine: what one that does one thing at a time would do. A command
// is first given to the engine; when nothing moves any more the model takes the same
// step and says what has to have come of it. Where the engine may choose (which of
// several workers is faster, what the built-in scheduler starts next with more than
// one) the model looks at what it chose, and says whether it could.

// place is where a task of the model is.
type place int

const (
	atDoor    place = iota // its submitter waits for room
	atQueue                // it waits to be started
	atDelay                // it waits to be run again
	atWork                 // it has started
	atEnd                  // it has ended
	atNowhere              // it was refused
)

// verdict is how a task has to end.
type verdict struct {
	outcome core.Outcome
	value   int
	errs    []error // the error matches one of them at least; none for nil
	started bool    // of a *CancelError
	late    bool    // of a *TimeoutError
}

// modelTask is what the model knows of one task.
type modelTask struct {
	id       int
	priority core.Priority
	parent   *modelTask // it was submitted inside that task, with its context
	function bool       // it was given to Go: neither a future nor a context
	run      bool       // Run has submitted it: there is a future that nobody but Run sees
	obeys    bool       // it returns when its context ends
	watched  bool       // somebody waits for its future, so it ends at once with its context
	limits   [2]time.Duration

	unlimited bool // it was submitted when the engine had no limits, which a function remembers

	future *core.Future[int]
	end    context.CancelCauseFunc // ends the context given to Submit
	orders chan order
	answer chan error // what the submitter, or Run, is told

	at       place
	due      time.Time // when a limit or a delay of it has passed; zero for never
	attempts int
	foreign  bool       // it runs on its submitter's goroutine, without a slot
	slot     bool       // it has a slot and uses it
	awaits   *modelTask // what it waits for
	inside   bool       // that runs on this task's own goroutine, in its slot
	granted  bool       // its scheduler has let it start out of turn
	stale    bool       // it has run so and is queued again: its first entry counts, too
	wants    int        // since which step it wants its slot back; 0 for not
	expired  bool       // it is over its run limit
	tied     bool       // and something else happened at the same moment
	given    bool       // a forced stop has given it up, and its body still runs
	exited   bool       // and has called Goexit after that
	lost     bool       // the context it was submitted with has ended
	own      error      // why it was cancelled itself while it ran
	causes   []error    // all that has ended its context, the first first
	verdict  verdict
	checked  bool
	seen     []chan error // what those are told who wait for it
}

func (k *modelTask) dead() bool { return len(k.causes) > 0 && !k.function }

func (k *modelTask) String() string {
	if k == nil {
		return "nobody"
	}
	return fmt.Sprintf("task %d", k.id)
}

// model is the engine and what it should be.
type model struct {
	handing sync.Mutex // of futures, by those who submit

	t      *rapid.T
	engine *core.Engine
	config core.Config // what is in force
	order  func(line []*modelTask) int
	mixed  bool // the order was lost: several workers, or children, with the built-in scheduler
	custom bool // a user's scheduler
	abort  chan struct{}

	paused, draining, stopping, finished bool

	line, door []*modelTask // queued, and those at the door, the first first
	granted    []*modelTask // of those queued, who may start out of turn
	tasks      []*modelTask // all
	step       int
	loose      bool // in this step the order cannot be told
	tied       bool // in this step several limits have passed at the same time
	ended      [8]uint64
	accepted   uint64
	retried    uint64
	late       uint64
	failures   uint64 // of callbacks
	rejected   core.Rejections
	bodies     int // how many have begun

	idlers []*modelCall
	stops  []*modelCall
	forced *modelCall // who stops by force
	cause  error      // why
	grace  time.Time  // when that gives up waiting; zero for never
	ran    int        // how many ran when it began

	undone, ignoring, changes int

	history []string // what was done, for the message of a failure

	mu      sync.Mutex
	started []*modelTask // since the last look
	resumed map[*modelTask]error
	answers core.RejectPolicy // of the OnFull function
	told    modelHooks
}

var (
	errModel = errors.New("the model ends a context")
	errBody  = errors.New("a body fails")
)

// settle lets the bubble come to rest.
func (m *model) settle() {
	m.looked()
	synctest.Wait()
}

// looked tells the race detector that what was looked at before is looked at before what
// others write from now on. Time that passes in the bubble does not.
func (m *model) looked() {
	m.handing.Lock()
	defer m.handing.Unlock()
}

// did notes a command.
func (m *model) did(format string, args ...any) {
	m.history = append(m.history, fmt.Sprintf("%d: ", m.step)+fmt.Sprintf(format, args...))
}

// fatalf fails the case. It tells what was done, because the engine may choose, and
// another run of the same commands may go well.
func (m *model) fatalf(format string, args ...any) {
	m.t.Helper()
	for _, k := range m.tasks {
		if k.at == atWork {
			m.did("%v runs: slot %v, awaits %v, inside %v, wants %d, dead %v", k, k.slot, k.awaits, k.inside, k.wants, k.dead())
		}
	}
	m.did("queued %v, at the door %v", m.line, m.door)
	m.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(m.history, "\n"))
}

// free is how many slots nobody uses.
func (m *model) free() int {
	n := m.config.Workers
	for _, k := range m.tasks {
		if k.slot {
			n--
		}
	}
	return n
}

func (m *model) count(at place) (n int) {
	for _, k := range m.tasks {
		if k.at == at {
			n++
		}
	}
	return n
}

func (m *model) room() int {
	if m.config.QueueCapacity == core.Unbounded {
		return 1 << 30
	}
	return m.config.QueueCapacity - len(m.line) - m.count(atDelay)
}

// isDone reports whether the engine has resolved k.
func (k *modelTask) isDone() bool { return k.future != nil && k.future.IsDone() }

// enter puts k into the queue. fresh tells that it was not there before.
func (m *model) enter(k *modelTask, fresh bool) {
	if fresh {
		m.accepted++
	}
	k.at, k.due = atQueue, time.Time{}
	if limit := k.limit(0, m.config.QueueLimit); limit > 0 {
		k.due = time.Now().Add(limit)
	}
	m.line = append(m.line, k)
	if fresh {
		return
	}
	// Who waits for it asks once more, and it may be let out of turn before the next
	// is taken, or after that.
	for _, t := range m.tasks {
		if t.awaits == k && !t.inside && m.claims() {
			m.order, k.stale, k.granted = nil, true, true
		}
	}
}

// claims reports whether the scheduler can let a task out of turn.
func (m *model) claims() bool {
	_, claims := m.config.Scheduler.(core.Claimer)
	return claims
}

// limit is the queue limit (0) or the run limit (1) of k.
func (k *modelTask) limit(which int, orElse time.Duration) time.Duration {
	if k.limits[which] != 0 {
		return max(k.limits[which], 0)
	}
	if k.function && k.unlimited {
		return 0
	}
	return orElse
}

// begin is the start of k, which has left the queue.
func (m *model) begin(k *modelTask) {
	k.due = time.Time{}
	i := slices.Index(m.started, k)
	if k.dead() && !(m.tied && i >= 0) {
		m.finish(k, verdict{outcome: core.OutcomeCanceled, errs: k.causes, started: k.attempts > 0})
		return
	}
	m.bodies++
	k.at = atWork
	k.slot = !k.foreign
	if limit := k.limit(1, m.config.RunLimit); limit > 0 {
		k.due = time.Now().Add(limit)
	}
	if i < 0 {
		m.fatalf("%v should have started, and %v have", k, m.started)
	}
	m.started = slices.Delete(m.started, i, i+1)
	if k.dead() && k.obeys {
		m.obey(k)
	}
}

// finish is the end of k.
func (m *model) finish(k *modelTask, v verdict) {
	m.leaveQueue(k)
	k.at, k.due, k.verdict = atEnd, time.Time{}, v
	k.slot, k.wants, k.awaits = false, 0, nil
	m.ended[v.outcome]++
	for _, t := range m.tasks {
		switch {
		case t.awaits != k || t.at != atWork:
		case t.inside && slices.Contains(v.errs, core.ErrGoexit):
			m.finish(t, verdict{outcome: core.OutcomePanicked, errs: []error{core.ErrGoexit}})
		case t.inside:
			m.goOn(t)
		case t.wants == 0:
			m.wake(t)
		}
	}
}

func (m *model) leaveQueue(k *modelTask) {
	for _, list := range []*[]*modelTask{&m.line, &m.door, &m.granted} {
		*list = slices.DeleteFunc(*list, func(t *modelTask) bool { return t == k })
	}
}

// wake ends the sleep of k, which waits for another task: it wants its slot back.
func (m *model) wake(k *modelTask) { k.wants = m.step }

// slotless reports whether k goes on without a slot.
func (m *model) slotless(k *modelTask) bool { return k.foreign || m.stopping }

// goOn is the return of an Await in k.
func (m *model) goOn(k *modelTask) {
	target := k.awaits
	k.awaits, k.inside, k.wants = nil, false, 0
	k.slot = !k.foreign
	err, ok := m.resumed[k]
	if !ok {
		m.fatalf("%v should go on, since it has waited for %v", k, target)
	}
	delete(m.resumed, k)
	var gaveUp *core.WaitError
	switch {
	case k.dead() && errors.As(err, &gaveUp):
	case target.at == atEnd:
		m.compare(fmt.Sprintf("what %v is told of %v", k, target), target.verdict, err)
	default:
		m.fatalf("%v has waited for %v, which has not ended, and is told %v", k, target, err)
	}
	if k.obeys && k.dead() {
		m.obey(k)
	}
}

// obey is the end of k because its context has ended.
func (m *model) obey(k *modelTask) {
	limit := k.expired && k.own == core.ErrTaskTimeout
	if limit && k.tied && k.parent != nil { // the parent's limit may have passed in the same moment
		_, err := k.future.GetWithTimeout(0)
		limit = errors.As(err, new(*core.TimeoutError))
	}
	if limit {
		m.finish(k, verdict{outcome: core.OutcomeTimedOut, errs: []error{core.ErrTaskTimeout}})
		return
	}
	m.finish(k, verdict{outcome: core.OutcomeCanceled, errs: k.causes, started: true})
}

// kill is the end of the context that k was submitted with, or its cancellation
// while it runs. Tasks below end with it.
func (m *model) kill(k *modelTask, cause error) {
	below := m.mark(k, cause)
	m.loose = m.loose || len(m.door) > 0 && len(below) > 1 // room and slots come free at the same time
	for _, t := range below {
		m.react(t)
	}
}

// mark notes cause for k and all below, and returns them.
func (m *model) mark(k *modelTask, cause error) (marked []*modelTask) {
	if k.at != atEnd && k.at != atNowhere {
		k.causes = append(k.causes, cause)
		marked = append(marked, k)
	}
	for _, child := range m.tasks {
		if child.parent == k {
			marked = append(marked, m.mark(child, cause)...)
		}
	}
	return marked
}

// react is what k does about the end of its context.
func (m *model) react(k *modelTask) {
	switch {
	case k.at == atDoor:
		m.leaveQueue(k)
		_ = m.refuse(k, &m.rejected.Context, k.causes[0])
	case k.function:
	case k.at == atQueue && m.tied && slices.Contains(m.started, k): // it was faster
	case k.at == atQueue && (k.watched || k.isDone()):
		m.finish(k, verdict{outcome: core.OutcomeCanceled, errs: k.causes, started: k.attempts > 0})
	case k.at == atDelay:
		m.finish(k, verdict{outcome: core.OutcomeCanceled, errs: k.causes, started: true})
	case k.at == atWork && k.awaits == nil && k.obeys:
		m.obey(k)
	case k.at == atWork && k.awaits != nil && !k.inside && k.wants == 0:
		m.wake(k)
	}
}

// compare fails the test if err is not what v says.
func (m *model) compare(what string, v verdict, err error) {
	fits := len(v.errs) == 0 && err == nil
	for _, want := range v.errs {
		fits = fits || errors.Is(err, want)
	}
	var cancelled *core.CancelError
	var timeout *core.TimeoutError
	switch v.outcome {
	case core.OutcomeCanceled:
		fits = fits && errors.As(err, &cancelled) && cancelled.Started == v.started
	case core.OutcomeTimedOut:
		fits = fits && errors.As(err, &timeout) && timeout.Late == v.late
	}
	if !fits {
		m.fatalf("%s: %v, want %+v", what, err, v)
	}
}
