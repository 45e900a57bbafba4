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
	"github.com/uptutu/goman/core/flow"
	"github.com/uptutu/goman/core/internal/point"
)

// The parts of a division, by their names; a test writes what each does.
type parts map[string]func(b *flow.Branch[string, int]) (int, error)

func (p parts) divide(e *core.Engine) (int, error) {
	return flow.Divide(context.Background(), e, "root", func(b *flow.Branch[string, int], name string) (int, error) {
		point.At(point.Actor)
		return p[name](b)
	})
}

// Both and Each of parts, by name.
func both(x, y string) func(*flow.Branch[string, int]) (int, error) {
	return func(b *flow.Branch[string, int]) (int, error) {
		m, n, err := b.Both(x, y)
		return m + n, err
	}
}

func each(names ...string) func(*flow.Branch[string, int]) (int, error) {
	return func(b *flow.Branch[string, int]) (sum int, err error) {
		list, err := b.Each(names...)
		for _, n := range list {
			sum += n
		}
		return sum, err
	}
}

// Parts that are taken, taken back and dropped: each is called once, or not at all.
func TestSchedule_DivideTakes(t *testing.T) {
	for workers := 2; workers <= 3; workers++ {
		for _, faults := range []float64{0, 0.1} {
			explore(t, point.Config{Faults: faults}, 3000, func(c *point.Controller) string {
				e := scheduled(c, core.WithWorkers(workers))
				var calls [6]atomic.Int64
				leaf := func(i int) func(*flow.Branch[string, int]) (int, error) {
					return func(*flow.Branch[string, int]) (int, error) {
						point.At(point.Actor)
						return int(calls[i].Add(1)) << (4 * i), nil
					}
				}
				got, err := parts{
					"root": both("x", "y"),
					"x":    both("0", "1"),
					"y":    each("2", "3", "z"),
					"z":    both("4", "5"),
					"0":    leaf(0), "1": leaf(1), "2": leaf(2), "3": leaf(3), "4": leaf(4), "5": leaf(5),
				}.divide(e)
				return fmt.Sprintf("%x, %v", got, err)
			}, "111111, <nil>")
		}
	}
}

// A helper that leaves its seat, or an owner that falls asleep, against parts that need
// them all.
func TestSchedule_DivideMeets(t *testing.T) {
	for workers := 2; workers <= 3; workers++ {
		explore(t, point.Config{}, 3000, func(c *point.Controller) string {
			e := scheduled(c, core.WithWorkers(workers))
			var meeting sync.WaitGroup
			meet := func(*flow.Branch[string, int]) (int, error) { meeting.Done(); meeting.Wait(); return 1, nil }
			began := make(chan struct{})
			got, err := parts{
				"root": func(b *flow.Branch[string, int]) (int, error) {
					meeting.Add(workers)
					m, err := each([]string{"meet", "meet", "meet"}[:workers]...)(b)
					if err != nil {
						return 0, err
					}
					for range 4 {
						point.At(point.Actor)
					}
					meeting.Add(2)
					n, err := both("x", "y")(b)
					return m + n, err
				},
				"meet": meet,
				"x":    func(*flow.Branch[string, int]) (int, error) { <-began; return 0, nil },
				"y": func(b *flow.Branch[string, int]) (int, error) { // elsewhere
					close(began)
					for range 4 {
						point.At(point.Actor)
					}
					return both("meet", "meet")(b)
				},
			}.divide(e)
			return fmt.Sprintf("%d, %v", got-workers, err)
		}, "2, <nil>")
	}
}

// Parts that end badly at each place: Divide returns last, and tells.
func TestSchedule_DivideFaults(t *testing.T) {
	faults := map[string]func(){"panicked": func() { panic("part") }, "exited": runtime.Goexit}
	for name, fault := range faults {
		explore(t, point.Config{}, 1500, func(c *point.Controller) string {
			e := scheduled(c, core.WithWorkers(2))
			var under atomic.Int64
			works := func(fn func(*flow.Branch[string, int]) (int, error)) func(*flow.Branch[string, int]) (int, error) {
				return func(b *flow.Branch[string, int]) (int, error) {
					under.Add(1)
					defer under.Add(-1)
					point.At(point.Actor)
					return fn(b)
				}
			}
			leaf := works(func(*flow.Branch[string, int]) (int, error) { return 1, nil })
			_, err := parts{
				"root": both("x", "y"),
				"x":    works(both("leaf", "leaf")),
				"y": works(func(b *flow.Branch[string, int]) (n int, err error) {
					defer func() { _ = recover() }()
					return both("yx", "yy")(b)
				}),
				"yx":   works(func(*flow.Branch[string, int]) (int, error) { panic("recovered by y") }),
				"yy":   works(both("leaf", "bad")),
				"bad":  works(func(*flow.Branch[string, int]) (int, error) { fault(); return 0, nil }),
				"leaf": leaf,
			}.divide(e)
			if n := under.Load(); n != 0 {
				c.Errorf("%d calls are under way", n)
			}
			switch {
			case errors.Is(err, core.ErrGoexit):
				return "exited"
			case errors.Is(err, core.ErrPanicked):
				return "panicked"
			case err == nil:
				return "bad was dropped"
			}
			return err.Error()
		}, name, "bad was dropped")
	}
}

// A division against the end of its engine, and of its context.
func TestSchedule_DivideAgainstEnd(t *testing.T) {
	for _, way := range []string{"shutdown", "cancel"} {
		explore(t, point.Config{}, 1500, func(c *point.Controller) string {
			s := newStage(c, core.WithWorkers(2))
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			c.Go("end", func() {
				if way == "cancel" {
					cancel()
				} else if err := s.shutdown(); err != nil {
					c.Errorf("Shutdown: %v", err)
				}
			})
			var under, calls atomic.Int64
			got, err := flow.Divide(ctx, s.engine, 3, func(b *flow.Branch[int, int], n int) (int, error) {
				under.Add(1)
				defer under.Add(-1)
				calls.Add(1)
				point.At(point.Actor)
				if n == 0 {
					return 1, nil
				}
				x, y, err := b.Both(n-1, 0)
				return x + y, err
			})
			if n := under.Load(); n != 0 {
				c.Errorf("%d calls are under way", n)
			}
			c.Join()
			switch {
			case err == nil && got == 4:
				return "ran"
			case errors.Is(err, core.ErrClosed) && calls.Load() == 0:
				return "closed"
			case errors.Is(err, context.Canceled) && calls.Load() == 0:
				return "cancelled"
			}
			return fmt.Sprintf("%d, %v", got, err)
		}, map[string][]string{"shutdown": {"ran", "closed"}, "cancel": {"ran", "cancelled"}}[way]...)
	}
}
