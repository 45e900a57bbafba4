package core

import (
	"context"
	"time"
	"unsafe"

	"github.com/uptutu/goman/core/internal/point"
)

// Future is the result of a task that was accepted. It is resolved exactly once
// with a value and an error, even if the task panics, is cancelled, is
// discarded, or the engine stops. All methods may be called by any number of
// goroutines; a Future is never reused. It comes from Submit and its like: the zero
// Future belongs to no engine, and its methods panic. Once resolved it keeps its engine, its
// attributes, the value and the error alive, and, while tasks that were submitted
// inside its own live, the futures of the tasks above it; but not the task, nor
// the context given to Submit.
//
// It takes one allocation of the size of T and 32 bytes, or 72 if it was submitted
// with another context than context.Background; the allocator rounds up. See
// BenchmarkSubmit.
type Future[T any] struct {
	record
	value T // valid in phase done
}

// newFuture makes the future of a task that is submitted with ctx. Its origin, if
// it needs one of its own, is part of the same allocation.
func newFuture[T any](ctx context.Context, k *kind, task Task[T]) (f *Future[T]) {
	if ctx == context.Background() || ctx == context.TODO() {
		f = &Future[T]{record: record{origin: &k.origin}}
	} else {
		own := &struct {
			Future[T]
			origin origin
		}{}
		own.origin.kind = k
		f = &own.Future
		f.origin = &own.origin
	}
	f.work = (*words)(unsafe.Pointer(&task)).data
	return f
}

func (f *Future[T]) execute(ctx context.Context) (err error) {
	if task := f.typed(); !f.origin.kind.told {
		f.value, err = task.Execute(ctx)
	} else {
		f.value, err = task.(JobExecutor[T]).ExecuteJob(ctx, jobOf(&f.record))
	}
	return err
}

// typed returns the task of a future that is not resolved.
func (f *Future[T]) typed() Task[T] {
	w := words{f.origin.kind.task, f.work}
	return *(*Task[T])(unsafe.Pointer(&w))
}

func (f *Future[T]) task() any { return f.typed() }

func (f *Future[T]) dropValue() {
	var zero T
	f.value = zero
}

// result returns the value and the error of a resolved future.
func (f *Future[T]) result() (T, error) {
	if phase(f.state.Load()) == phaseAbandoned {
		var zero T
		return zero, f.abandoned()
	}
	return f.value, f.record.result()
}

// Await waits until the task has ended and returns its value and its error. It
// gives up when ctx ends, with a *WaitError that matches the context's cause and
// its own error; the task is not affected. A future that is resolved answers at
// once, whatever ctx says; otherwise a nil ctx is an error that matches ErrInvalid.
//
// Inside a task, pass the task's context. Then the wait does not hold a worker
// up: if the awaited task is still queued, it is run at once on this goroutine;
// if it runs elsewhere, this task's worker slot goes to other work for the time
// of the wait. A wait that would close a ring of tasks that wait for each other
// returns a *DeadlockError. With a context derived from the task's that has an
// end of its own, the awaited task is never run on this goroutine, because the
// wait could not be given up then. A task run on this goroutine that calls
// runtime.Goexit ends the waiting task as well, as a plain function call would;
// both futures say so.
//
// Outside a task, if ctx can never end and a worker slot is idle, a task that
// is still queued may be run on this goroutine too. An engine does that only while
// its tasks prove to be tiny, and never again once a task has called
// runtime.Goexit, since that ends the goroutine it is called on.
func (f *Future[T]) Await(ctx context.Context) (T, error) {
	if !ended(f.state.Load()) {
		if err := f.record.await(ctx); err != nil {
			var zero T
			return zero, err
		}
	}
	return f.result()
}

// Get waits until the task has ended and returns its value and its error. It
// knows no context: inside a task it only blocks and holds the worker up, so
// use Await there.
func (f *Future[T]) Get() (T, error) {
	return f.Await(context.Background())
}

// GetWithTimeout is Get that gives up after d with a *WaitError that matches
// ErrWaitTimeout; the task is not affected. With d zero or negative it does not wait.
// Inside a task it holds the worker up; Await with a context that has a timeout does
// not.
func (f *Future[T]) GetWithTimeout(d time.Duration) (T, error) {
	if !ended(f.state.Load()) {
		if err := f.record.awaitFor(d); err != nil {
			var zero T
			return zero, err
		}
	}
	return f.result()
}

// Done returns a channel that is closed when the future is resolved, perhaps a moment
// after IsDone says so: the same one at each call. It is made by the first. Waiting for it inside a task holds the
// worker up, as Get does.
func (f *Future[T]) Done() <-chan struct{} { return f.record.doneChannel() }

// IsDone reports whether the future is resolved. It costs one atomic load.
func (f *Future[T]) IsDone() bool { return ended(f.state.Load()) }

// Cancel is CancelCause with context.Canceled: it reports whether this call made
// the difference.
func (f *Future[T]) Cancel() bool { return f.record.cancel(context.Canceled) }

// CancelCause cancels the task. If it has not started it never will, and the
// future fails with a *CancelError at once. If it is running its context ends
// with cause, and the future is resolved when it returns: with a *CancelError
// if it returned an error that says it was cancelled, otherwise with what it
// returned. CancelCause reports whether this call made the difference: false
// for the second call and for a task that has returned, even if its future is about
// to be resolved. A nil cause is context.Canceled.
func (f *Future[T]) CancelCause(cause error) bool {
	if cause == nil {
		cause = context.Canceled
	}
	return f.record.cancel(cause)
}

// OnDone calls fn with the result once the future is resolved, at once if it
// is. The functions of one future are called one after another in the order of
// registration, on a goroutine of their own: never on a worker, which they
// could hold up, and never on the caller's. A panic of fn is reported to the
// logger, and the next function is called all the same. Shutdown
// waits for fn to return, so fn must not wait for Shutdown. A nil fn is ignored.
func (f *Future[T]) OnDone(fn func(T, error)) {
	if fn == nil {
		return
	}
	f.record.onDone(func() { fn(f.result()) })
}

// finish publishes the result of a record in phase resolving: the one step
// after which everybody sees it. The value and setResult's must have been written.
func (r *record) finish() {
	for {
		old := r.state.Load()
		point.At(point.Resolve)
		if !point.Fail(point.Resolve) && r.state.CompareAndSwap(old, old&^phaseMask|phaseDone) {
			if old&flagObserved != 0 {
				point.At(point.AnnounceResult)
				r.announce()
			}
			return
		}
	}
}

// succeed resolves a running record whose task returned no error, if nobody has
// asked anything about it meanwhile: in one step, from running to done. It counts
// later, see worker.settle and Engine.total.
func (r *record) succeed() bool {
	old := r.state.Load()
	if phase(old) != phaseRunning || old&(flagObserved|flagBusy) != 0 || r.extra.Load() != nil {
		return false
	}
	r.setResult(nil)
	point.At(point.Resolve)
	if point.Fail(point.Resolve) || !r.state.CompareAndSwap(old, old&^phaseMask|phaseDone) {
		return false
	}
	// An extra made since then is the business of whoever made it: they set
	// flagObserved and look at the state afterwards, or look at it alone if nothing
	// is to be done at the end of the run.
	if o := r.origin; !o.shared() {
		o.leave()
		o.climb()
	}
	return true
}

// fail resolves a record in phase resolving that was not run.
func (r *record) fail(err error) {
	r.setResult(err)
	r.stopTimer()
	r.endContext()
	r.finish()
}

func (r *record) abandoned() error {
	x := r.extra.Load()
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.verdict.err
}

// observe registers that somebody looks at extra. It reports whether the
// record was resolved before; then nobody will look. The caller holds x.mu.
func (r *record) observe() (already bool) {
	return ended(r.state.Or(flagObserved))
}

// announce wakes all who wait for the result. Waiters registered under x.mu
// before they set flagObserved, and announce takes x.mu after the record has
// become done, so each is either seen here or sees the result itself.
func (r *record) announce() {
	x := r.extra.Load()
	x.mu.Lock()
	waiters, done, unwatch := x.waiters, x.done, x.unwatch
	x.waiters, x.unwatch = nil, nil
	r.startCallbacks(x)
	if done != nil {
		select {
		case <-done: // who asked for it has found the record abandoned
		default:
			close(done)
		}
	}
	x.mu.Unlock()
	for _, w := range waiters {
		w.signal <- struct{}{}
	}
	if unwatch != nil {
		unwatch()
	}
}

func (r *record) doneChannel() <-chan struct{} {
	point.At(point.Observe)
	x := r.needExtra()
	point.At(point.Observe)
	x.mu.Lock()
	if x.done == nil {
		x.done = make(chan struct{})
		if r.observe() {
			close(x.done)
		}
	}
	done := x.done
	x.mu.Unlock()
	r.watchParent(context.Background())
	return done
}

func (r *record) onDone(fn func()) {
	point.At(point.Observe)
	x := r.needExtra()
	point.At(point.Observe)
	x.mu.Lock()
	x.callbacks = append(x.callbacks, fn)
	if r.observe() {
		r.startCallbacks(x)
	}
	x.mu.Unlock()
	r.watchParent(context.Background())
}

// startCallbacks starts the goroutine that calls the callbacks, unless there
// are none or it runs already. The caller holds x.mu.
func (r *record) startCallbacks(x *extra) {
	if len(x.callbacks) == 0 || x.calling {
		return
	}
	x.calling = true
	r.engine().lot.enter()
	r.engine().lot.callbacks.Add(1)
	go r.runCallbacks(x)
}

func (r *record) runCallbacks(x *extra) {
	finished := false
	defer func() {
		if finished {
			r.engine().lot.callbacks.Add(-1)
			r.engine().lot.leave()
			return
		}
		go r.runCallbacks(x) // a callback called Goexit: go on without it
	}()
	for {
		point.At(point.Callback)
		x.mu.Lock()
		if len(x.callbacks) == 0 {
			x.calling, x.callbacks = false, nil
			x.mu.Unlock()
			finished = true
			return
		}
		fn := x.callbacks[0]
		x.callbacks[0] = nil
		x.callbacks = x.callbacks[1:]
		x.mu.Unlock()
		r.engine().guard("OnDone callback", fn)
	}
}
