package core

import (
	"context"
	"slices"
	"time"

	"github.com/uptutu/goman/core/internal/point"
)

// Waiting. Outside a task a wait is a sleep. Inside a task it must not hold the
// worker up, or tasks that wait for tasks would stop the engine:
//
//   - The awaited task is still queued: the waiter claims it, with the same
//     compare-and-swap as a worker would, and runs it on its own stack, in its
//     own slot. Nothing but the awaited task runs there. The entry in the queue
//     is dead from then on.
//   - It runs elsewhere, or its scheduler does not let it start: the waiter
//     gives its slot away, sleeps, and takes a slot back before any new work
//     gets one. So at most as many tasks run as there are slots, and never
//     fewer when there is work.
//   - The wait would close a ring: it fails with a *DeadlockError.
//
// # Who may use the slot
//
// A task's context says which task, and so which slot, a call is made for. But a
// task may start goroutines of its own and give them its context, and those must
// not use the slot at the same time as the task. A call that uses the slot
// therefore takes the record's busy flag with a compare-and-swap; a call that
// finds it taken merely sleeps. A task that returns while another goroutine's
// call holds the flag is resolved at once, but its worker goes on only when that
// call is over; the end of the task's context makes it end soon.
//
// # Rings
//
// Each worker that is about to sleep notes what it waits for. The awaited task
// runs on some worker, which may be waiting itself, and so on; if the chain
// comes back, the wait would never end. Notes are made and chains are followed
// under one mutex for each engine, so of the tasks of one engine exactly the
// last one to close a ring is refused. A sleeping worker's stack does not
// change, so a chain of sleepers is not an illusion. A ring through several
// engines is found too, but more than one of its members may be refused.
//
// One thing besides a wait can close a ring: a task that is to be run again is
// pushed, and comes to stand in its lane behind a task that waits for it. Then
// those who wait for it look once more.

// await waits until r is resolved, or ctx ends, or the wait would never end.
func (r *record) await(ctx context.Context) error {
	if isNilContext(ctx) {
		return invalidf("the context given to Await is nil: use context.Background")
	}
	if ctx == context.Background() {
		return r.awaitOutside(ctx)
	}
	me := taskOf(ctx)
	if me == nil {
		return r.awaitOutside(ctx)
	}
	state := me.state.Load()
	if phase(state) != phaseRunning {
		return r.sleep(ctx)
	}
	w := me.engine().worker(runner(state))
	for !me.enterCall(w) {
		over := me.callOver()
		if over == nil {
			if state := me.state.Load(); phase(state) != phaseRunning || runner(state) != w.id {
				return r.sleep(ctx)
			}
			continue
		}
		if done, err := r.sleepUntil(ctx, over); done {
			return err
		}
	}
	// Deferred, because the awaited task may call Goexit and because contexts
	// that are not the standard library's may panic.
	defer me.exitCall()
	if me.engine() == r.engine() && me.waitsAs(ctx) && w.runAwaited(r) {
		return nil
	}
	return w.sleepFor(ctx, r)
}

// waitsAs reports whether a wait with ctx lasts as long as the task r: only
// then may the awaited task run on its stack, since it could not be left.
func (r *record) waitsAs(ctx context.Context) bool {
	if me, _ := ownContext(ctx); me != nil {
		return me == r
	}
	done := ctx.Done()
	return done == nil || done == r.merged().Done()
}

// runAwaited claims r, which may be queued, and runs it here. It reports whether
// it did; then r is resolved, or waits to be run again.
func (w *worker) runAwaited(r *record) bool {
	point.At(point.Inline)
	e := r.engine()
	s := w.slot.Load()
	if s == nil || phase(r.state.Load()) != phaseQueued {
		return false
	}
	job := jobOf(r)
	custom := e.in.scheduler != nil
	if custom {
		e.in.lock()
		s.mu.Lock()
		e.in.earner(s)
		e.in.optional.slot = s
	} else {
		e.lockEarner(s)
	}
	started, dead := false, true
	if e.signal.Load()&(signalPaused|signalStopping) == 0 && (!custom || phase(r.state.Load()) == phaseQueued && e.schedClaim(job)) {
		if started = w.startNested(s, job); started {
			dead = custom || !s.takeNewestChild(job)
		} else if custom {
			e.schedDropped(job) // it was cancelled at this moment
		}
	}
	if custom {
		e.in.optional.slot = nil
	}
	s.mu.Unlock()
	if custom {
		e.in.mu.Unlock()
	}
	if !started {
		return false
	}
	if dead {
		e.noteDead(job)
	}
	if e.signal.Load()&signalHungry != 0 {
		e.returnCredit(s)
	}
	w.runNested(job)
	return ended(r.state.Load())
}

// sleepFor lets w's slot go to other work until r is resolved or ctx ends.
func (w *worker) sleepFor(ctx context.Context, r *record) error {
	for away := false; ; away = true {
		requeued := r.requeued() // before the look: whatever is pushed after it is told
		if err := w.noteWait(r); err != nil {
			return err
		}
		if !away {
			left := false
			defer func() {
				w.waits.Store(nil)
				if left {
					w.takeSlotBack()
				}
			}()
			w.giveUpSlot() // which does not return if the user's scheduler calls Goexit
			left = true
		}
		if done, err := r.sleepUntil(ctx, requeued); done {
			return err
		}
	}
}

// enterCall takes the right to use the slot of the task's worker, which a call
// that may sleep or run another task needs. It reports false if another
// goroutine of the task has it, or the task has ended.
func (r *record) enterCall(w *worker) bool {
	for {
		old := r.state.Load()
		if phase(old) != phaseRunning || old&flagBusy != 0 || runner(old) != w.id {
			return false
		}
		point.At(point.EnterCall)
		if !point.Fail(point.EnterCall) && r.state.CompareAndSwap(old, old|flagBusy) {
			return true
		}
	}
}

// exitCall gives the right back, and tells the worker if it waits for that.
func (r *record) exitCall() {
	point.At(point.ExitCall)
	r.state.And(^flagBusy)
	x := r.extra.Load()
	if x == nil {
		return // nobody waits for it: see callOver
	}
	x.mu.Lock()
	if x.idle != nil {
		close(x.idle)
		x.idle = nil
	}
	x.mu.Unlock()
}

// settleCalls waits until no other goroutine of a task that has returned uses
// the slot any more.
func (r *record) settleCalls(busy bool) {
	if !busy {
		return
	}
	if over := r.callOver(); over != nil {
		<-over
	}
}

// callOver returns a channel that is closed when the call that uses the slot is
// over, or nil if there is none.
func (r *record) callOver() <-chan struct{} {
	x := r.needExtra()
	x.mu.Lock()
	defer x.mu.Unlock()
	if r.state.Load()&flagBusy == 0 {
		return nil
	}
	if x.idle == nil {
		x.idle = make(chan struct{})
	}
	return x.idle
}

// sleep blocks until r is resolved or ctx ends.
func (r *record) sleep(ctx context.Context) error {
	_, err := r.sleepUntil(ctx, nil)
	return err
}

// sleepUntil is sleep that may be broken off by over: then it reports false.
func (r *record) sleepUntil(ctx context.Context, over <-chan struct{}) (done bool, err error) {
	e := r.engine()
	point.At(point.Observe)
	x := r.needExtra()
	w := e.getWaiter()
	point.At(point.Observe)
	x.mu.Lock()
	if r.observe() {
		x.mu.Unlock()
		e.putWaiter(w)
		return true, nil
	}
	x.waiters = append(x.waiters, w)
	x.mu.Unlock()
	r.watchParent(ctx)
	point.At(point.AwaitSleep)
	select {
	case <-w.signal:
		point.At(point.AwaitWake)
		e.putWaiter(w)
		return true, nil
	case <-over:
		r.forget(w)
		return false, nil
	case <-ctx.Done():
		point.At(point.AwaitWake)
		if phase(r.state.Load()) == phaseQueued {
			if cause := r.interrupted(); cause != nil {
				// The same context governs the task: it will not start any more.
				r.cancelQueued(cause)
			}
		}
		r.forget(w)
		if ended(r.state.Load()) {
			return true, nil
		}
		return true, e.gaveUp(ctx, r.name())
	}
}

// forget takes back the registration of w, which may have been signalled.
func (r *record) forget(w *waiter) {
	if !r.unregister(w) {
		<-w.signal // announce has it: the signal is on its way
	}
	r.engine().putWaiter(w)
}

// unregister takes w out of the list of those who wait for r. It reports false if
// it has been signalled, or is about to be.
func (r *record) unregister(w *waiter) bool {
	x := r.extra.Load()
	x.mu.Lock()
	defer x.mu.Unlock()
	i := slices.Index(x.waiters, w)
	if i < 0 {
		return false
	}
	last := len(x.waiters) - 1
	x.waiters[i] = x.waiters[last]
	x.waiters[last] = nil
	x.waiters = x.waiters[:last]
	return true
}

// awaitFor waits at most d for r to be resolved.
func (r *record) awaitFor(d time.Duration) error {
	if d <= 0 {
		return &WaitError{Engine: r.engine().name, Task: r.name(), Err: ErrWaitTimeout, own: context.DeadlineExceeded}
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), d, ErrWaitTimeout)
	defer cancel()
	return r.sleep(ctx)
}

// getWaiter and putWaiter reuse waiters, whose channel is empty then.
func (e *Engine) getWaiter() *waiter {
	if w, ok := e.waiters.Get().(*waiter); ok {
		return w
	}
	return &waiter{signal: make(chan struct{}, 1)}
}

func (e *Engine) putWaiter(w *waiter) { e.waiters.Put(w) }
