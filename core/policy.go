package core

import (
	"context"
	"fmt"

	"github.com/uptutu/goman/core/internal/point"
)

// RejectPolicy says what happens to a task when the queue has no room for it.
// The zero value means "not given": the engine's policy counts, which is
// RejectWait unless set otherwise.
type RejectPolicy uint8

const (
	rejectDefault RejectPolicy = iota
	// RejectWait blocks Submit until there is room, the caller's context ends,
	// or the engine is closed. Those who wait are served in order.
	RejectWait
	// RejectFail refuses the task with ErrQueueFull.
	RejectFail
	// RejectCallerRuns runs the task on the goroutine of the caller, before
	// Submit returns: inside a task in that task's slot, otherwise beside the
	// engine's workers. While the engine is paused it is RejectWait.
	RejectCallerRuns
	// RejectDiscardNewest gives up the task that is being submitted: Submit
	// returns a future that has failed with ErrDiscarded, Go returns
	// ErrDiscarded.
	RejectDiscardNewest
	// RejectDiscardOldest gives up the task that has been queued for longest;
	// tasks that were submitted by tasks come last. Its future fails with
	// ErrDiscarded. If there is none to give up, or if more is queued than the
	// capacity allows (see Engine.SetQueueCapacity), the newcomer is refused with
	// ErrQueueFull.
	RejectDiscardOldest
	// RejectDisplaceLowest gives up a queued task of the lowest priority, the
	// newest of them, if that priority is lower than the newcomer's; otherwise
	// the newcomer is refused with ErrQueueFull, as it is if more is queued than
	// the capacity allows. It looks at every queued task, so it costs time in
	// proportion to the capacity.
	RejectDisplaceLowest
	// RejectAsk asks the function given as Config.OnFull. If that panics, or
	// returns no policy, the task is refused with ErrInvalid. So is, also while
	// there is room, a task that asks for it where there is no such function.
	RejectAsk
	rejectEnd
)

func (p RejectPolicy) known() bool { return p < rejectEnd }

// String returns the name of p in lower case, such as "caller-runs".
func (p RejectPolicy) String() string {
	names := [...]string{"default", "wait", "fail", "caller-runs", "discard-newest", "discard-oldest", "displace-lowest", "ask"}
	if int(p) < len(names) {
		return names[p]
	}
	return fmt.Sprintf("reject-policy(%d)", uint8(p))
}

// PanicPolicy says what a panicking task does to the rest of the program.
type PanicPolicy uint8

const (
	// PanicContain turns the panic into the future's *PanicError and reports it
	// at once: to the hooks, and to Config.OnPanic or else the logger. It is the
	// default.
	PanicContain PanicPolicy = iota
	// PanicCrash lets the panic of a task or an interceptor end the process, as
	// it would without an engine. Panics of hooks and callbacks are contained
	// all the same.
	PanicCrash
	panicEnd
)

// String returns the name of p in lower case.
func (p PanicPolicy) String() string {
	switch p {
	case PanicContain:
		return "contain"
	case PanicCrash:
		return "crash"
	}
	return fmt.Sprintf("panic-policy(%d)", uint8(p))
}

// admitFull applies the reject policy to a job for which there is no room.
func (e *Engine) admitFull(a *admission) error {
	policy, c := a.policy, e.settings.Load()
	if policy == rejectDefault {
		policy = c.Reject
	}
	if policy == RejectAsk {
		if c.OnFull == nil {
			return e.refuse(reasonInvalid, errNobodyToAsk()) // it was there when the door was passed
		}
		asked, err := e.ask(c.OnFull, a)
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
func (e *Engine) ask(onFull func(context.Context, Job) RejectPolicy, a *admission) (policy RejectPolicy, err error) {
	ctx := a.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	if !e.guard("OnFull function", func() { policy = onFull(ctx, a.job) }) {
		return 0, invalidf("the OnFull function panicked")
	}
	if policy == rejectDefault || policy == RejectAsk || !policy.known() {
		return 0, invalidf("the OnFull function returned %v: allowed are RejectWait to RejectDisplaceLowest", policy)
	}
	return policy, nil
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
	if r == nil || a.function {
		return e.refuse(reasonDiscard, ErrDiscarded) // there is no future to tell
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
	err := e.refusal(ErrDiscarded)
	if r := job.record(); r != nil {
		r.fail(err)
	}
	e.hookEnded(job, OutcomeDiscarded, err)
}
