package timetable

import (
	"context"
	"sync"
	"time"

	"github.com/uptutu/goman/core"
)

// submission is the context with which a run is submitted. It carries the planned time to
// the task, and ends the wait for room in the engine's queue when the run is given up.
//
// A run that the engine has taken must not notice that, and it may start, and stop its own
// entry, before the submission has returned. So the context ends only if somebody has
// listened for that, which core does as it begins to wait, or if the task is cancelled.
type submission struct {
	planned time.Time

	mu      sync.Mutex
	done    chan struct{} // nil until somebody listens
	cause   error         // why it was given up
	settled bool          // the engine has answered
}

// Deadline says that there is none.
func (*submission) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done returns a channel that is closed when the run is given up.
func (s *submission) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.cause != nil {
			close(s.done)
		}
	}
	return s.done
}

// Err returns context.Canceled once Done is closed.
func (s *submission) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil && s.done != nil {
		return context.Canceled
	}
	return nil
}

// Value returns the planned time.
func (s *submission) Value(key any) any {
	if key == (plannedKey{}) {
		return s.planned
	}
	return nil
}

// end gives the run up, unless the engine has answered. With the task, the task itself is
// not wanted any more: its context ends in any case.
func (s *submission) end(cause error, withTask bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil && s.done != nil || s.settled && !withTask {
		return // it has ended, or must not
	}
	s.cause = cause
	if s.done == nil && withTask {
		s.done = make(chan struct{})
	}
	if s.done != nil {
		close(s.done)
	}
}

// settle notes that the engine has answered. It returns why the context has ended before
// that, or nil.
func (s *submission) settle() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = true
	if s.done == nil {
		s.cause = nil // nobody has listened
	}
	return s.cause
}

// submit hands task to the engine. If that is given up at the moment at which there was
// room, the engine has taken a task with a context that has ended. If it has not started it
// counts as refused, so that it is handed back.
func submit[T any](s *submission, e *Entry, task core.Task[T]) (*core.Future[T], error) {
	var future *core.Future[T]
	var err error
	if callerRuns := e.tt.callerRuns.Load(); e.attributes == nil && !callerRuns {
		future, err = core.Submit(s, e.tt.engine, task)
	} else {
		given := e.given()
		if given.Reject == 0 && callerRuns {
			given.Reject = core.RejectWait
		}
		future, err = core.SubmitWith(s, e.tt.engine, given, task)
	}
	cause := s.settle()
	if err != nil || cause == nil {
		return future, err
	}
	future.CancelCause(cause)
	_, end := future.GetWithTimeout(time.Millisecond) // a worker may just be giving it up
	if canceled, ok := end.(*core.CancelError); ok && !canceled.Started {
		return nil, cause
	}
	return future, nil
}

type plannedKey struct{}

// Planned returns the time for which the run that ctx belongs to was planned, without
// jitter: the last one, if the run stands for several that were missed. Of [Every] and
// [After] it has a monotonic reading. It reports false outside a task of a timetable.
func Planned(ctx context.Context) (time.Time, bool) {
	t, ok := ctx.Value(plannedKey{}).(time.Time)
	return t, ok
}
