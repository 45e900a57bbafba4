package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/scheduler"
)

// patience is how long a test waits for what should take no time.
const patience = 30 * time.Second

func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// must returns a value that was made without an error.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// runs keeps the order in which tasks ran.
type runs struct {
	mu    sync.Mutex
	names []string
}

func (l *runs) task(name string) core.TaskFunc[int] {
	return core.Func(func(context.Context) (int, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.names = append(l.names, name)
		return len(l.names), nil
	})
}

// queued lets fill submit everything before the first task starts, on one worker, and
// returns the order in which it has run.
func queued(t *testing.T, s core.Scheduler, fill func(e *core.Engine, l *runs)) []string {
	t.Helper()
	e := coretest.New(t, core.WithWorkers(1), core.WithUnboundedQueue(), core.WithScheduler(s))
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	l := new(runs)
	fill(e, l)
	if err := e.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := e.WaitIdle(soon(t)); err != nil {
		t.Fatal(err)
	}
	return l.names
}

// all returns a new one of each scheduler, for tests of what they have in common.
func all() map[string]core.Scheduler {
	return map[string]core.Scheduler{
		"FIFO":     must(scheduler.NewFIFO()),
		"LIFO":     must(scheduler.NewLIFO()),
		"Priority": must(scheduler.NewPriority(scheduler.Aging(time.Second), scheduler.NewFIFO)),
		"Fair":     must(scheduler.NewFair()),
		"Deadline": must(scheduler.NewDeadline()),
		"Keyed":    must(scheduler.NewKeyed(1, scheduler.NewFIFO)),
	}
}

// One task submits 1,000 children and blocks: the other worker takes them meanwhile.
func TestEngine_E_SCH_01_ChildrenOfABlockedTask(t *testing.T) {
	schedulers := all()
	schedulers["built-in"] = nil
	for name, s := range schedulers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := coretest.New(t, core.WithWorkers(2), core.WithUnboundedQueue(), core.WithScheduler(s))
				began := time.Now()
				var last atomic.Int64
				_, err := core.Run(t.Context(), e, core.Func(func(ctx context.Context) (int, error) {
					for range 1000 {
						if err := e.Go(func() { last.Store(int64(time.Since(began))) }); err != nil {
							return 0, err
						}
					}
					for range 1000 {
						_, err := core.Submit(ctx, e, core.Func(func(context.Context) (int, error) {
							last.Store(int64(time.Since(began)))
							return 0, nil
						}))
						if err != nil {
							return 0, err
						}
					}
					time.Sleep(time.Second) // the body blocks: virtual time
					return 0, nil
				}))
				if err != nil {
					t.Fatal(err)
				}
				if late := time.Duration(last.Load()); late > time.Millisecond {
					t.Errorf("the last child ran after %v", late)
				}
			})
		})
	}
}

// Strict priority starves what is low as long as anything higher comes, and says so.
func TestPriority_E_SCH_03_StrictStarves(t *testing.T) {
	s := must(scheduler.NewPriority(scheduler.Strict(), scheduler.NewFIFO))
	e := coretest.New(t, core.WithWorkers(1), core.WithScheduler(s))
	ctx := soon(t)
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	var lowRan, early atomic.Bool
	low, err := core.SubmitWith(ctx, e, core.Attributes{Priority: core.Low}, core.Func(func(context.Context) (int, error) {
		lowRan.Store(true)
		return 0, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	// Each high task submits the next before it ends.
	var high func(left int) core.TaskFunc[int]
	high = func(left int) core.TaskFunc[int] {
		return core.Func(func(ctx context.Context) (int, error) {
			if lowRan.Load() {
				early.Store(true)
			}
			if left == 0 {
				return 0, nil
			}
			_, err := core.SubmitWith(core.Detach(ctx), e, core.Attributes{Priority: core.High}, high(left-1))
			return 0, err
		})
	}
	if _, err := core.SubmitWith(ctx, e, core.Attributes{Priority: core.High}, high(2000)); err != nil {
		t.Fatal(err)
	}
	if err := e.Resume(); err != nil {
		t.Fatal(err)
	}
	if _, err := low.Await(ctx); err != nil || early.Load() {
		t.Errorf("the low one ended with %v, before the last high one: %t", err, early.Load())
	}
}

// Tenant a submits 100,000 tasks, then b 10: b is done within 10 rounds.
func TestFair_E_SCH_04_Flood(t *testing.T) {
	s := must(scheduler.NewFair())
	order := queued(t, s, func(e *core.Engine, l *runs) {
		for range 100_000 {
			must(core.SubmitWith(t.Context(), e, core.Attributes{Tenant: "a"}, l.task("a")))
		}
		for range 10 {
			must(core.SubmitWith(t.Context(), e, core.Attributes{Tenant: "b"}, l.task("b")))
		}
	})
	seen := 0
	for i, tenant := range order {
		if tenant == "b" {
			if seen++; seen == 10 {
				if i >= 20 {
					t.Errorf("b's tenth task was the %dth to run, want at most the 20th", i+1)
				}
				return
			}
		}
	}
	t.Error("b is not done")
}

// One key's task blocks for long; those of 99 others, and of none, are not delayed.
func TestKeyed_E_SCH_07_SlowKey(t *testing.T) {
	s := must(scheduler.NewKeyed(1, scheduler.NewFIFO))
	e := coretest.New(t, core.WithWorkers(2), core.WithUnboundedQueue(), core.WithScheduler(s))
	ctx := soon(t)
	release := make(chan struct{})
	block := core.Func(func(context.Context) (int, error) { <-release; return 0, nil })
	var slow, others []*core.Future[int]
	for range 50 {
		slow = append(slow, must(core.SubmitWith(ctx, e, core.Attributes{Key: "slow"}, block)))
	}
	var ran atomic.Int32
	for i := range 99 * 10 {
		others = append(others, must(core.SubmitWith(ctx, e, core.Attributes{Key: fmt.Sprint(i % 99)}, core.Func(func(context.Context) (int, error) {
			return int(ran.Add(1)), nil
		}))))
	}
	for _, f := range others {
		if _, err := f.Await(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if slow[0].IsDone() {
		t.Error("the slow key has not blocked")
	}
	close(release)
	for _, f := range slow {
		if _, err := f.Await(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// A keyed task that waits for one of its own key gets an error, and nothing hangs. With
// more than one at a time it gets the result.
func TestKeyed_E_SCH_08_WaitsForItsOwnKey(t *testing.T) {
	for _, perKey := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(perKey), func(t *testing.T) {
			s := must(scheduler.NewKeyed(perKey, scheduler.NewFIFO))
			e := coretest.New(t, core.WithWorkers(4), core.WithUnboundedQueue(), core.WithScheduler(s))
			ctx := soon(t)
			key := core.Attributes{Key: "k"}
			var futures []*core.Future[int]
			var deadlocks atomic.Int32
			for range 20 { // more than perKey, so that all of those that run wait
				futures = append(futures, must(core.SubmitWith(ctx, e, key, core.Func(func(ctx context.Context) (int, error) {
					n, err := core.RunWith(ctx, e, key, core.Func(func(context.Context) (int, error) { return 7, nil }))
					if errors.Is(err, core.ErrDeadlock) {
						deadlocks.Add(1)
						return 7, nil
					}
					return n, err
				}))))
			}
			for _, f := range futures {
				if n, err := f.Await(ctx); n != 7 || err != nil {
					t.Fatalf("%d, %v", n, err)
				}
			}
			want := 0
			if perKey == 1 {
				want = len(futures)
			}
			if n := int(deadlocks.Load()); n != want {
				t.Errorf("%d deadlocks, want %d", n, want)
			}
		})
	}
}

// Deadlines of all sorts: none is last, equal ones as they came, and what is past does
// not run.
func TestDeadline_E_SCH_09_Sorts(t *testing.T) {
	far := time.Unix(math.MaxInt64>>1, 0) // no UnixNano
	hour := time.Now().Add(time.Hour)
	var past *core.Future[int]
	order := queued(t, must(scheduler.NewDeadline()), func(e *core.Engine, l *runs) {
		submit := func(name string, deadline time.Time) *core.Future[int] {
			ctx := context.Background()
			if !deadline.IsZero() {
				var cancel context.CancelFunc
				ctx, cancel = context.WithDeadline(ctx, deadline)
				t.Cleanup(cancel)
			}
			return must(core.Submit(ctx, e, l.task(name)))
		}
		submit("none 1", time.Time{})
		submit("far", far)
		submit("equal 1", hour)
		submit("none 2", time.Time{})
		submit("equal 2", hour)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		t.Cleanup(cancel)
		past, _ = core.Submit(ctx, e, l.task("past")) // refused if this machine is that slow
		<-ctx.Done()
		if _, err := core.Submit(ctx, e, l.task("past")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a submission whose deadline is past: %v", err)
		}
		submit("equal 3", hour)
		submit("sooner", hour.Add(-time.Minute))
	})
	want := []string{"sooner", "equal 1", "equal 2", "equal 3", "far", "none 1", "none 2"}
	if !slices.Equal(order, want) {
		t.Errorf("ran %q, want %q", order, want)
	}
	if past != nil {
		if _, err := past.Get(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a task whose deadline has passed in the queue: %v", err)
		}
	}
}

// The same by a function of the user's, which may tell any time.
func TestDeadline_E_SCH_09_ByFunction(t *testing.T) {
	times := map[string]time.Time{
		"zero":  {},
		"past":  time.Unix(-1<<40, 0),
		"past2": time.Unix(0, math.MinInt64),
		"now":   time.Now(),
		"max":   time.Unix(1<<62, 999_999_999),
		"max2":  time.Unix(1<<61, 0),
	}
	s := must(scheduler.NewDeadlineWith(scheduler.DeadlineConfig{Of: func(job core.Job) (time.Time, bool) {
		due, ok := times[job.Name()]
		return due, ok
	}}))
	order := queued(t, s, func(e *core.Engine, l *runs) {
		for _, name := range []string{"none", "max", "zero", "max2", "now", "past2", "past"} {
			must(core.SubmitWith(t.Context(), e, core.Attributes{Name: name}, l.task(name)))
		}
	})
	want := []string{"past2", "past", "now", "max", "max2", "none", "zero"}
	if !slices.Equal(order, want) {
		t.Errorf("ran %q, want %q", order, want)
	}
}
