package core_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

// E-FUT-15: each error of a future matches its sentinel, what the standard
// library calls it, and what the user put in, and nothing else.
func TestErrors_E_FUT_15_Identity(t *testing.T) {
	mine := errors.New("mine")
	sentinels := map[string]error{"invalid": core.ErrInvalid, "config": core.ErrConfig, "full": core.ErrQueueFull, "closed": core.ErrClosed,
		"discarded": core.ErrDiscarded, "queue timeout": core.ErrQueueTimeout, "task timeout": core.ErrTaskTimeout,
		"wait timeout": core.ErrWaitTimeout, "panicked": core.ErrPanicked, "goexit": core.ErrGoexit, "skipped": core.ErrSkipped,
		"deadlock": core.ErrDeadlock, "undone": core.ErrUndone, "abandoned": core.ErrAbandoned, "shutdown": core.ErrShutdown,
		"inside": core.ErrInsideTask, "canceled": context.Canceled, "deadline": context.DeadlineExceeded, "mine": mine, "EOF": io.EOF}
	matched := func(err error) map[string]bool {
		m := map[string]bool{}
		for name, sentinel := range sentinels {
			if errors.Is(err, sentinel) {
				m[name] = true
			}
		}
		return m
	}
	synctest.Test(t, func(t *testing.T) {
		blocks := func(body func(ctx context.Context) error) core.Task[int] {
			return core.Func(func(ctx context.Context) (int, error) { return 0, body(ctx) })
		}
		own := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		cause := func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
		wrapped := func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("wrapped: %w", ctx.Err()) }
		short := core.Attributes{RunLimit: time.Second}
		for name, c := range map[string]struct {
			attrs core.Attributes
			body  func(ctx context.Context) error
			then  func(f *core.Future[int], cancel context.CancelCauseFunc)
			want  []string
		}{
			"plain error":          {body: func(context.Context) error { return io.EOF }, want: []string{"EOF"}},
			"wrapped error":        {body: func(context.Context) error { return fmt.Errorf("x: %w", io.EOF) }, want: []string{"EOF"}},
			"panic with error":     {body: func(context.Context) error { panic(io.EOF) }, want: []string{"panicked", "EOF"}},
			"panic with wrapped":   {body: func(context.Context) error { panic(fmt.Errorf("x: %w", mine)) }, want: []string{"panicked", "mine"}},
			"Cancel":               {body: own, then: func(f *core.Future[int], _ context.CancelCauseFunc) { f.Cancel() }, want: []string{"canceled"}},
			"CancelCause":          {body: own, then: func(f *core.Future[int], _ context.CancelCauseFunc) { f.CancelCause(mine) }, want: []string{"canceled", "mine"}},
			"CancelCause, cause":   {body: cause, then: func(f *core.Future[int], _ context.CancelCauseFunc) { f.CancelCause(mine) }, want: []string{"canceled", "mine"}},
			"CancelCause, wrapped": {body: wrapped, then: func(f *core.Future[int], _ context.CancelCauseFunc) { f.CancelCause(mine) }, want: []string{"canceled", "mine"}},
			"CancelCause of nil":   {body: own, then: func(f *core.Future[int], _ context.CancelCauseFunc) { f.CancelCause(nil) }, want: []string{"canceled"}},
			"submitter's cause":    {body: own, then: func(_ *core.Future[int], cancel context.CancelCauseFunc) { cancel(mine) }, want: []string{"canceled", "mine"}},
			"run limit":            {attrs: short, body: own, want: []string{"task timeout", "deadline"}},
			"run limit, cause":     {attrs: short, body: cause, want: []string{"task timeout", "deadline"}},
			"run limit, late":      {attrs: short, body: func(context.Context) error { time.Sleep(time.Hour); return mine }, want: []string{"task timeout", "deadline", "mine"}},
		} {
			e := engineFor(t, quietly())
			ctx, cancel := context.WithCancelCause(context.Background())
			f, err := core.SubmitWith(ctx, e, c.attrs, blocks(c.body))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if c.then != nil {
				c.then(f, cancel)
			}
			_, err = f.Get()
			want := map[string]bool{}
			for _, w := range c.want {
				want[w] = true
			}
			if diff := cmp.Diff(want, matched(err)); diff != "" {
				t.Errorf("%s: %v:\n%s", name, err, diff)
			}
			cancel(nil)
		}
	})
	for name, want := range map[string][]string{"queue timeout": {"queue timeout", "deadline"}, "task timeout": {"task timeout", "deadline"},
		"wait timeout": {"wait timeout", "deadline"}, "shutdown": {"shutdown", "canceled"}, "goexit": {"goexit"}, "full": {"full"}} {
		set := map[string]bool{}
		for _, w := range want {
			set[w] = true
		}
		if diff := cmp.Diff(set, matched(sentinels[name])); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// Every message begins with the package, and names engine and task.
func TestErrors_Messages(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&core.PanicError{Engine: "e", Task: "t", Value: 7}, "core: engine e: task t panicked: 7"},
		{&core.CancelError{Engine: "e", Task: "t"}, "core: engine e: task t was cancelled before it started"},
		{&core.CancelError{Engine: "e", Task: "t", Cause: context.Canceled, Started: true}, "core: engine e: task t was cancelled while it ran"},
		{&core.CancelError{Engine: "e", Task: "t", Cause: io.EOF}, "core: engine e: task t was cancelled before it started: EOF"},
		{&core.TimeoutError{Engine: "e", Task: "t", Limit: time.Second}, "core: engine e: task t waited longer than its queue limit of 1s"},
		{&core.TimeoutError{Engine: "e", Task: "t", Limit: time.Second, Started: true}, "core: engine e: task t was stopped at its run limit of 1s"},
		{&core.TimeoutError{Engine: "e", Task: "t", Limit: time.Second, Started: true, Late: true}, "core: engine e: task t ended after its run limit of 1s"},
		{&core.TimeoutError{Engine: "e", Task: "t", Limit: time.Second, Started: true, Late: true, Err: io.EOF}, "core: engine e: task t ended after its run limit of 1s: EOF"},
		{&core.DeadlockError{Engine: "e", Tasks: []string{"a", "b"}}, "core: engine e: this wait would never end: a -> b -> a"},
		{&core.DeadlockError{Engine: "e"}, "core: engine e: tasks wait for each other in a ring"},
		{&core.WaitError{Engine: "e", Task: "t", Err: io.EOF}, "core: engine e: gave up waiting for task t: EOF"},
		{&core.WaitError{Engine: "e", Task: "t", Err: core.ErrWaitTimeout}, "core: engine e: gave up waiting for task t: the time given has passed"},
		{&core.WaitError{Engine: "e", Err: io.EOF}, "core: engine e: gave up waiting until it is idle: EOF"},
		{&core.RefusedError{Engine: "e", Capacity: 3, Reason: core.ErrQueueFull}, "core: engine e: queue is full: its capacity is 3"},
		{&core.RefusedError{Engine: "e", Reason: core.ErrClosed}, "core: engine e is closed: Shutdown or Close has begun"},
		{&core.RefusedError{Engine: "e", Reason: io.EOF}, "core: engine e: refused: EOF"},
		{&core.RefusedError{Reason: io.EOF}, "core: refused: EOF"},
		{&core.ShutdownError{Engine: "e"}, "core: engine e: stopped"},
		{&core.ShutdownError{Engine: "e", Draining: true, Cause: io.EOF}, "core: engine e: still draining for another caller of Shutdown: EOF"},
		{&core.ShutdownError{Engine: "e", Cause: io.EOF, Undone: make([]core.Undone, 2), Canceled: 3,
			Ignoring: []core.Ignoring{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}},
			"core: engine e: stopped before it was drained, 2 undone, 3 cancelled, 4 ignore the cancellation (a, b, c, ...): EOF"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%T: %q, want %q", c.err, got, c.want)
		}
	}
}

// The typed errors match what they say, on their own too.
func TestErrors_Types(t *testing.T) {
	for _, c := range []struct {
		err error
		is  []error
		not []error
	}{
		{&core.PanicError{Value: io.EOF}, []error{core.ErrPanicked, io.EOF}, []error{core.ErrGoexit}},
		{&core.PanicError{Value: "x"}, []error{core.ErrPanicked}, []error{io.EOF}},
		{&core.CancelError{Cause: io.EOF, Err: io.ErrClosedPipe}, []error{context.Canceled, io.EOF, io.ErrClosedPipe}, []error{context.DeadlineExceeded}},
		{&core.CancelError{}, []error{context.Canceled}, []error{context.DeadlineExceeded}},
		{&core.TimeoutError{}, []error{core.ErrQueueTimeout, context.DeadlineExceeded}, []error{core.ErrTaskTimeout, context.Canceled}},
		{&core.TimeoutError{Started: true, Err: io.EOF}, []error{core.ErrTaskTimeout, context.DeadlineExceeded, io.EOF}, []error{core.ErrQueueTimeout}},
		{&core.WaitError{Err: io.EOF}, []error{io.EOF}, []error{context.Canceled, core.ErrWaitTimeout}},
		{&core.WaitError{Err: core.ErrWaitTimeout}, []error{core.ErrWaitTimeout, context.DeadlineExceeded}, []error{context.Canceled}},
		{&core.DeadlockError{}, []error{core.ErrDeadlock}, []error{core.ErrShutdown}},
		{&core.RefusedError{Reason: core.ErrClosed}, []error{core.ErrClosed}, []error{core.ErrQueueFull}},
		{&core.ShutdownError{Cause: io.EOF}, []error{core.ErrShutdown, io.EOF}, []error{core.ErrClosed}},
	} {
		for _, target := range c.is {
			if !errors.Is(c.err, target) {
				t.Errorf("%T does not match %v", c.err, target)
			}
		}
		for _, target := range c.not {
			if errors.Is(c.err, target) {
				t.Errorf("%T matches %v", c.err, target)
			}
		}
	}
	var timeout interface{ Timeout() bool }
	if !errors.As(core.ErrTaskTimeout, &timeout) || !timeout.Timeout() {
		t.Error("the sentinel is no timeout")
	}
	if !errors.As(error(&core.TimeoutError{}), &timeout) || !timeout.Timeout() {
		t.Error("the error is no timeout")
	}
}

// The error of a Goexit names engine and task.
func TestErrors_Goexit(t *testing.T) {
	e := engineFor(t, core.WithName("e"), quietly())
	f, err := core.SubmitWith(context.Background(), e, core.Attributes{Name: "t"}, core.Func(func(context.Context) (int, error) {
		runtime.Goexit()
		return 0, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Await(soon(t)); err == nil || err.Error() != "core: engine e: task t called runtime.Goexit" || !errors.Is(err, core.ErrGoexit) {
		t.Errorf("%v", err)
	}
}
