package core_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
)

// modelChecks runs a model on 2,000 sequences of 50 steps, or on as many as
// GOMAN_MODEL says: each in a bubble of its own. A flag of rapid's that is given wins.
func modelChecks(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	checks := 2000
	if long, err := strconv.Atoi(os.Getenv("GOMAN_MODEL")); err == nil && long > 0 {
		checks = long
	} else if raceEnabled {
		checks /= 10
	}
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, n := range map[string]int{"rapid.checks": checks, "rapid.steps": 50} {
		if !given[name] {
			before := flag.Lookup(name).Value.String()
			if err := flag.Set(name, strconv.Itoa(n)); err != nil {
				t.Fatal(err)
			}
			defer flag.Set(name, before) //nolint:errcheck // it was its value before
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		var stopped any // rapid ends a case by a panic, which must not cross the bubble's border
		func() {
			defer func() {
				if v := recover(); v != nil { // goroutines are left for ever: say which
					buffer := make([]byte, 1<<20)
					panic(fmt.Sprintf("%v; the case: %v\n%s", v, stopped, buffer[:runtime.Stack(buffer, true)]))
				}
			}()
			synctest.Test(t, func(*testing.T) {
				defer func() { stopped = recover() }()
				property(rt)
			})
		}()
		if fmt.Sprintf("%T", stopped) == "rapid.invalidData" {
			rt.SkipNow() // a case that is no case, which must not look like one that fails
		}
		if stopped != nil {
			panic(stopped)
		}
	})
}

// modelHooks counts what the hooks and the interceptor of a model were told.
type modelHooks struct {
	on, intercepts                                           bool
	accepted, rejected, started, retried, changed, intercept atomic.Int64
	ended                                                    [8]atomic.Int64
}

func (h *modelHooks) hooks() core.Hooks {
	return core.Hooks{
		Accepted: func(core.Job) { h.accepted.Add(1) },
		Rejected: func(core.RejectInfo) { h.rejected.Add(1) },
		Started:  func(core.Job) { h.started.Add(1) },
		Ended:    func(info core.EndInfo) { h.ended[info.Outcome].Add(1) },
		Retried:  func(core.RetryInfo) { h.retried.Add(1) },
		Changed: func(c core.Change) {
			if c == core.ChangeReconfigured {
				h.changed.Add(1)
			}
		},
	}
}

type modelKey struct{}

func (h *modelHooks) interceptor(next core.Handler) core.Handler {
	return func(ctx context.Context, job core.Job) error {
		h.intercept.Add(1)
		return next(context.WithValue(ctx, modelKey{}, 1), job)
	}
}

// urgent gives out the most urgent job, of those the oldest.
type urgent struct{ line }

func (u *urgent) Pop(int) (job core.Job, ok bool) {
	for _, j := range u.jobs {
		if job.IsZero() || j.Priority() > job.Priority() {
			job = j
		}
	}
	i := slices.Index(u.jobs, job)
	if i < 0 {
		return job, false
	}
	u.jobs = slices.Delete(u.jobs, i, i+1)
	return job, true
}

// orderly is a scheduler without any of the optional interfaces.
type orderly struct{ core.Scheduler }

// newModel draws a configuration.
func newModel(t *rapid.T) *model {
	m := &model{t: t, step: 1, abort: make(chan struct{}), resumed: map[*modelTask]error{}}
	c := &m.config
	*c = core.Config{
		Workers:        rapid.SampledFrom([]int{1, 1, 2, 4}).Draw(t, "workers"),
		QueueCapacity:  rapid.SampledFrom([]int{1, 2, 5, core.Unbounded}).Draw(t, "capacity"),
		Reject:         core.RejectPolicy(rapid.IntRange(1, int(core.RejectAsk)).Draw(t, "policy")),
		OnFull:         func(context.Context, core.Job) core.RejectPolicy { return m.answers },
		QueueLimit:     unique(max(rapid.IntRange(-20, 20).Draw(t, "queue limit"), 0), 2_000_003),
		RunLimit:       unique(max(rapid.IntRange(-20, 20).Draw(t, "run limit"), 0), 3_000_017),
		CancelGrace:    rapid.SampledFrom([]time.Duration{1, unique(9, 4_000_037)}).Draw(t, "grace"),
		IdleTimeout:    rapid.SampledFrom([]time.Duration{0, time.Millisecond, -1}).Draw(t, "idle"),
		Prealloc:       rapid.Bool().Draw(t, "prealloc"),
		AcceptChildren: rapid.Bool().Draw(t, "children"),
		OnPanic:        func(*core.PanicError) {},
	}
	first := func([]*modelTask) int { return 0 }
	newest := func(line []*modelTask) int { return len(line) - 1 }
	mostUrgent := func(line []*modelTask) (best int) {
		for i, k := range line {
			if k.priority > line[best].priority {
				best = i
			}
		}
		return best
	}
	order := rapid.SampledFrom([]string{"built-in", "built-in", "fifo", "lifo", "priority", "bare"}).Draw(t, "scheduler")
	switch order {
	case "fifo":
		c.Scheduler, m.order = &line{}, first
	case "lifo":
		c.Scheduler, m.order = &line{newest: true}, newest
	case "priority":
		c.Scheduler, m.order = &urgent{}, mostUrgent
	case "bare":
		c.Scheduler, m.order = orderly{&line{}}, first
	default:
		if c.Workers == 1 {
			m.order = first
		}
	}
	m.custom = c.Scheduler != nil
	if m.told.on = rapid.Bool().Draw(t, "hooks"); m.told.on {
		c.Hooks = []core.Hooks{m.told.hooks()}
	}
	if m.told.intercepts = rapid.Bool().Draw(t, "interceptor"); m.told.intercepts {
		c.Interceptors = []core.Interceptor{m.told.interceptor}
	}
	m.did("%d workers, capacity %d, %v, limits %v and %v, grace %v, idle %v, prealloc %v, children %v, scheduler %s, hooks %v, interceptor %v",
		c.Workers, c.QueueCapacity, c.Reject, c.QueueLimit, c.RunLimit, c.CancelGrace, c.IdleTimeout, c.Prealloc, c.AcceptChildren,
		order, m.told.on, m.told.intercepts)
	e, err := core.New(core.WithConfig(*c), quietly())
	if err != nil {
		t.Fatal(err)
	}
	m.engine = e
	return m
}

// check compares the figures of the engine with the model, and all futures.
func (m *model) check(*rapid.T) {
	s := m.engine.Stats()
	if err := s.Check(); err != nil {
		m.t.Fatal(err)
	}
	want := core.Stats{Name: s.Name, Workers: m.config.Workers, Goroutines: s.Goroutines, Capacity: m.config.QueueCapacity,
		Idle: s.Idle, Blocked: len(m.door), Accepted: m.accepted, Queued: len(m.line) + m.count(atDelay), Delayed: m.count(atDelay),
		Running: m.count(atWork), Retried: m.retried, Late: m.late, Failures: m.failures, Rejected: m.rejected,
		Succeeded: m.ended[core.OutcomeSucceeded], Failed: m.ended[core.OutcomeFailed], Panicked: m.ended[core.OutcomePanicked],
		Canceled: m.ended[core.OutcomeCanceled], TimedOut: m.ended[core.OutcomeTimedOut], Discarded: m.ended[core.OutcomeDiscarded],
		Undone: m.ended[core.OutcomeUndone], Abandoned: m.ended[core.OutcomeAbandoned]}
	if !m.stopping {
		want.Idle = max(m.free(), 0)
	}
	for _, k := range m.tasks {
		if k.at == atWork && k.awaits != nil {
			want.Waiting++
		}
		if k.at == atWork && k.expired {
			want.Overdue++
		}
		m.checkFuture(k)
	}
	if m.finished && m.count(atWork) == 0 && m.ignoring == 0 {
		want.Goroutines = 0
	}
	if diff := cmp.Diff(want, s); diff != "" {
		m.fatalf("the figures differ: - is the model, + the engine\n%s", diff)
	}
	e := m.engine
	got := fmt.Sprint(e.IsPaused(), e.IsRunning(), e.IsShutdown(), e.IsClosed())
	if want := fmt.Sprint(m.paused, !m.draining, m.draining, m.finished); got != want {
		m.fatalf("paused, running, shut down, closed: %s, want %s", got, want)
	}
	m.checkHooks()
	m.looked()
}

// checkFuture compares the future of k.
func (m *model) checkFuture(k *modelTask) {
	if k.future == nil || k.checked {
		return
	}
	if done := k.future.IsDone(); done != (k.at == atEnd) {
		m.fatalf("%v: resolved %v, want %v", k, done, k.at == atEnd)
	}
	if k.at == atEnd {
		v, err := k.future.Get()
		m.compare(k.String(), k.verdict, err)
		if v != k.verdict.value {
			m.fatalf("%v: the value is %d, want %d", k, v, k.verdict.value)
		}
		k.checked = true
	}
}

func (m *model) checkHooks() {
	h := &m.told
	if h.intercepts && int(h.intercept.Load()) != m.bodies {
		m.fatalf("%d bodies have begun, the interceptor was called %d times", m.bodies, h.intercept.Load())
	}
	if !h.on {
		return
	}
	got := []int64{h.rejected.Load(), h.started.Load(), h.retried.Load(), h.changed.Load()}
	want := []int64{int64(m.rejected.Total()), int64(m.bodies), int64(m.retried), int64(m.changes)}
	for i := range h.ended {
		got, want = append(got, h.ended[i].Load()), append(want, int64(m.ended[i]))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		m.fatalf("the hooks were told: rejected, started, retried, changed, ended by outcome\n%s", diff)
	}
}

// step1 makes a step of a command.
func (m *model) step1(command func(*rapid.T)) func(*rapid.T) {
	return func(t *rapid.T) {
		m.step++
		m.loose, m.tied = false, false
		command(t)
		m.advance()
	}
}

// stop ends what is left at the end of a case.
func (m *model) stop(t *rapid.T) {
	close(m.abort)
	for _, c := range append(m.idlers, m.stops...) {
		c.end(errModel)
	}
	_ = m.engine.Close(context.Background())
	if s := m.engine.Stats(); s.Check() != nil {
		t.Errorf("at the end: %+v", s)
	}
}

// TestModel_Engine runs random sequences of all that can be done with an engine of a
// random configuration against the model: while it lives, and while it ends.
func TestModel_Engine(t *testing.T) {
	modelChecks(t, func(t *rapid.T) {
		m := newModel(t)
		defer m.stop(t)
		life := map[string]func(*rapid.T){
			"submit": m.submit, "submit more": m.submit, "submit even more": m.submit, "batch": m.batch, "spawn": m.spawn, "wrong": m.wrong,
			"leave": m.leave, "leave more": m.leave, "await": m.await, "observe": m.observe,
			"cancel": m.cancel, "end context": m.endContext, "pass": m.pass,
			"pause": m.pause, "resume": m.resume, "change": m.change, "wait idle": m.waitIdle, "give up": m.giveUp,
		}
		end := map[string]func(*rapid.T){
			"submit": m.submit, "spawn": m.spawn, "wrong": m.wrong, "leave": m.leave, "leave more": m.leave, "await": m.await,
			"observe": m.observe, "cancel": m.cancel, "end context": m.endContext, "pass": m.pass, "pass more": m.pass,
			"pause": m.pause, "resume": m.resume, "change": m.change, "wait idle": m.waitIdle, "give up": m.giveUp,
			"give up more": m.giveUp, "shutdown": m.shutdown,
		}
		for _, commands := range []map[string]func(*rapid.T){life, end} {
			for name, command := range commands {
				commands[name] = m.step1(command)
			}
			commands[""] = m.check
		}
		t.Repeat(life)
		m.step1(m.shutdown)(t)
		t.Repeat(end)
	})
}
