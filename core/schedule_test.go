//go:build goman_points

package core_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/internal/point"
)

// schedules returns how many schedules of an exploration are run, where n are enough
// for all outcomes: half as many again, so that all explorations together have 300,000,
// unless GOMAN_SCHEDULES says otherwise (the long tier).
func schedules(n int) int {
	if long, err := strconv.Atoi(os.Getenv("GOMAN_SCHEDULES")); err == nil && long > 0 {
		return long
	}
	switch {
	case testing.Short():
		return n / 20
	case raceEnabled:
		return n / 10
	}
	return n + n/2
}

// allCoverage is what all explorations of this process have come to.
var allCoverage point.Coverage

// explore runs n schedules of body, a race with a table of allowed outcomes: it
// returns what has come out. Anything else fails, and so does a table with an
// outcome that no schedule has: that one was never put to the test. One that begins
// with "?" is rare, and is demanded of a hundred thousand schedules or more.
func explore(t *testing.T, config point.Config, n int, body func(*point.Controller) string, allowed ...string) {
	t.Helper()
	show := os.Getenv("GOMAN_OUTCOMES") == "show" // what comes out, whatever the table says
	counts := make(map[string]int)
	s := point.Check(t, config, schedules(n), func(c *point.Controller) {
		outcome := body(c)
		if counts[outcome]++; !slices.Contains(allowed, outcome) && !slices.Contains(allowed, "?"+outcome) && !show {
			c.Errorf("the outcome %q is not in the table", outcome)
		}
	})
	allCoverage.Add(&s.Coverage)
	for _, outcome := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%6d %q", counts[outcome], outcome)
	}
	few := testing.Short() || raceEnabled || os.Getenv("GOMAN_POINTS_REPLAY") != ""
	for _, outcome := range allowed {
		outcome, rare := strings.CutPrefix(outcome, "?")
		if counts[outcome] == 0 && !few && s.Failed == 0 && (!rare || s.Runs >= 100_000) {
			t.Errorf("in %d schedules %q never came out", s.Runs, outcome)
		}
	}
}

// stage is an engine in a schedule, and what was submitted to it.
type stage struct {
	*point.Controller
	engine *core.Engine

	mu      sync.Mutex
	futures []*core.Future[int]
	over    bool // Shutdown or Close has returned
}

// newStage makes an engine that is ended with the schedule: without a time-out,
// which would hide a Shutdown that nobody wakes.
func newStage(c *point.Controller, options ...core.Option) *stage {
	e, err := core.New(append(options, quietly())...)
	if err != nil {
		c.Fatalf("New: %v", err)
	}
	s := &stage{Controller: c, engine: e}
	c.Cleanup(func() {
		if err := s.shutdown(); err != nil {
			c.Errorf("Shutdown: %v", err)
		}
		endEngine(c, e)
		if stats := e.Stats(); stats.Accepted != stats.Ended() {
			c.Errorf("accepted %d, ended %d", stats.Accepted, stats.Ended())
		}
	})
	return s
}

// scheduled is newStage for who needs the engine alone.
func scheduled(c *point.Controller, options ...core.Option) *core.Engine {
	return newStage(c, options...).engine
}

// submit submits a task. Whoever is let in has a future that is resolved when
// Shutdown or Close returns.
func (s *stage) submit(ctx context.Context, attrs core.Attributes, task core.Task[int]) (*core.Future[int], error) {
	f, err := core.SubmitWith(ctx, s.engine, attrs, task)
	return f, s.keep(f, err)
}

// plain is submit without attributes, so without what they allocate.
func (s *stage) plain(ctx context.Context, task core.Task[int]) (*core.Future[int], error) {
	f, err := core.Submit(ctx, s.engine, task)
	return f, s.keep(f, err)
}

func (s *stage) keep(f *core.Future[int], err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		return err
	case s.over && !f.IsDone():
		s.Errorf("the engine has ended, and a task was accepted and not resolved")
	}
	s.futures = append(s.futures, f)
	return nil
}

// shutdown ends the engine, and close ends it by force. Then all is resolved.
func (s *stage) shutdown() error { return s.ended(s.engine.Shutdown(context.Background())) }

func (s *stage) close() error { return s.ended(s.engine.Close(context.Background())) }

func (s *stage) ended(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for i, f := range s.futures {
		if !f.IsDone() {
			s.Errorf("the engine has ended, and task %d of %d is not resolved", i, len(s.futures))
		}
	}
	if stats := s.engine.Stats(); stats.Queued+stats.Running != 0 {
		s.Errorf("the engine has ended: %+v", stats)
	}
	return err
}

// stopBy is shutdown or close: what it returns has to be what the figures say.
func (s *stage) stopBy(forced bool) {
	if !forced {
		err := s.shutdown()
		var report *core.ShutdownError
		if err != nil && (!errors.As(err, &report) || len(report.Ignoring) > 0 || report.Canceled > 0) {
			s.Errorf("Shutdown: %v", err)
		}
		return
	}
	err := s.close()
	var report *core.ShutdownError
	if undone := s.engine.Stats().Undone; errors.As(err, &report) && uint64(len(report.Undone)) != undone ||
		err == nil && undone != 0 {
		s.Errorf("Close: %v; %d are undone", err, undone)
	}
}

// fate tells in a word what became of a submission and, once it is resolved, its
// task.
func (s *stage) fate(f *core.Future[int], err error) string {
	if err == nil {
		_, err = f.Await(context.Background())
		if err == nil {
			return "ran"
		}
	} else if f != nil {
		s.Errorf("a future and an error: %v", err)
	}
	var refused *core.RefusedError
	var cancelled *core.CancelError
	var timeout *core.TimeoutError
	var deadlock *core.DeadlockError
	switch {
	case errors.As(err, &cancelled) && cancelled.Started:
		return "cancelled, started"
	case errors.As(err, &cancelled):
		return "cancelled, unstarted"
	case errors.As(err, &timeout) && !timeout.Started:
		return "queue limit"
	case errors.As(err, &timeout) && timeout.Late:
		return "run limit, late"
	case errors.As(err, &timeout):
		return "run limit"
	case errors.As(err, &deadlock):
		return "deadlock"
	case errors.Is(err, core.ErrUndone):
		return "undone"
	case errors.Is(err, core.ErrDiscarded):
		return "discarded"
	case errors.Is(err, core.ErrPanicked), errors.Is(err, core.ErrGoexit):
		return "panicked"
	case errors.As(err, &refused) && errors.Is(err, core.ErrClosed):
		return "closed"
	case errors.As(err, &refused) && errors.Is(err, core.ErrQueueFull):
		return "full"
	case errors.As(err, &refused) && errors.Is(err, context.Canceled):
		return "given up"
	}
	return err.Error()
}

// counted is a task that counts its starts, takes a step and returns what its
// context says.
func counted(starts *atomic.Int64) core.Task[int] {
	return core.Func(func(ctx context.Context) (int, error) {
		starts.Add(1)
		point.At(point.Actor)
		return 1, context.Cause(ctx)
	})
}

// inStack reports whether the calling goroutine has a call of a function whose
// name contains text.
func inStack(text string) bool {
	buffer := make([]byte, 1<<14)
	return bytes.Contains(buffer[:runtime.Stack(buffer, false)], []byte(text))
}

// Submission against parking, from the first worker on: every task runs without a
// further event, and the engine comes to its end. (P-C5)
func TestSchedule_SubmitAgainstPark(t *testing.T) {
	for workers := 1; workers <= 2; workers++ {
		for _, faults := range []float64{0, 0.1} {
			explore(t, point.Config{Faults: faults}, 2000, func(c *point.Controller) string {
				e := scheduled(c, core.WithWorkers(workers))
				c.Go("function", func() {
					for range 2 {
						done := make(chan struct{})
						if err := e.Go(func() { close(done) }); err != nil {
							c.Fatalf("Go: %v", err)
						}
						<-done // without end: a hang is found, a time-out would hide it
						point.At(point.Actor)
					}
				})
				c.Go("task", func() {
					for range 2 {
						f := must(c, e, value(1))
						point.At(point.Actor)
						if _, err := f.Await(context.Background()); err != nil {
							c.Errorf("Await: %v", err)
						}
					}
				})
				c.Join()
				return "all ran"
			}, "all ran")
		}
	}
}

// The same seed gives the same schedule of the real engine.
func TestSchedule_RepeatsItself(t *testing.T) {
	body := func(c *point.Controller) {
		e := scheduled(c, core.WithWorkers(2), core.WithQueueCapacity(1))
		for _, name := range []string{"a", "b"} {
			c.Go(name, func() {
				f := must(c, e, tree(e, new(gauge), 2))
				if n, err := f.Await(context.Background()); n != 3 || err != nil {
					c.Errorf("%d, %v", n, err)
				}
			})
		}
	}
	for seed := range uint64(200) {
		config := point.Config{Seed: seed, Faults: 0.1}
		first, second := point.Run(t, config, body), point.Run(t, config, body)
		if first.Failed() {
			t.Fatalf("seed %d fails: %v", seed, first)
		}
		if a, b := point.TraceText(first.Trace), point.TraceText(second.Trace); a != b {
			t.Fatalf("seed %d has two traces:\n%s\n%s", seed, a, b)
		}
	}
}

// The first look at Done against the end of the task: the channel is closed, whoever
// comes first.
func TestSchedule_DoneAgainstEnd(t *testing.T) {
	s := point.Check(t, point.Config{}, schedules(3000), func(c *point.Controller) {
		e := scheduled(c, core.WithWorkers(1))
		given := make(chan context.Context, 1)
		c.Go("asker", func() {
			ctx := <-given
			point.At(point.Actor)
			done := ctx.Done()
			point.At(point.Actor)
			<-done // without end
		})
		must(c, e, core.Func(func(ctx context.Context) (int, error) {
			given <- ctx
			point.At(point.Actor)
			return 1, nil
		}))
		c.Join()
	})
	t.Logf("%v", &s.Coverage)
}

// Everything that can be asked of a future, against the short end of its task.
func TestSchedule_AllObservers(t *testing.T) {
	point.Check(t, point.Config{Faults: 0.05}, schedules(3000), func(c *point.Controller) {
		e := scheduled(c, core.WithWorkers(1))
		base, cancel := context.WithCancel(context.Background())
		defer cancel()
		f, err := core.Submit(base, e, core.Func(func(ctx context.Context) (int, error) {
			point.At(point.Actor)
			return 7, nil
		}))
		if err != nil {
			c.Fatal(err)
		}
		want := func(what string, v int, err error) {
			if v != 7 || err != nil {
				c.Errorf("%s: %d, %v", what, v, err)
			}
		}
		c.Go("await", func() { v, err := f.Await(context.Background()); want("await", v, err) })
		c.Go("any", func() {
			if i, err := core.AwaitAny(context.Background(), f, f); i != 0 || err != nil {
				c.Errorf("any %d %v", i, err)
			}
			v, err := f.Get()
			want("any", v, err)
		})
		called := make(chan struct{})
		c.Go("callback", func() { f.OnDone(func(v int, err error) { want("callback", v, err); close(called) }) })
		c.Go("done", func() { <-f.Done(); v, err := f.Get(); want("done", v, err) })
		c.Go("idle", func() {
			if err := e.WaitIdle(context.Background()); err != nil {
				c.Error(err)
			}
			if s := e.Stats(); s.Succeeded != 1 || s.Running != 0 {
				c.Errorf("%+v", s)
			}
		})
		c.Join()
		<-called
	})
}

// Forced stop against the short end.
func TestSchedule_CloseAgainstEnd(t *testing.T) {
	point.Check(t, point.Config{Faults: 0.05}, schedules(4000), func(c *point.Controller) {
		e, err := core.New(core.WithWorkers(1), core.WithCancelGrace(-1), quietly())
		if err != nil {
			c.Fatal(err)
		}
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		var fs []*core.Future[int]
		for range 2 {
			fs = append(fs, must(c, e, core.Func(func(ctx context.Context) (int, error) {
				g, err := core.Submit(ctx, e, value(3))
				if err != nil {
					return 0, nil
				}
				point.At(point.Actor)
				_, _ = core.AwaitAny(ctx, g)
				return 7, nil
			})))
		}
		c.Go("close", func() {
			err := e.Close(ended)
			var s *core.ShutdownError
			if err != nil && !errors.As(err, &s) {
				c.Error(err)
			}
			if err := e.Stats().Check(); err != nil {
				c.Error(err)
			}
			for i, f := range fs {
				if !f.IsDone() && (s == nil || s.Canceled == 0) {
					c.Errorf("task %d is unresolved after %v", i, err)
				}
			}
		})
		c.Go("stats", func() {
			for range 3 {
				if err := e.Stats().Check(); err != nil {
					c.Error(err)
				}
				point.At(point.Actor)
			}
		})
		c.Join()
		for _, f := range fs {
			<-f.Done()
		}
		_ = e.Shutdown(context.Background())
		// A child that was about to be resolved when the engine gave up waiting is
		// resolved by its worker, which nobody waits for any more.
		for e.Stats().Running > 0 {
			point.Yield(point.Actor)
		}
		s := e.Stats()
		if err := s.Check(); err != nil || s.Running+s.Queued != 0 || s.Ended() != s.Accepted {
			c.Errorf("%v %+v", err, s)
		}
	})
}

// The cancel of a task reaches the child of a child that returns at the moment.
func TestSchedule_CancelThroughReturned(t *testing.T) {
	point.Check(t, point.Config{}, schedules(3000), func(c *point.Controller) {
		e := scheduled(c, core.WithWorkers(3))
		leaf := make(chan *core.Future[int], 1)
		top := must(c, e, core.Func(func(ctx context.Context) (int, error) {
			mid, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
				f, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
					point.At(point.Actor)
					<-ctx.Done() // by the cancel of top alone
					return 0, ctx.Err()
				}))
				leaf <- f
				return 0, err
			}))
			if err != nil {
				return 0, err
			}
			_ = mid
			<-ctx.Done()
			return 0, ctx.Err()
		}))
		l := <-leaf
		c.Go("cancel", func() { point.At(point.Actor); top.Cancel() })
		c.Go("leaf", func() {
			if _, err := l.Await(context.Background()); !errors.Is(err, context.Canceled) {
				c.Error(err)
			}
		})
		c.Join()
	})
}
