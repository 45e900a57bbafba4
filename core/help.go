package core

import (
	"context"
	"runtime"
	"time"

	"github.com/uptutu/goman/core/internal/point"
)

// Waiting outside the engine: a waiter may run the task itself. See docs/decisions.md.

// awaitOutside waits on a goroutine that is not the engine's. While waits prove
// to be short, and if this one cannot end early, it runs a task that is still
// queued itself, in an idle slot: then there is no sleep and no waking.
func (r *record) awaitOutside(ctx context.Context) error {
	e := r.engine()
	if ctx.Done() == nil && e.helps() && e.runBorrowed(r) {
		return nil
	}
	busy := e.needsProcessors()
	if !busy && r.watchResult() {
		e.waited(0)
		return nil
	}
	began := time.Now()
	if busy {
		// Whoever gets the processor back is often late enough to find a whole batch
		// done; see BenchmarkSubmitAll.
		runtime.Gosched()
	}
	var err error
	if !ended(r.state.Load()) {
		err = r.sleep(ctx)
	}
	e.waited(time.Since(began))
	return err
}

// needsProcessors reports whether the workers have use for the processor of a
// goroutine that waits outside.
func (e *Engine) needsProcessors() bool {
	procs := e.procs.Load()
	return procs < 2 || e.lot.width.Load()-e.lot.available.Load() >= procs && e.visible()
}

// waited takes note of how long a wait outside the engine was. A busy machine
// makes some waits long, so a long one takes back no more than a short one earns.
func (e *Engine) waited(d time.Duration) {
	if short := e.short.Load(); d > shortWait {
		e.short.Store(max(short-1, 0))
	} else {
		e.short.Store(min(short+1, 2*helpsAfter))
	}
}

const (
	shortWait = 50 * time.Microsecond
	// helpsAfter is how many more short waits than long ones make the next waiter
	// help; probeEvery is how often a wait is a sleep all the same, to learn
	// whether they still are short.
	helpsAfter = 16
	probeEvery = 256

	patienceMax   = 64 // the most rounds that a wait watches
	patienceLooks = 32 // looks in a round
)

// selfServed reports whether waiters outside the engine run their tasks themselves.
func (e *Engine) selfServed() bool {
	return e.short.Load() >= helpsAfter && e.exits.Load() == 0
}

// helps reports whether a wait outside the engine should run the task itself.
// That pays for tiny tasks only, and costs the waiter its goroutine if the task
// calls Goexit: so it has to be earned by short waits, and is lost for
// good with the first Goexit.
func (e *Engine) helps() bool {
	if !e.selfServed() {
		return false
	}
	return e.waits.Add(1)%probeEvery != 0
}

// runBorrowed runs r in an idle slot if nothing else is queued; where more is, the
// workers are faster. The slot goes back also after a Goexit.
func (e *Engine) runBorrowed(r *record) bool {
	if phase(r.state.Load()) != phaseQueued || e.in.scheduler != nil {
		return false
	}
	job := jobOf(r)
	point.At(point.Borrow)
	w := e.startBorrowed(job)
	if w == nil {
		return false
	}
	defer e.unborrow(w)
	w.runNested(job)
	return ended(r.state.Load())
}

// startBorrowed starts job on a borrowed worker, if it is all that is queued.
func (e *Engine) startBorrowed(job Job) *worker {
	in := &e.in
	in.lock()
	var w *worker
	if in.queue.count == 1 && e.signal.Load()&(signalPaused|signalStopping|signalHungry) == 0 {
		w = e.borrow()
	}
	if w == nil {
		in.mu.Unlock()
		return nil
	}
	s := w.slot.Load()
	s.mu.Lock()
	in.earner(s)
	started := in.queue.popNewest(job) && w.startNested(s, job)
	s.mu.Unlock()
	if in.queue.count == 0 {
		in.visible.Store(false)
	}
	in.mu.Unlock()
	if !started {
		e.unborrow(w)
		return nil
	}
	return w
}

// watchResult looks at the result for a while, because a tiny task on another core
// ends sooner than this goroutine is put to sleep and woken. The time adapts, up
// to about two microseconds, and is counted in looks: see park.go.
func (r *record) watchResult() bool {
	e := r.engine()
	rounds := e.patience.Load()
	for range rounds {
		for range patienceLooks {
			if ended(r.state.Load()) {
				e.patience.Store(min(rounds*2, patienceMax))
				return true
			}
		}
	}
	e.patience.Store(max(rounds/2, 1))
	return false
}
