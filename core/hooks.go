package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"
)

// Hooks is a set of functions that the engine calls when something happens, in
// the manner of net/http/httptrace.ClientTrace. A nil function is not called;
// an engine without hooks pays one look at a pointer for each task, and hooks that set
// only Rejected, Worker and Changed cost a plain function nothing.
//
// A hook is called on the goroutine on which the thing happens, outside every
// lock, and should return soon. Its panic is contained and reported to the
// logger. It must not wait for Shutdown or WaitIdle, which wait for it. Hooks for
// different jobs are called at the same time. For one job
// Accepted may come after Started, and even after Ended, because a worker may be
// faster than the submitter.
//
// Where a hook is told more than a job it is given a struct, which may get more
// fields in time.
type Hooks struct {
	// Accepted: a job was let in. On the goroutine of the submitter.
	Accepted func(job Job)
	// Rejected: a submission was refused. On the goroutine of the submitter.
	Rejected func(info RejectInfo)
	// Started: a job begins to run, for the first time or again.
	Started func(job Job)
	// Ended: a job has ended, even if it never started. Its future is resolved,
	// its attributes can still be asked for. Because the future is resolved
	// before, Await may return before the call; WaitIdle, and a Shutdown that
	// drains, wait for the last one.
	Ended func(info EndInfo)
	// Retried: a job is to be run again after a delay.
	Retried func(info RetryInfo)
	// Panicked: a task panicked. Called before Ended.
	Panicked func(job Job, err *PanicError)
	// Worker: a goroutine of the engine starts (true) or ends (false). An id,
	// from 0, is used again once its goroutine has ended.
	Worker func(id int, started bool)
	// Changed: the engine's life or settings changed.
	Changed func(change Change)
}

// EndInfo is what Hooks.Ended is told.
type EndInfo struct {
	// Job is the job that has ended.
	Job Job
	// Outcome is how.
	Outcome Outcome
	// Err is the error of its future; nil if it succeeded.
	Err error
}

// RejectInfo is what Hooks.Rejected is told.
type RejectInfo struct {
	// Err is what the submitter is told, a *RefusedError.
	Err error
	// Attributes are those that the submitter gave, completed by what the task
	// brings if it came to that before the refusal.
	Attributes Attributes
}

// RetryInfo is what Hooks.Retried is told.
type RetryInfo struct {
	// Job is the job that is to be run again.
	Job Job
	// Attempt is how often it has asked for that: 1 the first time.
	Attempt int
	// After is the delay, Cause the reason it gave, which may be nil; see Again.
	After time.Duration
	Cause error
}

// Change is what Hooks.Changed is told.
type Change uint8

// The changes.
const (
	ChangePaused        Change = iota + 1 // Pause was called
	ChangeResumed                         // Resume was called, or Shutdown on a paused engine
	ChangeReconfigured                    // Reconfigure, Resize or SetQueueCapacity has changed settings
	ChangeShutdownBegun                   // nothing is accepted any more
	ChangeShutdownEnded                   // nothing is queued or runs any more
)

// String returns the name of c in lower case.
func (c Change) String() string {
	names := [...]string{"", "paused", "resumed", "reconfigured", "shutdown begun", "shutdown ended"}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("change(%d)", uint8(c))
}

// hookSet is the hooks of an engine.
type hookSet struct{ list []*Hooks }

// ofJobs reports whether any of the hooks hears of jobs that were accepted. The others,
// of the engine's life, of its goroutines and of refusals, cost a function nothing.
func (s *hookSet) ofJobs() bool {
	return s != nil && slices.ContainsFunc(s.list, func(h *Hooks) bool {
		return h.Accepted != nil || h.Started != nil || h.Ended != nil || h.Retried != nil || h.Panicked != nil
	})
}

// AddHooks adds hooks while the engine runs; they are called after those added
// before. The function it returns removes them, and may be called again; calls
// that have begun may still be running then. Config does not show them. It
// copies a list, so it is for set-up rather than for each task. The error is a
// *RefusedError that matches ErrInvalid: the engine was not made by New.
func (e *Engine) AddHooks(h Hooks) (remove func(), err error) {
	if !e.made() {
		return nil, errNotMade()
	}
	mine := &h
	e.config.Lock()
	defer e.config.Unlock()
	var list []*Hooks
	if set := e.hooks.Load(); set != nil {
		list = slices.Clone(set.list)
	}
	e.hooks.Store(&hookSet{append(list, mine)})
	e.markSlow()
	return func() {
		e.config.Lock()
		defer e.config.Unlock()
		set := e.hooks.Load()
		if set == nil {
			return
		}
		list := slices.DeleteFunc(slices.Clone(set.list), func(h *Hooks) bool { return h == mine })
		if len(list) == 0 {
			e.hooks.Store(nil)
		} else {
			e.hooks.Store(&hookSet{list})
		}
		e.markSlow()
	}, nil
}

// eachHook calls call for each set of hooks, each contained by itself.
func (e *Engine) eachHook(name string, call func(*Hooks)) {
	set := e.hooks.Load()
	if set == nil {
		return
	}
	for _, h := range set.list {
		e.guard(name, func() { call(h) })
	}
}

func (e *Engine) hookAccepted(job Job) {
	if e.hooks.Load() == nil {
		return
	}
	e.eachHook("Accepted hook", func(h *Hooks) {
		if h.Accepted != nil {
			h.Accepted(job)
		}
	})
}

// refused tells the hooks that a submission was refused with err, and returns
// that. attrs are the attributes as far as they are known, or nil.
func (e *Engine) refused(err error, attrs *Attributes) error {
	if !e.made() || e.hooks.Load() == nil {
		return err
	}
	info := RejectInfo{Err: err}
	if attrs != nil {
		info.Attributes = *attrs
	}
	e.eachHook("Rejected hook", func(h *Hooks) {
		if h.Rejected != nil {
			h.Rejected(info)
		}
	})
	return err
}

func (e *Engine) hookStarted(job Job) {
	e.eachHook("Started hook", func(h *Hooks) {
		if h.Started != nil {
			h.Started(job)
		}
	})
}

// hookEnded tells that job has ended, and reports a panic at once.
func (e *Engine) hookEnded(job Job, outcome Outcome, err error) {
	if outcome == OutcomePanicked {
		e.reportPanic(job, err)
	}
	e.eachHook("Ended hook", func(h *Hooks) {
		if h.Ended != nil {
			h.Ended(EndInfo{Job: job, Outcome: outcome, Err: err})
		}
	})
}

func (e *Engine) hookRetried(job Job, attempt int, wish *AgainError) {
	e.eachHook("Retried hook", func(h *Hooks) {
		if h.Retried != nil {
			h.Retried(RetryInfo{Job: job, Attempt: attempt, After: max(wish.After, 0), Cause: wish.Cause})
		}
	})
}

func (e *Engine) hookWorker(id uint32, started bool) {
	e.eachHook("Worker hook", func(h *Hooks) {
		if h.Worker != nil {
			h.Worker(int(id), started)
		}
	})
}

func (e *Engine) hookChanged(c Change) {
	e.eachHook("Changed hook", func(h *Hooks) {
		if h.Changed != nil {
			h.Changed(c)
		}
	})
}

// reportPanic makes a panic known at once, even if nobody awaits the future.
func (e *Engine) reportPanic(job Job, err error) {
	var p *PanicError // perhaps wrapped by an interceptor, whose error is the user's
	if !e.guard("error of an interceptor", func() { errors.As(err, &p) }) || p == nil {
		e.guard("logger", func() {
			e.logger.LogAttrs(context.Background(), slog.LevelError, "core: task ended without a result",
				slog.String("engine", e.name), slog.String("task", job.Name()), slog.Any("error", err))
		})
		return
	}
	e.eachHook("Panicked hook", func(h *Hooks) {
		if h.Panicked != nil {
			h.Panicked(job, p)
		}
	})
	if e.onPanic != nil {
		e.guard("OnPanic function", func() { e.onPanic(p) })
		return
	}
	e.guard("logger", func() {
		e.logger.LogAttrs(context.Background(), slog.LevelError, "core: task panicked",
			slog.String("engine", e.name), slog.String("task", p.Task),
			slog.Any("panic", p.Value), slog.String("stack", string(p.Stack)))
	})
}

// guard calls a function of the user's that is not a task, and contains its
// panic. It reports whether fn returned.
func (e *Engine) guard(what string, fn func()) (ok bool) {
	err := e.try(what, fn)
	if err != nil {
		e.reportFailure(context.Background(), what, err)
	}
	return err == nil
}

// try is guard that returns the panic as an error and does not report it.
func (e *Engine) try(what string, fn func()) (err error) {
	normal := false
	defer func() {
		if normal {
			return
		}
		if v := recover(); v != nil {
			err = &PanicError{Engine: e.name, Task: what, Value: v, Stack: debug.Stack()}
		}
	}()
	fn()
	normal = true
	return nil
}

// reportFailure logs the panic of a function that is not a task. If the logger
// itself panics there is nobody left to tell.
func (e *Engine) reportFailure(ctx context.Context, what string, err error) {
	e.failures.Add(1)
	defer func() { _ = recover() }()
	e.logger.LogAttrs(ctx, slog.LevelError, "core: a function given to the engine failed",
		slog.String("engine", e.name), slog.String("function", what), slog.Any("error", err))
}
