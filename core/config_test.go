package core_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/uptutu/goman/core"
)

// E-CORE-14: sizes out of range are a typed error that names the field, the value
// and what is allowed; nothing is allocated for them.
func TestConfig_E_CORE_14_Sizes(t *testing.T) {
	large := int64(1) << 31
	for name, c := range map[string]struct {
		option core.Option
		parts  []string
	}{
		"workers 0":      {core.WithWorkers(0), []string{"Workers", " 0", "10000"}},
		"workers -1":     {core.WithWorkers(-1), []string{"Workers", "-1"}},
		"workers 10001":  {core.WithWorkers(10_001), []string{"10001"}},
		"workers large":  {core.WithWorkers(int(large)), []string{"Workers"}},
		"workers max":    {core.WithWorkers(math.MaxInt), []string{"Workers"}},
		"workers min":    {core.WithWorkers(math.MinInt), []string{"Workers"}},
		"queue 0":        {core.WithQueueCapacity(0), []string{"QueueCapacity", " 0", "1000000"}},
		"queue -2":       {core.WithQueueCapacity(-2), []string{"-2"}},
		"queue too long": {core.WithQueueCapacity(1_000_001), []string{"1000001"}},
		"queue max":      {core.WithQueueCapacity(math.MaxInt), []string{"QueueCapacity"}},
		"queue large":    {core.WithQueueCapacity(int(large)), []string{"QueueCapacity"}},
		"queue min":      {core.WithQueueCapacity(math.MinInt), []string{"QueueCapacity"}},
		"idle":           {core.WithIdleTimeout(time.Microsecond, 0), []string{"IdleTimeout", "1µs"}},
		"min idle -1":    {core.WithIdleTimeout(0, -1), []string{"MinIdle", "-1"}},
		"min idle":       {core.WithIdleTimeout(0, 10_001), []string{"MinIdle"}},
		"queue limit":    {core.WithQueueLimit(-1), []string{"QueueLimit"}},
		"run limit":      {core.WithRunLimit(-1), []string{"RunLimit"}},
		"reject":         {core.WithReject(77), []string{"Reject", "77"}},
		"ask":            {core.WithReject(core.RejectAsk), []string{"OnFull"}},
		"panics":         {core.WithPanics(9), []string{"Panics", "9"}},
		"interceptor":    {core.WithInterceptors(pass, nil), []string{"Interceptors[1]"}},
		"scheduler":      {core.WithScheduler((*counting)(nil)), []string{"Scheduler"}},
		"base context":   {core.WithBaseContext((*nilContext)(nil)), []string{"BaseContext"}},
		"nil option":     {nil, []string{"option 0 is nil"}},
	} {
		t.Run(name, func(t *testing.T) {
			before := heap()
			e, err := core.New(c.option)
			if e != nil || !errors.Is(err, core.ErrConfig) || !errors.Is(err, core.ErrInvalid) || !contains(err.Error(), c.parts...) {
				t.Errorf("%v, %v", e, err)
			}
			if grown := heap() - before; grown > 1<<20 {
				t.Errorf("it has allocated %d bytes", grown)
			}
			if c.option != nil {
				live := engineFor(t)
				was := live.Config()
				if err := live.Reconfigure(core.WithQueueCapacity(5), c.option); !errors.Is(err, core.ErrConfig) {
					t.Errorf("Reconfigure: %v", err)
				}
				if live.Config().QueueCapacity != was.QueueCapacity || live.Stats().Workers != runtime.GOMAXPROCS(0) {
					t.Error("a part was applied")
				}
			}
		})
	}
}

// All faults are reported at once.
func TestConfig_AllFaults(t *testing.T) {
	c := core.Config{Workers: -5, QueueCapacity: -6, IdleTimeout: 7, MinIdle: -8, QueueLimit: -9, RunLimit: -10, Reject: 111,
		Panics: 12, Interceptors: []core.Interceptor{nil}}
	err := c.Validate()
	_, fromNew := core.New(nil, core.WithConfig(c))
	for _, err := range []error{err, fromNew} {
		var joined interface{ Unwrap() []error }
		if !errors.As(err, &joined) || !errors.Is(err, core.ErrConfig) {
			t.Fatalf("%v", err)
		}
		if !contains(err.Error(), "-5", "-6", "7ns", "-8", "-9ns", "-10ns", "111", "12", "Interceptors[0]") {
			t.Errorf("%v", err)
		}
	}
	if !contains(fromNew.Error(), "option 0 is nil") || strings.Count(err.Error(), "\n") != 8 {
		t.Errorf("%v", fromNew)
	}
	if err := new(core.Config).Validate(); err != nil {
		t.Errorf("the zero value: %v", err)
	}
}

// The limits themselves are allowed.
func TestConfig_Bounds(t *testing.T) {
	for _, options := range [][]core.Option{
		{core.WithWorkers(1), core.WithQueueCapacity(1)},
		{core.WithWorkers(core.MaxWorkers), core.WithQueueCapacity(core.MaxQueueCapacity)},
		{core.WithUnboundedQueue(), core.WithIdleTimeout(-1, core.MaxWorkers)},
		{core.WithQueueCapacity(core.Unbounded), core.WithIdleTimeout(time.Millisecond, 0), core.WithCancelGrace(-1)},
		{core.WithPrealloc(), core.WithWorkers(64), core.WithQueueCapacity(100_000)},
	} {
		e := engineFor(t, options...)
		if v, err := core.Run(soon(t), e, value(7)); v != 7 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		endEngine(t, e)
	}
}

// What can be set can be read back, with the defaults filled in.
func TestConfig_ReadBack(t *testing.T) {
	ignore := cmpopts.IgnoreFields(core.Config{}, "OnFull", "OnPanic", "Scheduler", "Interceptors", "Hooks", "Logger", "BaseContext")
	e := engineFor(t)
	want := core.Config{Name: "goman", QueueCapacity: core.DefaultQueueCapacity, IdleTimeout: core.DefaultIdleTimeout,
		Reject: core.RejectWait, CancelGrace: core.DefaultCancelGrace}
	got := e.Config()
	if diff := cmp.Diff(want, got, ignore); diff != "" || got.Logger != slog.Default() || got.BaseContext != context.Background() {
		t.Error(diff)
	}
	if e.Name() != "goman" || e.Stats().Workers != runtime.GOMAXPROCS(0) || e.Stats().Capacity != 1000 {
		t.Errorf("%s: %+v", e.Name(), e.Stats())
	}
	all := core.Config{Name: "mine", Workers: 3, QueueCapacity: 5, IdleTimeout: time.Minute, MinIdle: 2, Prealloc: true,
		QueueLimit: time.Hour, RunLimit: 2 * time.Hour, Reject: core.RejectAsk, Panics: core.PanicCrash, CancelGrace: time.Second,
		AcceptChildren: true, OnFull: func(context.Context, core.Job) core.RejectPolicy { return core.RejectFail },
		Scheduler: &counting{out: map[core.Job]int{}}, Interceptors: []core.Interceptor{pass}, Hooks: []core.Hooks{{}}}
	e = engineFor(t, core.WithConfig(all))
	got = e.Config()
	if diff := cmp.Diff(all, got, ignore); diff != "" || got.Scheduler != all.Scheduler || len(got.Interceptors) != 1 || len(got.Hooks) != 1 || got.OnFull == nil {
		t.Error(diff)
	}
	e = engineFor(t, core.WithName("mine"), core.WithWorkers(3), core.WithQueueCapacity(5), core.WithIdleTimeout(time.Minute, 2),
		core.WithPrealloc(), core.WithQueueLimit(time.Hour), core.WithRunLimit(2*time.Hour), core.WithPanics(core.PanicCrash),
		core.WithCancelGrace(time.Second), core.WithAcceptChildren(), core.WithOnFull(all.OnFull), core.WithOnPanic(func(*core.PanicError) {}))
	if diff := cmp.Diff(all, e.Config(), ignore); diff != "" {
		t.Error(diff)
	}
	if c := e.Config(); c.OnPanic == nil || c.OnFull == nil {
		t.Error("a function is missing")
	}
	// WithConfig replaces what came before it, and not what comes after.
	e = engineFor(t, core.WithName("before"), core.WithConfig(core.Config{QueueCapacity: 9}), core.WithWorkers(2))
	if c := e.Config(); c.Name != "goman" || c.QueueCapacity != 9 || c.Workers != 2 {
		t.Errorf("%+v", c)
	}
	if c := new(core.Engine).Config(); c.Name != "" {
		t.Errorf("the zero engine: %+v", c)
	}
}

// Live settings change as one step; the others are refused, unless they are given
// as they are.
func TestReconfigure(t *testing.T) {
	hook := core.Hooks{Started: func(core.Job) {}}
	handler := func(*core.PanicError) {}
	e := engineFor(t, core.WithName("live"), core.WithWorkers(2), core.WithHooks(hook), core.WithInterceptors(pass), core.WithOnPanic(handler))
	if err := e.Reconfigure(core.WithName("live"), core.WithWorkers(4), core.WithQueueCapacity(7), core.WithQueueLimit(time.Hour),
		core.WithRunLimit(time.Hour), core.WithReject(core.RejectFail), core.WithCancelGrace(time.Minute), core.WithAcceptChildren(),
		core.WithIdleTimeout(time.Second, 1)); err != nil {
		t.Fatal(err)
	}
	if c, s := e.Config(), e.Stats(); c.Workers != 4 || c.QueueCapacity != 7 || c.QueueLimit != time.Hour || c.RunLimit != time.Hour ||
		c.Reject != core.RejectFail || c.CancelGrace != time.Minute || !c.AcceptChildren || c.MinIdle != 1 || s.Workers != 4 || s.Capacity != 7 {
		t.Errorf("%+v", c)
	}
	if err := e.Reconfigure(core.WithConfig(e.Config())); err != nil {
		t.Errorf("as it is: %v", err)
	}
	if err := e.Reconfigure(); err != nil {
		t.Errorf("nothing: %v", err)
	}
	for name, option := range map[string]core.Option{
		"Name":        core.WithName("other"),
		"Prealloc":    core.WithPrealloc(),
		"Panics":      core.WithPanics(core.PanicCrash),
		"Scheduler":   core.WithScheduler(&counting{}),
		"Logger":      quietly(),
		"BaseContext": core.WithBaseContext(soon(t)),
		"OnPanic":     core.WithOnPanic(func(*core.PanicError) { panic(handler) }),
		"Intercept":   core.WithInterceptors(pass),
		"AddHooks":    core.WithHooks(hook),
		"Intercept ": func(c *core.Config) {
			c.Interceptors = []core.Interceptor{func(core.Handler) core.Handler { return nil }}
		},
		"AddHooks ": func(c *core.Config) { c.Hooks = []core.Hooks{{Ended: func(core.EndInfo) {}}} },
	} {
		before := e.Config()
		if err := e.Reconfigure(core.WithQueueCapacity(99), option); !errors.Is(err, core.ErrConfig) || !contains(err.Error(), strings.TrimSpace(name)) {
			t.Errorf("%s: %v", name, err)
		}
		if after := e.Config(); after.QueueCapacity != before.QueueCapacity {
			t.Errorf("%s: a part was applied", name)
		}
	}
	if err := (*core.Engine)(nil).Reconfigure(); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("nil engine: %v", err)
	}
	if err := e.Shutdown(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err := e.Reconfigure(core.WithWorkers(1)); !errors.Is(err, core.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if s := e.Stats(); s.Rejected.Total() != 0 {
		t.Errorf("a change of settings is no submission: %+v", s)
	}
}

// Nil and zero engines refuse everything and know nothing.
func TestEngine_E_CORE_13_NilAndZero(t *testing.T) {
	ctx := context.Background()
	for name, e := range map[string]*core.Engine{"nil": nil, "zero": new(core.Engine)} {
		for call, err := range map[string]error{
			"Go": e.Go(func() {}), "TryGo": e.TryGo(func() {}), "GoContext": e.GoContext(ctx, func() {}),
			"Shutdown": e.Shutdown(ctx), "Close": e.Close(ctx), "WaitIdle": e.WaitIdle(ctx), "Pause": e.Pause(),
			"Resume": e.Resume(), "Resize": e.Resize(1), "SetQueueCapacity": e.SetQueueCapacity(1),
		} {
			if !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%s engine: %s: %v", name, call, err)
			}
		}
		if e.IsRunning() || e.IsShutdown() || !e.IsClosed() || e.IsPaused() || e.Name() != "" || e.Stats() != (core.Stats{}) {
			t.Errorf("%s engine: it knows something", name)
		}
	}
}

// A scheduler that panics while it is set up is a wrong configuration.
func TestConfig_PanickingScheduler(t *testing.T) {
	if e, err := core.New(core.WithScheduler(badScheduler{}), quietly()); e != nil || !errors.Is(err, core.ErrConfig) {
		t.Errorf("%v, %v", e, err)
	}
}

// An engine that could not be made leaves nothing behind: its context no longer
// hangs from the base context.
func TestConfig_FailedNewEndsItsContext(t *testing.T) {
	base := &watchedContext{Context: context.Background(), done: make(chan struct{})}
	for name, option := range map[string]core.Option{
		"scheduler":   core.WithScheduler(badScheduler{}),
		"interceptor": core.WithInterceptors(func(core.Handler) core.Handler { return nil }),
	} {
		if _, err := core.New(core.WithBaseContext(base), option, quietly()); !errors.Is(err, core.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
		// Two registrations, for the engine's context and for that of ended
		// tasks; both are taken back.
		if n := base.watchers.Load(); n != 0 {
			t.Errorf("%s: %d still watch the base context", name, n)
		}
	}
}

// watchedContext counts who waits for its end by context.AfterFunc.
type watchedContext struct {
	context.Context
	done     chan struct{}
	watchers atomic.Int64
}

func (c *watchedContext) Done() <-chan struct{} { return c.done }

func (c *watchedContext) AfterFunc(func()) (stop func() bool) {
	c.watchers.Add(1)
	return func() bool { c.watchers.Add(-1); return true }
}

// Two engines made from one Config do not share the memory of its slices, nor does
// an engine with those who ask for its Config.
func TestConfig_SlicesAreCopied(t *testing.T) {
	l := new(trail)
	shared := core.Config{Workers: 1, Interceptors: make([]core.Interceptor, 0, 4), Hooks: make([]core.Hooks, 0, 4)}
	shared.Interceptors = append(shared.Interceptors, l.layer("common"))
	first := engineFor(t, core.WithConfig(shared), core.WithInterceptors(l.layer("first")))
	_ = engineFor(t, core.WithConfig(shared), core.WithInterceptors(l.layer("second")))
	grown := shared
	grown.Interceptors = append(grown.Interceptors, l.layer("third")) // into the same memory
	third := engineFor(t, core.WithConfig(grown))
	grown.Interceptors[0], grown.Interceptors[1] = nil, nil
	third.Config().Interceptors[0] = nil
	if err := third.Reconfigure(func(c *core.Config) { c.Interceptors[0] = nil }); !errors.Is(err, core.ErrConfig) {
		t.Errorf("a nil interceptor: %v", err)
	}
	for e, want := range map[*core.Engine][]string{
		first: {"common before", "first before", "first after <nil>", "common after <nil>"},
		third: {"common before", "third before", "third after <nil>", "common after <nil>"},
	} {
		remove, err := e.Intercept(pass) // puts the chain together anew
		if err != nil {
			t.Fatal(err)
		}
		if _, err := core.Run(soon(t), e, value(1)); err != nil {
			t.Error(err)
		}
		remove()
		if diff := cmp.Diff(want, l.take()); diff != "" {
			t.Error(diff)
		}
		if err := e.Reconfigure(core.WithConfig(e.Config())); err != nil {
			t.Errorf("as it is: %v", err)
		}
	}
}

// All settings that cannot change are named at once.
func TestReconfigure_NamesAllThatCannotChange(t *testing.T) {
	e := engineFor(t)
	err := e.Reconfigure(core.WithName("other"), core.WithPrealloc(), core.WithPanics(core.PanicCrash),
		core.WithScheduler(&counting{}), quietly(), core.WithBaseContext(soon(t)), core.WithOnPanic(func(*core.PanicError) {}),
		core.WithInterceptors(pass), core.WithHooks(core.Hooks{}))
	if !errors.Is(err, core.ErrConfig) || strings.Count(err.Error(), "\n") != 8 || !contains(err.Error(), "Name", "Prealloc", "Panics",
		"Scheduler", "Logger", "BaseContext", "OnPanic", "Intercept", "AddHooks") {
		t.Error(err)
	}
}

// Another closure of the same code is another function; a value that can be compared
// is the same wherever it is kept.
func TestReconfigure_TellsClosuresApart(t *testing.T) {
	said := make([]func(*core.PanicError), 2)
	layers := make([]core.Interceptor, 2)
	hooks := make([]core.Hooks, 2)
	for i := range 2 {
		said[i] = func(*core.PanicError) { t.Error(i) }
		layers[i] = func(next core.Handler) core.Handler { t.Cleanup(func() { _ = i }); return next }
		hooks[i].Worker = func(int, bool) { _ = said[i] }
	}
	e := engineFor(t, core.WithOnPanic(said[0]), core.WithInterceptors(layers[0]), core.WithHooks(hooks[0]), core.WithScheduler(mapScheduler{}),
		core.WithBaseContext(valueContext{context.Background()}))
	same := e.Config()
	same.OnPanic, same.Interceptors, same.Hooks = said[0], layers[:1], hooks[:1]
	same.BaseContext = valueContext{context.Background()}
	if err := e.Reconfigure(core.WithConfig(same)); err != nil {
		t.Errorf("the same: %v", err)
	}
	other := same
	other.OnPanic, other.Interceptors, other.Hooks = said[1], layers[1:], hooks[1:]
	other.Scheduler = mapScheduler{}
	if err := e.Reconfigure(core.WithConfig(other)); err == nil || !contains(err.Error(), "OnPanic", "Intercept", "AddHooks", "Scheduler") {
		t.Errorf("others: %v", err)
	}
	// Each hook counts.
	for i := range reflect.TypeFor[core.Hooks]().NumField() {
		changed := e.Config()
		field := reflect.ValueOf(&changed.Hooks[0]).Elem().Field(i)
		field.Set(reflect.MakeFunc(field.Type(), nil))
		if err := e.Reconfigure(core.WithConfig(changed)); err == nil || !contains(err.Error(), "AddHooks") {
			t.Errorf("hook %d: %v", i, err)
		}
	}
}

type valueContext struct{ context.Context }

// mapScheduler stores nothing and cannot be compared.
type mapScheduler map[core.Job]int

func (mapScheduler) Push(core.Job)            {}
func (mapScheduler) Pop(int) (core.Job, bool) { return core.Job{}, false }
func (mapScheduler) Len() int                 { return 0 }

// An option is the caller's code: it may use the engine, and its panic leaves
// nothing locked.
func TestReconfigure_OptionIsFree(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	if panics(func() { _ = e.Reconfigure(func(*core.Config) { panic("x") }) }) != "x" {
		t.Error("no panic")
	}
	done := make(chan error, 1)
	go func() {
		done <- e.Reconfigure(func(c *core.Config) {
			addHooks(t, e, core.Hooks{})()
			if remove, err := e.Intercept(pass); err == nil {
				remove()
			}
			c.Workers = e.Config().Workers + 1
		})
	}()
	if err := receive(t, done, "end: an option is called under a lock"); err != nil || e.Stats().Workers != 2 {
		t.Error(err)
	}
}

type badScheduler struct{}

func (badScheduler) Push(core.Job)            {}
func (badScheduler) Pop(int) (core.Job, bool) { return core.Job{}, false }
func (badScheduler) Len() int                 { return 0 }
func (badScheduler) SetWaker(func())          { panic("no") }
