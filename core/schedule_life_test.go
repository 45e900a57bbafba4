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

// said tells whether a call was obeyed or came too late.
func said(c *point.Controller, err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, core.ErrClosed):
		return "closed"
	}
	c.Errorf("%v", err)
	return "failed"
}

// Resize against submission, against waits inside and against Shutdown: no more
// bodies execute than the larger number allows, nobody is left without a slot.
// (P-C10)
func TestSchedule_Resize(t *testing.T) {
	for _, stops := range []bool{false, true} {
		t.Run(fmt.Sprintf("stopped %v", stops), func(t *testing.T) {
			table := []string{"ok ok ran"}
			if stops {
				table = append(table, "ok ok closed", "ok closed closed", "ok closed ran", "closed closed closed", "closed closed ran")
			}
			explore(t, point.Config{Faults: 0.02}, 2500, func(c *point.Controller) string {
				s := newStage(c, core.WithWorkers(2), core.WithQueueCapacity(2))
				var g gauge
				sizes, trees := "", ""
				c.Go("resizer", func() {
					for _, n := range []int{1, 2} {
						sizes += said(c, s.engine.Resize(n)) + " "
						point.At(point.Actor)
					}
				})
				c.Go("trees", func() {
					f, err := s.plain(context.Background(), tree(s.engine, &g, 2))
					trees = s.fate(f, err)
				})
				c.Go("single", func() {
					f, err := s.plain(context.Background(), value(1))
					s.fate(f, err)
				})
				if stops {
					c.Go("stopper", func() { s.stopBy(false) })
				}
				c.Join()
				g.check(c, 2)
				return sizes + trees
			}, table...)
		})
	}
}

// Pause and Resume against submission, a wait inside and Shutdown: nothing starts
// between them, unless Shutdown resumes, and nothing is left behind. (P-C13)
func TestSchedule_Pause(t *testing.T) {
	for _, stops := range []bool{false, true} {
		t.Run(fmt.Sprintf("stopped %v", stops), func(t *testing.T) {
			table := []string{"ok - ran"}
			if stops {
				table = []string{"closed - closed", "closed - ran", "ok - closed", "ok - ran", "shutdown resumed"}
			}
			explore(t, point.Config{Faults: 0.02}, 2500, func(c *point.Controller) string {
				s := newStage(c, core.WithWorkers(2))
				began := func() uint64 { return started(s.engine) }
				pause := ""
				c.Go("pauser", func() {
					err := s.engine.Pause()
					if pause = said(c, err); err != nil {
						return
					}
					before := began()
					for range 8 {
						point.At(point.Actor)
						after, resumed := began(), s.engine.IsShutdown()
						if after != before && !resumed {
							c.Errorf("%d tasks started while the engine was paused", after-before)
						}
						if after != before {
							pause = "shutdown resumed"
						}
					}
					said(c, s.engine.Resume()) // obeyed, or the engine has ended
				})
				fate := ""
				c.Go("submitter", func() {
					f, err := s.plain(context.Background(), core.Func(func(ctx context.Context) (int, error) {
						child, err := s.plain(ctx, value(2))
						if err != nil {
							return 0, err
						}
						return child.Await(ctx)
					}))
					fate = s.fate(f, err)
				})
				if stops {
					c.Go("stopper", func() { s.stopBy(false) })
				}
				c.Join()
				if pause == "shutdown resumed" {
					return pause
				}
				return pause + " - " + fate
			}, table...)
		})
	}
}

// WaitIdle against submission and Cancel: it returns, and what was accepted before
// it was called has ended by then.
func TestSchedule_WaitIdle(t *testing.T) {
	explore(t, point.Config{Faults: 0.05}, 3000, func(c *point.Controller) string {
		var told atomic.Int64
		s := newStage(c, core.WithWorkers(2), core.WithHooks(core.Hooks{Ended: func(core.EndInfo) { told.Add(1) }}))
		f, _ := s.plain(context.Background(), counted(new(atomic.Int64)))
		c.Go("canceller", func() { f.Cancel() })
		c.Go("other", func() {
			f, err := s.plain(context.Background(), value(2))
			s.fate(f, err)
		})
		for range 2 {
			if err := s.engine.WaitIdle(context.Background()); err != nil || !f.IsDone() || told.Load() == 0 {
				c.Errorf("WaitIdle: %v; resolved %v; %d told", err, f.IsDone(), told.Load())
			}
			point.At(point.Actor)
		}
		c.Join()
		return s.fate(f, nil)
	}, "ran", "cancelled, unstarted", "cancelled, started")
}

// Idle goroutines end while others submit.
func TestSchedule_IdleTimeout(t *testing.T) {
	explore(t, point.Config{Faults: 0.02, Ticks: 4}, 2000, func(c *point.Controller) string {
		var ends atomic.Int64
		s := newStage(c, core.WithWorkers(2), core.WithIdleTimeout(time.Millisecond, 0),
			core.WithHooks(core.Hooks{Worker: func(_ int, started bool) {
				if !started {
					ends.Add(1)
				}
			}}))
		for _, name := range []string{"a", "b"} {
			c.Go(name, func() {
				for range 2 {
					f, err := s.plain(context.Background(), value(1))
					if fate := s.fate(f, err); fate != "ran" {
						c.Errorf("%s", fate)
					}
					point.At(point.Actor)
				}
			})
		}
		c.Join()
		if ends.Load() > 0 {
			return "some ended"
		}
		return "none ended"
	}, "some ended", "none ended")
}

// Waits outside that have proved to be short run the task in an idle slot: against
// a worker's claim, Cancel and Shutdown.
func TestSchedule_Borrow(t *testing.T) {
	explore(t, point.Config{Faults: 0.02}, 1000, func(c *point.Controller) string {
		s := newStage(c, core.WithWorkers(2))
		for range 16 {
			f, err := s.plain(context.Background(), value(1))
			if fate := s.fate(f, err); fate != "ran" {
				c.Errorf("%s", fate)
			}
		}
		c.Go("stopper", func() { s.stopBy(false) })
		c.Go("other", func() {
			done := make(chan struct{})
			if err := s.engine.Go(func() { close(done) }); err == nil {
				<-done
				point.At(point.Actor)
			}
		})
		here := "elsewhere"
		f, err := s.plain(context.Background(), core.Func(func(context.Context) (int, error) {
			if inStack("runBorrowed") {
				here = "here"
			}
			return 1, nil
		}))
		if fate := s.fate(f, err); fate != "ran" {
			here = fate
		}
		c.Join()
		return here
	}, "here", "elsewhere", "closed")
}

// A snapshot at any moment adds up, and so do two in a row. (P-C1)
func TestSchedule_Stats(t *testing.T) {
	explore(t, point.Config{Faults: 0.05}, 3000, func(c *point.Controller) string {
		s := newStage(c, core.WithWorkers(2))
		c.Go("sampler", func() {
			var before core.Stats
			for range 6 {
				now := s.engine.Stats()
				if err := now.Check(); err != nil {
					c.Errorf("%v", err)
				}
				if now.Accepted < before.Accepted || now.Ended() < before.Ended() {
					c.Errorf("first %+v, then %+v", before, now)
				}
				before = now
				point.At(point.Actor)
			}
		})
		failing, _ := s.plain(context.Background(), core.Func(func(context.Context) (int, error) { return 0, errWanted }))
		c.Go("canceller", func() { failing.Cancel() })
		f, err := s.plain(context.Background(), tree(s.engine, new(gauge), 2))
		if fate := s.fate(f, err); fate != "ran" {
			c.Errorf("%s", fate)
		}
		c.Join()
		return s.fate(failing, nil)
	}, "wanted", "cancelled, unstarted")
}

// A forced stop that waits for nobody, against tasks that start, return, fail with the
// wish to be run again, or are plain functions: what it hands back is in its report,
// what it gives up too, each end is told once, and all is counted.
func TestSchedule_StopWithoutGrace(t *testing.T) {
	for _, kind := range []string{"task", "again", "function"} {
		t.Run(kind, func(t *testing.T) {
			table := []string{"ran", "1 undone", "1 ignoring"}
			if kind == "again" {
				table = append(table, "cancelled")
			}
			explore(t, point.Config{Faults: 0.02}, 2000, func(c *point.Controller) string {
				var told atomic.Int64
				s := newStage(c, core.WithWorkers(1), core.WithCancelGrace(-1),
					core.WithHooks(core.Hooks{Ended: func(core.EndInfo) { told.Add(1) }}))
				task := core.Func(func(ctx context.Context) (int, error) {
					point.At(point.Actor)
					if kind == "again" && core.Attempt(ctx) == 0 {
						return 0, core.Again(0, nil)
					}
					return 1, nil
				})
				if kind == "function" {
					if err := s.engine.Go(func() { point.At(point.Actor) }); err != nil {
						c.Fatalf("Go: %v", err)
					}
				} else {
					s.plain(context.Background(), task)
				}
				report, _ := errors.AsType[*core.ShutdownError](s.engine.Shutdown(ended()))
				stats := s.engine.Stats()
				for stats.Goroutines > 0 { // those that were given up return
					point.Yield(point.Actor)
					stats = s.engine.Stats()
				}
				if n := told.Load(); n != 1 {
					c.Errorf("its end was told %d times; %+v", n, stats)
				}
				if report == nil {
					report = new(core.ShutdownError)
				}
				undone, ignoring := len(report.Undone), len(report.Ignoring)
				if uint64(undone) != stats.Undone || uint64(ignoring) != stats.Abandoned {
					c.Errorf("the report has %d undone, %d ignoring; %+v", undone, ignoring, stats)
				}
				switch {
				case undone > 0:
					return fmt.Sprint(undone, " undone")
				case ignoring > 0:
					return fmt.Sprint(ignoring, " ignoring")
				case stats.Canceled > 0:
					return "cancelled"
				}
				return "ran"
			}, table...)
		})
	}
}
