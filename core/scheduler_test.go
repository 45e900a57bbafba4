package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

// schedulersUnderTest are schedulers with all mixes of the optional interfaces.
func schedulersUnderTest(t testing.TB) map[string]core.Scheduler {
	return map[string]core.Scheduler{
		"fifo":                            &line{},
		"lifo, Completer":                 audited(t, &line{newest: true}),
		"fifo, Completer Claimer":         claimingAuditor{audited(t, &line{})},
		"fifo, Completer Claimer Sweeper": sweepingAuditor{claimingAuditor{audited(t, &line{})}},
		"lanes, Completer":                audited(t, newLanes()),
		"lanes, Completer Claimer":        claimingAuditor{audited(t, newLanes())},
		"lanes, all":                      sweepingAuditor{claimingAuditor{audited(t, newLanes())}},
	}
}

func auditorOf(s core.Scheduler) *auditor {
	switch s := s.(type) {
	case *auditor:
		return s
	case claimingAuditor:
		return s.auditor
	case sweepingAuditor:
		return s.auditor
	}
	return nil
}

// Everything at once with every mix: trees of waits, cancels, policies, resize.
func TestScheduler_Contract(t *testing.T) {
	for name := range schedulersUnderTest(t) {
		for _, policy := range []core.RejectPolicy{core.RejectWait, core.RejectDiscardOldest, core.RejectDisplaceLowest, core.RejectCallerRuns} {
			t.Run(fmt.Sprint(name, "/", policy), func(t *testing.T) {
				s := schedulersUnderTest(t)[name]
				capacity := 8
				if policy == core.RejectWait {
					// Lanes would fill a small queue with jobs that are held up by
					// tasks that wait for room: that is the user's ring.
					capacity = 5000
				}
				e := freshEngine(t, core.WithWorkers(3), core.WithScheduler(s), core.WithQueueCapacity(capacity), core.WithReject(policy))
				stop := sampler(t, e)
				var wg sync.WaitGroup
				for p := range 4 {
					wg.Go(func() {
						for i := range 300 {
							attributes := core.Attributes{Key: fmt.Sprint("key ", (p+i)%5), Priority: core.Priority(1 + i%4)}
							f, err := core.SubmitWith(context.Background(), e, attributes, core.Func(func(ctx context.Context) (int, error) {
								if i%7 != 0 {
									return i, nil
								}
								child, err := core.SubmitWith(ctx, e, core.Attributes{Key: fmt.Sprint("child ", i%3)}, value(i))
								if err != nil {
									return 0, err
								}
								return child.Await(ctx)
							}))
							if err != nil {
								if !errors.Is(err, core.ErrQueueFull) {
									t.Error(err)
								}
								continue
							}
							switch i % 5 {
							case 0:
								f.Cancel()
							case 1:
								if n, err := f.Await(soon(t)); err != nil && !errors.Is(err, core.ErrDiscarded) && !errors.Is(err, core.ErrQueueFull) || err == nil && n != i {
									t.Errorf("%d, %v; %+v", n, err, e.Stats())
									return
								}
							case 2:
								_ = e.Go(func() {})
							}
						}
					})
				}
				for n := range 50 {
					if err := e.Resize(1 + n%4); err != nil {
						t.Error(err)
					}
					runtime.Gosched()
				}
				wg.Wait()
				idle(t, e)
				stop()
				if err := e.Shutdown(soon(t)); err != nil {
					t.Errorf("%v", err)
				}
				over(t, e)
				if a := auditorOf(s); a != nil {
					a.t = t
					a.balanced()
					if a.pushes == 0 || a.pops == 0 || a.completions != a.pops+a.claims {
						t.Errorf("%d pushes, %d pops, %d claims, %d completions", a.pushes, a.pops, a.claims, a.completions)
					}
				}
			})
		}
	}
}

// Per key the order of starting is the order of submission, and never two run
// at once; a slow key delays no other.
func TestScheduler_SerialLanes(t *testing.T) {
	s := sweepingAuditor{claimingAuditor{audited(t, newLanes())}}
	e := engineFor(t, core.WithWorkers(4), core.WithScheduler(s), core.WithUnboundedQueue())
	gate, stuck := make(chan struct{}), make(chan struct{})
	slow := core.Attributes{Key: "slow"}
	if _, err := core.SubmitWith(context.Background(), e, slow, core.Func(func(context.Context) (int, error) {
		close(stuck)
		<-gate
		return 0, nil
	})); err != nil {
		t.Fatal(err)
	}
	receive(t, stuck, "start")
	held, err := core.SubmitWith(context.Background(), e, slow, value(1))
	if err != nil {
		t.Fatal(err)
	}
	order := make([][]int, 10) // no lock: a lane runs one at a time
	var futures []*core.Future[int]
	for i := range 1000 {
		key := i % len(order)
		f, err := core.SubmitWith(context.Background(), e, core.Attributes{Key: fmt.Sprint(key)},
			core.Func(func(context.Context) (int, error) {
				order[key] = append(order[key], i)
				return i, nil
			}))
		if err != nil {
			t.Fatal(err)
		}
		futures = append(futures, f)
	}
	for i, f := range futures {
		if n, err := f.Await(soon(t)); n != i || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	for key, got := range order {
		var want []int
		for i := key; i < 1000; i += len(order) {
			want = append(want, i)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("lane %d: %s", key, diff)
		}
	}
	if held.IsDone() {
		t.Error("the lane of a running job started another")
	}
	close(gate)
	idle(t, e)
	s.balanced()
}

// A task that waits for one queued behind it in its own lane is a ring; one that
// waits for another lane's is not, also while that lane is held up.
func TestScheduler_WaitInLane(t *testing.T) {
	s := sweepingAuditor{claimingAuditor{audited(t, newLanes())}}
	e := engineFor(t, core.WithWorkers(2), core.WithScheduler(s))
	lane := func(name, key string) core.Attributes { return core.Attributes{Name: name, Key: key} }
	self, err := core.SubmitWith(context.Background(), e, lane("outer", "a"), core.Func(func(ctx context.Context) ([]string, error) {
		behind, err := core.SubmitWith(ctx, e, lane("behind", "a"), value(1))
		if err != nil {
			return nil, err
		}
		_, err = behind.Await(ctx)
		var deadlock *core.DeadlockError
		if !errors.As(err, &deadlock) {
			return nil, fmt.Errorf("no ring: %w", err)
		}
		return deadlock.Tasks, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	names, err := self.Await(soon(t))
	if diff := cmp.Diff([]string{"outer", "behind"}, names); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	gate, stuck := make(chan struct{}), make(chan struct{})
	if _, err := core.SubmitWith(context.Background(), e, lane("holder", "b"), core.Func(func(context.Context) (int, error) {
		close(stuck)
		<-gate
		return 0, nil
	})); err != nil {
		t.Fatal(err)
	}
	receive(t, stuck, "start")
	waiter, err := core.SubmitWith(context.Background(), e, lane("waiter", "c"), core.Func(func(ctx context.Context) (int, error) {
		f, err := core.SubmitWith(ctx, e, lane("held", "b"), value(5))
		if err != nil {
			return 0, err
		}
		return f.Await(ctx)
	}))
	if err != nil {
		t.Fatal(err)
	}
	synchronise(t, "wait", func() bool { return e.Stats().Waiting == 1 })
	close(gate)
	if n, err := waiter.Await(soon(t)); n != 5 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	idle(t, e)
	s.balanced()
}

// A lane becomes free while a task is about to wait for its next job.
func TestScheduler_LaneFreedDuringWait(t *testing.T) {
	rounds := 3000
	if raceEnabled {
		rounds = 500
	}
	for range rounds {
		s := sweepingAuditor{claimingAuditor{audited(t, newLanes())}}
		e := freshEngine(t, core.WithWorkers(3), core.WithScheduler(s))
		var started sync.WaitGroup
		started.Add(2)
		lane := core.Attributes{Key: "lane"}
		submit := func(a core.Attributes, body func(context.Context) (int, error)) *core.Future[int] {
			f, err := core.SubmitWith(context.Background(), e, a, core.Func(body))
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		submit(lane, func(context.Context) (int, error) { started.Done(); started.Wait(); return 1, nil })
		next := submit(lane, func(context.Context) (int, error) { return 2, nil })
		waiter := submit(core.Attributes{Key: "other"}, func(ctx context.Context) (int, error) {
			started.Done()
			started.Wait()
			return next.Await(ctx)
		})
		if n, err := waiter.Await(soon(t)); n != 2 || err != nil {
			t.Fatalf("%d, %v; %+v", n, err, e.Stats())
		}
		if err := e.Shutdown(soon(t)); err != nil {
			t.Fatal(err)
		}
		s.balanced()
	}
}

// fickle holds every job back until Claim has been asked twice.
type fickle struct {
	line
	asked int
}

func (f *fickle) Pop(int) (core.Job, bool) {
	if len(f.jobs) == 1 && f.jobs[0].Key() == "held" {
		return core.Job{}, false
	}
	return f.line.Pop(0)
}

func (f *fickle) Claim(core.Job) (core.Job, bool) {
	if f.asked++; f.asked != 2 {
		return core.Job{}, false
	}
	f.jobs = nil
	return core.Job{}, true
}

// Claim refuses the job to the waiter, and allows it when the engine asks who
// holds it up: then the job has started as far as the scheduler knows.
func TestScheduler_ClaimAllowedLate(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2), core.WithScheduler(new(fickle)))
	f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		held, err := core.SubmitWith(ctx, e, core.Attributes{Key: "held"}, value(3))
		if err != nil {
			return 0, err
		}
		return held.Await(ctx)
	}))
	if n, err := f.Await(soon(t)); n != 3 || err != nil {
		t.Errorf("%d, %v; %+v", n, err, e.Stats())
	}
}

// A forced stop hands back what lanes hold up, with or without a Sweeper, and
// does not wait for more than the running tasks.
func TestScheduler_CloseWithHeldUpLanes(t *testing.T) {
	for _, sweeper := range []bool{false, true} {
		for _, obeys := range []bool{true, false} {
			t.Run(fmt.Sprint(sweeper, obeys), func(t *testing.T) {
				a := claimingAuditor{audited(t, newLanes())}
				var s core.Scheduler = a
				if sweeper {
					s = sweepingAuditor{a}
				}
				e := freshEngine(t, core.WithWorkers(2), core.WithScheduler(s), quietly())
				running, gate := make(chan struct{}), make(chan struct{})
				defer close(gate)
				var held []*core.Future[int]
				lane := core.Attributes{Key: "lane"}
				if _, err := core.SubmitWith(context.Background(), e, lane, core.Func(func(ctx context.Context) (int, error) {
					close(running)
					if obeys {
						<-ctx.Done()
					} else {
						<-gate
					}
					return 0, ctx.Err()
				})); err != nil {
					t.Fatal(err)
				}
				receive(t, running, "start")
				for range 5 {
					f, err := core.SubmitWith(context.Background(), e, lane, value(1))
					if err != nil {
						t.Fatal(err)
					}
					held = append(held, f)
				}
				ctx := soon(t)
				if !obeys {
					ctx = ended()
				}
				var report *core.ShutdownError
				if err := e.Close(ctx); !errors.As(err, &report) || len(report.Undone) != 5 {
					t.Errorf("%v", err)
				}
				if obeys && ctx.Err() != nil {
					t.Error("Close waited for its context although the running task obeyed")
				}
				for _, f := range held {
					if _, err := f.GetWithTimeout(0); !errors.Is(err, core.ErrUndone) {
						t.Errorf("%v", err)
					}
				}
				over(t, e)
			})
		}
	}
}
