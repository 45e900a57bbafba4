package core

import (
	"context"
	"fmt"
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
// context it would wait until that ends. The error matches ErrInvalid if ctx is nil
// or the engine was not made by New.
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
	defer leaveSlot(ctx).end()
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
// waits for running tasks until ctx ends; CancelGrace plays no part, but where a task
// calls Close, which returns at once. It returns nil if nothing was queued or running,
// otherwise a *ShutdownError that lists what was, even if every task obeyed. Like
// Shutdown it may be called again, concurrently, and from inside a task, and has its
// other errors.
func (e *Engine) Close(ctx context.Context) error {
	if err := e.checkStop(ctx); err != nil {
		return err
	}
	if e.isFinished() {
		return nil
	}
	defer e.visit()()
	if !e.inside(ctx) {
		defer leaveSlot(ctx).end()
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
	e.noteUndone(delayed)
	served := e.giveBack(len(delayed))
	in.mu.Unlock()
	if served > 0 {
		e.notify()
	}
	e.handBack(delayed)
	e.unpause()
	e.hookChanged(ChangeShutdownBegun)
}
