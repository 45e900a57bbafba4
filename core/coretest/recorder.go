package coretest

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/uptutu/goman/core"
)

// DefaultKeep is how many events a [Recorder] keeps where nothing else is said.
const DefaultKeep = 4096

// Recorder keeps what happens to an engine and lets tests wait for it. Make one
// with [Record], or give the Hooks of a zero Recorder to core.New:
//
//	var rec coretest.Recorder
//	engine := coretest.New(t, core.WithHooks(rec.Hooks()))
//
// It waits without polling and without sleeping, inside a bubble of
// testing/synctest and outside. All methods may be called by any number of
// goroutines. A Recorder must not be copied after its first use.
//
// Of the events the newest Keep are kept, and with each the future of its task and
// what that holds. Besides there is one entry of counts for each name of a task. An
// event costs a lock and a copy, and wakes all who wait, of whom each looks for
// itself. An engine with hooks runs tasks in a slightly slower way than one
// without; see core.Hooks.
type Recorder struct {
	// Keep is how many events are kept. Default, 0: DefaultKeep. Set it before the
	// first use.
	Keep int

	// Guarded by mu.
	mu      sync.Mutex
	seen    uint64           // how many events there were
	ring    []Event          // the newest; event n lies at (n-1) % keep
	tasks   map[string]*task // by name
	changed chan struct{}    // closed by the next event; nil while nobody waits
}

// task is what happened to the tasks of one name.
type task struct {
	started  int
	ended    int
	outcomes map[core.Outcome]int
}

// Record returns a Recorder of what happens to engine from now on, until the end of
// the test. What happened before it does not know: to see all, give the Hooks of a
// Recorder to core.New. It ends the test if engine was not made by core.New.
func Record(t testing.TB, engine *core.Engine) *Recorder {
	t.Helper()
	r := new(Recorder)
	remove, err := engine.AddHooks(r.Hooks())
	if err != nil {
		t.Fatalf("coretest: %v", err)
	}
	t.Cleanup(remove)
	return r
}

// Hooks returns the hooks that tell r what happens, for core.WithHooks or
// core.Engine.AddHooks. One Recorder may listen to several engines.
func (r *Recorder) Hooks() core.Hooks {
	return core.Hooks{
		Accepted: func(job core.Job) { r.add(Event{Kind: Accepted, Name: job.Name(), Job: job}) },
		Rejected: func(i core.RejectInfo) { r.add(Event{Kind: Rejected, Name: i.Attributes.Name, Err: i.Err}) },
		Started: func(job core.Job) {
			r.add(Event{Kind: Started, Name: job.Name(), Job: job, Attempt: job.Attempt()})
		},
		Retried: func(i core.RetryInfo) {
			r.add(Event{Kind: Retried, Name: i.Job.Name(), Job: i.Job, Attempt: i.Attempt, After: i.After, Err: i.Cause})
		},
		Panicked: func(job core.Job, err *core.PanicError) {
			r.add(Event{Kind: Panicked, Name: job.Name(), Job: job, Attempt: job.Attempt(), Err: err})
		},
		Ended: func(i core.EndInfo) {
			r.add(Event{Kind: Ended, Name: i.Job.Name(), Job: i.Job, Attempt: i.Job.Attempt(), Outcome: i.Outcome, Err: i.Err})
		},
		Changed: func(c core.Change) { r.add(Event{Kind: Changed, Change: c}) },
	}
}

func (r *Recorder) keep() int {
	if r.Keep > 0 {
		return r.Keep
	}
	return DefaultKeep
}

// add keeps e and wakes those who wait.
func (r *Recorder) add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen++
	e.Seq = r.seen
	if len(r.ring) < r.keep() {
		r.ring = append(r.ring, e)
	} else {
		r.ring[(e.Seq-1)%uint64(len(r.ring))] = e
	}
	switch e.Kind {
	case Started:
		r.task(e.Name).started++
	case Ended:
		t := r.task(e.Name)
		t.ended++
		t.outcomes[e.Outcome]++
	}
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// task returns the counts of a name. The caller holds r.mu.
func (r *Recorder) task(name string) *task {
	t := r.tasks[name]
	if t == nil {
		t = &task{outcomes: make(map[core.Outcome]int)}
		if r.tasks == nil {
			r.tasks = make(map[string]*task)
		}
		r.tasks[name] = t
	}
	return t
}

// next returns a channel that is closed by the next event. The caller holds r.mu.
func (r *Recorder) next() <-chan struct{} {
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.changed
}

// after returns the kept events whose number is above seq. The caller holds r.mu.
func (r *Recorder) after(seq uint64) []Event {
	first := max(seq, r.seen-uint64(len(r.ring)))
	events := make([]Event, 0, r.seen-first)
	for n := first; n < r.seen; n++ {
		events = append(events, r.ring[n%uint64(len(r.ring))])
	}
	return events
}

// Events returns the events that are kept, the oldest first. It copies them.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.after(0)
}

// Dropped returns how many events are not kept any more.
func (r *Recorder) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen - uint64(len(r.ring))
}

// Outcomes returns how many tasks of each name have ended in which way: none, where
// a name or an outcome is missing. It counts all events, also those that are not
// kept any more. core.Future.Await returns before the last task is counted here:
// call WaitEnded first. It copies.
//
//	rec.Outcomes()["charge"][core.OutcomeSucceeded]
func (r *Recorder) Outcomes() map[string]map[core.Outcome]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]map[core.Outcome]int, len(r.tasks))
	for name, t := range r.tasks {
		if t.ended > 0 {
			all[name] = maps.Clone(t.outcomes)
		}
	}
	return all
}

// WaitFor waits until there is an event for which match returns true, and returns
// the first. It looks at the events that are kept, then at those that come; to wait
// for one after another, let match look at Event.Seq. match is called on the
// caller's goroutine, without a lock, once for each event, and may take its time:
// but if more than Keep events come meanwhile WaitFor returns an error, for it
// might have missed the one.
//
// When ctx ends the error matches its cause and its own error, and tells which
// events came last. A nil context or function is an error that matches
// core.ErrInvalid. Inside a task WaitFor holds the worker up.
func (r *Recorder) WaitFor(ctx context.Context, match func(Event) bool) (Event, error) {
	if ctx == nil || match == nil {
		return Event{}, fmt.Errorf("%w: WaitFor needs a context and a function", core.ErrInvalid)
	}
	var seq uint64
	for over := false; ; {
		r.mu.Lock()
		events, changed := r.after(seq), r.next()
		r.mu.Unlock()
		if len(events) > 0 && seq > 0 && events[0].Seq != seq+1 {
			return Event{}, fmt.Errorf("coretest: %d events were dropped before they could be looked at: let Keep be larger than %d",
				events[0].Seq-seq-1, r.keep())
		}
		for _, e := range events {
			seq = e.Seq
			if match(e) {
				return e, nil
			}
		}
		if over {
			return Event{}, r.gaveUp(ctx, "an event")
		}
		over = !wait(ctx, changed)
	}
}

// WaitStarted waits until tasks of that name have started n times; a task that is
// run again starts again. It counts from the first event that r was told. The name
// "" stands for all tasks. Errors are those of [Recorder.WaitFor]; it misses none.
func (r *Recorder) WaitStarted(ctx context.Context, name string, n int) error {
	return r.waitCount(ctx, "starts of", name, n, func(t *task) int { return t.started })
}

// WaitEnded waits until n tasks of that name have ended, in whatever way, and their
// Ended hooks were called. It counts as [Recorder.WaitStarted] does, and has its
// errors.
func (r *Recorder) WaitEnded(ctx context.Context, name string, n int) error {
	return r.waitCount(ctx, "ends of", name, n, func(t *task) int { return t.ended })
}

func (r *Recorder) waitCount(ctx context.Context, what, name string, n int, count func(*task) int) error {
	if ctx == nil {
		return fmt.Errorf("%w: the context is nil", core.ErrInvalid)
	}
	for over := false; ; {
		r.mu.Lock()
		have := 0
		for other, t := range r.tasks {
			if name == "" || name == other {
				have += count(t)
			}
		}
		changed := r.next()
		r.mu.Unlock()
		if have >= n {
			return nil
		}
		if over {
			return r.gaveUp(ctx, fmt.Sprintf("%d %s %q, of which there were %d", n, what, name, have))
		}
		over = !wait(ctx, changed)
	}
}

// wait waits for changed, and reports false if ctx ended.
func wait(ctx context.Context, changed <-chan struct{}) bool {
	select {
	case <-changed:
		return true
	case <-ctx.Done():
		return false
	}
}

// shown is how many events an error shows.
const shown = 10

func (r *Recorder) gaveUp(ctx context.Context, what string) error {
	r.mu.Lock()
	last := r.after(r.seen - min(r.seen, shown))
	seen, dropped := r.seen, r.seen-uint64(len(r.ring))
	r.mu.Unlock()
	text := &strings.Builder{}
	for _, e := range last {
		fmt.Fprintf(text, "\n\t%v", e)
	}
	return &gaveUpError{
		text: fmt.Sprintf("coretest: gave up waiting for %s: %v; of %d events %d are not kept, the last are:%s",
			what, context.Cause(ctx), seen, dropped, text),
		cause: context.Cause(ctx), own: ctx.Err(),
	}
}

// gaveUpError is what the waits return whose context has ended.
type gaveUpError struct {
	text       string
	cause, own error
}

func (e *gaveUpError) Error() string   { return e.text }
func (e *gaveUpError) Unwrap() []error { return []error{e.cause, e.own} }
