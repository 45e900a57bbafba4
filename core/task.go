package core

import (
	"context"
	"fmt"
	"reflect"
	"time"
	"unsafe"
)

// Task is a piece of work with a result of type T.
//
// Execute is called on a goroutine of the engine, or on the goroutine that
// waits for the result (see Future.Await). It should return soon after ctx
// ends. ctx carries the values and the cancellation of the context given to
// Submit, the cancellation of the engine, and the task's run limit. It ends
// when Execute returns, and it belongs to the task: pass it to Submit, Run and
// Await to submit children and to wait for them without deadlock.
//
// A task may implement Prioritized, Keyed, Tenanted, Named, Labeled and
// Limited to bring its own attributes. Those methods are called once, by the
// function that submits the task, on the goroutine of its caller.
//
// A task that is submitted twice, or asks to be run again, is executed as often,
// possibly at the same time in the first case. A nil pointer, function, map or
// channel is no task: it is refused with ErrInvalid.
type Task[T any] interface {
	Execute(ctx context.Context) (T, error)
}

// TaskFunc adapts a function to Task. See Func.
type TaskFunc[T any] func(ctx context.Context) (T, error)

// Execute calls f.
func (f TaskFunc[T]) Execute(ctx context.Context) (T, error) { return f(ctx) }

// Func returns fn as a Task. It exists because a call infers T where a
// conversion cannot: core.Func(fn) rather than core.TaskFunc[int](fn).
func Func[T any](fn func(ctx context.Context) (T, error)) TaskFunc[T] { return fn }

// JobExecutor is a Task that is told when it is the whole of a job. The engine calls
// ExecuteJob in the place of Execute, with the job that JobOf would find. So Execute is
// called by other code alone, for which the task is a part of another one, or belongs to
// none. It is for tasks that wrap others and ask to be run again (see Again): the wish of
// a part would repeat what is around it, too.
type JobExecutor[T any] interface {
	Task[T]
	ExecuteJob(ctx context.Context, job Job) (T, error)
}

// Priority orders tasks for the schedulers and reject policies that look at it.
// The zero value means that none was given, which counts as Normal.
type Priority uint8

// The priorities, from the least urgent to the most urgent.
const (
	Low Priority = iota + 1
	Normal
	High
	Critical
)

// String returns the name of p in lower case.
func (p Priority) String() string {
	switch p {
	case Low:
		return "low"
	case 0, Normal:
		return "normal"
	case High:
		return "high"
	case Critical:
		return "critical"
	}
	return fmt.Sprintf("priority(%d)", uint8(p))
}

// orNormal returns p, or Normal where none was given.
func (p Priority) orNormal() Priority {
	if p == 0 {
		return Normal
	}
	return p
}

// Attributes describe one task to the engine. A field's zero value means "not
// given": then the task's own method counts (see Prioritized and the other
// optional interfaces), then the engine's default. What the caller gives wins.
//
// A task without attributes costs one allocation; attributes cost two more.
type Attributes struct {
	// Name appears in errors, hooks and logs. Default: the type of the task,
	// which is the same for all functions with one type of result, such as
	// core.TaskFunc[int].
	Name string
	// Priority is Low, Normal, High or Critical, for schedulers and for
	// RejectDisplaceLowest. The built-in scheduler does not look at it.
	// Default: Normal.
	Priority Priority
	// Key names the lane of the task, for schedulers that keep order per key.
	// The built-in scheduler does not look at it.
	Key string
	// Tenant names whom the task is for, for schedulers that share fairly. The
	// built-in scheduler does not look at it.
	Tenant string
	// Labels are carried along for hooks, logs and statistics. The map is kept,
	// not copied: do not change it afterwards.
	Labels map[string]string
	// QueueLimit is how long the task may wait between admission and start.
	// When it has passed the future fails with ErrQueueTimeout and the task
	// never starts. A task that is run again is given the whole time again.
	// Default: the engine's. Negative: no limit. A limit costs a timer.
	QueueLimit time.Duration
	// RunLimit is how long one run of the task may take. When it has passed the
	// task's context ends with ErrTaskTimeout as its cause; the future is
	// resolved when the task returns, with a *TimeoutError. The time it waits
	// inside counts. Default: the engine's. Negative: no limit. A limit costs a timer.
	RunLimit time.Duration
	// Reject is the policy for this task when the queue is full. TrySubmitWith
	// ignores it. Default: the engine's.
	Reject RejectPolicy
}

// Prioritized is a task that knows its priority. Zero means none, which counts
// as Normal; a priority above Critical is refused with ErrInvalid.
type Prioritized interface{ Priority() Priority }

// Keyed is a task that knows its lane; "" means none.
type Keyed interface{ Key() string }

// Tenanted is a task that knows whom it is for; "" means nobody.
type Tenanted interface{ Tenant() string }

// Named is a task that knows its name, for errors, hooks and logs; "" means the
// task's type.
type Named interface{ Name() string }

// Labeled is a task that carries labels. The map is kept, not copied.
type Labeled interface{ Labels() map[string]string }

// Limited is a task that knows how long it may wait in the queue and how long
// it may run; zero means the engine's default, a negative duration no limit.
type Limited interface {
	Limits() (queue, run time.Duration)
}

// validate reports the first thing that is wrong with a.
func (a *Attributes) validate() error {
	if a.Priority > Critical {
		return invalidf("priority %d is unknown: use Low, Normal, High or Critical", a.Priority)
	}
	if !a.Reject.known() {
		return invalidf("reject policy %d is unknown", a.Reject)
	}
	return nil
}

// brings reports whether task implements any of the optional interfaces.
func brings(task any) bool {
	if _, ok := task.(Prioritized); ok {
		return true
	}
	if _, ok := task.(Keyed); ok {
		return true
	}
	if _, ok := task.(Tenanted); ok {
		return true
	}
	if _, ok := task.(Named); ok {
		return true
	}
	if _, ok := task.(Labeled); ok {
		return true
	}
	_, ok := task.(Limited)
	return ok
}

// complete fills what the caller left out from the task's own methods.
func (a *Attributes) complete(task any) {
	if t, ok := task.(Prioritized); ok && a.Priority == 0 {
		a.Priority = t.Priority()
	}
	if t, ok := task.(Keyed); ok && a.Key == "" {
		a.Key = t.Key()
	}
	if t, ok := task.(Tenanted); ok && a.Tenant == "" {
		a.Tenant = t.Tenant()
	}
	if t, ok := task.(Named); ok && a.Name == "" {
		a.Name = t.Name()
	}
	if t, ok := task.(Labeled); ok && a.Labels == nil {
		a.Labels = t.Labels()
	}
	if t, ok := task.(Limited); ok {
		queue, run := t.Limits()
		if a.QueueLimit == 0 {
			a.QueueLimit = queue
		}
		if a.RunLimit == 0 {
			a.RunLimit = run
		}
	}
}

// words is how Go lays out an interface value: a word for its type and a word
// that is, or points to, its value. sync/atomic.Value relies on the same.
type words struct{ kind, data unsafe.Pointer }

// isNilTask reports whether v, an interface value, holds nothing or a nil pointer,
// function, map or channel. A nil pointer passed as a task is a mistake that
// would otherwise show as a panic far away.
func isNilTask[T any](v Task[T]) bool {
	if (*words)(unsafe.Pointer(&v)).data != nil {
		return false
	}
	// A struct of one pointer is stored as that pointer, which may well be nil.
	kind := reflect.ValueOf(v).Kind()
	return kind != reflect.Struct && kind != reflect.Array
}

func isNilContext(ctx context.Context) bool {
	if (*words)(unsafe.Pointer(&ctx)).data != nil {
		return false
	}
	// As above; and a nil map can be asked for values.
	kind := reflect.ValueOf(ctx).Kind()
	return kind != reflect.Struct && kind != reflect.Array && kind != reflect.Map
}
