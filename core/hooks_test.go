package core_test

import (
	"context"
	"errors"
	"io"
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

// noting returns hooks that note everything but the worker's.
func (l *trail) noting() core.Hooks {
	return core.Hooks{
		Accepted: func(job core.Job) { l.note("accepted %s", job.Name()) },
		Rejected: func(info core.RejectInfo) {
			err := info.Err
			var refused *core.RefusedError
			l.note("rejected %v %v", errors.As(err, &refused), errors.Is(err, core.ErrClosed) || errors.Is(err, core.ErrQueueFull) || errors.Is(err, core.ErrInvalid) || errors.Is(err, context.Canceled))
		},
		Started: func(job core.Job) { l.note("started %s", job.Name()) },
		Ended: func(end core.EndInfo) {
			l.note("ended %s %v %v", end.Job.Name(), end.Outcome, end.Err != nil)
		},
		Retried: func(info core.RetryInfo) {
			l.note("retried %s %d %v", info.Job.Name(), info.Attempt, info.After)
		},
		Panicked: func(job core.Job, err *core.PanicError) { l.note("panicked %s %v", job.Name(), err.Value) },
		Changed:  func(c core.Change) { l.note("changed %v", c) },
	}
}

// Each thing that happens is told once, in order.
func TestHooks_Everything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(trail)
		e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1), quietly(), core.WithHooks(l.noting()))
		expect := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(want, l.take()); diff != "" {
				t.Error(diff)
			}
		}
		submit := func(attrs core.Attributes, body func(ctx context.Context) (int, error)) (*core.Future[int], error) {
			attrs.Name = "x"
			return core.SubmitWith(context.Background(), e, attrs, core.Func(body))
		}
		_, _ = submit(core.Attributes{}, func(context.Context) (int, error) {
			for !slices.Contains(l.peek(), "accepted x") { // so that Accepted comes first
				runtime.Gosched()
			}
			return 1, nil
		})
		synctest.Wait()
		if steps := l.take(); len(steps) != 3 || steps[2] != "ended x succeeded false" {
			t.Errorf("%v", steps)
		}

		gate := make(chan struct{})
		_, _ = submit(core.Attributes{}, func(context.Context) (int, error) { <-gate; panic("p") })
		synctest.Wait()
		l.take()
		queued, _ := submit(core.Attributes{QueueLimit: time.Hour}, func(context.Context) (int, error) { return 1, nil })
		expect("accepted x")
		_, _ = submit(core.Attributes{Reject: core.RejectFail}, nil)
		expect("rejected true true") // a nil task
		_, _ = submit(core.Attributes{Reject: core.RejectFail}, func(context.Context) (int, error) { return 1, nil })
		expect("rejected true true") // a full queue
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = e.GoContext(ended, func() {})
		expect("rejected true true")
		queued.Cancel()
		expect("ended x canceled true")
		_, _ = submit(core.Attributes{QueueLimit: time.Minute}, func(context.Context) (int, error) { return 1, nil })
		time.Sleep(time.Minute)
		expect("accepted x", "ended x timed out true")
		_, _ = submit(core.Attributes{}, func(context.Context) (int, error) { return 1, nil })
		expect("accepted x")
		_, _ = submit(core.Attributes{Reject: core.RejectDiscardOldest}, func(context.Context) (int, error) { return 1, nil })
		expect("ended x discarded true", "accepted x")
		_, _ = submit(core.Attributes{Reject: core.RejectDiscardNewest}, func(context.Context) (int, error) { return 1, nil })
		synctest.Wait()
		if steps := l.take(); len(steps) != 2 { // in either order
			t.Errorf("%v", steps)
		}
		_ = e.Pause()
		expect("changed paused")
		_ = e.Pause()
		expect()
		_ = e.Resume()
		_ = e.Resume()
		expect("changed resumed")
		_ = e.SetQueueCapacity(2)
		expect("changed reconfigured")
		if err := e.SetQueueCapacity(-7); err == nil {
			t.Error("no error")
		}
		expect()
		close(gate)
		expect("panicked x p", "ended x panicked true", "started x", "ended x succeeded false")
		_, _ = submit(core.Attributes{RunLimit: time.Second}, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		time.Sleep(time.Second)
		synctest.Wait()
		if steps := l.take(); len(steps) != 3 || steps[2] != "ended x timed out true" {
			t.Errorf("%v", steps)
		}
		_, _ = submit(core.Attributes{}, func(ctx context.Context) (int, error) {
			if core.Attempt(ctx) < 2 {
				return 0, core.Again(time.Minute, io.EOF)
			}
			return 1, nil
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		steps := l.take()
		if diff := cmp.Diff([]string{"retried x 1 1m0s", "started x", "retried x 2 1m0s", "started x", "ended x succeeded false"}, steps[2:]); diff != "" {
			t.Error(diff)
		}
		if err := e.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		expect("changed shutdown begun", "changed shutdown ended")
		_, _ = submit(core.Attributes{}, func(context.Context) (int, error) { return 1, nil })
		expect("rejected true true")
	})
}

// peek returns the steps so far.
func (l *trail) peek() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.steps...)
}

// When Ended is called the future is resolved and the job still answers.
func TestHooks_EndedSeesTheEnd(t *testing.T) {
	var f atomic.Pointer[core.Future[int]]
	told := make(chan bool, 10)
	ready := make(chan struct{})
	e := engineFor(t, core.WithHooks(core.Hooks{Ended: func(end core.EndInfo) {
		<-ready
		_, got := f.Load().Get()
		told <- f.Load().IsDone() && errors.Is(got, io.EOF) && errors.Is(end.Err, io.EOF) && end.Job.Name() == "n" && end.Job.Key() == "k"
	}}))
	future, err := core.SubmitWith(context.Background(), e, core.Attributes{Name: "n", Key: "k"},
		core.Func(func(context.Context) (int, error) { return 0, io.EOF }))
	if err != nil {
		t.Fatal(err)
	}
	f.Store(future)
	close(ready)
	if !receive(t, told, "call") {
		t.Error("it was too early, or the job has forgotten")
	}
}

// Hooks are called outside every lock: each may use the whole engine.
func TestHooks_MayCallTheEngine(t *testing.T) {
	var e *core.Engine
	var depth atomic.Int64
	called := map[string]*atomic.Int64{}
	for _, name := range []string{"accepted", "rejected", "started", "ended", "retried", "panicked", "worker", "changed"} {
		called[name] = new(atomic.Int64)
	}
	use := func(name string) {
		called[name].Add(1)
		if depth.Add(1) < 40 { // what the hook does calls hooks in turn
			_ = e.Stats()
			_ = e.TryGo(func() {})
			_ = e.TryGo(nil)
			_ = e.SetQueueCapacity(2)
			_ = e.Resize(2)
			_ = e.Config()
			addHooks(t, e, core.Hooks{})()
			if remove, err := e.Intercept(pass); err == nil {
				remove()
			}
			_ = e.Resume()
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		hooks := core.Hooks{
			Accepted: func(core.Job) { use("accepted") },
			Rejected: func(core.RejectInfo) { use("rejected") },
			Started:  func(core.Job) { use("started") },
			Ended:    func(core.EndInfo) { use("ended") },
			Retried:  func(core.RetryInfo) { use("retried") },
			Panicked: func(core.Job, *core.PanicError) { use("panicked") },
			Worker:   func(int, bool) { use("worker") },
			Changed:  func(core.Change) { use("changed") },
		}
		if e, err = core.New(core.WithWorkers(2), core.WithQueueCapacity(2), quietly()); err != nil {
			t.Error(err)
			return
		}
		addHooks(t, e, hooks)
		ctx := context.Background()
		for _, policy := range []core.RejectPolicy{core.RejectWait, core.RejectFail, core.RejectDiscardOldest, core.RejectDiscardNewest, core.RejectDisplaceLowest, core.RejectCallerRuns} {
			for i := range 20 {
				depth.Store(0)
				f, err := core.SubmitWith(ctx, e, core.Attributes{Reject: policy, Priority: core.Priority(i%4 + 1), QueueLimit: time.Hour}, core.Func(func(ctx context.Context) (int, error) {
					switch {
					case i%4 == 0 && core.Attempt(ctx) == 0:
						return 0, core.Again(0, nil)
					case i%4 == 1:
						panic("x")
					}
					return i, nil
				}))
				if err == nil && i%3 == 0 {
					f.Cancel()
				}
			}
		}
		_ = e.Pause()
		_ = e.Resume()
		_ = e.WaitIdle(ctx) // a task to be run again would be handed back
		if err := e.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		depth.Store(0)
		_ = e.Go(func() {})
		_ = e.Resize(3) // after the end
		if err := e.Stats().Check(); err != nil {
			t.Error(err)
		}
	}()
	receive(t, done, "end: a hook is called under a lock")
	for name, n := range called {
		if n.Load() == 0 {
			t.Errorf("%s was never called", name)
		}
	}
}

// Rejected is told what is known of the task.
func TestHooks_RejectedKnowsTheAttributes(t *testing.T) {
	var told []core.RejectInfo
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1), core.WithReject(core.RejectFail), core.WithHooks(core.Hooks{
		Rejected: func(info core.RejectInfo) { told = append(told, info) }}))
	release := occupy(t, e, 1)
	defer release()
	fill(t, e, 1)
	ctx := context.Background()
	given := core.Attributes{Key: "k"}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for name, c := range map[string]struct {
		call func() error
		want core.Attributes
	}{
		"function":  {func() error { return e.Go(func() {}) }, core.Attributes{}},
		"functions": {func() error { _, err := e.GoAll(ctx, []func(){func() {}}); return err }, core.Attributes{}},
		"plain":     {func() error { _, err := core.Submit(ctx, e, value(1)); return err }, core.Attributes{}},
		"given":     {func() error { _, err := core.SubmitWith(ctx, e, given, value(1)); return err }, given},
		"try":       {func() error { _, err := core.TrySubmitWith(ctx, e, given, value(1)); return err }, given},
		"batch":     {func() error { _, err := core.SubmitAllWith(ctx, e, given, []core.Task[int]{value(1)}); return err }, given},
		"context":   {func() error { _, err := core.SubmitWith(ended, e, given, value(1)); return err }, given},
		"nil task":  {func() error { _, err := core.SubmitWith[int](ctx, e, given, nil); return err }, given},
		"invalid": {func() error { _, err := core.SubmitWith(ctx, e, core.Attributes{Reject: 99}, value(1)); return err },
			core.Attributes{Reject: 99}},
		"brought": {func() error { _, err := core.SubmitWith(ctx, e, given, monthly{7}); return err },
			core.Attributes{Key: "k", Name: "report-07", Priority: core.High}},
		"brought in a batch": {func() error { _, err := core.SubmitAll(ctx, e, []core.Task[string]{monthly{7}}); return err },
			core.Attributes{Name: "report-07", Priority: core.High}},
	} {
		told = nil
		err := c.call()
		if len(told) != 1 || err == nil || told[0].Err != err {
			t.Errorf("%s: %v: told %v", name, err, told)
			continue
		}
		if diff := cmp.Diff(c.want, told[0].Attributes); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A wish with a negative delay is told as one without.
func TestHooks_RetriedKnowsDelayAndCause(t *testing.T) {
	told := make(chan core.RetryInfo, 1)
	e := engineFor(t, core.WithHooks(core.Hooks{Retried: func(info core.RetryInfo) { told <- info }}))
	_, err := core.Run(soon(t), e, core.Func(func(ctx context.Context) (int, error) {
		if core.Attempt(ctx) == 0 {
			return 0, &core.AgainError{After: -1, Cause: io.EOF}
		}
		return 1, nil
	}))
	if err != nil {
		t.Error(err)
	}
	if info := <-told; info.Attempt != 1 || info.After != 0 || info.Cause != io.EOF || info.Job.IsZero() {
		t.Errorf("%+v", info)
	}
}

// The Worker hook is told of each goroutine's start and end.
func TestHooks_Worker(t *testing.T) {
	var mu sync.Mutex
	alive := map[int]bool{}
	starts := 0
	e := engineFor(t, core.WithWorkers(4), quietly(), core.WithHooks(core.Hooks{Worker: func(id int, started bool) {
		mu.Lock()
		defer mu.Unlock()
		if alive[id] == started {
			t.Errorf("worker %d: started %v twice", id, started)
		}
		alive[id] = started
		if started {
			starts++
		}
	}}))
	occupy(t, e, 4)()
	for range 20 {
		if err := e.Go(runtime.Goexit); err != nil {
			t.Fatal(err)
		}
	}
	endEngine(t, e)
	for id, up := range alive {
		if up {
			t.Errorf("worker %d has not ended", id)
		}
	}
	if starts < 4 {
		t.Errorf("%d starts", starts)
	}
}

// Hooks can be added and removed; sets are told in order; remove takes only its
// own.
func TestHooks_AddAndRemove(t *testing.T) {
	l := new(trail)
	e := engineFor(t, core.WithHooks(core.Hooks{Started: func(core.Job) { l.note("first") }}))
	second := core.Hooks{Started: func(core.Job) { l.note("second") }}
	remove, removeTwin := addHooks(t, e, second), addHooks(t, e, second)
	run := func(want ...string) {
		t.Helper()
		if _, err := core.Run(soon(t), e, value(1)); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, l.take()); diff != "" {
			t.Error(diff)
		}
	}
	run("first", "second", "second")
	remove()
	remove()
	run("first", "second")
	removeTwin()
	run("first")
	for _, e := range []*core.Engine{nil, new(core.Engine)} {
		var refused *core.RefusedError
		if remove, err := e.AddHooks(second); remove != nil || !errors.Is(err, core.ErrInvalid) || !errors.As(err, &refused) {
			t.Errorf("an engine not made by New: %v", err)
		}
	}
}

// TestHooks_OfTheEngineAlone: hooks that hear of no jobs leave functions their short way,
// and are told all the same.
func TestHooks_OfTheEngineAlone(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1))
	var changed, refused, started, ended atomic.Int64
	removeQuiet := addHooks(t, e, core.Hooks{
		Changed:  func(core.Change) { changed.Add(1) },
		Rejected: func(core.RejectInfo) { refused.Add(1) },
	})
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	fill(t, e, 1)
	if err := e.TryGo(func() {}); err == nil {
		t.Error("a full queue took a function")
	}
	removeLoud := addHooks(t, e, core.Hooks{
		Started: func(core.Job) { started.Add(1) },
		Ended:   func(core.EndInfo) { ended.Add(1) },
	})
	if err := e.Resume(); err != nil {
		t.Fatal(err)
	}
	idle(t, e)
	removeLoud()
	fill(t, e, 1)
	idle(t, e)
	removeQuiet()
	if err := errors.Join(e.Pause(), e.Resume()); err != nil {
		t.Error(err)
	}
	if c, r, s, n := changed.Load(), refused.Load(), started.Load(), ended.Load(); c != 2 || r != 1 || s != 1 || n != 1 {
		t.Errorf("told of %d changes, %d refusals, %d starts, %d ends; want 2, 1, 1, 1", c, r, s, n)
	}
}

func TestChange_String(t *testing.T) {
	var got []string
	for c := range core.Change(8) {
		got = append(got, c.String())
	}
	if diff := cmp.Diff([]string{"", "paused", "resumed", "reconfigured", "shutdown begun", "shutdown ended"}, got[:6]); diff != "" {
		t.Error(diff)
	}
}

// Hooks that are added while a task runs are told of its end, whatever kind of task.
func TestHooks_AddedWhileTaskRuns(t *testing.T) {
	for _, what := range []string{"function", "task"} {
		e := engineFor(t, core.WithWorkers(1))
		gate, inside := make(chan struct{}), make(chan struct{})
		if what == "function" {
			if err := e.Go(func() { close(inside); <-gate }); err != nil {
				t.Fatal(err)
			}
		} else {
			must(t, e, core.Func(func(context.Context) (int, error) { close(inside); <-gate; return 1, nil }))
		}
		<-inside
		var n atomic.Int32
		addHooks(t, e, core.Hooks{Ended: func(core.EndInfo) { n.Add(1) }})
		close(gate)
		idle(t, e)
		if n.Load() != 1 {
			t.Errorf("%s: Ended told %d times", what, n.Load())
		}
	}
}
