package balance

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
)

// soon ends a hanging test instead of the whole run.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// engineFor makes an engine that is resumed and ended at the end of the test. See
// coretest.New for what is checked then.
func engineFor(t testing.TB, options ...core.Option) *core.Engine {
	t.Helper()
	e := coretest.New(t, append([]core.Option{core.WithLogger(slog.New(slog.DiscardHandler))}, options...)...)
	t.Cleanup(func() { _ = e.Resume() })
	return e
}

// groupOf makes a group, whose figures are checked at the end of the test.
func groupOf(t testing.TB, balancer Balancer, engines ...*core.Engine) *Group {
	t.Helper()
	g, err := New(Config{Balancer: balancer, Engines: engines})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stats().Check(); err != nil {
			t.Error(err)
		}
		if n := g.Stats().Waiting; n != 0 {
			t.Errorf("%d submissions still wait", n)
		}
		if g.watched {
			t.Error("the engines still tell of room")
		}
	})
	return g
}

// occupy keeps the workers of e busy until the function that it returns is called,
// which is at the end of the test at the latest.
func occupy(t testing.TB, e *core.Engine) (release func()) {
	t.Helper()
	gate, started := make(chan struct{}), make(chan struct{})
	n := e.Stats().Workers
	for range n {
		if err := e.Go(func() { started <- struct{}{}; <-gate }); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		<-started
	}
	var open atomic.Bool
	release = func() {
		if open.CompareAndSwap(false, true) {
			close(gate)
		}
	}
	t.Cleanup(release)
	return release
}

// fill fills the queue of e, whose workers are busy or which is paused.
func fill(t testing.TB, e *core.Engine) {
	t.Helper()
	for e.TryGo(func() {}) == nil {
	}
}

// beginShutdown begins the shutdown of e, whose workers are busy, and leaves it to the end
// of the test.
func beginShutdown(t testing.TB, e *core.Engine) {
	t.Helper()
	begun := make(chan struct{}, 2)
	if _, err := e.AddHooks(core.Hooks{Changed: func(c core.Change) {
		if c == core.ChangeShutdownBegun {
			begun <- struct{}{}
		}
	}}); err != nil {
		t.Fatal(err)
	}
	go func() { _ = e.Shutdown(context.Background()) }()
	<-begun
}

func answer(n int) core.Task[int] {
	return core.Func(func(context.Context) (int, error) { return n, nil })
}

// allBalancers are the balancers, and a function that chooses the first engine.
func allBalancers() []Balancer {
	return []Balancer{{}, RoundRobin(), WeightedRoundRobin(), LeastLoaded(), PowerOfTwo(), ByKey(),
		ByFunc(func([]*core.Engine, core.Attributes) int { return 0 })}
}

func TestGroup_EveryWayIn(t *testing.T) {
	ctx := soon(t)
	for _, balancer := range allBalancers() {
		t.Run(balancer.String(), func(t *testing.T) {
			g := groupOf(t, balancer, engineFor(t), engineFor(t), engineFor(t))
			var ran atomic.Int32
			count := core.Func(func(context.Context) (int, error) { return int(ran.Add(1)), nil })
			attrs := core.Attributes{Name: "counted", Key: "k"}
			for _, submit := range []func() (*core.Future[int], error){
				func() (*core.Future[int], error) { return Submit(ctx, g, core.Task[int](count)) },
				func() (*core.Future[int], error) { return SubmitWith(ctx, g, attrs, core.Task[int](count)) },
				func() (*core.Future[int], error) { return TrySubmit(ctx, g, core.Task[int](count)) },
				func() (*core.Future[int], error) { return TrySubmitWith(ctx, g, attrs, core.Task[int](count)) },
			} {
				f, err := submit()
				if err != nil {
					t.Fatal(err)
				}
				if n, err := f.Await(ctx); err != nil || n != int(ran.Load()) {
					t.Fatalf("%d, %v", n, err)
				}
			}
			if n, err := Run(ctx, g, answer(7)); n != 7 || err != nil {
				t.Fatal(n, err)
			}
			if n, err := RunWith(ctx, g, attrs, answer(8)); n != 8 || err != nil {
				t.Fatal(n, err)
			}
			done := make(chan struct{}, 3)
			for _, err := range []error{g.Go(func() { done <- struct{}{} }), g.TryGo(func() { done <- struct{}{} }),
				g.GoContext(ctx, func() { done <- struct{}{} })} {
				if err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				<-done
			}
			for _, e := range g.Engines() {
				if err := e.WaitIdle(ctx); err != nil {
					t.Fatal(err)
				}
			}
			s := g.Stats()
			if s.Total.Accepted != 9 || s.Total.Succeeded != 9 || s.Refused != 0 || len(s.Engines) != 3 || s.Name != "group" {
				t.Errorf("%+v", s)
			}
		})
	}
}

type described struct{}

func (described) Execute(context.Context) (int, error) { return 1, nil }
func (described) Key() string                          { return "key" }
func (described) Tenant() string                       { return "tenant" }
func (described) Name() string                         { return "name" }
func (described) Priority() core.Priority              { return core.High }
func (described) Labels() map[string]string            { return map[string]string{"a": "b"} }

func TestGroup_FunctionSeesTheAttributes(t *testing.T) {
	ctx := soon(t)
	var seen core.Attributes
	calls := 0
	g := groupOf(t, ByFunc(func(engines []*core.Engine, a core.Attributes) int {
		seen = a
		calls++
		return calls % len(engines)
	}), engineFor(t), engineFor(t))
	if _, err := Run(ctx, g, core.Task[int](described{})); err != nil {
		t.Fatal(err)
	}
	if seen.Key != "key" || seen.Tenant != "tenant" || seen.Name != "name" || seen.Priority != core.High || seen.Labels["a"] != "b" {
		t.Errorf("%+v", seen)
	}
	given := core.Attributes{Key: "mine", Tenant: "me", Name: "own", Priority: core.Low, Labels: map[string]string{"c": "d"}}
	if _, err := RunWith(ctx, g, given, core.Task[int](described{})); err != nil {
		t.Fatal(err)
	}
	if seen.Key != "mine" || seen.Tenant != "me" || seen.Name != "own" || seen.Priority != core.Low || seen.Labels["c"] != "d" {
		t.Errorf("%+v", seen)
	}
	if calls != 2 {
		t.Errorf("it was called %d times for 2 tasks", calls)
	}
}

func TestGroup_InvalidArguments(t *testing.T) {
	ctx := soon(t)
	for _, balancer := range allBalancers() {
		g := groupOf(t, balancer, engineFor(t), engineFor(t))
		var nobody *described
		var noFunc core.TaskFunc[int]
		for i, task := range []core.Task[int]{nil, nobody, noFunc} {
			_, err := Submit(ctx, g, task)
			_, with := SubmitWith(ctx, g, core.Attributes{Name: "x"}, task)
			_, run := Run(ctx, g, task)
			_, runWith := RunWith(ctx, g, core.Attributes{}, task)
			_, all := SubmitAll(ctx, g, []core.Task[int]{answer(1), task})
			for j, err := range []error{err, with, run, runWith, all} {
				if _, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, core.ErrInvalid) {
					t.Errorf("%v: task %d, call %d: %v", balancer, i, j, err)
				}
			}
		}
		var noContext context.Context
		_, err := Submit(noContext, g, answer(1))
		_, bad := SubmitWith(ctx, g, core.Attributes{Priority: 99}, answer(1))
		_, badAll := SubmitAllWith(ctx, g, core.Attributes{Reject: 99}, []core.Task[int]{answer(1)})
		for i, err := range []error{err, bad, badAll, g.Go(nil), g.TryGo(nil), g.GoContext(ctx, nil), g.GoContext(noContext, func() {}),
			g.Join(nil), g.Join(new(core.Engine)), g.Shutdown(noContext), g.Close(noContext)} {
			if !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%v: call %d: %v", balancer, i, err)
			}
		}
		if s := g.Stats(); s.Total.Accepted != 0 {
			t.Errorf("%+v", s)
		}
		if futures, err := SubmitAll(ctx, g, []core.Task[int]{}); futures != nil || err != nil {
			t.Error(futures, err)
		}
		if err := g.Join(g.Engines()[0]); !errors.Is(err, ErrMember) {
			t.Error(err)
		}
	}
	for _, g := range []*Group{nil, {}} {
		_, err := Submit(ctx, g, answer(1))
		_, all := SubmitAll(ctx, g, []core.Task[int]{answer(1)})
		for i, err := range []error{err, all, g.Go(func() {}), g.GoContext(ctx, func() {}), g.Join(engineFor(t)), g.Leave(nil), g.SetWeight(nil, 1), g.Shutdown(ctx), g.Close(ctx)} {
			if !errors.Is(err, core.ErrInvalid) || !strings.HasPrefix(err.Error(), "balance: refused: ") {
				t.Errorf("call %d: %v", i, err)
			}
		}
		if g.Stats().Check() != nil || g.Engines() != nil || g.Weight(nil) != 0 || g.Name() != "" {
			t.Error("a group that New has not made has something")
		}
	}
}

func TestGroup_ContextHasEnded(t *testing.T) {
	g := groupOf(t, RoundRobin(), engineFor(t), engineFor(t))
	reason := errors.New("reason")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(reason)
	_, err := Submit(ctx, g, answer(1))
	_, tried := TrySubmit(ctx, g, answer(1))
	_, all := SubmitAll(ctx, g, []core.Task[int]{answer(1)})
	for i, err := range []error{err, tried, all, g.GoContext(ctx, func() {})} {
		if !errors.Is(err, reason) || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "reason") {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if s := g.Stats(); s.Total.Accepted != 0 || s.Refused != 4 {
		t.Errorf("%+v", s)
	}
}

func TestGroup_TooManyEngines(t *testing.T) {
	c := Config{Balancer: WeightedRoundRobin()}
	for i := range MaxEngines {
		e, err := core.New(core.WithWorkers(1))
		if err != nil {
			t.Fatal(err)
		}
		c.Engines, c.Weights = append(c.Engines, e), append(c.Weights, float64(i+1))
	}
	last := c.Engines[MaxEngines-1]
	c.Engines, c.Weights = c.Engines[:MaxEngines-1], c.Weights[:MaxEngines-1]
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.JoinWeighted(last, 7); err != nil {
		t.Fatal(err)
	}
	if err := g.Join(engineFor(t)); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
	if err := g.Shutdown(soon(t)); err != nil {
		t.Error(err)
	}
}
