package core_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

func TestWait_DerivedContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(2))
		slow := must(t, e, core.Func(func(context.Context) (int, error) {
			time.Sleep(time.Hour)
			return 5, nil
		}))
		f := must(t, e, core.Func(func(ctx context.Context) (time.Duration, error) {
			began := time.Now()
			short, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			if _, err := slow.Await(short); !errors.Is(err, context.DeadlineExceeded) {
				return 0, fmt.Errorf("first wait: %w", err)
			}
			waited := time.Since(began)
			type key struct{}
			n, err := slow.Await(context.WithValue(ctx, key{}, 1))
			if n != 5 || err != nil {
				return 0, fmt.Errorf("second wait: %d, %w", n, err)
			}
			return waited, nil
		}))
		if d, err := f.Await(t.Context()); d != time.Minute || err != nil {
			t.Errorf("gave up after %v, %v", d, err)
		}
	})
}

// With a context that may end before the task's own, the wait must be able to
// end: the awaited task may not run on the waiter's stack.
func TestWait_ShortContextIsNotRunInline(t *testing.T) {
	enough := errors.New("enough")
	e := engineFor(t, core.WithWorkers(1))
	f := must(t, e, core.Func(func(ctx context.Context) (error, error) {
		started := make(chan struct{})
		gate := make(chan struct{})
		defer close(gate)
		child, err := core.Submit(ctx, e, core.Func(func(context.Context) (int, error) {
			close(started)
			<-gate
			return 1, nil
		}))
		if err != nil {
			return nil, err
		}
		short, cancel := context.WithCancelCause(ctx)
		go func() {
			<-started
			cancel(enough)
		}()
		_, err = child.Await(short)
		return err, nil
	}))
	// The wait is over, but the child holds the only slot and waits for the
	// parent outside the engine's knowledge: a second slot lets the parent go on.
	if err := e.Resize(2); err != nil {
		t.Fatal(err)
	}
	err, failure := f.Await(soon(t))
	if failure != nil || !errors.Is(err, enough) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", err, failure)
	}
}
