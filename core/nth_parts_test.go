package core_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/uptutu/goman/core"
)

// What an engine is given by its user, each with the bomb in it.

// nthTask is a task that brings nothing.
type nthTask struct {
	*entry
	body func(ctx context.Context) (int, error)
}

func (k *nthTask) Execute(ctx context.Context) (int, error) {
	k.starts.Add(1)
	k.mine.Store(true) // the bomb, if it goes off now
	if err := k.run.b.call("Execute"); err != nil {
		return 0, err
	}
	k.mine.Store(false)
	return k.body(ctx)
}

// nthKnown brings all its attributes.
type nthKnown struct{ *nthTask }

func (k nthKnown) Priority() core.Priority {
	if k.run.b.call("Priority") != nil {
		return core.Critical + 1
	}
	return core.High
}

func (k nthKnown) Key() string               { _ = k.run.b.call("Key"); return "known" }
func (k nthKnown) Tenant() string            { _ = k.run.b.call("Tenant"); return "tenant" }
func (k nthKnown) Name() string              { _ = k.run.b.call("Name"); return "known" }
func (k nthKnown) Labels() map[string]string { _ = k.run.b.call("Labels"); return nil }
func (k nthKnown) Limits() (queue, run time.Duration) {
	_ = k.run.b.call("Limits")
	return time.Hour, time.Hour
}

// nthError is what a task returns.
type nthError struct{ b *bomb }

var errInner = errors.New("inner")

func (nthError) Error() string     { return "a task's error" }
func (e nthError) Is(error) bool   { _ = e.b.call("Is"); return false }
func (e nthError) As(any) bool     { _ = e.b.call("As"); return false }
func (e nthError) Unwrap() []error { _ = e.b.call("Unwrap"); return []error{errInner} }

// nthValue and nthPanicError are what a task panics with.
type nthValue struct{ b *bomb }

func (v nthValue) String() string { _ = v.b.call("value's String"); return "a value" }

type nthPanicError struct{ b *bomb }

func (v nthPanicError) Error() string { _ = v.b.call("value's Error"); return "an error" }
func (v nthPanicError) Is(error) bool { _ = v.b.call("value's Is"); return false }
func (v nthPanicError) Unwrap() error { _ = v.b.call("value's Unwrap"); return errInner }

// nthContext is a context of the user's type. sites is "context's " or "base ".
type nthContext struct {
	context.Context
	b     *bomb
	sites string
}

func (c nthContext) Value(key any) any {
	_ = c.b.call(c.sites + "Value")
	return c.Context.Value(key)
}

func (c nthContext) Err() error {
	if err := c.b.call(c.sites + "Err"); err != nil {
		return err
	}
	return c.Context.Err()
}

func (c nthContext) Done() <-chan struct{} {
	_ = c.b.call(c.sites + "Done")
	return c.Context.Done()
}

func (c nthContext) Deadline() (time.Time, bool) {
	_ = c.b.call(c.sites + "Deadline")
	return c.Context.Deadline()
}

// nthAlien hides that there is a context of the standard library below.
type nthAlien struct{ nthContext }

func (c nthAlien) Value(key any) any {
	if _, ok := key.(*int); ok { // how the library asks for one of its own
		return nil
	}
	return c.nthContext.Value(key)
}

// nthCaller is one that calls back at its end.
type nthCaller struct{ nthAlien }

func (c nthCaller) AfterFunc(f func()) func() bool {
	_ = c.b.call(c.sites + "AfterFunc")
	stop := context.AfterFunc(c.Context, f)
	return func() bool {
		_ = c.b.call(c.sites + "stop")
		return stop()
	}
}

// nthScheduler is a FIFO with all optional interfaces.
type nthScheduler struct {
	*faulty
	b *bomb
}

func newNthScheduler(b *bomb) nthScheduler {
	s := nthScheduler{new(faulty), b}
	after := map[string]string{"Push": "Push, stored", "Pop": "Pop, taken", "Claim": "Claim, taken", "Sweep": "Sweep, done"}
	s.before = func(method string) { _ = b.call(method) }
	s.after = func(method string) {
		if site := after[method]; site != "" && site != "Pop, taken" {
			_ = b.call(site)
		}
	}
	return s
}

func (s nthScheduler) Pop(worker int) (core.Job, bool) {
	job, ok := s.faulty.Pop(worker)
	if ok {
		_ = s.b.call("Pop, taken")
	}
	return job, ok
}

func (s nthScheduler) Sweep(drop func(core.Job) bool) {
	s.faulty.Sweep(func(job core.Job) bool {
		dropped := drop(job)
		_ = s.b.call("Sweep, half")
		return dropped
	})
}

func (s nthScheduler) SetWaker(func()) { _ = s.b.call("SetWaker") }

// nthLog formats everything and writes nothing.
type nthLog struct{ b *bomb }

func (l nthLog) Enabled(context.Context, slog.Level) bool {
	return l.b.call("logger's Enabled") == nil
}

func (l nthLog) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(a slog.Attr) bool {
		_ = a.String()
		return true
	})
	return l.b.call("logger's Handle")
}

func (l nthLog) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l nthLog) WithGroup(string) slog.Handler      { return l }

func (b *bomb) hooks() core.Hooks {
	return core.Hooks{
		Accepted: func(core.Job) { _ = b.call("hook Accepted") },
		Rejected: func(core.RejectInfo) { _ = b.call("hook Rejected") },
		Started:  func(core.Job) { _ = b.call("hook Started") },
		Ended:    func(core.EndInfo) { _ = b.call("hook Ended") },
		Retried:  func(core.RetryInfo) { _ = b.call("hook Retried") },
		Panicked: func(core.Job, *core.PanicError) { _ = b.call("hook Panicked") },
		Worker:   func(int, bool) { _ = b.call("hook Worker") },
		Changed:  func(core.Change) { _ = b.call("hook Changed") },
	}
}

// intercept repeats the tasks that ask for it by their key.
func (b *bomb) intercept(next core.Handler) core.Handler {
	if b.call("interceptor") != nil {
		return nil
	}
	return func(ctx context.Context, job core.Job) error {
		if err := b.call("before next"); err != nil {
			return err
		}
		err := next(ctx, job)
		if job.Key() == "twice" {
			if err := b.call("between two calls of next"); err != nil {
				return err
			}
			err = next(ctx, job)
		}
		if err := b.call("after next"); err != nil {
			return err
		}
		return err
	}
}

// ask chooses one policy after the other.
func (b *bomb) ask() func(context.Context, core.Job) core.RejectPolicy {
	var asked atomic.Int64
	list := []core.RejectPolicy{core.RejectFail, core.RejectDiscardOldest, core.RejectDiscardNewest,
		core.RejectDisplaceLowest, core.RejectCallerRuns, core.RejectWait}
	return func(context.Context, core.Job) core.RejectPolicy {
		n := asked.Add(1)
		if b.call("OnFull") != nil {
			return core.RejectAsk
		}
		return list[int(n)%len(list)]
	}
}
