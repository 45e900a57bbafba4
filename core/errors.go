package core

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The sentinel errors. Each is matched with errors.Is; where a typed error says
// more, its documentation names the sentinel that it matches.
var (
	// ErrInvalid: an argument that can never be right, such as a nil task.
	ErrInvalid = errors.New("core: invalid argument")
	// ErrConfig: a configuration that New or Reconfigure refuses. It matches ErrInvalid
	// too.
	ErrConfig error = configError{}
	// ErrQueueFull: the queue has no room and the policy is not to wait for it.
	ErrQueueFull = errors.New("core: queue is full")
	// ErrClosed: Shutdown or Close has begun; no new work is accepted.
	ErrClosed = errors.New("core: engine is closed")
	// ErrDiscarded: the task was accepted, then given up for another, or given
	// up at once, because the queue was full.
	ErrDiscarded = errors.New("core: task was discarded")
	// ErrQueueTimeout: the task waited longer than its queue limit and was not
	// started. It matches context.DeadlineExceeded too.
	ErrQueueTimeout error = &deadlineError{"core: task waited longer than its queue limit"}
	// ErrTaskTimeout: the task ran longer than its run limit. It matches
	// context.DeadlineExceeded too.
	ErrTaskTimeout error = &deadlineError{"core: task ran longer than its run limit"}
	// ErrWaitTimeout: GetWithTimeout gave up waiting; the task goes on. It
	// matches context.DeadlineExceeded too, and comes in a *WaitError.
	ErrWaitTimeout error = &deadlineError{"core: gave up waiting for the task"}
	// ErrPanicked: the task panicked; errors.As finds the *PanicError.
	ErrPanicked = errors.New("core: task panicked")
	// ErrGoexit: the task ended its goroutine with runtime.Goexit.
	ErrGoexit = errors.New("core: task called runtime.Goexit")
	// ErrSkipped: an interceptor returned without an error and without having
	// called the next handler, so the task was not run.
	ErrSkipped = errors.New("core: an interceptor did not run the task")
	// ErrDeadlock: the wait would never end; errors.As finds the *DeadlockError.
	ErrDeadlock = errors.New("core: tasks wait for each other in a ring")
	// ErrUndone: the engine stopped before the task was started, or started
	// again; the report of Shutdown hands it back.
	ErrUndone = errors.New("core: engine stopped before the task was started")
	// ErrAbandoned: the engine stopped while the task was running, and the task
	// ignored the end of its context. Its result is lost.
	ErrAbandoned = errors.New("core: engine stopped and the task ignored it")
	// ErrShutdown is the cause with which the contexts of running tasks end
	// when the engine is stopped by force. It matches context.Canceled too.
	ErrShutdown error = &canceledError{"core: engine is shutting down"}
	// ErrInsideTask: a task called Shutdown, Close or WaitIdle on the engine
	// that runs it, and cannot wait for itself.
	ErrInsideTask = errors.New("core: a task cannot wait for its own engine to end")
)

type configError struct{}

func (configError) Error() string        { return "core: invalid configuration" }
func (configError) Is(target error) bool { return target == ErrInvalid }

// deadlineError is a sentinel that is a deadline as well.
type deadlineError struct{ text string }

func (e *deadlineError) Error() string        { return e.text }
func (e *deadlineError) Is(target error) bool { return target == context.DeadlineExceeded }
func (e *deadlineError) Timeout() bool        { return true }

// canceledError is a sentinel that is a cancellation as well.
type canceledError struct{ text string }

func (e *canceledError) Error() string        { return e.text }
func (e *canceledError) Is(target error) bool { return target == context.Canceled }

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// PanicError is the result of a task that panicked. It matches ErrPanicked and,
// where the value of the panic is an error, that error too. It is shared by all
// who see it: do not change it.
type PanicError struct {
	// Engine and Task are the names of the engine and the task; both are "" where Contain
	// was called outside a task.
	Engine, Task string
	// Value is what the task panicked with; a *runtime.PanicNilError for nil.
	Value any
	// Stack is the stack of the goroutine at the panic.
	Stack []byte

	job jobID // the job that panicked, to tell its error from one passed on
}

// Error describes the panic in one line; the stack is in the field. A panic of
// the value's own Error or String method shows in the text.
func (e *PanicError) Error() string {
	if e.Engine == "" {
		return fmt.Sprintf("core: panicked: %s", fmt.Sprint(e.Value))
	}
	return fmt.Sprintf("core: engine %s: task %s panicked: %s", e.Engine, e.Task, fmt.Sprint(e.Value))
}

// Is matches ErrPanicked.
func (e *PanicError) Is(target error) bool { return target == ErrPanicked }

// Unwrap returns the value of the panic if it is an error. That of a nil *PanicError, which
// may itself be the value of a panic, is nil.
func (e *PanicError) Unwrap() error {
	if e == nil {
		return nil
	}
	err, _ := e.Value.(error)
	return err
}

// goexitError is the result of a task that called runtime.Goexit. It matches
// ErrGoexit.
type goexitError struct {
	engine, task string
	job          jobID // as in PanicError
}

func (e *goexitError) Error() string {
	return fmt.Sprintf("core: engine %s: task %s called runtime.Goexit", e.engine, e.task)
}

func (e *goexitError) Is(target error) bool { return target == ErrGoexit }

// CancelError is the result of a task that was cancelled. It matches
// context.Canceled and whatever the cause matches.
type CancelError struct {
	// Engine and Task are the names of the engine and the task.
	Engine, Task string
	// Started tells whether the task had begun when it was cancelled. If not,
	// it never runs.
	Started bool
	// Cause is the argument of CancelCause, the cause of the context given to
	// Submit, or context.Canceled.
	Cause error
	// Err is what the task itself returned; nil if it was never started.
	Err error
}

// Error says when the task was cancelled, and why.
func (e *CancelError) Error() string {
	when := "before it started"
	if e.Started {
		when = "while it ran"
	}
	if e.Cause == nil || e.Cause == context.Canceled {
		return fmt.Sprintf("core: engine %s: task %s was cancelled %s", e.Engine, e.Task, when)
	}
	return fmt.Sprintf("core: engine %s: task %s was cancelled %s: %v", e.Engine, e.Task, when, e.Cause)
}

// Is matches context.Canceled.
func (e *CancelError) Is(target error) bool { return target == context.Canceled }

// Unwrap returns the cause and the task's own error.
func (e *CancelError) Unwrap() []error { return []error{e.Cause, e.Err} }

// TimeoutError is the result of a task that went over one of its two limits. It
// matches ErrQueueTimeout or ErrTaskTimeout, and context.DeadlineExceeded.
type TimeoutError struct {
	// Engine and Task are the names of the engine and the task.
	Engine, Task string
	// Limit is the limit that was passed.
	Limit time.Duration
	// Started is false for the queue limit, true for the run limit.
	Started bool
	// Late tells that the task did not obey: it ended with a result of its own
	// after the limit. The future's value is that result, Err that error.
	Late bool
	// Err is what the task itself returned.
	Err error
}

// Error says which limit was passed.
func (e *TimeoutError) Error() string {
	switch {
	case !e.Started:
		return fmt.Sprintf("core: engine %s: task %s waited longer than its queue limit of %v", e.Engine, e.Task, e.Limit)
	case e.Late && e.Err != nil:
		return fmt.Sprintf("core: engine %s: task %s ended after its run limit of %v: %v", e.Engine, e.Task, e.Limit, e.Err)
	case e.Late:
		return fmt.Sprintf("core: engine %s: task %s ended after its run limit of %v", e.Engine, e.Task, e.Limit)
	}
	return fmt.Sprintf("core: engine %s: task %s was stopped at its run limit of %v", e.Engine, e.Task, e.Limit)
}

// Is matches ErrQueueTimeout or ErrTaskTimeout, and context.DeadlineExceeded.
func (e *TimeoutError) Is(target error) bool {
	if e.Started && target == ErrTaskTimeout || !e.Started && target == ErrQueueTimeout {
		return true
	}
	return target == context.DeadlineExceeded
}

// Unwrap returns the task's own error.
func (e *TimeoutError) Unwrap() error { return e.Err }

// Timeout reports true, as net.Error wants it.
func (e *TimeoutError) Timeout() bool { return true }

// WaitError is what Await, GetWithTimeout and WaitIdle return when the wait was
// given up. The task is not affected; what it returns in the end can be awaited
// again. It matches the cause of the context that ended, and the context's own
// error, which is context.Canceled or context.DeadlineExceeded.
//
// A wait that was given up is returned as it is, not wrapped. The result of a task
// that gave up a wait of its own may hold a WaitError as well: it names the task
// that that one waited for.
type WaitError struct {
	// Engine and Task are the names of the engine and the task; Task is "" for
	// WaitIdle.
	Engine, Task string
	// Err is the cause of the context that ended; ErrWaitTimeout for
	// GetWithTimeout.
	Err error

	own error // the context's own error
}

// Error names what was waited for, and why no longer.
func (e *WaitError) Error() string {
	what := "for task " + e.Task
	if e.Task == "" {
		what = "until it is idle"
	}
	if e.Err == ErrWaitTimeout {
		return fmt.Sprintf("core: engine %s: gave up waiting %s: the time given has passed", e.Engine, what)
	}
	return fmt.Sprintf("core: engine %s: gave up waiting %s: %v", e.Engine, what, e.Err)
}

// Is matches the context's own error.
func (e *WaitError) Is(target error) bool { return errors.Is(e.own, target) }

// Unwrap returns the cause.
func (e *WaitError) Unwrap() error { return e.Err }

// Timeout reports whether it was a deadline that ended the wait, as net.Error
// wants it.
func (e *WaitError) Timeout() bool { return errors.Is(e, context.DeadlineExceeded) }

// gaveUp returns the error of a wait for task that ended because ctx did.
func (e *Engine) gaveUp(ctx context.Context, task string) error {
	own, cause := whyGivenUp(ctx)
	return &WaitError{Engine: e.name, Task: task, Err: cause, own: own}
}

// whyGivenUp returns the error of ctx, which has ended, and the cause. Neither is
// nil, whatever a context of a user's type says.
func whyGivenUp(ctx context.Context) (own, cause error) {
	if own = ctx.Err(); own == nil {
		own = context.Canceled
	}
	if cause = context.Cause(ctx); cause == nil {
		cause = own
	}
	return own, cause
}

// DeadlockError is what Await returns when the wait would close a ring of tasks
// that wait for each other. It matches ErrDeadlock. What counts as a wait of a task
// stands in the package's documentation, under "What is not promised".
type DeadlockError struct {
	// Engine is the name of the engine.
	Engine string
	// Tasks are the names of the tasks in the ring; each waits for the next,
	// the last for the first.
	Tasks []string
}

// Error names the tasks in the ring.
func (e *DeadlockError) Error() string {
	if len(e.Tasks) == 0 {
		return fmt.Sprintf("core: engine %s: tasks wait for each other in a ring", e.Engine)
	}
	return fmt.Sprintf("core: engine %s: this wait would never end: %s -> %s", e.Engine, strings.Join(e.Tasks, " -> "), e.Tasks[0])
}

// Is matches ErrDeadlock.
func (e *DeadlockError) Is(target error) bool { return target == ErrDeadlock }

// RefusedError is why a task, or a call that changes the engine, was not accepted.
// It matches the reason: ErrQueueFull, ErrClosed, ErrDiscarded, ErrInvalid, what a
// Refuser has returned, or the cause of a context that ended; then also the context's
// own error, which is context.Canceled or context.DeadlineExceeded.
type RefusedError struct {
	// Engine is the name of the engine.
	Engine string
	// Capacity is the queue's capacity at that moment; -1 if unbounded.
	Capacity int
	// Reason is one of the errors named above.
	Reason error

	own error // the own error of the context that ended
}

// Error names the engine and the reason.
func (e *RefusedError) Error() string {
	switch e.Reason {
	case ErrQueueFull:
		return fmt.Sprintf("core: engine %s: queue is full: its capacity is %d", e.Engine, e.Capacity)
	case ErrClosed:
		return fmt.Sprintf("core: engine %s is closed: Shutdown or Close has begun", e.Engine)
	}
	if e.Engine == "" {
		return fmt.Sprintf("core: refused: %v", e.Reason) // there is no engine
	}
	return fmt.Sprintf("core: engine %s: refused: %v", e.Engine, e.Reason)
}

// Is matches the own error of a context that ended.
func (e *RefusedError) Is(target error) bool { return errors.Is(e.own, target) }

// Unwrap returns the reason.
func (e *RefusedError) Unwrap() error { return e.Reason }

// ShutdownError is the report of a Shutdown or Close that could not end
// everything well. It matches ErrShutdown and the cause of the context whose
// end cut the drain short.
type ShutdownError struct {
	// Engine is the name of the engine.
	Engine string
	// Cause is why the drain was cut short; nil for Close and for a drain that
	// only handed back delayed tasks.
	Cause error
	// Undone are the accepted tasks that were not started, or not started again,
	// in the order in which they would have been started as far
	// as it was known. Their futures failed with ErrUndone.
	Undone []Undone
	// Canceled is the number of running tasks that ended in time once their
	// context was cancelled.
	Canceled int
	// Ignoring are the running tasks that ignored the end of their context.
	// Their futures failed with ErrAbandoned, their goroutines still run.
	Ignoring []Ignoring
	// Callbacks is how many goroutines were still busy with OnDone functions, hooks
	// or contexts of tasks that had ended.
	Callbacks int
	// Draining tells that the engine is still draining: this call's context
	// ended, but another caller of Shutdown is willing to wait longer.
	Draining bool
}

// Ignoring is a running task that ignored the end of its context.
type Ignoring struct {
	// Name is the task's name.
	Name string
	// Stack is the stack of its goroutine, where it could be told apart.
	Stack string
}

// Error is a summary in one line, with the names of at most three tasks.
func (e *ShutdownError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "core: engine %s: ", e.Engine)
	switch {
	case e.Draining:
		b.WriteString("still draining for another caller of Shutdown")
	case e.Cause != nil:
		b.WriteString("stopped before it was drained")
	default:
		b.WriteString("stopped")
	}
	if n := len(e.Undone); n > 0 {
		fmt.Fprintf(&b, ", %d undone", n)
	}
	if e.Canceled > 0 {
		fmt.Fprintf(&b, ", %d cancelled", e.Canceled)
	}
	if n := len(e.Ignoring); n > 0 {
		fmt.Fprintf(&b, ", %d ignore the cancellation (", n)
		for i, t := range e.Ignoring {
			if i == 3 {
				b.WriteString(", ...")
				break
			}
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(t.Name)
		}
		b.WriteString(")")
	}
	if e.Callbacks > 0 {
		fmt.Fprintf(&b, ", %d callbacks still run", e.Callbacks)
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	return b.String()
}

// Is matches ErrShutdown.
func (e *ShutdownError) Is(target error) bool { return target == ErrShutdown }

// Unwrap returns the cause.
func (e *ShutdownError) Unwrap() error { return e.Cause }
