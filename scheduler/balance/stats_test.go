package balance

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

func TestStats_JoinAndLeave(t *testing.T) {
	ctx := soon(t)
	a, b := engineFor(t, core.WithName("a")), engineFor(t, core.WithName("b"), core.WithWorkers(1), core.WithUnboundedQueue())
	run := func(e *core.Engine, n int) {
		t.Helper()
		for range n {
			if _, err := core.Run(ctx, e, answer(1)); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.WaitIdle(ctx); err != nil {
			t.Fatal(err)
		}
	}
	run(a, 5)
	g := groupOf(t, RoundRobin(), a)
	check := func(accepted, ended uint64, left uint64) {
		t.Helper()
		s := g.Stats()
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		if s.Total.Accepted != accepted || s.Total.Ended() != ended || s.Left.Accepted != left {
			t.Errorf("accepted %d, ended %d, left %d; want %d, %d, %d", s.Total.Accepted, s.Total.Ended(), s.Left.Accepted, accepted, ended, left)
		}
	}
	check(0, 0, 0) // what ended before is not the group's
	run(a, 3)
	check(3, 3, 0)
	release := occupy(t, b)
	for range 4 {
		if err := b.Go(func() {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Join(b); err != nil {
		t.Fatal(err)
	}
	check(8, 3, 0) // what was queued and running when it joined ends in the group
	if s := g.Stats().Total; s.Capacity != core.Unbounded || s.Workers != a.Stats().Workers+1 {
		t.Errorf("%+v", s)
	}
	if err := g.Leave(b); err != nil {
		t.Fatal(err)
	}
	check(8, 3, 5)
	if s := g.Stats(); s.Left.Queued != 4 || s.Left.Running != 1 || s.Left.Workers != 0 || s.Total.Capacity != core.DefaultQueueCapacity {
		t.Errorf("%+v", s.Left)
	}
	release()
	if err := b.WaitIdle(ctx); err != nil {
		t.Fatal(err)
	}
	check(8, 8, 5)
	run(b, 10)
	check(8, 8, 5) // it is not the group's any more
	if err := g.Join(b); err != nil {
		t.Fatal(err)
	}
	check(18, 18, 0) // it is back, and counts as if it had never left
	if err := g.Leave(a); err != nil {
		t.Fatal(err)
	}
	check(18, 18, 3)
	if err := g.Join(a); err != nil {
		t.Fatal(err)
	}
	check(18, 18, 0)
}

// A submission that was on its way while its engine left is counted all the same, and an
// engine that nobody keeps any more is not kept by the group.
func TestStats_Late(t *testing.T) {
	ctx := soon(t)
	stays := engineFor(t)
	e, err := core.New(core.WithIdleTimeout(time.Millisecond, 0))
	if err != nil {
		t.Fatal(err)
	}
	var chosen *core.Engine = e
	var g *Group
	g = groupOf(t, ByFunc(func(engines []*core.Engine, _ core.Attributes) int {
		if chosen != nil { // it leaves while it is chosen
			if err := g.Leave(chosen); err != nil {
				t.Error(err)
			}
			chosen = nil
		}
		return 0
	}), e, stays)
	if n, err := Run(ctx, g, answer(3)); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	if s := g.Stats(); s.Left.Accepted != 1 || s.Total.Accepted != 1 || len(s.Engines) != 1 {
		t.Errorf("%+v", s)
	}
	if err := e.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	collected := make(chan struct{})
	runtime.AddCleanup(e, func(c chan struct{}) { close(c) }, collected)
	e = nil //nolint:wastedassign // it is to be collected
	if s := g.Stats(); s.Left.Succeeded != 1 {
		t.Errorf("%+v", s)
	}
	for alive := true; alive; {
		runtime.GC()
		select {
		case <-collected:
			alive = false
		case <-ctx.Done():
			t.Fatal("the group keeps an engine that has left")
		default:
			runtime.Gosched()
		}
	}
	if err := g.Join(engineFor(t)); err != nil {
		t.Fatal(err)
	}
	if s := g.Stats(); s.Left.Accepted != 1 || s.Total.Succeeded != 1 {
		t.Errorf("%+v", s)
	}
	if len(g.leavers) != 0 {
		t.Error("the engine is not forgotten")
	}
}

func TestStats_CheckFindsFaults(t *testing.T) {
	g := groupOf(t, RoundRobin(), engineFor(t))
	s := g.Stats()
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	s.Total.Queued++
	if s.Check() == nil {
		t.Error("a total that does not add up is not found")
	}
	s = g.Stats()
	s.Engines[0].Accepted++
	if s.Check() == nil {
		t.Error("an engine that does not add up is not found")
	}
}

// Engines join, leave and are paused, and come back, while many submit: nothing is lost,
// nothing runs twice, and the figures add up all the time and never go back.
func TestGroup_JoinAndLeaveUnderLoad(t *testing.T) {
	const submitters, each = 4, 1500
	for _, balancer := range allBalancers() {
		t.Run(balancer.String(), func(t *testing.T) {
			ctx := soon(t)
			var engines []*core.Engine
			for range 4 {
				engines = append(engines, engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(8)))
			}
			g := groupOf(t, balancer, engines...)
			var ran [submitters * each]atomic.Int32
			var accepted atomic.Int64
			stop := make(chan struct{})
			var submit, change sync.WaitGroup
			for i := range submitters {
				submit.Go(func() {
					for j := range each {
						id := i*each + j
						err := func() (err error) {
							switch j % 4 {
							case 0:
								return g.Go(func() { ran[id].Add(1) })
							case 1:
								err = g.TryGo(func() { ran[id].Add(1) })
							case 2:
								_, err = TrySubmit(ctx, g, core.Task[int](core.Func(func(context.Context) (int, error) { ran[id].Add(1); return 0, nil })))
							default:
								_, err = SubmitWith(ctx, g, core.Attributes{Key: "k"}, core.Task[int](core.Func(func(context.Context) (int, error) { ran[id].Add(1); return 0, nil })))
							}
							return err
						}()
						switch {
						case err == nil:
							accepted.Add(1)
						case errors.Is(err, core.ErrQueueFull) && j%4 != 0 && j%4 != 3:
							ran[id].Add(1)
						default:
							t.Errorf("task %d: %v", id, err)
						}
					}
				})
			}
			change.Go(func() { // the first engine stays
				for i := 0; ; i++ {
					e := engines[1+i%3]
					var err error
					switch i / 3 % 4 {
					case 0:
						err = g.Leave(e)
					case 1:
						err = g.Join(e)
					case 2:
						err = e.Pause()
					case 3:
						err = e.Resume()
					}
					if err != nil {
						t.Error(err)
						return
					}
					select {
					case <-stop:
						return
					default:
						runtime.Gosched()
					}
				}
			})
			change.Go(func() {
				var before Stats
				for {
					s := g.Stats()
					if err := s.Check(); err != nil {
						t.Error(err)
						return
					}
					if s.Total.Accepted < before.Total.Accepted || s.Total.Ended() < before.Total.Ended() {
						t.Errorf("the figures go back: %+v, %+v", before.Total, s.Total)
						return
					}
					before = s
					select {
					case <-stop:
						return
					default:
						runtime.Gosched()
					}
				}
			})
			submit.Wait()
			close(stop)
			change.Wait()
			for _, e := range engines {
				_ = e.Resume()
				if err := e.WaitIdle(ctx); err != nil {
					t.Fatal(err)
				}
			}
			for id := range ran {
				if n := ran[id].Load(); n != 1 {
					t.Fatalf("task %d ran %d times", id, n)
				}
			}
			if s := g.Stats(); s.Total.Accepted != uint64(accepted.Load()) || s.Total.Succeeded != s.Total.Accepted || s.Refused != submitters*each-uint64(accepted.Load()) {
				t.Errorf("%d accepted: %+v", accepted.Load(), s)
			}
		})
	}
}

// Engines are shut down while many submit: what they refuse the others take.
func TestGroup_EnginesAreShutDownUnderLoad(t *testing.T) {
	for _, balancer := range allBalancers() {
		ctx := soon(t)
		stays := engineFor(t)
		g := groupOf(t, balancer, stays)
		var ran, accepted atomic.Int64
		stop := make(chan struct{})
		var submit, change sync.WaitGroup
		for range 3 {
			submit.Go(func() {
				for {
					if err := g.Go(func() { ran.Add(1) }); err != nil {
						t.Error(err)
						return
					}
					accepted.Add(1)
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		change.Go(func() {
			for i := range 100 {
				e, err := core.New(core.WithQueueCapacity(4))
				if err != nil {
					t.Error(err)
					return
				}
				if err := g.Join(e); err != nil {
					t.Error(err)
				}
				runtime.Gosched()
				leave := func() {
					if err := g.Leave(e); err != nil {
						t.Error(err)
					}
				}
				if i%2 == 0 { // in the other order it is found to be shut down
					leave()
				}
				if err := e.Shutdown(ctx); err != nil {
					t.Error(err)
				}
				if i%2 != 0 {
					leave()
				}
			}
			close(stop)
		})
		submit.Wait()
		change.Wait()
		if err := stays.WaitIdle(ctx); err != nil {
			t.Fatal(err)
		}
		if s := g.Stats(); ran.Load() != accepted.Load() || s.Total.Accepted != uint64(ran.Load()) || s.Refused != 0 {
			t.Errorf("%v: %d accepted, %d ran: %+v", balancer, accepted.Load(), ran.Load(), s)
		}
	}
}

func TestGroup_Shutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, release := fullGroup(t, RoundRobin(), 3)
		stays := engineFor(t)
		if err := g.Join(stays); err != nil {
			t.Fatal(err)
		}
		if err := g.Leave(stays); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		ended := make(chan error, 1)
		go func() { ended <- g.Shutdown(ctx) }()
		synctest.Wait()
		_, err := Submit(t.Context(), g, answer(1))
		if refused, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, core.ErrClosed) || len(refused.Reasons) != 3 {
			t.Error(err)
		}
		if err := g.Join(stays); !errors.Is(err, core.ErrClosed) {
			t.Error(err)
		}
		release[0]() // one ends in time, two do not
		time.Sleep(time.Minute + core.DefaultCancelGrace/2)
		release[1]()
		release[2]()
		err = <-ended
		report, ok := errors.AsType[*ShutdownError](err)
		if !ok || !errors.Is(err, core.ErrShutdown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if len(report.Reports) != 2 || len(report.Undone()) != 2 || report.Error() == "" {
			t.Errorf("%d reports, %d undone: %v", len(report.Reports), len(report.Undone()), err)
		}
		if d := time.Since(start); d > time.Minute+core.DefaultCancelGrace {
			t.Errorf("the engines were ended one after the other: it took %v", d)
		}
		for _, u := range report.Undone() {
			if err := u.Resubmit(t.Context(), stays); err != nil {
				t.Error(err)
			}
		}
		if err := g.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := g.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if s := g.Stats(); s.Total.Undone != 2 || s.Total.Running != 0 || stays.IsShutdown() {
			t.Errorf("%+v", s.Total)
		}
	})
}

func TestGroup_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := groupOf(t, RoundRobin(), engineFor(t), engineFor(t))
		for range 2 {
			if _, err := Submit(t.Context(), g, core.Task[int](core.Func(func(ctx context.Context) (int, error) {
				<-ctx.Done()
				return 0, ctx.Err()
			}))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		report, ok := errors.AsType[*ShutdownError](g.Close(t.Context()))
		if !ok || len(report.Reports) != 2 || len(report.Undone()) != 0 {
			t.Error(report)
		}
	})
}

// A task that ends its own group gets the error that says so, and the others end.
func TestGroup_ShutdownInside(t *testing.T) {
	ctx := soon(t)
	g := groupOf(t, RoundRobin(), engineFor(t, core.WithWorkers(1)), engineFor(t, core.WithWorkers(1)))
	_, err := Run(ctx, g, core.Task[int](core.Func(func(ctx context.Context) (int, error) { return 0, g.Shutdown(ctx) })))
	if report, ok := errors.AsType[*ShutdownError](err); !ok || !errors.Is(err, core.ErrInsideTask) || len(report.Reports) != 1 {
		t.Error(err)
	}
	if err := g.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}
