package core

import (
	"context"
	"sync/atomic"
	"time"
	"unsafe"
)

// Tasks above. A task that was submitted inside another, with that task's own context, notes
// the other in its origin: origin.up. What ends the tasks above while they run
// ends it, their return does not. Links are needed by live tasks only. An origin
// therefore counts those that are linked to it, and when its own tasks and all
// those have ended it lets go of the one above: so a future that is kept keeps
// its forefathers only as long as tasks below it live.
//
// Who walks up while others let go may arrive at an origin that has just let
// go, and find nothing above it. It looks whether that has happened, and begins
// again at its own, which has been linked further up by then.

// The flags of origin.below; the other bits count the origins linked to this one.
const (
	belowEnded   uint32 = 1 << 31 // all its own tasks have ended
	belowDerived uint32 = 1 << 30 // it is linked to up by a derived context alone
)

// shared reports whether o is that of all tasks of a kind that were submitted with
// context.Background. Nothing is above it, and it is never let go.
func (o *origin) shared() bool { return o == &o.kind.origin }

func (o *origin) throughDerived() bool { return o.below.Load()&belowDerived != 0 }

// released reports whether neither its own tasks nor any below need o any more.
func (o *origin) released() bool {
	return !o.shared() && o.below.Load()&^belowDerived == belowEnded
}

// retain counts one more that is linked to o. It reports false if o is released.
func (o *origin) retain() bool {
	for !o.shared() {
		old := o.below.Load()
		if old&^belowDerived == belowEnded {
			return false
		}
		if o.below.CompareAndSwap(old, old+1) {
			break
		}
	}
	return true
}

// release takes one retain back.
func (o *origin) release() {
	for !o.shared() && o.below.Add(^uint32(0))&^belowDerived == belowEnded {
		up := o.up.Swap(nil)
		if up == nil {
			return
		}
		o = up.origin
	}
}

// leave is called once for each task that has ended or was refused: the last of a
// batch forgets the context and, unless tasks below are left, what is above.
func (o *origin) leave() {
	if o.shared() || o.batch.Load() != 0 && o.batch.Add(-1) != 0 {
		return
	}
	o.parent.forget()
	if o.below.Or(belowEnded)&^belowDerived != 0 {
		return
	}
	if up := o.up.Swap(nil); up != nil {
		up.origin.release()
	}
}

// inherit takes over ctx, with which a task is submitted, me being the task that
// ctx belongs to, or nil. It is called once for an origin, before it is shared.
//
// A task submitted with its parent's own context hangs below what the parent was
// submitted with, and beside it notes the parent: cancelling the parent cancels
// it, the parent's return does not.
func (o *origin) inherit(ctx context.Context, me *record) {
	if me == nil || !me.origin.retain() {
		o.parent.set(ctx)
		return
	}
	o.up.Store(me)
	if own, _ := ownContext(ctx); own != nil && me.engine() == o.kind.engine {
		o.parent = me.origin.parent.copy()
		return
	}
	o.below.Store(belowDerived)
	_, of := belongsTo(ctx)
	o.parent.set(&derived{ctx, me, of, me.origin.parent.get()})
}

// nextAbove returns the next task above o that has not returned, or why one was
// cancelled before that. What is above a derived context is the business of that.
func (o *origin) nextAbove() (up *record, cause error) {
	for at := o; !at.throughDerived(); {
		if up = at.up.Load(); up == nil {
			if at == o || !at.released() {
				return nil, nil
			}
			at = o // begin again
			continue
		}
		state := up.state.Load()
		if cause = up.canceled(); cause != nil {
			return nil, cause
		}
		if phase(state) < phaseResolving || state&flagAgain != 0 {
			return up, nil
		}
		at = up.origin
	}
	return nil, nil
}

// canceledAbove returns why one of the tasks above o was cancelled, or nil.
func (o *origin) canceledAbove() error {
	for at := o; !at.throughDerived(); {
		up := at.up.Load()
		if up == nil {
			if at == o || !at.released() {
				return nil
			}
			at = o // begin again
			continue
		}
		if cause := up.canceled(); cause != nil {
			return cause
		}
		at = up.origin
	}
	return nil
}

// climb links o past the tasks above that have returned and were not cancelled,
// so that a chain of tasks that submit each other does not grow.
func (o *origin) climb() {
	for !o.throughDerived() {
		first := o.up.Load()
		up := first
		for up != nil && ended(up.state.Load()) && up.canceled() == nil && !up.origin.throughDerived() {
			at := up.origin
			if up = at.up.Load(); up == nil && at.released() {
				up = first // somebody else has climbed
				break
			}
		}
		if up == first && (first == nil || o.up.Load() == first) {
			return
		}
		if up != nil && !up.origin.retain() {
			continue
		}
		if o.up.CompareAndSwap(first, up) {
			first.origin.release()
			return
		}
		if up != nil {
			up.origin.release()
		}
	}
}

// derived is the context of a task that was submitted, inside another task, with
// a context derived from that task's, or to another engine. The other task may
// return first; then its context ends and forgets its values, but the submitted
// one goes on under what the other was submitted with.
type derived struct {
	context.Context
	task  *record         // the other task
	of    *attemptContext // and its run
	below context.Context // what the other task was submitted with; nil for none
}

func (d *derived) Value(key any) any {
	return valueBelow(d.Context, d.below, d.task.engine().ctx, key)
}

// valueBelow returns the value of ctx, which is the context of a task or derived
// from it, for key. The context of a task that has ended knows the values of base
// alone, which is its engine's; below, with which the task was submitted, comes
// before it.
func valueBelow(ctx, below, base context.Context, key any) any {
	v := ctx.Value(key)
	if below == nil {
		return v
	}
	if v != nil {
		if b := base.Value(key); !sameWords(v, b) {
			return v // of ctx itself, or of below
		}
	}
	if b := below.Value(key); b != nil {
		return b
	}
	return v
}

func (d *derived) Err() error {
	err, _ := d.why()
	return err
}

// returned reports whether cause, with which d's context has ended, is the return
// of the other task.
func (d *derived) returned(cause error) bool {
	return cause == errReturned && d.task.over(d.of)
}

// why returns the error and the cause.
func (d *derived) why() (err, cause error) {
	if err = d.Context.Err(); err == nil {
		return nil, nil
	}
	if cause = context.Cause(d.Context); !d.returned(cause) {
		return err, cause
	}
	if deadline, ok := d.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded, context.DeadlineExceeded
	}
	if cause := d.task.origin.canceledAbove(); cause != nil {
		return context.Canceled, cause
	}
	return whyEnded(d.below)
}

// whyEnded returns the error and the cause of ctx, which may be nil.
func whyEnded(ctx context.Context) (err, cause error) {
	if ctx == nil {
		return nil, nil
	}
	if d, ok := ctx.(*derived); ok {
		return d.why()
	}
	if err = ctx.Err(); err != nil {
		return err, context.Cause(ctx)
	}
	return nil, nil
}

// contextRef holds a context that one goroutine forgets while others may ask
// for it, without a lock: it is the interface's two words, of which the data
// word is cleared. The zero value stands for context.Background.
type contextRef struct{ kind, data unsafe.Pointer }

// set must come before the record is published.
func (c *contextRef) set(ctx context.Context) {
	if ctx == context.Background() || ctx == context.TODO() {
		return
	}
	w := (*words)(unsafe.Pointer(&ctx))
	if w.data == nil {
		// A struct of one pointer, or a map, that is nil: it would look forgotten.
		ctx = &boxedContext{ctx}
	}
	c.kind, c.data = w.kind, w.data
}

type boxedContext struct{ context.Context }

// get returns the context, or nil if there was none or it was forgotten.
func (c *contextRef) get() context.Context {
	if c.kind == nil {
		return nil
	}
	data := atomic.LoadPointer(&c.data)
	if data == nil {
		return nil
	}
	w := words{c.kind, data}
	return *(*context.Context)(unsafe.Pointer(&w))
}

// copy returns a reference to the same context, or to none if it was forgotten.
func (c *contextRef) copy() contextRef {
	data := atomic.LoadPointer(&c.data)
	if data == nil {
		return contextRef{}
	}
	return contextRef{c.kind, data}
}

func (c *contextRef) forget() {
	if c.kind != nil {
		atomic.StorePointer(&c.data, nil)
	}
}
