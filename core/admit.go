package core

import (
	"context"
	"math"
	"runtime"
	"sync/atomic"

	"github.com/uptutu/goman/core/internal/point"
)

// This file alone lets jobs in or refuses them.
//
// Capacity is counted in units, one for each accepted job that has not started.
// At every instant
//
//	room + credits of all slots + queued jobs = capacity
//
// where room is kept by the intake and a slot's credit are the units it got
// back by starting jobs and has not returned yet. Children take their unit from
// their slot's credit, so a tree of tasks runs without touching the intake.
// Only when room looks used up are the credits gathered. As long as somebody
// waits for room, or the queue was just seen full, the engine is "hungry":
// slots then return each unit at once, and it goes to the first who waits.
// Hungry is announced before the credits are gathered, and slots look at it
// after they have counted a start, under the same mutex that the gathering
// takes: a unit is either gathered or returned.
//
// A job that was stored by force (a task to be run again) may drive room below
// zero; then nobody gets in until that many have started.

// intake is where jobs enter.
type intake struct {
	_        [64]byte
	mu       point.Mutex
	closed   bool
	room     int // free units
	capacity int // -1 for unbounded
	accepted uint64
	queue    fifo // the built-in scheduler's shared queue
	visible  atomic.Bool
	_        [64]byte

	scheduler Scheduler // the user's, or nil
	optional  optional
	dead      int // entries that were cancelled or claimed in place and are still stored, about
	look      int // how many there have to be for the next look at the slots

	first, last *blockedJob // who waits for room, in order
	blocked     int
	delayed     map[*record]struct{}
	held        bool // delayed jobs are handed back, not run again
}

// lock takes mu. It is held for tens of nanoseconds at a time by whoever submits
// or takes a batch, so whoever finds it taken looks again a few times, ever more
// rarely, before sync.Mutex puts the goroutine to sleep: with many goroutines
// waiting to run, that one never looks twice. See BenchmarkGo.
func (in *intake) lock() {
	for pause := 8; pause <= 64; pause *= 2 {
		if in.mu.TryLock() {
			return
		}
		for i := range pause { // some nanoseconds
			_ = i
		}
	}
	in.mu.Lock()
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

const manyUnits = math.MaxInt / 4

type reason int

const (
	reasonInvalid reason = iota
	reasonClosed
	reasonContext
	reasonFull
	reasonDiscard
	reasonInternal
	reasons
)

// refuse counts a refusal and returns it as an error. The function that submits
// tells the hooks: see Engine.refused.
func (e *Engine) refuse(why reason, err error) error {
	e.rejected[why].Add(1)
	capacity := 0
	if s := e.settings.Load(); s != nil {
		capacity = s.QueueCapacity
	}
	return &RefusedError{Engine: e.name, Capacity: capacity, Reason: err}
}

// refuseEnded is refuse for a submitter whose context has ended.
func (e *Engine) refuseEnded(ctx context.Context) error {
	own, cause := whyGivenUp(ctx)
	err := e.refuse(reasonContext, cause)
	err.(*RefusedError).own = own
	return err
}

// admission is one call of Submit and its like, on its way in.
type admission struct {
	ctx    context.Context // nil: wait without end
	job    Job
	policy RejectPolicy
	task   *record // the task of this engine that submits; nil outside
	worker *worker // its worker

	submitter *record // the task that submits, of whatever engine
}

// admit accepts a.job or refuses it. A nil error means that it is accepted, and
// perhaps already resolved.
func (e *Engine) admit(a *admission) error {
	if a.worker != nil && e.in.scheduler == nil {
		if done, err := e.admitChild(a); done {
			return err
		}
	}
	in := &e.in
	point.At(point.Admit)
	in.lock()
	if in.closed && !e.acceptsChild(a) {
		in.mu.Unlock()
		return e.refuse(reasonClosed, ErrClosed)
	}
	if in.first == nil && (in.room > 0 || e.glean()) {
		err := e.store(a.job)
		in.mu.Unlock()
		if err != nil {
			return e.refuse(reasonInternal, err)
		}
		e.notify()
		return nil
	}
	in.mu.Unlock()
	return e.admitFull(a)
}

// acceptsChild reports whether a may enter although the engine drains.
func (e *Engine) acceptsChild(a *admission) bool {
	return a.worker != nil && e.signal.Load()&signalStopping == 0 && e.settings.Load().AcceptChildren
}

// store takes a unit and stores job. The caller holds in.mu.
func (e *Engine) store(job Job) error {
	in := &e.in
	if in.scheduler != nil {
		if err := e.schedPush(job); err != nil {
			return err
		}
	} else {
		in.queue.push(job)
	}
	point.At(point.Stored)
	e.countStored()
	return nil
}

// countStored counts a job that was stored. The caller holds in.mu.
func (e *Engine) countStored() {
	in := &e.in
	in.room--
	in.accepted++
	if !in.visible.Load() {
		in.visible.Store(true)
	}
}

// storeFor is store for the job of somebody who waits.
func (e *Engine) storeFor(job Job) error {
	if e.in.scheduler == nil {
		return e.store(job)
	}
	err := e.schedPushApart(job)
	if err == nil {
		e.countStored()
	}
	return err
}

// storeAll is store for n jobs, for which there is room. It returns how many it
// stored. The caller holds in.mu.
func (e *Engine) storeAll(n int, job func(int) Job) (stored int, err error) {
	in := &e.in
	if in.scheduler != nil {
		for i := range n {
			if err := e.store(job(i)); err != nil {
				return i, err
			}
		}
		return n, nil
	}
	for i := range n {
		in.queue.push(job(i))
	}
	in.room -= n
	in.accepted += uint64(n)
	in.visible.Store(true)
	return n, nil
}

// admitChild stores a child in the slot of the task that submits it. It reports
// done = false if the child has to go the common way.
func (e *Engine) admitChild(a *admission) (done bool, err error) {
	n, err := e.admitChildren(a, 1, func(int) Job { return a.job })
	return n == 1 || err != nil, err
}

// admitChildren stores as many of count children as get a unit in the slot of the
// task that submits them, so that the first of them is the newest, and is started
// first.
func (e *Engine) admitChildren(a *admission, count int, job func(int) Job) (n int, err error) {
	s := a.worker.slot.Load()
	if s == nil {
		return 0, nil
	}
	for lent := false; ; lent = true {
		point.At(point.AdmitChild)
		s.mu.Lock()
		signals := e.signal.Load()
		if signals&(signalDraining|signalStopping) != 0 && !e.acceptsChild(a) {
			s.mu.Unlock()
			err = e.refuse(reasonClosed, ErrClosed)
			break
		}
		if signals&(signalHungry|signalExcess) != 0 {
			s.mu.Unlock()
			break
		}
		if short := count - s.credit; short > 0 && !lent {
			s.mu.Unlock()
			e.lend(s, short)
			continue
		}
		n = min(s.credit, count)
		s.credit -= n
		s.tally.accepted += uint64(n)
		for i := n - 1; i >= 0; i-- {
			s.children = append(s.children, job(i))
		}
		s.mu.Unlock()
		break
	}
	if n > 0 {
		if !e.lot.local.Load() {
			e.lot.local.Store(true)
		}
		e.notify()
	}
	return n, err
}

// lendUnits is how many units of capacity a slot gets at least for children.
const lendUnits = 16

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
	s.credit += n
	s.mu.Unlock()
}

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

// fewSlots is how many workers an engine may have for its slots' credits to be
// looked through without being asked to be returned.
const fewSlots = 64

// glean is gather for a submitter that will look again soon: it leaves the
// workers in peace, where that is cheap. The caller holds in.mu.
func (e *Engine) glean() bool {
	if e.signal.Load()&signalHungry == 0 {
		if e.lot.width.Load() > fewSlots {
			return e.gather()
		}
		e.collect()
	}
	return e.in.room > 0
}

// collect takes the credits of all slots. The caller holds in.mu.
func (e *Engine) collect() {
	in := &e.in
	e.lot.mu.Lock()
	slots := e.lot.slots
	e.lot.mu.Unlock()
	for _, s := range slots {
		s.mu.Lock()
		in.room += s.credit
		s.credit = 0
		s.mu.Unlock()
	}
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

// admitFull applies the reject policy to a job for which there is no room.
func (e *Engine) admitFull(a *admission) error {
	policy := a.policy
	if policy == rejectDefault {
		policy = e.settings.Load().Reject
	}
	if policy == RejectAsk {
		if e.settings.Load().OnFull == nil {
			return e.refuse(reasonInvalid, errNobodyToAsk()) // it was there when the door was passed
		}
		asked, err := e.ask(a)
		if err != nil {
			return e.refuse(reasonInternal, err)
		}
		policy = asked
	}
	switch policy {
	case RejectWait:
		return e.admitWaiting(a)
	case RejectCallerRuns:
		return e.admitCaller(a)
	case RejectDiscardNewest:
		return e.admitDiscarded(a)
	case RejectDiscardOldest, RejectDisplaceLowest:
		return e.admitFor(a, policy)
	}
	return e.admitNow(a)
}

func errNobodyToAsk() error {
	return invalidf("the reject policy is RejectAsk, but Config.OnFull is nil: give the function to ask, or another policy")
}

// ask lets the user's function choose the policy.
func (e *Engine) ask(a *admission) (policy RejectPolicy, err error) {
	s := e.settings.Load()
	if s.OnFull == nil {
		return 0, errNobodyToAsk()
	}
	ctx := a.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	if !e.guard("OnFull function", func() { policy = s.OnFull(ctx, a.job) }) {
		return 0, invalidf("the OnFull function panicked")
	}
	if policy == rejectDefault || policy == RejectAsk || !policy.known() {
		return 0, invalidf("the OnFull function returned %v: allowed are RejectWait to RejectDisplaceLowest", policy)
	}
	return policy, nil
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
	for waits := true; waits; {
		var over <-chan struct{} // another call of the task has the slot
		if task != nil && !inside {
			if inside = task.enterCall(w); inside {
				w.giveUpSlot()
			} else if over = task.callOver(); over == nil && phase(task.state.Load()) == phaseRunning {
				continue
			}
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
	if inside {
		w.takeSlotBack()
		task.exitCall()
	}
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

// admitNow is the last try of a submitter that does not wait.
func (e *Engine) admitNow(a *admission) error {
	point.At(point.Admit)
	in := &e.in
	in.lock()
	if in.closed && !e.acceptsChild(a) {
		in.mu.Unlock()
		return e.refuse(reasonClosed, ErrClosed)
	}
	if in.first != nil || !e.gather() {
		in.mu.Unlock()
		return e.refuse(reasonFull, ErrQueueFull)
	}
	err := e.store(a.job)
	in.mu.Unlock()
	if err != nil {
		return e.refuse(reasonInternal, err)
	}
	e.notify()
	return nil
}

// admitDiscarded accepts the newcomer and gives it up at once.
func (e *Engine) admitDiscarded(a *admission) error {
	r := a.job.record()
	if r == nil {
		return e.refuse(reasonDiscard, ErrDiscarded)
	}
	in := &e.in
	in.lock()
	if in.closed && !e.acceptsChild(a) {
		in.mu.Unlock()
		return e.refuse(reasonClosed, ErrClosed)
	}
	r.retire(phaseQueued)
	e.beginLeaving()
	defer e.endLeaving()
	in.accepted++
	e.countRemoved(OutcomeDiscarded, 1)
	in.mu.Unlock()
	e.discard(a.job)
	return nil
}

// admitFor makes room for the newcomer by giving up a queued job.
func (e *Engine) admitFor(a *admission, policy RejectPolicy) error {
	point.At(point.Evict)
	in := &e.in
	in.lock()
	if in.closed && !e.acceptsChild(a) {
		in.mu.Unlock()
		return e.refuse(reasonClosed, ErrClosed)
	}
	var victim Job
	if in.first != nil || !(in.room > 0 || e.gather()) {
		// Where more is queued than the capacity allows nobody gets in, not even
		// for another.
		if in.room >= 0 {
			if in.scheduler == nil {
				victim, _ = e.evict(a.job, policy)
			} else {
				victim = e.choose(a.job, policy)
			}
		}
		if victim.IsZero() && in.room <= 0 {
			in.mu.Unlock()
			return e.refuse(reasonFull, ErrQueueFull)
		}
	}
	err := e.store(a.job)
	if in.scheduler != nil && !victim.IsZero() && (err != nil || !e.displace(victim)) {
		victim = Job{}
	}
	in.mu.Unlock()
	if !victim.IsZero() {
		defer e.endLeaving() // begun by evict
		e.discard(victim)
	}
	if err != nil {
		return e.refuse(reasonInternal, err)
	}
	e.notify()
	return nil
}

// discard resolves a job that was given up, outside every lock.
func (e *Engine) discard(job Job) {
	err := &RefusedError{Engine: e.name, Capacity: e.settings.Load().QueueCapacity, Reason: ErrDiscarded}
	if r := job.record(); r != nil {
		r.fail(err)
	}
	e.hookEnded(job, OutcomeDiscarded, err)
}
