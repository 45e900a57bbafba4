package core

import (
	"runtime"

	"github.com/uptutu/goman/core/internal/point"
)

// This file counts capacity, and lets those wait who find none. The rule stands at the
// top of admit.go.

// lend gives s about as many units from the intake as it wants, if there are
// plenty.
func (e *Engine) lend(s *slot, want int) {
	in := &e.in
	in.lock()
	defer in.mu.Unlock()
	n := min(max(lendUnits, want), in.room/2)
	if n <= 0 || in.first != nil || e.signal.Load()&signalHungry != 0 {
		return
	}
	in.room -= n
	s.mu.Lock()
	in.earner(s)
	s.credit += n
	s.mu.Unlock()
}

// lendUnits is how many units of capacity a slot gets at least for children.
const lendUnits = 16

// gather collects the credits of all slots, makes the engine hungry if that was
// needed, and reports whether there is room now. The caller holds in.mu.
func (e *Engine) gather() bool {
	in := &e.in
	if e.signal.Load()&signalHungry != 0 {
		return in.room > 0 // gathered already, and returned at once since
	}
	e.signal.Or(signalHungry)
	e.collect()
	e.calm()
	return in.room > 0
}

// glean is gather for a submitter that will look again soon: it leaves the
// workers in peace, where that is cheap. The caller holds in.mu.
func (e *Engine) glean() bool {
	if e.signal.Load()&signalHungry == 0 {
		if e.lot.wide() { // to look through all slots for each submitter would be dear
			return e.gather()
		}
		e.collect()
	}
	return e.in.room > 0
}

// An earner is a slot that may get credit while nobody holds in.mu: it stores jobs,
// or a task in it may store some or starts those it waits for. In an engine of many
// workers hardly any slot is one, and only they need to be looked through.

// earner enters s in the list. The caller holds in.mu and s.mu.
func (in *intake) earner(s *slot) {
	if !s.earns {
		s.earns = true
		in.earners = append(in.earners, s)
	}
}

// lockEarner locks s, which is an earner then.
func (e *Engine) lockEarner(s *slot) {
	s.mu.Lock()
	if s.earns {
		return
	}
	s.mu.Unlock()
	e.in.lock()
	s.mu.Lock()
	e.in.earner(s)
	e.in.mu.Unlock()
}

// collect takes the credits of all slots. The caller holds in.mu.
func (e *Engine) collect() {
	in := &e.in
	earners := in.earners[:0]
	for _, s := range in.earners {
		s.mu.Lock()
		in.room += s.credit
		s.credit = 0
		if s.earns = s.queued() > 0; s.earns {
			earners = append(earners, s)
		}
		s.mu.Unlock()
	}
	clear(in.earners[len(earners):])
	in.earners = earners
	e.outside.mu.Lock()
	in.room += e.outside.credit
	e.outside.credit = 0
	e.outside.mu.Unlock()
}

// calmRoom is how much room ends the hungry state, in a queue that is larger, if
// not more slots than that would have to be gathered from the next time.
const calmRoom = 32

// calm ends the hungry state once there is room again. The caller holds in.mu.
func (e *Engine) calm() {
	in := &e.in
	if in.first == nil && in.room >= min(in.capacity/2+1, max(calmRoom, int(e.lot.width.Load()))) && e.signal.Load()&signalHungry != 0 {
		e.signal.And(^signalHungry)
	}
}

// returnCredit returns the units that s has got back.
func (e *Engine) returnCredit(s *slot) {
	point.At(point.Credit)
	in := &e.in
	in.lock()
	s.mu.Lock()
	in.room += s.credit
	s.credit = 0
	s.mu.Unlock()
	served := e.serveBlocked()
	in.mu.Unlock()
	if served > 0 {
		e.notify()
	}
}

// giveBack returns n units of jobs that left the queue without being started.
// The caller holds in.mu.
func (e *Engine) giveBack(n int) int {
	e.in.room += n
	return e.serveBlocked()
}

// serveBlocked lets those who wait for room in, in order, as far as there is
// room. It returns how many. The caller holds in.mu and calls notify afterwards.
func (e *Engine) serveBlocked() (served int) {
	in := &e.in
	for in.first != nil && in.room > 0 {
		b := in.first
		in.unlink(b)
		if err := e.storeFor(b.job); err != nil {
			b.err = err
		} else {
			served++
		}
		b.waiter.signal <- struct{}{}
	}
	e.calm()
	return served
}

// blockedJob is a job whose submitter waits for room.
type blockedJob struct {
	job        Job
	waiter     *waiter
	prev, next *blockedJob
	queued     bool  // still in the list
	inside     bool  // a task submits it
	err        error // why it was refused; nil if it was accepted
}

func (in *intake) link(b *blockedJob) {
	b.queued, b.prev = true, in.last
	if in.last != nil {
		in.last.next = b
	} else {
		in.first = b
	}
	in.last = b
	in.blocked++
}

func (in *intake) unlink(b *blockedJob) {
	if b.prev != nil {
		b.prev.next = b.next
	} else {
		in.first = b.next
	}
	if b.next != nil {
		b.next.prev = b.prev
	} else {
		in.last = b.prev
	}
	b.prev, b.next, b.queued = nil, nil, false
	in.blocked--
}

// admitWaiting waits for room. A task that waits gives its slot away meanwhile,
// so that a task cannot be stopped by the full queue of its own engine.
func (e *Engine) admitWaiting(a *admission) error {
	in := &e.in
	var done <-chan struct{}
	if a.ctx != nil {
		done = a.ctx.Done() // first, since a user's context may panic
	}
	if a.submitter == nil {
		if done, err := e.watchRoom(a); done {
			return err
		}
	}
	b := &blockedJob{job: a.job, waiter: e.getWaiter(), inside: a.worker != nil}
	point.At(point.BlockedAdmit)
	in.lock()
	if in.closed && !e.acceptsChild(a) {
		in.mu.Unlock()
		e.putWaiter(b.waiter)
		return e.refuse(reasonClosed, ErrClosed)
	}
	in.link(b)
	e.gather()
	served := e.serveBlocked()
	in.mu.Unlock()
	if served > 0 {
		e.notify()
	}
	// A task of whatever engine gives its slot to other work meanwhile.
	task, inside, gaveUp := a.submitter, false, false
	var w *worker
	if task != nil {
		w = task.engine().worker(runner(task.state.Load()))
	}
	var over <-chan struct{} // another call of the task has the slot
	for waits := true; waits; {
		if task != nil && !inside {
			inside, over = task.leaveFor(w)
		}
		select {
		case <-b.waiter.signal:
			waits = false
			point.At(point.BlockedWake)
		case <-over:
		case <-done:
			waits = false
			point.At(point.BlockedWake)
			in.lock()
			if gaveUp = b.queued; gaveUp {
				in.unlink(b)
			}
			e.calm()
			in.mu.Unlock()
			if !gaveUp {
				<-b.waiter.signal // it was served at the same moment
			}
		}
	}
	e.putWaiter(b.waiter)
	absence{r: task, w: w, entered: inside}.end()
	switch {
	case gaveUp:
		return e.refuseEnded(a.ctx)
	case b.err == nil:
		return nil
	case b.err == ErrClosed:
		return e.refuse(reasonClosed, ErrClosed)
	}
	return e.refuse(reasonInternal, b.err)
}

const (
	roomLooks = 24 // how often watchRoom looks for room
	roomWant  = 32 // how much it would like to find, at first
)

// watchRoom looks for room for a while before the submitter goes to sleep, and
// lets others run between two looks: with small tasks they make more room in that
// time than it takes to put a goroutine to sleep and wake it. At first it lets
// some room gather, since it will be wanted soon. It never overtakes those who
// sleep already. It reports done = false if there still is no room.
func (e *Engine) watchRoom(a *admission) (done bool, err error) {
	if e.procs.Load() < 2 {
		return false, nil
	}
	in := &e.in
	in.watchers.Add(1)
	defer in.watchers.Add(-1)
	for look := range roomLooks {
		point.Yield(point.WatchRoom)
		runtime.Gosched()
		if !in.mu.TryLock() {
			continue
		}
		want := 1
		if look < roomLooks/2 {
			want = min(roomWant, in.capacity/8+1)
		}
		if in.closed {
			in.mu.Unlock()
			return false, nil
		}
		if in.first == nil && e.glean() && in.room >= want {
			err := e.store(a.job)
			in.mu.Unlock()
			if err != nil {
				return true, e.refuse(reasonInternal, err)
			}
			e.notify()
			return true, nil
		}
		in.mu.Unlock()
	}
	return false, nil
}
