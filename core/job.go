package core

import (
	"context"
	"fmt"
	"time"
	"unsafe"
	"weak"
)

// Job is a task inside the engine: what schedulers order, interceptors wrap and
// hooks hear about. It is one word, comparable, and answers for the task's
// attributes, at any time and for any goroutine. The zero Job is no job; every
// other Job comes from the engine. To keep a Job is to keep its future.
type Job struct {
	// A pointer: to the record inside a Future with its lowest bit set, or to a
	// plain function's closure with the bit clear. Both are aligned, so the bit
	// is free, and a pointer into an object keeps the object alive. It halves
	// the memory of a queued function against an interface value; see
	// BenchmarkQueuedFunc.
	p unsafe.Pointer
}

func jobOf(r *record) Job { return Job{unsafe.Add(unsafe.Pointer(r), 1)} }

func jobOfFunc(fn func()) Job { return Job{*(*unsafe.Pointer)(unsafe.Pointer(&fn))} }

// record returns the record behind j, or nil when j is a plain function.
func (j Job) record() *record {
	if uintptr(j.p)&1 == 0 {
		return nil
	}
	return (*record)(unsafe.Add(j.p, -1))
}

// jobID tells one job from another without keeping it alive. An address alone
// would not do: errors outlive their jobs, and the memory is used again.
type jobID struct {
	record   weak.Pointer[record]
	function uintptr // a function is the same at each of its runs
}

// is reports whether id is that of job.
func (id jobID) is(job Job) bool {
	if r := job.record(); r != nil {
		return id.record.Value() == r
	}
	return id.function != 0 && id.function == uintptr(job.p)
}

func (j Job) id() jobID {
	if r := j.record(); r != nil {
		return jobID{record: weak.Make(r)}
	}
	return jobID{function: uintptr(j.p)}
}

// isFunction reports whether j is a plain function.
func (j Job) isFunction() bool { return j.p != nil && uintptr(j.p)&1 == 0 }

func (j Job) call() {
	p := j.p
	(*(*func())(unsafe.Pointer(&p)))()
}

func (j Job) function() func() {
	p := j.p
	return *(*func())(unsafe.Pointer(&p))
}

// JobOf returns the job of the task whose context ctx is, or is derived from. It returns
// the zero Job outside a task, for the context of a plain function, for that of a run that
// has been followed by another, and after Detach.
func JobOf(ctx context.Context) Job {
	if r := taskOf(ctx); r != nil {
		return jobOf(r)
	}
	return Job{}
}

// IsZero reports whether j is no job.
func (j Job) IsZero() bool { return j.p == nil }

// IsQueued reports whether j waits to be started. Where it does not, because it was
// started, cancelled or discarded, an entry of it in the queue is dead. A plain
// function, which cannot be cancelled, always does.
func (j Job) IsQueued() bool {
	r := j.record()
	return !j.IsZero() && (r == nil || phase(r.state.Load()) == phaseQueued)
}

// Attributes returns what the caller gave, completed by what the task brought,
// without the engine's defaults. It is a copy, but for the map of labels. A
// plain function has none.
func (j Job) Attributes() Attributes {
	if a := j.attributes(); a != nil {
		return *a
	}
	return Attributes{}
}

func (j Job) attributes() *Attributes {
	if r := j.record(); r != nil {
		return r.attributes()
	}
	return nil
}

// Priority returns the task's priority; Normal where none was given.
func (j Job) Priority() Priority {
	if a := j.attributes(); a != nil {
		return a.Priority.orNormal()
	}
	return Normal
}

// Key returns the task's key, or "".
func (j Job) Key() string {
	if a := j.attributes(); a != nil {
		return a.Key
	}
	return ""
}

// Tenant returns the task's tenant, or "".
func (j Job) Tenant() string {
	if a := j.attributes(); a != nil {
		return a.Tenant
	}
	return ""
}

// Name returns the task's name: the one given, or else the type of the task,
// such as core.TaskFunc[int]. A plain function is called "func()".
func (j Job) Name() string {
	r := j.record()
	if r == nil {
		return "func()"
	}
	return r.name()
}

// Deadline returns the time by which the context given to Submit ends, if it
// does. It reports false for plain functions and ended tasks.
func (j Job) Deadline() (time.Time, bool) {
	if r := j.record(); r != nil {
		if parent := r.origin.parent.get(); parent != nil {
			return parent.Deadline()
		}
	}
	return time.Time{}, false
}

// Attempt returns how often the task has asked to be run again (see Again).
func (j Job) Attempt() int {
	if r := j.record(); r != nil {
		if x := r.extra.Load(); x != nil {
			return int(x.attempts.Load())
		}
	}
	return 0
}

// Value returns what SetValue has last kept with the task under key, or nil.
func (j Job) Value(key any) any {
	r := j.record()
	if r == nil {
		return nil
	}
	x := r.extra.Load()
	if x == nil {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.values[key]
}

// SetValue keeps value with the task under key, as a context does, but from one run of
// the task to the next (see Again): it is for interceptors that count runs, or measure the
// time over all of them. A key must be comparable, and of a type of the caller's own, or a
// pointer, so that it is no other package's. A nil value forgets the key. It reports false
// for the zero Job, and for a plain function, which has nothing to keep it in and is never
// run again. The first value costs an allocation or three. What is kept lives as long as
// the future, so forget it when the task has no further run.
func (j Job) SetValue(key, value any) bool {
	r := j.record()
	if r == nil {
		return false
	}
	if value == nil && r.extra.Load() == nil {
		return true
	}
	x := r.needExtra()
	x.mu.Lock()
	defer x.mu.Unlock()
	if value == nil {
		delete(x.values, key)
		return true
	}
	if x.values == nil {
		x.values = make(map[any]any)
	}
	x.values[key] = value
	return true
}

// String returns the name of j as "Job(name)".
func (j Job) String() string { return fmt.Sprintf("Job(%s)", j.Name()) }
