package core

import "fmt"

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

// String returns the name of p, as in configuration files.
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

// String returns the name of p, as in configuration files.
func (p PanicPolicy) String() string {
	switch p {
	case PanicContain:
		return "contain"
	case PanicCrash:
		return "crash"
	}
	return fmt.Sprintf("panic-policy(%d)", uint8(p))
}
