package balance

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/uptutu/goman/core"
)

func TestGroup_E_SCH_10_NewGroupNamesEveryFault(t *testing.T) {
	good, closed := engineFor(t), engineFor(t)
	if err := closed.Shutdown(soon(t)); err != nil {
		t.Fatal(err)
	}
	var none *core.Engine
	for name, c := range map[string]struct {
		config Config
		want   []error
		text   string
	}{
		"no engines": {Config{}, []error{ErrNoEngine}, "Engines:"},
		"nil":        {Config{Engines: []*core.Engine{good, none}}, []error{core.ErrInvalid}, "Engines[1]"},
		"zero":       {Config{Engines: []*core.Engine{{}}}, []error{core.ErrInvalid}, "Engines[0]"},
		"closed":     {Config{Engines: []*core.Engine{closed}}, []error{core.ErrClosed}, closed.Name()},
		"twice":      {Config{Engines: []*core.Engine{good, good}}, []error{ErrMember}, "Engines[0] too"},
		"no function": {Config{Engines: []*core.Engine{good}, Balancer: ByFunc(nil)},
			[]error{core.ErrInvalid}, "ByFunc"},
		"too many": {Config{Engines: make([]*core.Engine, MaxEngines+1)}, []error{ErrTooMany, core.ErrInvalid}, "allowed are 1024"},
		"too few weights": {Config{Engines: []*core.Engine{good}, Weights: []float64{}},
			[]error{core.ErrInvalid}, "0 for 1"},
		"several": {Config{Engines: []*core.Engine{none, good, good, closed}, Weights: []float64{0}, Balancer: ByFunc(nil)},
			[]error{core.ErrInvalid, ErrMember, core.ErrClosed}, "Weights[0]"},
	} {
		g, err := New(c.config)
		if g != nil || !errors.Is(err, core.ErrConfig) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, %v", name, g, err)
		}
		for _, want := range c.want {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v is not %v", name, err, want)
			}
		}
	}
}

// badWeights are those that E-SCH-10 names, and the bounds.
var badWeights = []float64{0, math.NaN(), math.Inf(1), math.Inf(-1), -1, MinWeight / 2, MaxWeight * 2, math.Copysign(0, -1)}

func TestGroup_E_SCH_10_Weights(t *testing.T) {
	for _, balancer := range allBalancers() {
		e, other := engineFor(t), engineFor(t)
		for _, w := range badWeights {
			if _, err := New(Config{Balancer: balancer, Engines: []*core.Engine{e}, Weights: []float64{w}}); !errors.Is(err, core.ErrConfig) || !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%v: New with the weight %v: %v", balancer, w, err)
			}
		}
		g, err := New(Config{Balancer: balancer, Engines: []*core.Engine{e}, Weights: []float64{2}})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range badWeights {
			if err := g.JoinWeighted(other, w); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%v: Join with the weight %v: %v", balancer, w, err)
			}
			if err := g.SetWeight(e, w); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%v: SetWeight %v: %v", balancer, w, err)
			}
		}
		if g.Weight(e) != 2 || g.Weight(other) != 0 || len(g.Engines()) != 1 {
			t.Errorf("%v: weights %v and %v, %d engines", balancer, g.Weight(e), g.Weight(other), len(g.Engines()))
		}
		for _, w := range []float64{MinWeight, MaxWeight, math.Pi} {
			if err := g.SetWeight(e, w); err != nil || g.Weight(e) != w {
				t.Error(err)
			}
		}
		if err := g.SetWeight(other, 1); !errors.Is(err, ErrNotMember) {
			t.Error(err)
		}
		if err := g.JoinWeighted(other, 3); err != nil || g.Weight(other) != 3 {
			t.Error(err)
		}
	}
}

func TestGroup_E_SCH_10_NoEngine(t *testing.T) {
	ctx := soon(t)
	for _, balancer := range allBalancers() {
		e := engineFor(t)
		g := groupOf(t, balancer, e)
		if err := g.Leave(e); err != nil {
			t.Fatal(err)
		}
		_, err := Submit(ctx, g, answer(1))
		_, tried := TrySubmit(ctx, g, answer(1))
		_, all := SubmitAll(ctx, g, []core.Task[int]{answer(1)})
		for i, err := range []error{err, tried, all, g.Go(func() {}), g.TryGo(func() {}), g.GoContext(ctx, func() {})} {
			refused, ok := errors.AsType[*Error](err)
			if !ok || !errors.Is(err, ErrNoEngine) || refused.Group != "group" || errors.Is(err, core.ErrQueueFull) {
				t.Errorf("%v: call %d: %v", balancer, i, err)
			}
		}
		if s := g.Stats(); s.Refused != 6 || len(s.Engines) != 0 {
			t.Errorf("%+v", s)
		}
		if err := g.Leave(e); !errors.Is(err, ErrNotMember) {
			t.Error(err)
		}
		if err := g.Leave(nil); !errors.Is(err, ErrNotMember) || !strings.Contains(err.Error(), "it is nil") {
			t.Error(err)
		}
	}
}

// One engine of several has room: it is found, whatever the others are and whatever the
// balancer would choose.
func TestGroup_E_SCH_10_TheOneFreeEngineIsFound(t *testing.T) {
	ctx := soon(t)
	const n = 4
	for _, balancer := range allBalancers() {
		for _, others := range []string{"full", "paused", "shut down", "one each"} {
			for free := range n {
				var engines []*core.Engine
				for i := range n {
					e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(2))
					engines = append(engines, e)
					if i == free {
						continue
					}
					defer occupy(t, e)()
				}
				g := groupOf(t, balancer, engines...)
				for i, e := range engines {
					if i == free {
						continue
					}
					switch {
					case others == "full" || others == "one each" && (i-free+n)%n == 1:
						fill(t, e)
					case others == "paused" || others == "one each" && (i-free+n)%n == 2:
						_ = e.Pause()
					default:
						beginShutdown(t, e)
					}
				}
				for range 3 * n {
					before := engines[free].Stats().Accepted
					f, err := TrySubmit(ctx, g, answer(5))
					if err != nil {
						t.Fatalf("%v, others %s, free %d: %v", balancer, others, free, err)
					}
					if v, err := f.Await(ctx); v != 5 || err != nil || engines[free].Stats().Accepted != before+1 {
						t.Fatalf("%v, others %s, free %d: %v, %v", balancer, others, free, v, err)
					}
					if err := g.TryGo(func() {}); err != nil {
						t.Fatal(err)
					}
					if err := engines[free].WaitIdle(ctx); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

func TestGroup_E_SCH_10_AllFull(t *testing.T) {
	ctx := soon(t)
	for _, balancer := range allBalancers() {
		a, b := engineFor(t, core.WithName("a"), core.WithQueueCapacity(1)), engineFor(t, core.WithName("b"), core.WithQueueCapacity(1))
		g := groupOf(t, balancer, a, b)
		defer occupy(t, a)()
		defer occupy(t, b)()
		fill(t, a)
		fill(t, b)
		_, err := TrySubmit(ctx, g, answer(1))
		refused, ok := errors.AsType[*Error](err)
		if !ok || !errors.Is(err, core.ErrQueueFull) || len(refused.Reasons) != 2 {
			t.Fatalf("%v: %v", balancer, err)
		}
		engines := map[string]bool{}
		for _, reason := range refused.Reasons {
			r, ok := errors.AsType[*core.RefusedError](reason)
			if !ok {
				t.Fatal(reason)
			}
			engines[r.Engine] = true
		}
		if !engines["a"] || !engines["b"] || !strings.Contains(err.Error(), "engine a") || !strings.Contains(err.Error(), "engine b") {
			t.Errorf("%v: reasons of %v: %v", balancer, engines, err)
		}
		if err := g.TryGo(func() {}); !errors.Is(err, core.ErrQueueFull) {
			t.Error(err)
		}
		if _, err := TrySubmitAll(ctx, g, []core.Task[int]{answer(1), answer(2)}); !errors.Is(err, core.ErrQueueFull) {
			t.Error(err)
		}
		if s := g.Stats(); s.Refused != 3 || s.Total.Accepted != uint64(s.Total.Queued+s.Total.Running) {
			t.Errorf("%+v", s)
		}
	}
}

// What the user's function does wrong is a typed error, and nothing is submitted.
func TestGroup_E_SCH_10_FunctionFails(t *testing.T) {
	ctx := soon(t)
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		fn     func([]*core.Engine, core.Attributes) int
		panics bool
		want   error
		text   string
	}{
		"negative":        {func([]*core.Engine, core.Attributes) int { return -1 }, false, ErrBalancer, "returned -1: allowed is 0 to 1"},
		"too large":       {func(engines []*core.Engine, _ core.Attributes) int { return len(engines) }, false, ErrBalancer, "returned 2: allowed is 0 to 1"},
		"huge":            {func([]*core.Engine, core.Attributes) int { return math.MaxInt }, false, ErrBalancer, "allowed is 0 to 1"},
		"panics":          {func([]*core.Engine, core.Attributes) int { panic("no") }, true, core.ErrPanicked, "panicked: no"},
		"panics by error": {func([]*core.Engine, core.Attributes) int { panic(broken) }, true, broken, "panicked: broken"},
		"panics with nil": {func([]*core.Engine, core.Attributes) int { panic(any(nil)) }, true, core.ErrPanicked, "nil"}, //nolint:govet // the case that is tested
		"index panics":    {func(e []*core.Engine, _ core.Attributes) int { e[5].Name(); return 0 }, true, ErrBalancer, "index out of range"},
	} {
		g := groupOf(t, ByFunc(c.fn), engineFor(t), engineFor(t))
		_, err := Submit(ctx, g, answer(1))
		_, all := SubmitAll(ctx, g, []core.Task[int]{answer(1)})
		for _, err := range []error{err, all, g.Go(func() {})} {
			failed, ok := errors.AsType[*BalancerError](err)
			if !ok || !errors.Is(err, ErrBalancer) || !errors.Is(err, c.want) || errors.Is(err, core.ErrPanicked) != c.panics {
				t.Fatalf("%s: %v", name, err)
			}
			if (failed.Panic != nil) != c.panics || (len(failed.Stack) > 0) != c.panics || failed.Engines != 2 || !strings.Contains(failed.Error(), c.text) {
				t.Errorf("%s: %+v", name, failed)
			}
		}
		if s := g.Stats(); s.Total.Accepted != 0 || s.Refused != 3 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// All engines are replaced while one of them is chosen: the task goes to a new one.
func TestGroup_E_SCH_10_AllAreReplacedWhileOneIsChosen(t *testing.T) {
	ctx := soon(t)
	old, fresh := engineFor(t), engineFor(t)
	var g *Group
	g = groupOf(t, ByFunc(func([]*core.Engine, core.Attributes) int {
		if !old.IsShutdown() {
			if err := errors.Join(g.Join(fresh), g.Leave(old), old.Shutdown(ctx)); err != nil {
				t.Error(err)
			}
		}
		return 0
	}), old)
	if n, err := Run(ctx, g, answer(4)); n != 4 || err != nil {
		t.Error(n, err)
	}
}
