//go:build goman_points

package core_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/internal/point"
)

// laned makes a stage whose tasks of one key run one after another, and lane submits
// one of a key. When the schedule is over, the scheduler was told of the end of each.
func laned(c *point.Controller, workers int) (s *stage, lane func(key string, task core.Task[int]) (*core.Future[int], error)) {
	lanes := audited(c, newLanes())
	c.Cleanup(lanes.balanced)
	s = newStage(c, core.WithWorkers(workers), core.WithScheduler(claimingAuditor{lanes}))
	return s, func(key string, task core.Task[int]) (*core.Future[int], error) {
		return s.submit(context.Background(), core.Attributes{Key: key}, task)
	}
}

// A worker that is to start nothing any more, or is one too many, tells of the end of
// its last task before it sleeps: another worker takes the next of the lane. (P-C5)
func TestSchedule_ToldBeforeTheSleep(t *testing.T) {
	for _, how := range []string{"pause", "resize"} {
		t.Run(how, func(t *testing.T) {
			explore(t, point.Config{Faults: 0.02}, 3000, func(c *point.Controller) string {
				s, lane := laned(c, 2)
				c.Go("changer", func() {
					var err error
					if how == "resize" {
						err = s.engine.Resize(1)
					} else if err = s.engine.Pause(); err == nil {
						point.At(point.Actor)
						err = s.engine.Resume()
					}
					if err != nil {
						c.Errorf("%s: %v", how, err)
					}
				})
				step := core.Func(func(context.Context) (int, error) { point.At(point.Actor); return 1, nil })
				first, err := lane("a", step)
				if err != nil {
					return s.fate(first, err)
				}
				second, err := lane("a", step)
				return s.fate(first, nil) + ", " + s.fate(second, err)
			}, "ran, ran")
		})
	}
}

// A task leaves a goroutine behind in a call that runs another task, which waits for
// the next of the first one's lane: the end of the first is told before the call is
// over, and that of the other after it. (P-C5)
func TestSchedule_ToldBesideACall(t *testing.T) {
	explore(t, point.Config{Faults: 0.02}, 3000, func(c *point.Controller) string {
		s, lane := laned(c, 2)
		began, next := make(chan struct{}), make(chan struct{})
		inPlace := false
		left := make(chan struct{})
		first, err := lane("a", core.Func(func(ctx context.Context) (int, error) {
			child, err := lane("b", core.Func(func(context.Context) (int, error) {
				inPlace = inStack("runNested")
				close(began)
				<-next
				point.At(point.Actor)
				return 1, nil
			}))
			if err != nil {
				return 0, err
			}
			go func() {
				defer close(left)
				point.Enter("left", 0)
				_, _ = child.Await(ctx) // it may be given up, when the task has returned
			}()
			<-began
			point.At(point.Actor)
			return 1, nil
		}))
		if err != nil {
			return s.fate(first, err)
		}
		second, err := lane("a", core.Func(func(context.Context) (int, error) {
			close(next)
			return 2, nil
		}))
		fates := s.fate(first, nil) + ", " + s.fate(second, err)
		<-left
		point.At(point.Actor)
		return fmt.Sprintf("%s, in place %v", fates, inPlace)
	}, "ran, ran, in place true", "ran, ran, in place false")
}

// An end lets two tasks go that wait for each other: one is started by the worker that
// tells of the end, the other by one that is woken for it. (P-C5)
func TestSchedule_ToldAndWoken(t *testing.T) {
	explore(t, point.Config{Faults: 0.02}, 3000, func(c *point.Controller) string {
		s := newStage(c, core.WithWorkers(2), core.WithScheduler(new(releasing)))
		submitted, meet := make(chan struct{}), make(chan struct{})
		opener, err := s.plain(context.Background(), core.Func(func(context.Context) (int, error) {
			<-submitted
			point.At(point.Actor)
			return 1, nil
		}))
		if err != nil {
			return s.fate(opener, err)
		}
		held := core.Attributes{Key: "held"}
		a, err := s.submit(context.Background(), held, core.Func(func(context.Context) (int, error) {
			meet <- struct{}{}
			point.At(point.Actor)
			return 1, nil
		}))
		if err != nil {
			return s.fate(a, err)
		}
		b, err := s.submit(context.Background(), held, core.Func(func(context.Context) (int, error) {
			<-meet
			point.At(point.Actor)
			return 1, nil
		}))
		close(submitted)
		return s.fate(opener, nil) + ", " + s.fate(a, nil) + ", " + s.fate(b, err)
	}, "ran, ran, ran")
}
