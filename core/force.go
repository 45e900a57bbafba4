package core

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/uptutu/goman/core/internal/point"
)

// The forced stop: see the top of stop.go.

// force stops the engine and waits for running tasks until patience ends.
func (e *Engine) force(patience context.Context, cause error) error {
	if e.claimForce(cause) {
		func() {
			defer e.awaitForce(patience) // also if a hook calls Goexit
			e.startForce()
		}()
		return e.result()
	}
	select {
	case <-e.stop.finished:
		return e.result()
	case <-patience.Done():
		return e.verdict(context.Cause(patience))
	}
}

// claimForce reports whether the caller is the one to stop the engine by force.
func (e *Engine) claimForce(cause error) bool {
	s := &e.stop
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forced || e.isFinished() {
		return false
	}
	s.forced, s.cause = true, cause
	return true
}

// startForce begins the drain and then the forced stop.
func (e *Engine) startForce() {
	defer e.beginForce()        // even if a hook that hears of the drain calls Goexit
	e.signal.Or(signalStopping) // first: the drain resumes a paused engine
	e.beginDrain()
}

// awaitForce waits for the running tasks, then ends the engine without them.
func (e *Engine) awaitForce(patience context.Context) {
	select {
	case <-e.lot.gone:
	case <-patience.Done():
	}
	e.endForce()
}

// beginForce hands back what is queued and ends the contexts of what runs.
func (e *Engine) beginForce() {
	s, in := &e.stop, &e.in

	// Another caller may have begun the drain and not come as far as this.
	e.signal.Or(signalDraining | signalIdle | signalStopping)
	point.At(point.Force)
	slots := e.lockAll()
	in.closed, in.held = true, true
	for in.first != nil {
		b := in.first
		in.unlink(b)
		b.err = ErrClosed
		b.waiter.signal <- struct{}{}
	}
	jobs := append(e.takeQueued(slots), e.takeDelayed()...)
	e.beginLeaving()
	defer e.endLeaving()
	e.takeBack(jobs)
	t := e.total(slots)
	running := int(t.outstanding())
	for _, w := range e.lot.resumers { // see takeSlotBack
		w.away = false
		w.wake <- nil
	}
	e.lot.resumers = nil
	e.signal.And(^signalResume)
	s.mu.Lock()
	s.running = running
	s.mu.Unlock()
	e.unlockAll(slots)

	e.guard("base context", func() { e.cancel(ErrShutdown) }) // before any hook
	e.handBack(jobs)
}

// takeBack counts and notes jobs that were taken and will not be started. The caller
// holds all locks.
func (e *Engine) takeBack(jobs []Job) {
	e.outside.tally.ended[OutcomeUndone] += uint64(len(jobs))
	e.outside.tally.removed += uint64(len(jobs))
	e.in.room += len(jobs)
	e.noteUndone(jobs)
}

// takeQueued empties the queue. The caller holds all locks.
func (e *Engine) takeQueued(slots []*slot) (jobs []Job) {
	keep := func(job Job) {
		if take(job) {
			jobs = append(jobs, job)
		}
	}
	in := &e.in
	in.visible.Store(false)
	if in.scheduler != nil {
		return e.takeScheduled()
	}
	for _, s := range slots {
		s.each(func(place *Job) bool {
			keep(*place)
			return true
		})
		s.sweep(func(Job) bool { return true })
	}
	for in.queue.count > 0 {
		keep(in.queue.pop())
	}
	return jobs
}

// abandoned is a task that a forced stop has given up.
type abandoned struct {
	worker  *worker
	job     Job
	ordered bool // the scheduler gave it out
}

// endForce abandons what still runs, and ends the engine.
func (e *Engine) endForce() {
	point.At(point.Abandon)
	slots := e.lockAll()
	given := e.abandonAll()
	delayed := e.takeDelayed() // of tasks that have returned since the stop began
	e.takeBack(delayed)
	e.lot.lost = true
	if e.in.scheduler != nil {
		e.apart(func() {
			for _, t := range given {
				if t.ordered {
					e.schedDropped(t.job)
				}
			}
		})
	}
	e.unlockAll(slots)

	s := &e.stop
	s.mu.Lock()
	s.ignoring = ignoring(given)
	s.callbacks = int(e.lot.callbacks.Load() + e.lot.leaving.Load())
	s.mu.Unlock()
	for _, t := range given {
		if r := t.job.record(); r != nil && r.state.Load()&flagObserved != 0 {
			r.announce()
		}
	}
	defer e.finish(len(given) == 0) // even if a hook calls Goexit
	defer e.handBack(delayed)
	for _, t := range given {
		err := ErrAbandoned
		if r := t.job.record(); r != nil {
			err = r.abandoned()
		}
		e.hookEnded(t.job, OutcomeAbandoned, err)
	}
}

// abandonAll gives up every task that runs. The caller holds all locks.
func (e *Engine) abandonAll() (given []abandoned) {
	for _, w := range e.lot.workers {
		var running []Job
		w.running(func(job Job) { running = append(running, job) })
		for _, job := range running {
			r := job.record()
			if r != nil && !r.abandon(fmt.Errorf("%w: engine %s: task %s", ErrAbandoned, e.name, job.Name())) {
				continue // it is ending at this moment
			}
			ordered := true
			if job == w.job {
				w.forsaken = true // w.job itself is the worker's to change
			} else {
				_, ordered = w.drop(job)
			}
			e.outside.tally.ended[OutcomeAbandoned]++
			given = append(given, abandoned{w, job, ordered})
		}
	}
	return given
}

// ignoring describes the tasks that were given up.
func ignoring(given []abandoned) []Ignoring {
	if len(given) == 0 {
		return nil
	}
	stacks := allStacks()
	list := make([]Ignoring, len(given))
	for i, t := range given {
		list[i] = Ignoring{Name: t.job.Name(), Stack: stackOf(stacks, t.worker)}
	}
	return list
}

// lastSteps is how long a forced stop that has given up no task waits for the
// engine's goroutines to end. They need microseconds, unless a hook holds them up.
const lastSteps = 100 * time.Millisecond

// finish is the end of a forced stop. If no task and no callback is left, neither
// are goroutines, but for those on which a hook runs.
func (e *Engine) finish(clean bool) {
	defer e.finished(clean) // also if a hook calls Goexit
	e.checkIdle()
}

// finished tells those who wait for the end.
func (e *Engine) finished(clean bool) {
	s := &e.stop
	s.mu.Lock()
	clean = clean && s.callbacks == 0
	s.mu.Unlock()
	held := 0
	if clean && s.closed() {
		timer := time.NewTimer(lastSteps)
		defer timer.Stop()
		select {
		case <-e.lot.gone:
		case <-timer.C:
			held = int(e.lot.goroutines.Load())
		}
	}
	s.mu.Lock()
	s.callbacks += held
	if !e.isFinished() {
		close(s.finished)
	}
	s.mu.Unlock()
}

// allStacks returns the stacks of all goroutines, one each.
func allStacks() []string {
	buffer := make([]byte, 1<<16)
	for {
		n := runtime.Stack(buffer, true)
		if n < len(buffer) || len(buffer) >= 1<<26 {
			return strings.Split(string(buffer[:n]), "\n\n")
		}
		buffer = make([]byte, 2*len(buffer))
	}
}

// stackOf finds the stack of w's goroutine: the one with a call of a method of
// w. It is a diagnosis and no more: it returns "" if there is none.
func stackOf(stacks []string, w *worker) string {
	loop, nested := fmt.Sprintf(".session(%p", w), fmt.Sprintf(".runNested(%p", w)
	for _, stack := range stacks {
		if strings.Contains(stack, loop) || strings.Contains(stack, nested) {
			return stack
		}
	}
	return ""
}
