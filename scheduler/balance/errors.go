package balance

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/uptutu/goman/core"
)

// The sentinel errors of a [Group].
var (
	// ErrNoEngine: the group has no engine.
	ErrNoEngine = errors.New("balance: the group has no engine")
	// ErrMember: the engine is in the group already.
	ErrMember = errors.New("balance: the engine is in the group already")
	// ErrNotMember: the engine is not in the group.
	ErrNotMember = errors.New("balance: the engine is not in the group")
	// ErrTooMany: the group has MaxEngines engines.
	ErrTooMany = errors.New("balance: the group has no place for another engine")
	// ErrPaused: the engine was passed over because it is paused, while others run.
	ErrPaused = errors.New("balance: the engine is paused")
	// ErrBalancer: the function given to ByFunc failed; errors.As finds the
	// *BalancerError.
	ErrBalancer = errors.New("balance: the balancer's function failed")
)

// Error is why a group has not accepted a task. It matches whatever one of the
// reasons matches: [core.ErrQueueFull] if an engine was full, so that it may be worth
// to try again later; [core.ErrClosed] if one was shut down, and nothing else if all
// were; [core.ErrInvalid]; the cause and the own error of a context that ended;
// [ErrNoEngine], [ErrBalancer].
type Error struct {
	// Group is the name of the group.
	Group string
	// Reasons are those of the engines, in the order in which they were asked, or the
	// one of the group itself.
	Reasons []error
}

// Error names the group and at most three of the reasons.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("balance: ")
	if e.Group != "" { // there is a group
		fmt.Fprintf(&b, "group %s: ", e.Group)
	}
	b.WriteString("refused: ")
	for i, reason := range e.Reasons {
		if i == 3 {
			fmt.Fprintf(&b, "; and %d more", len(e.Reasons)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprint(&b, reason)
	}
	return b.String()
}

// Unwrap returns the reasons.
func (e *Error) Unwrap() []error { return e.Reasons }

// BalancerError is how the function given to [ByFunc] failed. It matches [ErrBalancer].
type BalancerError struct {
	// Group is the name of the group, Engines how many there were to choose from.
	Group   string
	Engines int
	// Index is what the function returned.
	Index int
	// Panic is what it panicked with, and Stack the stack at that moment; nil if it
	// returned.
	Panic any
	Stack []byte
}

// Error says what the function did and what is allowed.
func (e *BalancerError) Error() string {
	if e.Panic != nil {
		return fmt.Sprintf("balance: the function given to ByFunc panicked: %v", e.Panic)
	}
	return fmt.Sprintf("balance: the function given to ByFunc returned %d: allowed is 0 to %d", e.Index, e.Engines-1)
}

// Is matches ErrBalancer, and core.ErrPanicked where the function panicked.
func (e *BalancerError) Is(target error) bool {
	return target == ErrBalancer || e.Panic != nil && target == core.ErrPanicked
}

// Unwrap returns the value of the panic if it is an error.
func (e *BalancerError) Unwrap() error {
	err, _ := e.Panic.(error)
	return err
}

// ShutdownError is the report of a Shutdown or Close that could not end everything
// well. It matches whatever one of the engines' errors matches, such as
// [core.ErrShutdown].
type ShutdownError struct {
	// Group is the name of the group.
	Group string
	// Reports are the errors of the engines that had one, in the order in which they
	// joined; most are a *core.ShutdownError.
	Reports []error
}

// Error is one line for each engine.
func (e *ShutdownError) Error() string {
	return fmt.Sprintf("balance: group %s: %v", e.Group, errors.Join(e.Reports...))
}

// Unwrap returns the reports.
func (e *ShutdownError) Unwrap() []error { return e.Reports }

// Undone returns the tasks of all engines that were handed back; see [core.Undone].
func (e *ShutdownError) Undone() (undone []core.Undone) {
	for _, report := range e.Reports {
		if r, ok := errors.AsType[*core.ShutdownError](report); ok {
			undone = append(undone, r.Undone...)
		}
	}
	return undone
}

// contextError is the reason of a submission whose context has ended.
type contextError struct{ cause, own error }

func (e *contextError) Error() string {
	return fmt.Sprintf("the context has ended: %v", e.cause)
}
func (e *contextError) Is(target error) bool { return errors.Is(e.own, target) }
func (e *contextError) Unwrap() error        { return e.cause }

// contextEnded returns the reason for ctx, which has ended.
func contextEnded(ctx context.Context) error {
	return &contextError{cause: context.Cause(ctx), own: ctx.Err()}
}

// refuse counts a submission that the group refuses, and returns its error.
func (g *Group) refuse(reasons ...error) error {
	g.refused.Add(1)
	return &Error{Group: g.name, Reasons: reasons}
}

// errNoGroup is the error of all calls on a group that is nil or zero.
func errNoGroup() error {
	return &Error{Reasons: []error{fmt.Errorf("%w: the group is nil or was not made by New", core.ErrInvalid)}}
}

func errNilTask() error { return fmt.Errorf("%w: the task is nil", core.ErrInvalid) }

func errNilContext() error {
	return fmt.Errorf("%w: the context is nil: use context.Background", core.ErrInvalid)
}

// isNil reports whether v holds nothing, or a nil pointer, function, map or channel.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan, reflect.UnsafePointer:
		return r.IsNil()
	}
	return false
}

// isNilContext is isNil, but for a nil map, which can be asked for values.
func isNilContext(ctx context.Context) bool {
	return isNil(ctx) && reflect.ValueOf(ctx).Kind() != reflect.Map
}
