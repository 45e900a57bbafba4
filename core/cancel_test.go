package core_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/uptutu/goman/core"
)

// E-FUT-12: of any number of cancellations exactly one makes the difference.
func TestCancel_E_FUT_12_ExactlyOne(t *testing.T) {
	cause := errors.New("cause")
	for _, when := range []string{"before", "during", "after"} {
		t.Run(when, func(t *testing.T) {
			for range 50 {
				e := engineFor(t, core.WithWorkers(1))
				var ran atomic.Bool
				started := make(chan struct{})
				task := core.Func(func(ctx context.Context) (int, error) {
					ran.Store(true)
					close(started)
					if when == "after" {
						return 1, nil
					}
					<-ctx.Done()
					return 1, context.Cause(ctx)
				})
				release := func() {}
				if when == "before" {
					release = occupy(t, e, 1)
				}
				f := must(t, e, task)
				switch when {
				case "during":
					receive(t, started, "start")
				case "after":
					<-f.Done()
				}
				var won atomic.Int64
				var start, callers sync.WaitGroup
				start.Add(1)
				for range 8 {
					callers.Go(func() {
						start.Wait()
						if f.CancelCause(cause) {
							won.Add(1)
						}
					})
				}
				start.Done()
				callers.Wait()
				if f.Cancel() || f.CancelCause(nil) {
					t.Error("one more cancellation has made a difference")
				}
				_, err := f.Await(soon(t))
				var cancelled *core.CancelError
				switch when {
				case "after":
					if won.Load() != 0 || err != nil {
						t.Errorf("%d won, %v", won.Load(), err)
					}
				default:
					if won.Load() != 1 || !errors.Is(err, cause) || !errors.Is(err, context.Canceled) ||
						!errors.As(err, &cancelled) || cancelled.Started != (when == "during") || ran.Load() != cancelled.Started {
						t.Errorf("%d won, %v", won.Load(), err)
					}
				}
				release()
				endEngine(t, e)
			}
		})
	}
}

// A cancellation that races with the start: either the task never starts, or
// its context ends. Both must happen over the rounds.
func TestCancel_RaceWithStart(t *testing.T) {
	var never, during, late int
	for round := range 2000 {
		e := engineFor(t, core.WithWorkers(1))
		var ran atomic.Bool
		f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			ran.Store(true)
			for range rand.IntN(1 + round%16) {
				runtime.Gosched()
			}
			return 1, ctx.Err()
		}))
		for range rand.IntN(1 + round%16) {
			runtime.Gosched()
		}
		won := f.Cancel()
		v, err := f.Await(soon(t))
		var c *core.CancelError
		switch {
		case errors.As(err, &c) && won && !c.Started && !ran.Load():
			never++
		case errors.As(err, &c) && won && c.Started && ran.Load():
			during++
		case err == nil && v == 1 && ran.Load():
			late++
		default:
			t.Fatalf("won %v, ran %v: %d, %v", won, ran.Load(), v, err)
		}
		if err := e.Close(soon(t)); err != nil {
			t.Fatal(err)
		}
		if never > 0 && during > 0 && late > 0 && round > 300 {
			break
		}
	}
	t.Logf("never started %d, cancelled while it ran %d, too late %d", never, during, late)
	if never == 0 || during == 0 || late == 0 {
		unseen(t, "an allowed outcome never occurred")
	}
}

// A cancelled task that returns a result all the same keeps it.
func TestCancel_ResultStays(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	for _, c := range []struct {
		err  error
		want core.Outcome
	}{{nil, core.OutcomeSucceeded}, {io.EOF, core.OutcomeFailed}, {context.Canceled, core.OutcomeCanceled}} {
		started := make(chan struct{})
		f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			close(started)
			<-ctx.Done()
			return 7, c.err
		}))
		receive(t, started, "start")
		if !f.Cancel() {
			t.Error("Cancel has not made the difference")
		}
		v, err := f.Await(soon(t))
		var cancelled *core.CancelError
		if v != 7 || errors.As(err, &cancelled) != (c.want == core.OutcomeCanceled) || !errors.Is(err, c.err) {
			t.Errorf("%v: %d, %v", c.want, v, err)
		}
	}
	if s := e.Stats(); s.Succeeded != 1 || s.Failed != 1 || s.Canceled != 1 {
		t.Errorf("%+v", s)
	}
}
