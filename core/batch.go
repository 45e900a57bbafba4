package core

import (
	"context"
	"slices"
	"unsafe"

	"github.com/uptutu/goman/core/internal/point"
)

// Batches: one reservation, one wake-up, futures in slabs.

// SubmitAll submits tasks as one batch. It returns the futures of the tasks that were
// accepted, in the order of tasks, always a prefix; if that is not all of them, the
// error says what stopped it, and the others will never run. Under RejectWait it
// waits for room as often as it needs to. Under every other policy the tasks
// that fit are taken as a batch and the policy applies to each of the others. A nil
// task among them refuses all, and so does one that brings an invalid attribute.
//
// About a hundred at a time cost one reservation of capacity, one wake-up and one
// allocation; see BenchmarkSubmitAll. Those futures keep each other's values alive, and
// the context until the last of the batch has ended. The first hundred may be running
// while the others are still being let in.
//
// Inside a task, with its context, the batch is stored with the task's own worker,
// as far as there is room for it, and started in its order before what came from
// outside.
//
// With no tasks it returns nil, nil.
func SubmitAll[T any](ctx context.Context, engine *Engine, tasks []Task[T]) ([]*Future[T], error) {
	return submitAll(ctx, engine, nil, tasks, false)
}

// SubmitAllWith is SubmitAll with attributes, which are those of each task. What
// they leave out the task's own methods supply.
func SubmitAllWith[T any](ctx context.Context, engine *Engine, attributes Attributes, tasks []Task[T]) ([]*Future[T], error) {
	return submitAll(ctx, engine, &attributes, tasks, false)
}

// TrySubmitAll is SubmitAll that never waits: it takes as many tasks as fit, whatever
// the policy, and if those are not all its error matches ErrQueueFull.
func TrySubmitAll[T any](ctx context.Context, engine *Engine, tasks []Task[T]) ([]*Future[T], error) {
	return submitAll(ctx, engine, nil, tasks, true)
}

func submitAll[T any](ctx context.Context, e *Engine, attrs *Attributes, tasks []Task[T], try bool) ([]*Future[T], error) {
	if attrs != nil && e.made() {
		if err := e.validate(attrs, try); err != nil {
			return nil, e.refused(e.refuse(reasonInvalid, err), attrs)
		}
	}
	brought := false // some task brings attributes
	var last unsafe.Pointer
	for i, task := range tasks {
		if isNilTask(task) {
			if !e.made() {
				break
			}
			return nil, e.refused(e.refuse(reasonInvalid, invalidf("task %d of %d is nil", i, len(tasks))), attrs)
		}
		if w := (*words)(unsafe.Pointer(&task)); w.kind != last {
			last, brought = w.kind, brought || brings(task)
		}
	}
	if err := e.check(ctx, false); err != nil {
		return nil, e.refused(err, attrs)
	}
	if len(tasks) == 0 {
		return nil, nil
	}
	a := admission{ctx: ctx}
	a.find(e)
	futures := make([]*Future[T], len(tasks))
	// A pointer to a Future is one to the record with which it begins.
	records := *(*[]*record)(unsafe.Pointer(&futures))
	var o *origin
	accepted := 0
	stop := func(made int, err error) ([]*Future[T], error) {
		for _, r := range records[accepted:made] {
			r.origin.leave()
		}
		o.endBatch()
		clear(futures[accepted:])
		return futures[:accepted:accepted], err
	}
	var slab []Future[T]
	attributed := attrs != nil || brought // some task may have attributes
	for i, task := range tasks {
		if len(slab) == 0 {
			if i > 0 && a.worker == nil && !brought {
				// These may start while the rest is made. Children are stored as one,
				// so that they start in their order; and where tasks are asked for
				// their attributes, nobody is let in before all have answered.
				n, err := e.enqueueAll(&a, records[accepted:i], attributed, try)
				if accepted += n; err != nil {
					return stop(i, err)
				}
			}
			slab = make([]Future[T], min(slabFutures[T](), len(tasks)-i))
		}
		f := &slab[0]
		slab = slab[1:]
		if w := (*words)(unsafe.Pointer(&task)); o == nil || o.kind.task != w.kind {
			// A new origin begins with the first task, and where the type changes.
			o.endBatch()
			o = e.batchOrigin(&a, kindOf(e, task))
		}
		f.origin = o
		f.work = (*words)(unsafe.Pointer(&task)).data
		if !o.shared() {
			o.batch.Add(1)
		}
		futures[i] = f
		if o.kind.brings {
			if err := f.setAttributes(attrs, task); err != nil {
				return stop(i+1, err)
			}
		} else if attrs != nil {
			f.extra.Store(&extra{attrs: attrs}) // one for all: nobody changes it
		}
	}
	n, err := e.enqueueAll(&a, records[accepted:], attributed, try)
	accepted += n
	return stop(len(tasks), err)
}

// slabFutures is how many futures of a batch share an allocation: as many as fill
// the 4 KiB for which the allocator has a size class, less its own header. Larger
// slabs are not faster, and keep more values alive with each other.
func slabFutures[T any]() int {
	var f Future[T]
	return max(int((4096-8)/unsafe.Sizeof(f)), 1)
}

// batchOrigin returns the origin for tasks of one type in a batch.
func (e *Engine) batchOrigin(a *admission, k *kind) *origin {
	if a.ctx == context.Background() || a.ctx == context.TODO() {
		return &k.origin
	}
	o := &origin{kind: k}
	o.batch.Store(1) // for the one who makes the batch
	o.inherit(a.ctx, a.submitter)
	return o
}

// endBatch takes note that the batch with origin o is made. o may be nil.
func (o *origin) endBatch() {
	if o != nil {
		o.leave()
	}
}

// GoAll is GoContext for many functions: it takes them as one batch, with one
// reservation of room and one wake-up, and waits as often as it needs to when the
// queue is full. It returns how many were accepted, always the first ones; if that
// is not all of them, the error says why, and the others will never run. A nil
// function among them refuses all. It allocates nothing under the conditions of
// Go; see BenchmarkGoAll.
func (e *Engine) GoAll(ctx context.Context, fns []func()) (n int, err error) {
	if e.made() {
		if i := slices.IndexFunc(fns, func(fn func()) bool { return fn == nil }); i >= 0 {
			return 0, e.refused(e.refuse(reasonInvalid, invalidf("function %d of %d is nil", i, len(fns))), nil)
		}
	}
	if err := e.check(ctx, false); err != nil {
		return 0, e.refused(err, nil)
	}
	a := admission{ctx: ctx}
	a.find(e)
	for n < len(fns) {
		if e.plain.Load() {
			taken, err := e.admitMany(&a, jobList{fns: fns[n:]})
			if e.hooks.Load() != nil {
				for _, fn := range fns[n : n+taken] {
					e.hookAccepted(jobOfFunc(fn))
				}
			}
			n += taken
			if err != nil {
				return n, e.refused(err, nil)
			}
			if n == len(fns) {
				return n, nil
			}
		}
		one := a // no room for the next: it goes the way of a single function
		if err := e.goPlain(&one, fns[n]); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// enqueueAll admits a batch and returns how many were accepted. attributed tells
// that some of them may have attributes.
func (e *Engine) enqueueAll(a *admission, records []*record, attributed, try bool) (n int, err error) {
	for n < len(records) {
		taken, err := e.admitMany(a, jobList{records: records[n:]})
		if attributed || e.hooks.Load() != nil || !e.plain.Load() {
			for _, r := range records[n : n+taken] {
				e.accepted(r)
			}
		}
		n += taken
		if err != nil {
			return n, e.refused(err, records[n].attributes())
		}
		if n == len(records) {
			return n, nil
		}
		// No room for the next: it goes the way of a single job.
		one := *a
		one.job, one.policy = jobOf(records[n]), records[n].reject()
		if try {
			one.policy = RejectFail
		}
		if err := e.admit(&one); err != nil {
			return n, e.refused(err, records[n].attributes())
		}
		e.accepted(records[n])
		n++
	}
	return n, nil
}

// jobList is a batch on its way in: of functions, or else of records.
type jobList struct {
	fns     []func()
	records []*record
}

func (l jobList) len() int { return len(l.fns) + len(l.records) }

func (l jobList) at(i int) Job {
	if l.fns != nil {
		return jobOfFunc(l.fns[i])
	}
	return jobOf(l.records[i])
}

func (l jobList) from(n int) jobList {
	if l.fns != nil {
		return jobList{fns: l.fns[n:]}
	}
	return jobList{records: l.records[n:]}
}

// admitMany stores as many jobs as there is room for: children in the slot of the
// task that submits them, as far as that goes.
func (e *Engine) admitMany(a *admission, jobs jobList) (n int, err error) {
	if a.worker != nil && e.in.scheduler == nil {
		if n, err = e.admitChildren(a, jobs); n == jobs.len() || err != nil {
			return n, err
		}
	}
	rest, err := e.admitBatch(a, jobs.from(n))
	return n + rest, err
}

// admitBatch stores as many jobs as there is room for, under one lock and with one
// wake-up.
func (e *Engine) admitBatch(a *admission, jobs jobList) (n int, err error) {
	in := &e.in
	point.At(point.Admit)
	in.lock()
	if in.closed && !e.acceptsChild(a) {
		in.mu.Unlock()
		return 0, e.refuse(reasonClosed, ErrClosed)
	}
	if in.room < jobs.len() {
		e.glean()
	}
	if in.first == nil && in.room > 0 {
		n, err = e.storeAll(min(in.room, jobs.len()), jobs)
	}
	in.mu.Unlock()
	e.notify()
	if err != nil {
		err = e.refuse(reasonInternal, err)
	}
	return n, err
}
