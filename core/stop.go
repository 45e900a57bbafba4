package core

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/uptutu/goman/core/internal/point"
)

// The end of an engine.
//
//	running  --Shutdown-->  draining  --idle-->  closed
//	running, draining  --Close, or the last Shutdown's context ends-->  stopping
//	stopping  --tasks ended, or the grace is over-->  closed
//
// draining: nothing is accepted, what is queued runs. Tasks that wait to be run
// again are handed back at once, they might wait for hours. stopping: what is
// queued is handed back, the contexts of running tasks end. The moment at which
// the engine becomes idle is found by whoever ends the last task: it looks at
// the exact sum of all counters if signalIdle is set.

// stopping is the state of that.
type stopping struct {
	mu        point.Mutex
	begun     bool          // Shutdown or Close was called
	forced    bool          // stopping has begun
	patient   int           // callers of Shutdown who still wait
	visitors  int           // callers of Shutdown and Close
	callbacks int           // OnDone functions that a forced stop has left behind
	idlers    []idler       // callers of WaitIdle
	tickets   uint64        // how many there ever were
	undone    []Undone      // what was handed back
	running   int           // tasks that ran when stopping began
	ignoring  []Ignoring    // those of them that did not return
	cause     error         // why stopping has begun
	finished  chan struct{} // closed at the very end
	over      atomic.Bool   // nothing is queued or runs any more
}

// idler is a caller of WaitIdle. A look at the counters answers only those who
// have called before it began.
type idler struct {
	waiter *waiter
	ticket uint64
}

func (s *stopping) init() { s.finished = make(chan struct{}) }

func (s *stopping) closed() bool { return s.over.Load() }

// gone is called when the last goroutine of the engine has ended.
func (s *stopping) gone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.forced {
		close(s.finished)
	}
}

// Undone is an accepted task that was handed back before it was started, or started
// again. It keeps the task alive. The zero Undone holds none.
type Undone struct {
	name     string
	attrs    Attributes
	task     any
	resubmit func(context.Context, *Engine, Attributes) error
}

// Name returns the task's name.
func (u Undone) Name() string { return u.name }

// Attributes returns what the caller had given.
func (u Undone) Attributes() Attributes { return u.attrs }

// Task returns the task: the Task[T] given to Submit, or the func() given to Go.
func (u Undone) Task() any { return u.task }

// Resubmit hands the task to engine, with its attributes; ctx governs it as in
// Submit, the context of its first submission no longer does. The error is that
// of Submit. Its result is not asked for; to await it, Submit what Task returns.
func (u Undone) Resubmit(ctx context.Context, engine *Engine) error {
	if u.resubmit == nil {
		return invalidf("the zero Undone holds no task")
	}
	return u.resubmit(ctx, engine, u.attrs)
}

// undone describes job, which is about to be resolved as undone.
func (e *Engine) undone(job Job) Undone {
	u := Undone{name: job.Name(), attrs: job.Attributes()}
	r := job.record()
	if r == nil {
		fn := job.function()
		u.task = fn
		u.resubmit = func(ctx context.Context, to *Engine, _ Attributes) error { return to.GoContext(ctx, fn) }
		return u
	}
	u.task = r.body().task()
	if fn, plain := u.task.(funcTask); plain {
		u.task = (func())(fn)
	}
	u.resubmit = r.body().resubmit()
	return u
}

func (f *Future[T]) resubmit() func(context.Context, *Engine, Attributes) error {
	task := f.typed()
	return func(ctx context.Context, to *Engine, attrs Attributes) error {
		_, err := submit(ctx, to, &attrs, task, false)
		return err
	}
}

// Shutdown ends the engine gracefully: it refuses new work, runs what is queued
// and waits until that is done. It resumes a paused engine. It returns nil when
// everything has run and no goroutine of the engine is left.
//
// When ctx ends before that, it stops by force: tasks that were not started are
// handed back, the contexts of running ones end with ErrShutdown as their
// cause, and those that do not return within Config.CancelGrace are abandoned.
// The *ShutdownError lists them all. It also lists tasks that waited to be run
// again, which are handed back as soon as the drain begins.
//
// Shutdown may be called again and concurrently. The most patient caller
// decides: one whose context ends while another still waits returns a
// *ShutdownError with Draining set. A call after the end returns nil. A task
// that calls Shutdown with its own context begins the drain and gets
// ErrInsideTask at once, since it cannot wait for itself; with any other
// context it would wait until that ends.
func (e *Engine) Shutdown(ctx context.Context) error {
	if err := e.checkStop(ctx); err != nil {
		return err
	}
	if e.isFinished() {
		return nil
	}
	defer e.visit()()
	if e.inside(ctx) {
		e.beginDrain()
		return e.insideError("Shutdown")
	}
	if last := e.drain(ctx); !last {
		return e.verdict(context.Cause(ctx))
	}
	patience, cancel := e.grace()
	defer cancel()
	return e.force(patience, context.Cause(ctx))
}

// drain begins the drain and waits for its end or that of ctx. It reports whether
// ctx has ended first and nobody else is waiting.
func (e *Engine) drain(ctx context.Context) (last bool) {
	e.addPatient(1)
	defer func() { last = e.addPatient(-1) == 0 && !e.isFinished() }() // deferred, because a hook may call Goexit
	e.beginDrain()
	defer leaveSlot(ctx)()
	select {
	case <-e.stop.finished:
	case <-ctx.Done():
	}
	point.At(point.Finish)
	return false
}

// verdict is what a caller is told who does not wait any longer: the report, if
// the engine has come to its end meanwhile.
func (e *Engine) verdict(cause error) error {
	if e.isFinished() {
		return e.result()
	}
	return &ShutdownError{Engine: e.name, Cause: cause, Draining: true}
}

// visit counts a caller of Shutdown or Close and returns the function that counts
// it out again: the last to leave an engine that has ended takes the report along,
// so that the engine does not keep the undone tasks.
func (e *Engine) visit() (leave func()) {
	s := &e.stop
	s.mu.Lock()
	s.visitors++
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.visitors--; s.visitors == 0 && e.isFinished() {
			s.undone, s.ignoring = nil, nil
		}
	}
}

// Close ends the engine by force, as Shutdown does when its context ends, and
// waits for running tasks until ctx ends; CancelGrace plays no part. It returns
// nil if nothing was queued or running, otherwise a *ShutdownError that lists
// what was, even if every task obeyed. Like Shutdown it may be called again,
// concurrently, and from inside a task.
func (e *Engine) Close(ctx context.Context) error {
	if err := e.checkStop(ctx); err != nil {
		return err
	}
	if e.isFinished() {
		return nil
	}
	defer e.visit()()
	if !e.inside(ctx) {
		defer leaveSlot(ctx)()
		return e.force(ctx, nil)
	}
	if e.claimForce(nil) {
		defer func() {
			go func() {
				patience, cancel := e.grace()
				defer cancel()
				e.awaitForce(patience)
			}()
		}()
		e.startForce()
	}
	return e.insideError("Close")
}

// grace returns a context for the time that running tasks have to obey.
func (e *Engine) grace() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), max(e.settings.Load().CancelGrace, 0))
}

func (e *Engine) addPatient(n int) int {
	e.stop.mu.Lock()
	defer e.stop.mu.Unlock()
	e.stop.patient += n
	return e.stop.patient
}

func (e *Engine) checkStop(ctx context.Context) error {
	switch {
	case !e.made():
		return errNotMade()
	case isNilContext(ctx):
		return invalidf("the context is nil: use context.Background")
	}
	return nil
}

// inside reports whether ctx belongs to a running task of e.
func (e *Engine) inside(ctx context.Context) bool {
	r := taskOf(ctx)
	return r != nil && r.engine() == e && phase(r.state.Load()) == phaseRunning
}

func (e *Engine) insideError(call string) error {
	return fmt.Errorf("%w: engine %s: call %s from outside, or in a goroutine of its own", ErrInsideTask, e.name, call)
}

func (e *Engine) isFinished() bool {
	select {
	case <-e.stop.finished:
		return true
	default:
		return false
	}
}

// result is what the callers of Shutdown and Close are told at the end.
func (e *Engine) result() error {
	s := &e.stop
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.undone) == 0 && (!s.forced || s.running == 0 && s.callbacks == 0) {
		return nil
	}
	return &ShutdownError{Engine: e.name, Cause: s.cause, Undone: s.undone,
		Canceled: s.running - len(s.ignoring), Ignoring: s.ignoring, Callbacks: s.callbacks}
}

// beginDrain refuses new work and hands back what waits to be run again.
func (e *Engine) beginDrain() {
	s, in := &e.stop, &e.in
	s.mu.Lock()
	begun := s.begun
	s.begun = true
	s.mu.Unlock()
	if begun {
		e.checkIdle()
		return
	}
	children := e.settings.Load().AcceptChildren
	point.At(point.Drain)
	in.lock()
	// One step: before it the engine accepts, after it it may be found at its end.
	in.closed, in.held = true, true
	e.signal.Or(signalDraining | signalIdle)
	for b := in.first; b != nil; {
		next := b.next
		if !b.inside || !children {
			in.unlink(b)
			b.err = ErrClosed
			b.waiter.signal <- struct{}{}
		}
		b = next
	}
	e.beginLeaving()
	defer e.endLeaving() // also if a hook calls Goexit
	delayed := e.takeDelayed()
	e.countRemoved(OutcomeUndone, len(delayed))
	served := e.giveBack(len(delayed))
	in.mu.Unlock()
	if served > 0 {
		e.notify()
	}
	e.handBack(delayed)
	e.unpause()
	e.hookChanged(ChangeShutdownBegun)
}

// takeDelayed takes the jobs that wait to be run again. The caller holds in.mu.
func (e *Engine) takeDelayed() (jobs []Job) {
	for r := range e.in.delayed {
		if r.retire(phaseDelayed) {
			jobs = append(jobs, jobOf(r))
		}
	}
	clear(e.in.delayed)
	return jobs
}

// handBackDelayed resolves a record that waits to be run again as undone, unless
// somebody was faster.
func (e *Engine) handBackDelayed(r *record) {
	e.beginLeaving()
	defer e.endLeaving()
	e.in.lock()
	if !r.retire(phaseDelayed) {
		e.in.mu.Unlock()
		return
	}
	delete(e.in.delayed, r)
	e.countRemoved(OutcomeUndone, 1)
	served := e.giveBack(1)
	e.in.mu.Unlock()
	if served > 0 {
		e.notify()
	}
	e.handBack([]Job{jobOf(r)})
}

// handBack describes jobs that were taken and counted, then resolves them.
func (e *Engine) handBack(jobs []Job) {
	point.At(point.HandBack)
	undone := make([]Undone, len(jobs))
	for i, job := range jobs {
		undone[i] = e.undone(job)
	}
	e.stop.mu.Lock()
	e.stop.undone = append(e.stop.undone, undone...)
	e.stop.mu.Unlock()
	// All futures first: a hook may call Goexit.
	errs := make([]error, len(jobs))
	for i, job := range jobs {
		if r := job.record(); r != nil || e.hooks.Load() != nil {
			errs[i] = fmt.Errorf("%w: engine %s: task %s", ErrUndone, e.name, undone[i].name)
			if r != nil {
				r.fail(errs[i])
			}
		}
	}
	for i, job := range jobs {
		if errs[i] != nil {
			e.hookEnded(job, OutcomeUndone, errs[i])
		}
	}
}

// handBackStarted describes a job that was claimed just before a forced stop and
// whose body was not called: it belongs to the undone ones.
func (e *Engine) handBackStarted(job Job) error {
	u := e.undone(job)
	e.stop.mu.Lock()
	e.stop.undone = append(e.stop.undone, u)
	e.stop.running--
	e.stop.mu.Unlock()
	return fmt.Errorf("%w: engine %s: task %s", ErrUndone, e.name, u.name)
}

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
	defer e.beginForce() // even if a hook that hears of the drain calls Goexit
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
	e.outside.tally.ended[OutcomeUndone] += uint64(len(jobs))
	e.outside.tally.removed += uint64(len(jobs))
	in.room += len(jobs)
	t := e.total(slots)
	running := int(t.outstanding())
	for _, w := range e.lot.resumers { // see takeSlotBack
		w.away = false
		w.wake <- nil
	}
	e.lot.resumers = nil
	e.signal.And(^signalResume)
	e.unlockAll(slots)

	s.mu.Lock()
	s.running = running
	s.mu.Unlock()
	e.guard("base context", func() { e.cancel(ErrShutdown) }) // before any hook
	e.handBack(jobs)
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

// finish is the end of a forced stop. If no task and no callback is left, neither
// are goroutines.
func (e *Engine) finish(clean bool) {
	e.checkIdle()
	s := &e.stop
	s.mu.Lock()
	clean = clean && s.callbacks == 0
	s.mu.Unlock()
	if clean && s.closed() {
		<-e.lot.gone
	}
	s.mu.Lock()
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

// WaitIdle waits until every accepted task has ended, those submitted meanwhile
// included, or ctx ends; then it returns a *WaitError, which matches the cause. It
// closes nothing. A task that calls it with its own context gets ErrInsideTask.
func (e *Engine) WaitIdle(ctx context.Context) error {
	if err := e.checkStop(ctx); err != nil {
		return err
	}
	if e.inside(ctx) {
		return e.insideError("WaitIdle")
	}
	w := e.getWaiter()
	e.stop.mu.Lock()
	e.stop.tickets++
	e.stop.idlers = append(e.stop.idlers, idler{w, e.stop.tickets})
	e.signal.Or(signalIdle)
	e.stop.mu.Unlock()
	e.checkIdle()
	defer leaveSlot(ctx)()
	select {
	case <-w.signal:
		e.putWaiter(w)
		return nil
	case <-ctx.Done():
	}
	e.stop.mu.Lock()
	for i, other := range e.stop.idlers {
		if other.waiter == w {
			e.stop.idlers = append(e.stop.idlers[:i], e.stop.idlers[i+1:]...)
			e.stop.mu.Unlock()
			e.putWaiter(w)
			return e.gaveUp(ctx, "")
		}
	}
	e.stop.mu.Unlock()
	<-w.signal
	e.putWaiter(w)
	return nil
}

// isIdle reports whether all accepted tasks have ended. A task is counted before
// its future is resolved and its hooks are called: those are done once nobody
// holds a slot any more, or runs a task without one. A forced stop does not wait
// for the holders that it has given up. The caller holds all locks.
func (e *Engine) isIdle(slots []*slot) bool {
	if t := e.total(slots); t.outstanding() != 0 {
		return false
	}
	return !e.lot.occupiedLocked()
}

// checkIdle tells those who wait for it if the engine is idle. It must be
// called, without locks, after everything that may have ended the last task.
func (e *Engine) checkIdle() {
	point.At(point.CheckIdle)
	if e.signal.Load()&signalIdle == 0 {
		return
	}
	s := &e.stop
	s.mu.Lock()
	before := s.tickets
	s.mu.Unlock()
	if e.lot.occupied() {
		return // whoever leaves the last slot looks again: no need to stop everybody
	}
	slots := e.lockAll()
	idle := e.isIdle(slots)
	closed := idle && e.in.closed
	if closed {
		// Not even a child that is on its way is accepted from now on.
		e.signal.Or(signalStopping)
	}
	e.unlockAll(slots)
	if !idle {
		return
	}
	s.mu.Lock()
	answered := 0
	for answered < len(s.idlers) && s.idlers[answered].ticket <= before {
		answered++
	}
	idlers := s.idlers[:answered:answered]
	s.idlers = s.idlers[answered:]
	if len(s.idlers) == 0 && !s.begun {
		e.signal.And(^signalIdle)
	}
	ending := closed && s.over.CompareAndSwap(false, true)
	s.mu.Unlock()
	for _, i := range idlers {
		i.waiter.signal <- struct{}{}
	}
	if ending {
		defer e.closeLot() // also if a hook calls Goexit
		e.guard("base context", func() { e.cancel(ErrShutdown) })
		e.hookChanged(ChangeShutdownEnded)
	}
}
