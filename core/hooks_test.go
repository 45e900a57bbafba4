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
		Rejected: func(err error) {
			var refused *core.RefusedError
			l.note("rejected %v %v", errors.As(err, &refused), errors.Is(err, core.ErrClosed) || errors.Is(err, core.ErrQueueFull) || errors.Is(err, core.ErrInvalid) || errors.Is(err, context.Canceled))
		},
		Started: func(job core.Job) { l.note("started %s", job.Name()) },
		Ended:   func(job core.Job, o core.Outcome, err error) { l.note("ended %s %v %v", job.Name(), o, err != nil) },
		Retried: func(job core.Job, n int, wish *core.AgainError) {
			l.note("retried %s %d %v", job.Name(), n, wish.After)
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
	e := engineFor(t, core.WithHooks(core.Hooks{Ended: func(job core.Job, _ core.Outcome, err error) {
		<-ready
		_, got := f.Load().Get()
		told <- f.Load().IsDone() && errors.Is(got, io.EOF) && errors.Is(err, io.EOF) && job.Name() == "n" && job.Key() == "k"
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
			e.AddHooks(core.Hooks{})()
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
			Rejected: func(error) { use("rejected") },
			Started:  func(core.Job) { use("started") },
			Ended:    func(core.Job, core.Outcome, error) { use("ended") },
			Retried:  func(core.Job, int, *core.AgainError) { use("retried") },
			Panicked: func(core.Job, *core.PanicError) { use("panicked") },
			Worker:   func(int, bool) { use("worker") },
			Changed:  func(core.Change) { use("changed") },
		}
		if e, err = core.New(core.WithWorkers(2), core.WithQueueCapacity(2), quietly()); err != nil {
			t.Error(err)
			return
		}
		e.AddHooks(hooks)
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
	remove, removeTwin := e.AddHooks(second), e.AddHooks(second)
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
	(*core.Engine)(nil).AddHooks(second)()
	new(core.Engine).AddHooks(second)()
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
