package core_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

var errEnough = errors.New("enough")

// endings are contexts that have ended, or end soon, each with a cause of its own.
func endings(t testing.TB) map[error]context.Context {
	canceled, cancel := context.WithCancelCause(context.Background())
	cancel(errEnough)
	late, stop := context.WithTimeoutCause(context.Background(), time.Second, errEnough)
	t.Cleanup(stop)
	return map[error]context.Context{context.Canceled: canceled, context.DeadlineExceeded: late}
}

// A wait that was given up says so with an error of its own, which matches the
// cause and the context's own error; the task is not affected.
func TestWaitError_EachWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithName("e"), core.WithWorkers(2))
		gate := make(chan struct{})
		f, err := core.SubmitWith(context.Background(), e, core.Attributes{Name: "slow"},
			core.Func(func(context.Context) (int, error) { <-gate; return 1, nil }))
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string, err, cause, own error, task string) {
			t.Helper()
			wait, ok := errors.AsType[*core.WaitError](err)
			if !ok || err != error(wait) || wait.Engine != "e" || wait.Task != task || wait.Err != cause ||
				!errors.Is(err, cause) || !errors.Is(err, own) || wait.Timeout() != (own == context.DeadlineExceeded) {
				t.Errorf("%s: %#v", what, err)
			}
			for _, other := range []error{context.Canceled, context.DeadlineExceeded} {
				if other != own && errors.Is(err, other) {
					t.Errorf("%s: it matches %v", what, other)
				}
			}
		}
		for own, ctx := range endings(t) {
			_, err := f.Await(ctx)
			check("Await", err, errEnough, own, "slow")
			check("WaitIdle", e.WaitIdle(ctx), errEnough, own, "")
			// Inside a task, with a context derived from its own.
			inside := must(t, e, core.Func(func(task context.Context) (error, error) {
				derived, cancel := context.WithCancelCause(task)
				defer cancel(errEnough)
				if own == context.Canceled {
					cancel(errEnough)
				}
				timed, stop := context.WithTimeoutCause(derived, time.Second, errEnough)
				defer stop()
				_, err := f.Await(timed)
				return err, nil
			}))
			result, err := inside.Get()
			if err != nil {
				t.Fatal(err)
			}
			check("inside", result, errEnough, own, "slow")
		}
		for _, d := range []time.Duration{-1, 0, time.Hour} {
			_, err := f.GetWithTimeout(d)
			check("GetWithTimeout", err, core.ErrWaitTimeout, context.DeadlineExceeded, "slow")
		}
		close(gate)
		if n, err := f.Get(); n != 1 || err != nil {
			t.Errorf("the task was affected: %d, %v", n, err)
		}
	})
}

// The result of a cancelled task is no wait that was given up.
func TestWaitError_IsNotTheTasks(t *testing.T) {
	e := engineFor(t)
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	f := must(t, e, value(1))
	f.Cancel()
	_, err := f.Await(soon(t))
	if wait, ok := errors.AsType[*core.WaitError](err); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("%v: %v", err, wait)
	}
}

// A task that is cancelled while it waits counts as cancelled, with the wait that it
// gave up as its own error.
func TestWaitError_CancelledTaskThatWaits(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2))
	gate := make(chan struct{})
	slow := must(t, e, core.Func(func(context.Context) (int, error) { <-gate; return 1, nil }))
	started := make(chan struct{})
	f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		close(started)
		return slow.Await(ctx)
	}))
	receive(t, started, "start")
	f.CancelCause(errEnough)
	_, err := f.Await(soon(t))
	cancelled, ok := errors.AsType[*core.CancelError](err)
	if !ok || !errors.Is(err, errEnough) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	} else if wait, ok := errors.AsType[*core.WaitError](cancelled.Err); !ok && cancelled.Started {
		t.Errorf("%v: %v", cancelled.Err, wait)
	}
	close(gate)
}

// A refusal because of the caller's context matches its cause and its own error.
func TestRefusedError_OfAContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1))
		release := occupy(t, e, 1)
		fill(t, e, 1)
		matches := func(err error) map[string]bool {
			refused, ok := errors.AsType[*core.RefusedError](err)
			return map[string]bool{"refused": ok && refused.Reason == errEnough, "cause": errors.Is(err, errEnough),
				"canceled": errors.Is(err, context.Canceled), "deadline": errors.Is(err, context.DeadlineExceeded)}
		}
		for own, ctx := range endings(t) {
			want := map[string]bool{"refused": true, "cause": true, "canceled": own == context.Canceled, "deadline": own == context.DeadlineExceeded}
			for range 2 { // waits for room, or has ended before
				_, err := core.Submit(ctx, e, value(1))
				if diff := cmp.Diff(want, matches(err)); diff != "" {
					t.Errorf("Submit: %v: %s", err, diff)
				}
				if diff := cmp.Diff(want, matches(e.GoContext(ctx, func() {}))); diff != "" {
					t.Error(diff)
				}
			}
		}
		release()
	})
}

// oddContext has ended and does not say why.
type oddContext struct{ context.Context }

func (oddContext) Done() <-chan struct{} { done := make(chan struct{}); close(done); return done }

// A wait that is given up is an error, whatever the context says.
func TestWaitError_OfAnOddContext(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	release := occupy(t, e, 1)
	defer release()
	f := must(t, e, value(1))
	odd := oddContext{context.Background()}
	if _, err := f.Await(odd); !errors.Is(err, context.Canceled) {
		t.Errorf("Await: %v", err)
	}
	if err := e.WaitIdle(odd); !errors.Is(err, context.Canceled) {
		t.Errorf("WaitIdle: %v", err)
	}
}
