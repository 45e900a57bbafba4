//go:build goman_points

package core_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/internal/point"
)

// Cancel against a worker's claim: either the task never starts and says so, or it
// runs and its context ends, or it has ended before. Nothing in between. (P-C6, P-F1)
func TestSchedule_CancelAgainstClaim(t *testing.T) {
	explore(t, point.Config{Faults: 0.05}, 3000, func(c *point.Controller) string {
		s := newStage(c, core.WithWorkers(1))
		var starts atomic.Int64
		f, _ := s.plain(context.Background(), counted(&starts))
		made := false
		c.Go("canceller", func() { made = f.Cancel() })
		point.At(point.Actor)
		fate := s.fate(f, nil)
		c.Join()
		return fmt.Sprintf("%s, made %v, %d starts", fate, made, starts.Load())
	},
		"cancelled, unstarted, made true, 0 starts",
		"cancelled, started, made true, 1 starts",
		"ran, made true, 1 starts", // too late to be noticed
		"ran, made false, 1 starts")
}

// Cancel, claim, the queue limit and the resolution, all at once: one verdict, the
// same for all who ask, and a task that starts only if it was neither cancelled nor
// over the limit. (P-F1, P-F2)
func TestSchedule_CancelClaimLimit(t *testing.T) {
	for _, stopper := range []bool{false, true} {
		t.Run(fmt.Sprintf("stopped %v", stopper), func(t *testing.T) {
			explore(t, point.Config{Faults: 0.05, Ticks: 3}, 3000, func(c *point.Controller) string {
				s := newStage(c, core.WithWorkers(1))
				var starts, calls atomic.Int64
				f, _ := s.submit(context.Background(), core.Attributes{QueueLimit: time.Millisecond}, counted(&starts))
				made := false
				c.Go("canceller", func() { made = f.Cancel() })
				c.Go("observer", func() {
					called := make(chan struct{})
					f.OnDone(func(int, error) {
						calls.Add(1)
						close(called)
					})
					<-f.Done()
					point.At(point.Actor)
					<-called
					point.At(point.Actor)
					if !f.IsDone() {
						c.Errorf("Done is closed and the future is not resolved")
					}
				})
				if stopper {
					c.Go("stopper", func() { s.stopBy(false) })
				}
				fate := s.fate(f, nil)
				c.Join()
				if again := s.fate(f, nil); again != fate {
					c.Errorf("first %s, then %s", fate, again)
				}
				if calls.Load() != 1 {
					c.Errorf("the callback was called %d times", calls.Load())
				}
				return fmt.Sprintf("%s, made %v, %d starts", fate, made, starts.Load())
			},
				"cancelled, unstarted, made true, 0 starts",
				"cancelled, started, made true, 1 starts",
				"ran, made true, 1 starts",
				"ran, made false, 1 starts",
				"queue limit, made false, 0 starts")
		})
	}
}

// The run limit against the resolution, and against Cancel: a result that comes
// after the limit says so, and a verdict is never replaced. (P-F1)
func TestSchedule_RunLimitAgainstResolution(t *testing.T) {
	for _, obeys := range []bool{true, false} {
		t.Run(fmt.Sprintf("obeys %v", obeys), func(t *testing.T) {
			table := []string{
				"cancelled, unstarted, made true", "ran, made false", "ran, made true",
				"run limit, late, made false", "run limit, late, made true",
			}
			if obeys {
				table = append(table, "cancelled, started, made true", "run limit, made false", "?run limit, made true")
			}
			explore(t, point.Config{Faults: 0.05, Ticks: 3}, 3000, func(c *point.Controller) string {
				s := newStage(c, core.WithWorkers(1))
				f, _ := s.submit(context.Background(), core.Attributes{RunLimit: time.Millisecond},
					core.Func(func(ctx context.Context) (int, error) {
						point.At(point.Actor)
						var err error
						if obeys {
							err = context.Cause(ctx)
						}
						point.At(point.Actor)
						return 1, err
					}))
				made := false
				c.Go("canceller", func() {
					point.At(point.Actor)
					made = f.Cancel()
				})
				fate := s.fate(f, nil)
				c.Join()
				return fmt.Sprintf("%s, made %v", fate, made)
			}, table...)
		})
	}
}

// Cancel against Shutdown: whoever sees the engine's end sees the task resolved and
// the hooks told. (P-C7)
func TestSchedule_CancelAgainstShutdown(t *testing.T) {
	explore(t, point.Config{Faults: 0.05}, 3000, func(c *point.Controller) string {
		var told atomic.Int64
		s := newStage(c, core.WithWorkers(1), core.WithHooks(core.Hooks{Ended: func(core.EndInfo) { told.Add(1) }}))
		var starts atomic.Int64
		f, _ := s.plain(context.Background(), counted(&starts))
		c.Go("canceller", func() { f.Cancel() })
		c.Go("stopper", func() {
			s.stopBy(false)
			if told.Load() != 1 {
				c.Errorf("Shutdown has returned, and the hooks were told %d times", told.Load())
			}
		})
		c.Join()
		return s.fate(f, nil)
	}, "ran", "cancelled, unstarted", "cancelled, started")
}

// AwaitAny against two resolutions, outside and inside a task: it names one that is
// resolved, and leaves nothing with the other.
func TestSchedule_AwaitAnyAgainstTwo(t *testing.T) {
	for _, inside := range []bool{false, true} {
		t.Run(fmt.Sprintf("inside %v", inside), func(t *testing.T) {
			explore(t, point.Config{Faults: 0.05}, 3000, func(c *point.Controller) string {
				s := newStage(c, core.WithWorkers(2))
				var starts atomic.Int64
				a, _ := s.plain(context.Background(), counted(&starts))
				b, _ := s.plain(context.Background(), counted(&starts))
				which := -1
				any := func(ctx context.Context) (int, error) {
					i, err := core.AwaitAny(ctx, a, b)
					point.At(point.Actor)
					if err != nil || i < 0 || i > 1 || ![]*core.Future[int]{a, b}[i].IsDone() {
						c.Errorf("AwaitAny: %d, %v", i, err)
					}
					which = i
					return i, err
				}
				c.Go("canceller", func() { b.Cancel() })
				if inside {
					f, _ := s.plain(context.Background(), core.Func(any))
					s.fate(f, nil)
				} else {
					_, _ = any(context.Background())
				}
				c.Join()
				s.fate(a, nil)
				s.fate(b, nil)
				return fmt.Sprint(which)
			}, "0", "1")
		})
	}
}

// Hooks that panic, and one that calls Goexit, at each place: the slot is there for
// the next task, and all is resolved. (P-C9)
func TestSchedule_HookPanics(t *testing.T) {
	for _, goexit := range []bool{false, true} {
		t.Run(fmt.Sprintf("goexit %v", goexit), func(t *testing.T) {
			want := "ran"
			if goexit {
				want = "panicked" // the task's goroutine is gone before the task could begin
			}
			explore(t, point.Config{Faults: 0.02}, 1000, func(c *point.Controller) string {
				bad := func() {
					if goexit {
						exit()
					}
					panic("a hook")
				}
				s := newStage(c, core.WithWorkers(1), core.WithHooks(core.Hooks{
					Started: func(core.Job) { bad() },
					Ended:   func(core.EndInfo) { bad() },
				}))
				ran := "ran"
				for _, name := range []string{"a", "b"} {
					c.Go(name, func() {
						f, err := s.plain(context.Background(), value(1))
						if fate := s.fate(f, err); fate != "ran" {
							ran = fate
						}
					})
				}
				c.Join()
				return ran
			}, want)
		})
	}
}

var errWanted = errors.New("wanted")

// A task that asks to be run again, against Cancel and the end of the engine: it is
// run again, or it is told why not, and never runs after that.
func TestSchedule_Again(t *testing.T) {
	for _, stop := range []string{"none", "Shutdown", "Close"} {
		for _, after := range []time.Duration{0, time.Millisecond} {
			t.Run(fmt.Sprint(stop, " ", after), func(t *testing.T) {
				table := []string{
					"cancelled, unstarted, 0 starts", "cancelled, started, 1 starts", "?cancelled, started, 2 starts", "ran, 2 starts",
				}
				if stop != "none" {
					table = append(table, "undone, 1 starts")
				}
				if stop == "Close" {
					table = append(table, "undone, 0 starts")
				}
				explore(t, point.Config{Faults: 0.05, Ticks: 3}, 3000, func(c *point.Controller) string {
					s := newStage(c, core.WithWorkers(1))
					var starts atomic.Int64
					f, _ := s.plain(context.Background(), core.Func(func(ctx context.Context) (int, error) {
						n := starts.Add(1)
						point.At(point.Actor)
						if core.Attempt(ctx) == 0 {
							return 0, core.Again(after, errWanted)
						}
						return int(n), context.Cause(ctx)
					}))
					c.Go("canceller", func() {
						point.At(point.Actor)
						f.Cancel()
					})
					if stop != "none" {
						c.Go("stopper", func() { s.stopBy(stop == "Close") })
					}
					fate := s.fate(f, nil)
					n := starts.Load()
					c.Join()
					if err := s.shutdown(); err != nil || starts.Load() != n {
						c.Errorf("Shutdown: %v; started %d times, and %d before it was resolved", err, starts.Load(), n)
					}
					return fmt.Sprintf("%s, %d starts", fate, n)
				}, table...)
			})
		}
	}
}

// Several who wait for one result, one of whom gives up, against the resolution:
// each is told once, and the same. (P-F2)
func TestSchedule_Waiters(t *testing.T) {
	explore(t, point.Config{Faults: 0.05}, 3000, func(c *point.Controller) string {
		s := newStage(c, core.WithWorkers(1))
		var starts atomic.Int64
		f, _ := s.plain(context.Background(), counted(&starts))
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		for _, name := range []string{"a", "b"} {
			c.Go(name, func() {
				for range 2 { // the second time with a waiter that was used before
					if v, err := f.Await(context.Background()); v != 1 || err != nil {
						c.Errorf("%d, %v", v, err)
					}
					g, err := s.plain(context.Background(), value(2))
					if fate := s.fate(g, err); fate != "ran" || !g.IsDone() {
						c.Errorf("%s; resolved %v", fate, g.IsDone())
					}
				}
			})
		}
		told := ""
		c.Go("impatient", func() {
			_, err := f.Await(ctx)
			point.At(point.Actor)
			told = "answered"
			if err != nil {
				told = "given up"
			}
			if g, err := s.plain(context.Background(), value(3)); err != nil {
				c.Errorf("%v", err)
			} else if v, err := g.Await(context.Background()); v != 3 || err != nil {
				c.Errorf("%d, %v", v, err)
			}
		})
		c.Go("canceller", cancel)
		c.Join()
		return told
	}, "answered", "given up")
}

// A task that waits to be run again when the engine ends, and nobody else helps: it
// is handed back, or has been run again.
func TestSchedule_AgainAgainstStop(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond} {
		for _, forced := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, forced %v", after, forced), func(t *testing.T) {
				table := []string{"ran", "undone"}
				if forced {
					table = append(table, "cancelled, started")
				}
				explore(t, point.Config{Faults: 0.05, Ticks: 3}, 2000, func(c *point.Controller) string {
					s := newStage(c, core.WithWorkers(1))
					f, _ := s.plain(context.Background(), core.Func(func(ctx context.Context) (int, error) {
						point.At(point.Actor)
						if core.Attempt(ctx) == 0 {
							return 0, core.Again(after, errWanted)
						}
						return 1, context.Cause(ctx)
					}))
					c.Go("stopper", func() {
						for range 4 {
							point.At(point.Actor)
						}
						s.stopBy(forced)
					})
					return s.fate(f, nil)
				}, table...)
			})
		}
	}
}

// The run limit of a task against its child, whose context ends with the task's: a
// child that stops because of that was cancelled, and has not failed.
func TestSchedule_LimitAgainstChild(t *testing.T) {
	explore(t, point.Config{Faults: 0.02, Ticks: 3}, 2000, func(c *point.Controller) string {
		s := newStage(c, core.WithWorkers(2))
		obeys := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		children := make(chan *core.Future[int], 1)
		f, _ := s.submit(context.Background(), core.Attributes{RunLimit: time.Millisecond},
			core.Func(func(ctx context.Context) (int, error) {
				child, err := s.plain(ctx, core.Func(obeys))
				children <- child
				if err != nil {
					return 0, nil // its context has ended already
				}
				return obeys(ctx)
			}))
		fate := s.fate(f, nil)
		child := <-children
		if child == nil {
			return fate + ", no child"
		}
		if c := s.fate(child, nil); c != "cancelled, started" && c != "cancelled, unstarted" {
			return fate + ", child " + c
		}
		_, err := child.Get()
		if !errors.Is(err, core.ErrTaskTimeout) {
			s.Errorf("the child does not know why: %v", err)
		}
		return fate
	}, "run limit")
}
