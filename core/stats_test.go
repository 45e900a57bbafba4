package core_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

// ledger counts by itself what happens to tasks, from their futures and errors.
type ledger struct {
	accepted, refused, starts                                                      atomic.Uint64
	succeeded, failed, panicked, cancelled, timedOut, discarded, undone, abandoned atomic.Uint64
}

func (l *ledger) settle(err error) {
	var p *core.PanicError
	var c *core.CancelError
	var d *core.TimeoutError
	switch {
	case err == nil:
		l.succeeded.Add(1)
	case errors.As(err, &p), errors.Is(err, core.ErrGoexit):
		l.panicked.Add(1)
	case errors.Is(err, core.ErrDiscarded):
		l.discarded.Add(1)
	case errors.Is(err, core.ErrUndone):
		l.undone.Add(1)
	case errors.Is(err, core.ErrAbandoned):
		l.abandoned.Add(1)
	case errors.As(err, &d):
		l.timedOut.Add(1)
	case errors.As(err, &c):
		l.cancelled.Add(1)
	default:
		l.failed.Add(1)
	}
}

var errFailed = errors.New("failed")

// task is a task that ends in the way that kind says.
func (l *ledger) task(e *core.Engine, kind int) core.Task[int] {
	attempts := 0
	return core.Func(func(ctx context.Context) (int, error) {
		if attempts == 0 {
			l.starts.Add(1)
		}
		attempts++
		switch kind {
		case 0:
			return 0, errFailed
		case 1:
			panic("on purpose")
		case 2:
			runtime.Goexit()
		case 3:
			if attempts < 3 {
				return 0, core.Again(0, errFailed)
			}
		case 4:
			f, err := core.Submit(ctx, e, l.task(e, 9))
			if err != nil {
				l.refused.Add(1)
				return 0, nil
			}
			l.accepted.Add(1)
			_, _ = f.Await(ctx)
			if f.IsDone() { // by now, even if the wait was given up
				_, err = f.Get()
				l.settle(err)
			} else {
				go func() { _, err := f.Get(); l.settle(err) }()
			}
			return 0, nil
		}
		return 1, nil
	})
}

// In every snapshot the figures add up and what has ended stays ended; at the
// end they are exactly what an independent count says. (P-C1, P-C2)
func TestStats_ExactUnderChaos(t *testing.T) {
	policies := []core.RejectPolicy{core.RejectWait, core.RejectFail, core.RejectCallerRuns,
		core.RejectDiscardNewest, core.RejectDiscardOldest, core.RejectDisplaceLowest}
	for _, policy := range policies {
		t.Run(policy.String(), func(t *testing.T) {
			for seed := range uint64(6) {
				e := freshEngine(t, core.WithWorkers(2), core.WithQueueCapacity(8), core.WithReject(policy), quietly())
				var before core.Stats
				quit, gone := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(gone)
					for {
						now := e.Stats()
						if err := now.Check(); err != nil {
							t.Error(err)
						}
						if now.Accepted < before.Accepted || now.Ended() < before.Ended() || now.Rejected.Total() < before.Rejected.Total() ||
							now.Succeeded < before.Succeeded || now.Retried < before.Retried || now.Canceled < before.Canceled {
							t.Errorf("a figure went down:\n%+v\n%+v", before, now)
						}
						before = now
						select {
						case <-quit:
							return
						default:
							runtime.Gosched()
						}
					}
				}()
				l := new(ledger)
				var wg, all sync.WaitGroup
				for p := range uint64(3) {
					wg.Go(func() {
						random := rand.New(rand.NewPCG(seed, p))
						for range 300 {
							attributes := core.Attributes{Priority: core.Priority(1 + random.IntN(4))}
							kind := random.IntN(10)
							if kind == 2 && policy == core.RejectCallerRuns {
								kind = 1 // Goexit would end this goroutine, as it does in a call
							}
							f, err := core.SubmitWith(context.Background(), e, attributes, l.task(e, kind))
							if err != nil {
								l.refused.Add(1)
								continue
							}
							l.accepted.Add(1)
							if random.IntN(3) == 0 {
								f.Cancel()
							}
							all.Go(func() { _, err := f.Get(); l.settle(err) })
						}
					})
				}
				wg.Go(func() {
					random := rand.New(rand.NewPCG(seed, 99))
					for range 60 {
						if err := errors.Join(e.Pause(), e.Resize(1+random.IntN(4)), e.Resume(), e.SetQueueCapacity(1+random.IntN(20))); err != nil {
							t.Error(err)
						}
						runtime.Gosched()
					}
				})
				wg.Wait()
				idle(t, e)
				all.Wait()
				close(quit)
				<-gone
				endEngine(t, e)
				compareLedger(t, l, e.Stats())
			}
		})
	}
}

func compareLedger(t *testing.T, l *ledger, s core.Stats) {
	t.Helper()
	type figures struct{ Accepted, Refused, Succeeded, Failed, Panicked, Canceled, TimedOut, Discarded, Undone, Abandoned uint64 }
	want := figures{l.accepted.Load(), l.refused.Load(), l.succeeded.Load(), l.failed.Load(), l.panicked.Load(),
		l.cancelled.Load(), l.timedOut.Load(), l.discarded.Load(), l.undone.Load(), l.abandoned.Load()}
	got := figures{s.Accepted, s.Rejected.Total(), s.Succeeded, s.Failed, s.Panicked, s.Canceled, s.TimedOut, s.Discarded, s.Undone, s.Abandoned}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the engine counted differently (-ledger +engine):\n%s", diff)
	}
}

// Figures are exact as soon as a future is resolved, and WaitIdle returns only
// when futures are resolved and hooks have been called.
func TestStats_ExactWhenResolved(t *testing.T) {
	for _, plain := range []bool{false, true} {
		var hooked atomic.Uint64
		e := engineFor(t, core.WithWorkers(2), core.WithHooks(core.Hooks{
			Ended: func(core.EndInfo) { runtime.Gosched(); hooked.Add(1) }}))
		for i := range uint64(3000) {
			if plain {
				if err := e.Go(func() {}); err != nil {
					t.Fatal(err)
				}
			} else {
				f := must(t, e, value(1))
				if i%2 == 0 {
					if _, err := f.Get(); err != nil {
						t.Fatal(err)
					}
					if s := e.Stats(); s.Succeeded != i+1 || s.Running != 0 {
						t.Fatalf("after %d results: %+v", i+1, s)
					}
				}
				idle(t, e)
				if !f.IsDone() {
					t.Fatal("WaitIdle returned before the future was resolved")
				}
			}
			idle(t, e)
			if n := hooked.Load(); n != i+1 {
				t.Fatalf("WaitIdle returned before the hook was called: %d of %d", n, i+1)
			}
		}
	}
}

// WaitIdle covers what its own caller has submitted before, whatever others wait
// for at the same time.
func TestStats_WaitIdleIsNotEarly(t *testing.T) {
	rounds := 3000
	if raceEnabled {
		rounds = 500
	}
	e, ctx := engineFor(t, core.WithWorkers(2)), soon(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range rounds {
				var ran bool // plain: the race detector knows whether WaitIdle orders it
				if err := e.Go(func() { ran = true }); err != nil {
					t.Error(err)
					return
				}
				if err := e.WaitIdle(ctx); err != nil {
					t.Error(err)
					return
				}
				if !ran {
					t.Error("WaitIdle returned before a task that was accepted earlier had run")
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestStats_Waiting(t *testing.T) {
	const depth = 5
	e := engineFor(t, core.WithWorkers(1))
	gate, bottom := make(chan struct{}), make(chan struct{})
	var node func(left int) core.Task[int]
	node = func(left int) core.Task[int] {
		return core.Func(func(ctx context.Context) (int, error) {
			if left == 0 {
				close(bottom)
				<-gate
				return 0, nil
			}
			return core.Run(ctx, e, node(left-1))
		})
	}
	f := must(t, e, node(depth))
	receive(t, bottom, "bottom")
	if s := e.Stats(); s.Running != depth+1 || s.Waiting != depth || s.Idle != 0 {
		t.Errorf("%+v", s)
	}
	close(gate)
	if _, err := f.Await(soon(t)); err != nil {
		t.Error(err)
	}
	idle(t, e)
	allIdle(t, e)
	if s := e.Stats(); s.Running != 0 || s.Waiting != 0 || s.Workers != 1 {
		t.Errorf("%+v", s)
	}
}

// Running - Waiting never exceeds Workers in any snapshot.
func TestStats_NeverMoreThanWorkers(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2))
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for {
			if s := e.Stats(); s.Running-s.Waiting > s.Workers {
				t.Errorf("more execute than there are workers: %+v", s)
				return
			}
			select {
			case <-quit:
				return
			default:
				runtime.Gosched()
			}
		}
	}()
	for range 200 {
		shared := must(t, e, tree(e, new(gauge), 4))
		var waiters []*core.Future[int]
		for range 4 {
			waiters = append(waiters, must(t, e, core.Func(func(ctx context.Context) (int, error) { return shared.Await(ctx) })))
		}
		for _, f := range waiters {
			if n, err := f.Await(soon(t)); n != 15 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
		}
	}
	close(quit)
	<-gone
}

func TestStats_Overdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(1), core.WithRunLimit(time.Second), quietly())
		f := must(t, e, core.Func(func(context.Context) (int, error) { time.Sleep(time.Minute); return 1, nil }))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s := e.Stats(); s.Overdue != 1 || s.Running != 1 {
			t.Errorf("%+v", s)
		}
		if n, err := f.Get(); n != 1 || !errors.Is(err, core.ErrTaskTimeout) {
			t.Errorf("%d, %v", n, err)
		}
		idle(t, e)
		if s := e.Stats(); s.Overdue != 0 || s.TimedOut != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Panics of functions that are not tasks are counted.
func TestStats_Failures(t *testing.T) {
	e := engineFor(t, quietly(), core.WithHooks(core.Hooks{Started: func(core.Job) { panic("hook") }}))
	f := must(t, e, value(1))
	f.OnDone(func(int, error) { panic("callback") })
	if _, err := f.Await(soon(t)); err != nil {
		t.Error(err)
	}
	endEngine(t, e) // waits for the callback
	if s := e.Stats(); s.Failures != 2 || s.Panicked != 0 || s.Succeeded != 1 {
		t.Errorf("%+v", s)
	}
}

func TestStats_Check(t *testing.T) {
	good := core.Stats{Name: "e", Accepted: 6, Queued: 2, Delayed: 1, Running: 3, Waiting: 2, Succeeded: 1}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*core.Stats){
		"is not queued":       func(s *core.Stats) { s.Accepted++ },
		"Queued is negative":  func(s *core.Stats) { s.Queued = -1 },
		"Running is negative": func(s *core.Stats) { s.Running = -1 },
		"Waiting is negative": func(s *core.Stats) { s.Waiting = -1 },
		"Delayed is negative": func(s *core.Stats) { s.Delayed = -1 },
		"Overdue is negative": func(s *core.Stats) { s.Overdue = -1 },
		"Idle is negative":    func(s *core.Stats) { s.Idle = -1 },
		"Blocked is negative": func(s *core.Stats) { s.Blocked = -1 },
		"more than queued":    func(s *core.Stats) { s.Delayed = 3 },
		"more than running":   func(s *core.Stats) { s.Waiting = 4 },
	} {
		s := good
		spoil(&s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	if diff := cmp.Diff(core.Stats{}, (*core.Engine)(nil).Stats()); diff != "" {
		t.Error(diff)
	}
}
