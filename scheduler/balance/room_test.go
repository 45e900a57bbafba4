package balance

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

// fullGroup makes a group of n engines a, b, … whose only worker is busy and whose queue,
// of one place, is full. release lets the worker of one go on.
func fullGroup(t *testing.T, balancer Balancer, n int) (g *Group, release []func()) {
	var engines []*core.Engine
	for i := range n {
		e := engineFor(t, core.WithName(string(rune('a'+i))), core.WithWorkers(1), core.WithQueueCapacity(1))
		release = append(release, occupy(t, e))
		fill(t, e)
		engines = append(engines, e)
	}
	return groupOf(t, balancer, engines...), release
}

// A submission waits for room in any engine: what the first that starts a task gives.
func TestRoom_AnyEngine(t *testing.T) {
	for _, balancer := range allBalancers() {
		for which := range 3 {
			synctest.Test(t, func(t *testing.T) {
				g, release := fullGroup(t, balancer, 3)
				accepted := make(chan error, 1)
				go func() {
					f, err := Submit(t.Context(), g, answer(1))
					if err == nil {
						_, err = f.Await(t.Context())
					}
					accepted <- err
				}()
				synctest.Wait()
				time.Sleep(time.Hour) // nobody looks again by itself, and nobody gives up
				synctest.Wait()
				if s := g.Stats(); s.Waiting != 1 || len(accepted) != 0 {
					t.Fatalf("%d wait, %d are accepted", s.Waiting, len(accepted))
				}
				release[which]()
				synctest.Wait()
				if s := g.Stats(); s.Waiting != 0 || len(accepted) != 1 || s.Engines[which].Succeeded != 3 {
					t.Fatalf("%v: %d wait, %d are accepted, %+v", balancer, s.Waiting, len(accepted), s.Engines[which])
				}
				if err := <-accepted; err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// Whatever makes room wakes who waits.
func TestRoom_WhatMakesRoom(t *testing.T) {
	type scene struct {
		g        *Group
		engines  []*core.Engine
		canceled []*core.Future[int]
	}
	for name, room := range map[string]func(t *testing.T, s scene){
		"a queued task is cancelled": func(t *testing.T, s scene) { s.canceled[1].Cancel() },
		"a larger queue": func(t *testing.T, s scene) {
			if err := s.engines[1].SetQueueCapacity(2); err != nil {
				t.Error(err)
			}
		},
		"an engine joins": func(t *testing.T, s scene) {
			if err := s.g.Join(engineFor(t)); err != nil {
				t.Error(err)
			}
		},
		"a queue limit passes": func(t *testing.T, s scene) { time.Sleep(time.Minute) },
		"a paused engine with room resumes": func(t *testing.T, s scene) {
			if err := s.engines[2].Resume(); err != nil {
				t.Error(err)
			}
		},
		"all others are paused, and a paused one has room": func(t *testing.T, s scene) {
			for _, e := range s.engines[:2] {
				if err := e.Pause(); err != nil {
					t.Error(err)
				}
			}
		},
		"all others leave, and a paused one has room": func(t *testing.T, s scene) {
			for _, e := range s.engines[:2] {
				if err := s.g.Leave(e); err != nil {
					t.Error(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s scene
				for range 2 {
					e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1))
					occupy(t, e)
					f, err := core.SubmitWith(t.Context(), e, core.Attributes{QueueLimit: time.Minute}, answer(1))
					if err != nil {
						t.Fatal(err)
					}
					s.engines, s.canceled = append(s.engines, e), append(s.canceled, f)
				}
				s.engines = append(s.engines, engineFor(t))
				if err := s.engines[2].Pause(); err != nil {
					t.Fatal(err)
				}
				s.g = groupOf(t, RoundRobin(), s.engines...)
				accepted := make(chan error, 1)
				go func() { accepted <- s.g.Go(func() {}) }()
				synctest.Wait()
				if len(accepted) != 0 {
					t.Fatal(<-accepted)
				}
				room(t, s)
				synctest.Wait()
				if len(accepted) != 1 {
					t.Fatal("who waits was not woken")
				}
				if err := <-accepted; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Those who wait are served in the order in which they came; who comes later and does not
// wait is refused meanwhile.
func TestRoom_Order(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, release := fullGroup(t, LeastLoaded(), 2)
		var mu sync.Mutex
		var order []int
		const n = 10
		for i := range n {
			go func() {
				if err := g.GoContext(t.Context(), func() { mu.Lock(); order = append(order, i); mu.Unlock() }); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		if s := g.Stats(); s.Waiting != n {
			t.Fatalf("%d of %d wait", s.Waiting, n)
		}
		if err := g.TryGo(func() {}); !errors.Is(err, core.ErrQueueFull) {
			t.Error(err)
		}
		if _, err := SubmitWith(t.Context(), g, core.Attributes{Reject: core.RejectFail}, answer(1)); !errors.Is(err, core.ErrQueueFull) {
			t.Error(err)
		}
		release[0]()
		synctest.Wait()
		if want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(order, want) {
			t.Error(cmp.Diff(want, order))
		}
	})
}

// The end of the context ends the wait, with its cause; the others wait on.
func TestRoom_ContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, release := fullGroup(t, RoundRobin(), 2)
		reason := errors.New("reason")
		ctx, cancel := context.WithCancelCause(t.Context())
		timeout, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		errs := make(chan error, 3)
		go func() { _, err := Submit(ctx, g, answer(1)); errs <- err }()
		synctest.Wait()
		start := time.Now()
		go func() { _, err := Submit(timeout, g, answer(1)); errs <- err }()
		go func() { _, err := Run(t.Context(), g, answer(1)); errs <- err }()
		synctest.Wait()
		cancel(reason)
		synctest.Wait()
		err := <-errs
		if _, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, reason) || !errors.Is(err, context.Canceled) || errors.Is(err, core.ErrQueueFull) {
			t.Error(err)
		}
		if err := <-errs; !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Error(err, time.Since(start))
		}
		release[1]()
		if err := <-errs; err != nil {
			t.Error(err)
		}
		if s := g.Stats(); s.Refused != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// Those who wait are refused once no engine can make room any more.
func TestRoom_NoRoomAnyMore(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(t *testing.T, g *Group)
		want error
	}{
		"all leave": {func(t *testing.T, g *Group) {
			for _, e := range g.Engines() {
				if err := g.Leave(e); err != nil {
					t.Error(err)
				}
			}
		}, ErrNoEngine},
		"shutdown": {func(t *testing.T, g *Group) { go func() { _ = g.Shutdown(context.Background()) }() }, core.ErrClosed},
		"engines are shut down": {func(t *testing.T, g *Group) {
			for _, e := range g.Engines() {
				go func() { _ = e.Shutdown(context.Background()) }()
			}
		}, core.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, release := fullGroup(t, RoundRobin(), 3)
				errs := make(chan error, 5)
				for range cap(errs) {
					go func() { _, err := Submit(t.Context(), g, answer(1)); errs <- err }()
				}
				synctest.Wait()
				c.end(t, g)
				synctest.Wait()
				if len(errs) != cap(errs) {
					t.Fatalf("%d of %d still wait", cap(errs)-len(errs), cap(errs))
				}
				for range cap(errs) {
					if err := <-errs; !errors.Is(err, c.want) || errors.Is(err, core.ErrQueueFull) {
						t.Error(err)
					}
				}
				for _, f := range release {
					f()
				}
			})
		})
	}
}

// A task that waits for room in the full queues of its own group gives its worker away:
// with one worker each, and queues of one, trees of tasks end.
func TestRoom_InsideTasks(t *testing.T) {
	for _, balancer := range allBalancers() {
		ctx := soon(t)
		g := groupOf(t, balancer, engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1)),
			engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1)))
		var tree func(depth int) core.Task[int]
		tree = func(depth int) core.Task[int] {
			return core.Func(func(ctx context.Context) (int, error) {
				sum := 1
				if depth == 0 {
					return sum, nil
				}
				var futures []*core.Future[int]
				for range 4 {
					f, err := SubmitWith(ctx, g, core.Attributes{Key: string(rune('a' + depth))}, tree(depth-1))
					if err != nil {
						return 0, err
					}
					futures = append(futures, f)
				}
				for _, f := range futures {
					n, err := f.Await(ctx)
					if err != nil {
						return 0, err
					}
					sum += n
				}
				return sum, nil
			})
		}
		if n, err := Run(ctx, g, tree(4)); err != nil || n != 1+4+16+64+256 {
			t.Errorf("%v: %d, %v", balancer, n, err)
		}
	}
}

// While the engines drain they take what their own tasks submit, if they were told to.
func TestRoom_ChildrenWhileItDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := groupOf(t, RoundRobin(), engineFor(t, core.WithWorkers(1)), engineFor(t, core.WithWorkers(1), core.WithAcceptChildren()))
		gate := make(chan struct{})
		parent := func() *core.Future[int] {
			f, err := Submit(t.Context(), g, core.Task[int](core.Func(func(ctx context.Context) (int, error) {
				<-gate
				return Run(ctx, g, answer(7))
			})))
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		strict, lenient := parent(), parent()
		synctest.Wait()
		ended := make(chan error, 1)
		go func() { ended <- g.Shutdown(t.Context()) }()
		synctest.Wait()
		close(gate)
		if _, err := strict.Await(t.Context()); !errors.Is(err, core.ErrClosed) {
			t.Error(err)
		}
		if n, err := lenient.Await(t.Context()); n != 7 || err != nil {
			t.Error(n, err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Many who wait, and one who gives up: each is accepted or given its reason, and nobody is
// left behind.
func TestRoom_NobodyIsLeftBehind(t *testing.T) {
	ctx := soon(t)
	for _, balancer := range allBalancers() {
		g := groupOf(t, balancer, engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1)),
			engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1)))
		var ran, accepted, gaveUp atomic.Int64
		var submitters sync.WaitGroup
		for i := range 8 {
			submitters.Go(func() {
				for j := range 100 {
					mine, cancel := ctx, context.CancelFunc(func() {})
					if i == 0 {
						mine, cancel = context.WithTimeout(ctx, time.Duration(j)*time.Microsecond)
					}
					err := g.GoContext(mine, func() { ran.Add(1); runtime.Gosched() })
					cancel()
					switch {
					case err == nil:
						accepted.Add(1)
					case i == 0 && errors.Is(err, context.DeadlineExceeded):
						gaveUp.Add(1)
					default:
						t.Error(err)
					}
				}
			})
		}
		submitters.Wait()
		for _, e := range g.Engines() {
			if err := e.WaitIdle(ctx); err != nil {
				t.Fatal(err)
			}
		}
		s := g.Stats()
		if ran.Load() != accepted.Load() || s.Total.Accepted != uint64(accepted.Load()) || s.Refused != uint64(gaveUp.Load()) {
			t.Errorf("%v: %d accepted, %d ran, %d gave up: %+v", balancer, accepted.Load(), ran.Load(), gaveUp.Load(), s)
		}
	}
}
