//go:build goman_points

package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/internal/point"
)

func exit() { runtime.Goexit() }

// A task waits inside for a child, and the engine ends: the child runs or is handed
// back, the parent is told, and nobody waits for ever. A derived context makes the
// parent hand its slot over, its own may let it run the child itself.
func TestSchedule_HandOverAgainstStop(t *testing.T) {
	for _, workers := range []int{1, 2} {
		for _, derived := range []bool{false, true} {
			for _, stop := range []string{"Shutdown", "Shutdown, children let in", "Close"} {
				t.Run(fmt.Sprintf("%d workers, derived %v, %s", workers, derived, stop), func(t *testing.T) {
					table := []string{"ran - ran"}
					switch {
					case stop == "Shutdown":
						table = append(table, "ran - closed")
					case stop == "Close" && derived:
						table = append(table, "ran - closed", "ran - undone", "undone - not asked for", "ran - given up",
							"?ran - cancelled, started")
					case stop == "Close":
						table = append(table, "ran - closed", "ran - undone", "undone - not asked for", "ran - cancelled, started",
							"?ran - given up")
					}
					explore(t, point.Config{Faults: 0.02}, 2500, func(c *point.Controller) string {
						config := core.Config{Workers: workers, AcceptChildren: stop == "Shutdown, children let in"}
						s := newStage(c, core.WithConfig(config))
						var starts atomic.Int64
						child := "not asked for"
						parent, _ := s.plain(context.Background(), core.Func(func(ctx context.Context) (int, error) {
							f, err := s.plain(ctx, counted(&starts))
							if err != nil {
								child = "closed"
								return 0, nil
							}
							if derived {
								var cancel context.CancelFunc
								ctx, cancel = context.WithCancel(ctx)
								defer cancel()
							}
							_, err = f.Await(ctx)
							var gaveUp *core.WaitError
							switch {
							case err == nil:
								child = "ran"
							case errors.As(err, &gaveUp):
								child = "given up"
							default:
								child = s.fate(f, nil)
							}
							return 1, nil
						}))
						c.Go("stopper", func() { s.stopBy(stop == "Close") })
						c.Join()
						return s.fate(parent, nil) + " - " + child
					}, table...)
				})
			}
		}
	}
}

// The waiter's claim against a worker's: the child runs once, on its waiter's
// goroutine or elsewhere, and both slots go on. (P-C2, P-C12)
func TestSchedule_WaiterAgainstWorker(t *testing.T) {
	explore(t, point.Config{Faults: 0.05}, 4000, func(c *point.Controller) string {
		s := newStage(c, core.WithWorkers(2))
		var starts atomic.Int64
		here := ""
		parent, _ := s.plain(context.Background(), core.Func(func(ctx context.Context) (int, error) {
			f, err := s.plain(ctx, core.Func(func(context.Context) (int, error) {
				starts.Add(1)
				if here = "elsewhere"; inStack("runAwaited") {
					here = "here"
				}
				point.At(point.Actor)
				return 7, nil
			}))
			if err != nil {
				return 0, err
			}
			point.At(point.Actor)
			return f.Await(ctx)
		}))
		c.Go("other", func() {
			f, err := s.plain(context.Background(), value(1))
			s.fate(f, err)
		})
		if v, err := parent.Await(context.Background()); v != 7 || err != nil {
			c.Errorf("%d, %v", v, err)
		}
		c.Join()
		return fmt.Sprintf("%s, %d", here, starts.Load())
	}, "here, 1", "elsewhere, 1")
}

// Rings of two and of three tasks that wait for each other: exactly one is refused,
// and the others go on.
func TestSchedule_Rings(t *testing.T) {
	for _, n := range []int{2, 3} {
		for _, workers := range []int{1, 2, 3} {
			t.Run(fmt.Sprintf("%d tasks, %d workers", n, workers), func(t *testing.T) {
				table := []string{"0", "1", "2"}[:n]
				if workers == 1 {
					table = table[n-1:] // each runs the next itself
				}
				explore(t, point.Config{Faults: 0.02}, 1500, func(c *point.Controller) string {
					s := newStage(c, core.WithWorkers(workers))
					if err := s.engine.Pause(); err != nil {
						c.Fatalf("Pause: %v", err)
					}
					refused := make(chan int, n)
					ring := make([]*core.Future[int], n)
					for i := range n {
						ring[i], _ = s.plain(context.Background(), core.Func(func(ctx context.Context) (int, error) {
							point.At(point.Actor)
							_, err := ring[(i+1)%n].Await(ctx)
							var deadlock *core.DeadlockError
							if errors.As(err, &deadlock) {
								refused <- i
								if len(deadlock.Tasks) != n {
									c.Errorf("the ring has %d tasks, and is said to have %v", n, deadlock.Tasks)
								}
								return 0, nil
							}
							return 1, err
						}))
					}
					if err := s.engine.Resume(); err != nil {
						c.Fatalf("Resume: %v", err)
					}
					for i, f := range ring {
						if fate := s.fate(f, nil); fate != "ran" {
							c.Errorf("task %d: %s", i, fate)
						}
					}
					if len(refused) != 1 {
						c.Fatalf("%d were refused", len(refused))
					}
					return fmt.Sprint(<-refused)
				}, table...)
			})
		}
	}
}

// A task that is run again and comes to stand in its lane behind one that waits for
// it: the waiter is refused, whenever it begins to wait.
func TestSchedule_RingByRunningAgain(t *testing.T) {
	explore(t, point.Config{Faults: 0.02}, 2000, func(c *point.Controller) string {
		s := newStage(c, core.WithWorkers(2), core.WithScheduler(claimingAuditor{audited(c, newLanes())}))
		lane := core.Attributes{Key: "lane"}
		again, _ := s.submit(context.Background(), lane, core.Func(func(ctx context.Context) (int, error) {
			if core.Attempt(ctx) == 0 {
				return 0, core.Again(0, nil)
			}
			return 1, nil
		}))
		waiter, _ := s.submit(context.Background(), lane, core.Func(again.Await))
		return s.fate(waiter, nil) + ", " + s.fate(again, nil)
	},
		"deadlock, ran",
		"ran, ran") // it had run twice by then
}

// Own goroutines of a task that use its context at the same time as the task does:
// the slot is used by one at a time, and each gets its answer.
func TestSchedule_OwnGoroutines(t *testing.T) {
	for _, workers := range []int{1, 2} {
		for _, leaves := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d workers, leaves %v", workers, leaves), func(t *testing.T) {
				table := []string{"ran, 3 answered"}
				if leaves {
					table = append(table, "ran, 2 answered", "ran, 1 answered")
				}
				explore(t, point.Config{Faults: 0.02}, 2000, func(c *point.Controller) string {
					s := newStage(c, core.WithWorkers(workers))
					var group sync.WaitGroup
					var fates [3]string
					ask := func(ctx context.Context, i int) {
						f, err := s.plain(ctx, value(1))
						if err == nil {
							_, err = f.Await(ctx)
						}
						point.At(point.Actor)
						fates[i] = "answered"
						if err != nil {
							fates[i] = "given up" // the task's context ends when it returns
						}
					}
					parent, _ := s.plain(context.Background(), core.Func(func(ctx context.Context) (int, error) {
						for i := range 2 {
							group.Go(func() {
								point.Enter("side", i)
								ask(ctx, i)
							})
						}
						ask(ctx, 2)
						if !leaves {
							group.Wait()
							point.At(point.Actor)
						}
						return 1, nil
					}))
					fate := s.fate(parent, nil)
					group.Wait()
					point.At(point.Actor)
					n := 0
					for _, fate := range fates {
						if fate == "answered" {
							n++
						}
					}
					return fmt.Sprintf("%s, %d answered", fate, n)
				}, table...)
			})
		}
	}
}

// Submitters that wait for room, one of them with a context that ends, against
// children that live on the credit of their parent's slot: a unit that comes free
// goes to who waits. (P-C5)
func TestSchedule_RoomAgainstCredit(t *testing.T) {
	for _, capacity := range []int{1, 4} {
		t.Run(fmt.Sprint(capacity), func(t *testing.T) {
			explore(t, point.Config{Faults: 0.02}, 2000, func(c *point.Controller) string {
				s := newStage(c, core.WithWorkers(1), core.WithQueueCapacity(capacity))
				children := func(ctx context.Context) (int, error) {
					var last *core.Future[int]
					for range 2 {
						f, err := s.plain(ctx, value(1))
						if err != nil {
							return 0, err
						}
						last = f
					}
					return last.Await(ctx)
				}
				ctx, cancel := context.WithCancel(context.Background())
				fates := make(map[string]string)
				var mu sync.Mutex
				for name, ctx := range map[string]context.Context{"a": context.Background(), "b": ctx} {
					c.Go(name, func() {
						for range 2 {
							f, err := s.plain(ctx, core.Func(children))
							fate := s.fate(f, err)
							mu.Lock()
							fates[name] = fate
							mu.Unlock()
						}
					})
				}
				c.Go("canceller", cancel)
				c.Join()
				cancel()
				return fates["a"] + " - " + fates["b"]
			}, "ran - ran", "ran - given up", "ran - cancelled, started", "ran - cancelled, unstarted")
		})
	}
}

// A task that gets its slot back against new work for the only slot: it goes on.
func TestSchedule_Resumers(t *testing.T) {
	explore(t, point.Config{Faults: 0.02}, 3000, func(c *point.Controller) string {
		s := newStage(c, core.WithWorkers(1))
		parent, _ := s.plain(context.Background(), handsOver(s))
		for _, name := range []string{"a", "b"} {
			c.Go(name, func() {
				for range 2 {
					if err := s.engine.Go(func() {}); err != nil {
						c.Errorf("Go: %v", err)
					}
					point.At(point.Actor)
				}
			})
		}
		return s.fate(parent, nil)
	}, "ran")
}

// handsOver is a task that gives its slot away while it waits for a child.
func handsOver(s *stage) core.Task[int] {
	return core.Func(func(ctx context.Context) (int, error) {
		child, err := s.plain(ctx, value(1))
		if err != nil {
			return 0, err
		}
		derived, cancel := context.WithCancel(ctx)
		defer cancel()
		return child.Await(derived)
	})
}

// A task that wants its slot back, which another holds that waits for the first and
// does not say so: only Close can help, and does.
func TestSchedule_ResumersAgainstClose(t *testing.T) {
	explore(t, point.Config{Faults: 0.02}, 3000, func(c *point.Controller) string {
		s := newStage(c, core.WithWorkers(1))
		parent, _ := s.plain(context.Background(), handsOver(s))
		holder, err := s.plain(context.Background(), core.Func(func(context.Context) (int, error) {
			n, err := parent.Get()
			point.At(point.Actor)
			return n, err
		}))
		c.Go("stopper", func() {
			for range 20 {
				point.At(point.Actor)
			}
			s.stopBy(true)
		})
		c.Join()
		return s.fate(parent, nil) + " - " + s.fate(holder, err)
	}, "ran - ran", "ran - undone", "undone - undone", "cancelled, started - undone", "?closed - closed", "closed - undone")
}
