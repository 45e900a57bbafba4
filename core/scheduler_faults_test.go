package core_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/uptutu/goman/core"
)

// faulty is a FIFO with all optional interfaces whose methods misbehave on demand.
type faulty struct {
	jobs   []core.Job
	before func(method string) // nil: nothing
	after  func(method string)
	hold   atomic.Bool // Pop gives out nothing, which need not mean that none is stored
	wrong  atomic.Int32
}

func (s *faulty) call(method string) func() {
	if s.before != nil {
		s.before(method)
	}
	return func() {
		if s.after != nil {
			s.after(method)
		}
	}
}

func (s *faulty) Push(job core.Job) {
	defer s.call("Push")()
	s.jobs = append(s.jobs, job)
}

func (s *faulty) Pop(int) (core.Job, bool) {
	defer s.call("Pop")()
	if len(s.jobs) == 0 || s.hold.Load() {
		return core.Job{}, false
	}
	job := s.jobs[0]
	s.jobs = s.jobs[1:]
	return job, true
}

func (s *faulty) Len() int {
	defer s.call("Len")()
	return len(s.jobs)
}

func (s *faulty) Completed(core.Job) { s.call("Completed")() }

// Claim is strict about its contract: it is for stored jobs.
func (s *faulty) Claim(job core.Job) (core.Job, bool) {
	defer s.call("Claim")()
	for i, other := range s.jobs {
		if other == job {
			s.jobs = append(s.jobs[:i:i], s.jobs[i+1:]...)
			return core.Job{}, true
		}
	}
	s.wrong.Add(1)
	return core.Job{}, false
}

func (s *faulty) Sweep(drop func(core.Job) bool) {
	defer s.call("Sweep")()
	var kept []core.Job
	for _, job := range s.jobs {
		if !drop(job) {
			kept = append(kept, job)
		}
	}
	s.jobs = kept
}

func (s *faulty) Resized(int) { s.call("Resized")() }

func (s *faulty) Refuse(core.Job) error { s.call("Refuse")(); return nil }

func (s *faulty) Yielded(core.Job) { s.call("Yielded")() }

func (s *faulty) Resumed(core.Job) { s.call("Resumed")() }

// bare hides the optional interfaces of a scheduler.
type bare struct{ core.Scheduler }

// A method of the scheduler that ends its goroutine takes no lock with it: the
// others go on, the figures are right, and the engine comes to its end.
func TestScheduler_GoexitLeavesNothingLocked(t *testing.T) {
	for _, method := range []string{"Push", "Pop", "Len", "Completed", "Claim", "Sweep", "Resized",
		"Refuse", "Yielded", "Resumed"} {
		for _, times := range []int32{1, 3, 1 << 30} {
			t.Run(fmt.Sprint(method, "/", times), func(t *testing.T) {
				goexits(t, method, times)
			})
		}
	}
}

func goexits(t *testing.T, method string, times int32) {
	var left atomic.Int32
	s := &faulty{before: func(m string) {
		if m == method && left.Add(-1) >= 0 {
			runtime.Goexit()
		}
	}}
	e, err := core.New(core.WithWorkers(2), core.WithScheduler(s), core.WithQueueCapacity(100),
		core.WithReject(core.RejectDiscardOldest), quietly())
	if err != nil {
		t.Fatal(err)
	}
	left.Store(times)
	var group sync.WaitGroup
	var mu sync.Mutex
	var futures []*core.Future[int]
	for p := range 4 {
		for i := range 150 { // each on a goroutine that it may lose
			group.Go(func() {
				f, err := core.Submit(context.Background(), e, core.Func(func(ctx context.Context) (int, error) {
					if i%3 != 0 {
						return i, nil
					}
					child, err := core.Submit(ctx, e, value(i))
					if err != nil {
						return 0, err
					}
					return child.Await(ctx)
				}))
				if err != nil {
					return
				}
				mu.Lock()
				futures = append(futures, f)
				mu.Unlock()
				if i%5 == 0 {
					f.Cancel()
				}
				if i%40 == 0 {
					_ = e.Resize(1 + (i+p)%4)
				}
			})
		}
	}
	group.Wait()
	if err := e.Stats().Check(); err != nil {
		t.Error(err)
	}
	if times < 1<<30 {
		idle(t, e)
		if f, err := core.Submit(context.Background(), e, value(7)); err != nil {
			t.Error(err)
		} else if v, err := f.Await(soon(t)); v != 7 || err != nil {
			t.Error(v, err)
		}
	}
	_ = e.Close(soon(t))
	if !e.IsClosed() {
		t.Errorf("the engine has not ended: %+v", e.Stats())
	}
	for _, f := range futures {
		if !f.IsDone() {
			t.Fatal("a future was not resolved")
		}
	}
	stats := e.Stats()
	if err := stats.Check(); err != nil {
		t.Error(err)
	}
	if stats.Queued+stats.Running != 0 {
		t.Errorf("%+v", stats)
	}
	over(t, e)
}

// The submitter whose Push ends its goroutine has submitted nothing.
func TestScheduler_GoexitOfPushRefuses(t *testing.T) {
	var exits atomic.Bool
	s := &faulty{after: func(m string) {
		if m == "Push" && exits.CompareAndSwap(true, false) {
			runtime.Goexit()
		}
	}}
	e := engineFor(t, core.WithWorkers(1), core.WithScheduler(s), quietly())
	exits.Store(true)
	ran, gone := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = core.Submit(context.Background(), e, core.Func(func(context.Context) (int, error) { ran <- struct{}{}; return 0, nil }))
		t.Error("Submit returned")
	}()
	receive(t, gone, "end of the submitter")
	if _, err := core.Run(context.Background(), e, value(1)); err != nil {
		t.Error(err)
	}
	idle(t, e)
	if stats := e.Stats(); stats.Accepted != 1 || stats.Rejected.Internal != 1 || len(ran) != 0 {
		t.Errorf("%d ran, %+v", len(ran), stats)
	}
}

// Those who wait for room are refused, not forgotten, where Push fails on the
// goroutine of somebody else; and that goroutine goes on.
func TestScheduler_GoexitOfPushForAWaiter(t *testing.T) {
	var exits atomic.Bool
	s := &faulty{before: func(m string) {
		if m == "Push" && exits.CompareAndSwap(true, false) {
			runtime.Goexit()
		}
	}}
	e := engineFor(t, core.WithWorkers(1), core.WithScheduler(s), core.WithQueueCapacity(1), quietly())
	release := occupy(t, e, 1)
	queued := must(t, e, value(1))
	refused := make(chan error, 1)
	go func() {
		_, err := core.Submit(context.Background(), e, value(2))
		refused <- err
	}()
	for e.Stats().Blocked == 0 {
		runtime.Gosched()
	}
	exits.Store(true)
	queued.Cancel()
	if err := receive(t, refused, "answer"); !errors.Is(err, core.ErrGoexit) {
		t.Errorf("%v", err)
	}
	release()
	if _, err := queued.Await(soon(t)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A panic of Push is the reason of the refusal, and is logged with its stack.
func TestScheduler_PanicOfPush(t *testing.T) {
	var panicking atomic.Bool
	s := &faulty{after: func(m string) {
		if m == "Push" && panicking.Load() {
			panic("no more")
		}
	}}
	log := make(chan slog.Record, 1)
	e := engineFor(t, core.WithName("post"), core.WithWorkers(1), core.WithScheduler(s), core.WithLogger(slog.New(recordsTo(log))))
	panicking.Store(true)
	ran := make(chan struct{}, 2)
	_, err := core.Submit(context.Background(), e, core.Func(func(context.Context) (int, error) { ran <- struct{}{}; return 1, nil }))
	var p *core.PanicError
	if !errors.As(err, &p) || !errors.Is(err, core.ErrPanicked) || p.Engine != "post" || p.Task != "scheduler's Push" ||
		!strings.Contains(string(p.Stack), "faulty") {
		t.Errorf("%v; %+v", err, p)
	}
	receive(t, log, "log line")
	if err := e.Go(func() { ran <- struct{}{} }); !errors.Is(err, core.ErrPanicked) {
		t.Error(err)
	}
	panicking.Store(false)
	if _, err := core.Run(context.Background(), e, value(1)); err != nil {
		t.Error(err)
	}
	idle(t, e)
	if len(ran) != 0 {
		t.Error("a refused task has run, since Push had stored it")
	}
}

type recordsTo chan<- slog.Record

func (recordsTo) Enabled(context.Context, slog.Level) bool { return true }
func (c recordsTo) Handle(_ context.Context, r slog.Record) error {
	select {
	case c <- r:
	default:
	}
	return nil
}
func (c recordsTo) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c recordsTo) WithGroup(string) slog.Handler      { return c }

// A forced stop hands back what the scheduler does not give out, too.
func TestScheduler_CloseWithHeldJobs(t *testing.T) {
	for _, how := range []string{"holds", "panics", "exits", "sweeper panics"} {
		t.Run(how, func(t *testing.T) {
			var failing atomic.Bool
			inner := &faulty{before: func(m string) {
				if m == "Push" || m == "Refuse" || !failing.Load() {
					return
				}
				if how == "exits" {
					runtime.Goexit()
				}
				panic("not now")
			}}
			var s core.Scheduler = bare{inner}
			switch how {
			case "holds":
				inner.hold.Store(true)
			case "sweeper panics":
				s = inner
				fallthrough
			default:
				failing.Store(true)
			}
			if how == "sweeper panics" {
				failing.Store(false) // Resized is called by New
			}
			e, err := core.New(core.WithWorkers(1), core.WithScheduler(s), quietly())
			if err != nil {
				t.Fatal(err)
			}
			if how != "holds" {
				failing.Store(true)
			}
			f := must(t, e, value(1))
			fn := func() {}
			for range 2 {
				if err := e.Go(fn); err != nil {
					t.Fatal(err)
				}
			}
			closed := e.Close(soon(t))
			var report *core.ShutdownError
			if !errors.As(closed, &report) || len(report.Undone) != 3 || report.Canceled != 0 || !e.IsClosed() || e.Stats().Undone != 3 {
				t.Errorf("Close: %v; closed %v, %+v", closed, e.IsClosed(), e.Stats())
			}
			if _, err := f.Await(soon(t)); !errors.Is(err, core.ErrUndone) {
				t.Error(err)
			}
			over(t, e)
		})
	}
}

// A newcomer that the scheduler fails to take costs nobody his place.
func TestScheduler_NoVictimForARefusedNewcomer(t *testing.T) {
	var panicking atomic.Bool
	s := &faulty{before: func(m string) {
		if m == "Push" && panicking.Load() {
			panic("no")
		}
	}}
	for _, policy := range []core.RejectPolicy{core.RejectDiscardOldest, core.RejectDisplaceLowest} {
		panicking.Store(false)
		e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1), core.WithReject(policy), core.WithScheduler(s), quietly())
		if err := e.Pause(); err != nil {
			t.Fatal(err)
		}
		f, err := core.SubmitWith(context.Background(), e, core.Attributes{Priority: core.Low}, value(1))
		if err != nil {
			t.Fatal(err)
		}
		panicking.Store(true)
		if _, err := core.Submit(context.Background(), e, value(2)); !errors.Is(err, core.ErrPanicked) {
			t.Errorf("%v: %v", policy, err)
		}
		panicking.Store(false)
		if _, err := core.TrySubmit(context.Background(), e, value(3)); !errors.Is(err, core.ErrQueueFull) {
			t.Errorf("%v: there is room for one more than there should be: %v", policy, err)
		}
		if err := e.Resume(); err != nil {
			t.Fatal(err)
		}
		if v, err := f.Await(soon(t)); v != 1 || err != nil {
			t.Errorf("%v: %v, %v", policy, v, err)
		}
		idle(t, e)
	}
}

// Giving up one function again and again leaves no entries behind.
func TestScheduler_DiscardsTheSameFunction(t *testing.T) {
	s := &faulty{}
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(3), core.WithReject(core.RejectDiscardOldest), core.WithScheduler(s))
	release := occupy(t, e, 1)
	ran := 0
	fn := func() { ran++ }
	for range 100 {
		if err := e.Go(fn); err != nil {
			t.Fatal(err)
		}
	}
	release()
	idle(t, e)
	if ran != 3 || len(s.jobs) != 0 {
		t.Errorf("ran %d times, %d entries are left", ran, len(s.jobs))
	}
}

// Claim is asked about a job while it is stored: not again once it has allowed it.
func TestScheduler_ClaimIsNotAskedTwice(t *testing.T) {
	s := new(faulty)
	e := engineFor(t, core.WithWorkers(2), core.WithScheduler(s))
	first, second := make(chan *core.Future[int], 1), make(chan *core.Future[int], 1)
	running := make(chan struct{}, 2)
	a := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		running <- struct{}{}
		f := <-first
		d, cancel := context.WithCancel(ctx) // so that it may not run f itself
		defer cancel()
		return f.Await(d)
	}))
	b := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		running <- struct{}{}
		return (<-second).Await(ctx)
	}))
	receive(t, running, "start")
	receive(t, running, "start")
	if err := e.Resize(1); err != nil { // so that the slot that a gives up lies idle
		t.Fatal(err)
	}
	f := must(t, e, value(1))
	first <- f
	for e.Stats().Waiting == 0 {
		runtime.Gosched()
	}
	second <- f
	for _, f := range []*core.Future[int]{a, b} {
		if _, err := f.Await(soon(t)); err != nil {
			t.Error(err)
		}
	}
	idle(t, e)
	if n := s.wrong.Load(); n != 0 {
		t.Errorf("Claim was asked %d times about a job that it had allowed", n)
	}
}

// A task that its submitter runs was never the scheduler's. A goroutine of a task
// that submits so, while the task itself returns, races with nothing.
func TestScheduler_CallerRunsIsNotCompleted(t *testing.T) {
	var pops, completions int // under the engine's lock
	s := &faulty{before: func(m string) {
		if m == "Completed" {
			completions++
		}
	}}
	counted := countingPops{s, &pops}
	e := engineFor(t, core.WithWorkers(1), core.WithScheduler(counted), core.WithQueueCapacity(1), core.WithReject(core.RejectCallerRuns))
	for i := range 40 {
		inside, left := make(chan struct{}), make(chan struct{})
		f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			_ = e.TryGo(func() {}) // fills the queue
			go func() {
				if i%2 == 0 {
					_ = e.GoContext(ctx, func() { close(inside); <-left })
				} else {
					_, _ = core.Submit(ctx, e, core.Func(func(context.Context) (int, error) { close(inside); <-left; return 1, nil }))
				}
			}()
			<-inside
			return 1, nil
		}))
		if _, err := f.Await(soon(t)); err != nil {
			t.Fatal(err)
		}
		for range 10 { // the worker goes on with the end of the task
			runtime.Gosched()
		}
		close(left)
	}
	if err := e.Shutdown(soon(t)); err != nil {
		t.Error(err)
	}
	if pops != completions {
		t.Errorf("%d were given out, %d completed", pops, completions)
	}
}

type countingPops struct {
	*faulty
	pops *int
}

func (s countingPops) Pop(worker int) (core.Job, bool) {
	job, ok := s.faulty.Pop(worker)
	if ok {
		*s.pops++
	}
	return job, ok
}

func (s countingPops) Claim(core.Job) (core.Job, bool) { return core.Job{}, false }

// Dead entries are swept before they outnumber the live ones.
func TestScheduler_SweepsDeadEntries(t *testing.T) {
	s := new(faulty)
	e := engineFor(t, core.WithWorkers(1), core.WithUnboundedQueue(), core.WithScheduler(s))
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	most := 0
	s.before = func(string) { most = max(most, len(s.jobs)) }
	var futures []*core.Future[int]
	for range 1000 {
		futures = append(futures, must(t, e, value(1)))
	}
	for _, f := range futures[:900] {
		f.Cancel()
	}
	if n := len(s.jobs); n > 100+100+1 {
		t.Errorf("100 jobs are queued, %d entries stored", n)
	}
	if err := e.Resume(); err != nil {
		t.Fatal(err)
	}
	idle(t, e)
}
