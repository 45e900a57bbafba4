package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
)

// E-CORE-01: with one worker tasks run one at a time, and all of them run.
func TestSubmit_E_CORE_01_OneAtATime(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(7))
	var running, most, ran atomic.Int64
	var submitters sync.WaitGroup
	for range 4 {
		submitters.Go(func() {
			for range 250 {
				_, err := core.Submit(context.Background(), e, core.Func(func(context.Context) (int, error) {
					n := running.Add(1)
					for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
					}
					runtime.Gosched()
					running.Add(-1)
					return int(ran.Add(1)), nil
				}))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	submitters.Wait()
	idle(t, e)
	if ran.Load() != 1000 || most.Load() != 1 {
		t.Errorf("%d of 1000 ran, %d at a time", ran.Load(), most.Load())
	}
}

type pointerTask struct{ n int }

func (p *pointerTask) Execute(context.Context) (int, error) { return p.n, nil }

type mapTask map[string]int

func (m mapTask) Execute(context.Context) (int, error) { return len(m), nil }

// oneWord is stored in an interface as its one pointer, which may be nil
// although the task is there.
type oneWord struct{ next *pointerTask }

func (w oneWord) Execute(context.Context) (bool, error) { return w.next == nil, nil }

type nilContext struct{ context.Context }

// E-CORE-13: what can never be right is an error at once, and nothing is lost.
func TestSubmit_E_CORE_13_BadArguments(t *testing.T) {
	ctx := context.Background()
	e := engineFor(t)
	ok := value(1)
	var noTask core.Task[int]
	var noFunc core.TaskFunc[int]
	var noPointer *pointerTask
	var noMap mapTask
	var noContext context.Context
	var typedNil *nilContext
	one := func(_ any, err error) error { return err }
	cases := map[string]func(e *core.Engine) error{
		"nil task":        func(e *core.Engine) error { return one(core.Submit(ctx, e, noTask)) },
		"nil func":        func(e *core.Engine) error { return one(core.Submit[int](ctx, e, noFunc)) },
		"nil Func":        func(e *core.Engine) error { return one(core.Submit[int](ctx, e, core.Func[int](nil))) },
		"nil pointer":     func(e *core.Engine) error { return one(core.Submit[int](ctx, e, noPointer)) },
		"nil map":         func(e *core.Engine) error { return one(core.Submit[int](ctx, e, noMap)) },
		"nil context":     func(e *core.Engine) error { return one(core.Submit(noContext, e, ok)) },
		"typed nil ctx":   func(e *core.Engine) error { return one(core.Submit(typedNil, e, ok)) },
		"SubmitWith":      func(e *core.Engine) error { return one(core.SubmitWith(ctx, e, core.Attributes{}, noTask)) },
		"TrySubmit":       func(e *core.Engine) error { return one(core.TrySubmit(ctx, e, noTask)) },
		"TrySubmitWith":   func(e *core.Engine) error { return one(core.TrySubmitWith(noContext, e, core.Attributes{}, ok)) },
		"Run":             func(e *core.Engine) error { return one(core.Run(ctx, e, noTask)) },
		"SubmitAll":       func(e *core.Engine) error { return one(core.SubmitAll(ctx, e, []core.Task[int]{ok, noTask})) },
		"SubmitAll ctx":   func(e *core.Engine) error { return one(core.SubmitAll(noContext, e, []core.Task[int]{ok})) },
		"TrySubmitAll":    func(e *core.Engine) error { return one(core.TrySubmitAll(ctx, e, []core.Task[int]{noPointer})) },
		"Go":              func(e *core.Engine) error { return e.Go(nil) },
		"GoContext":       func(e *core.Engine) error { return e.GoContext(ctx, nil) },
		"GoContext ctx":   func(e *core.Engine) error { return e.GoContext(noContext, func() {}) },
		"TryGo":           func(e *core.Engine) error { return e.TryGo(nil) },
		"priority":        func(e *core.Engine) error { return one(core.SubmitWith(ctx, e, core.Attributes{Priority: 9}, ok)) },
		"reject policy":   func(e *core.Engine) error { return one(core.SubmitWith(ctx, e, core.Attributes{Reject: 99}, ok)) },
		"task's priority": func(e *core.Engine) error { return one(core.Submit[string](ctx, e, &eager{priority: 77})) },
	}
	for name, call := range cases {
		t.Run(name, func(t *testing.T) {
			before := e.Stats()
			err := call(e)
			var refused *core.RefusedError
			if !errors.Is(err, core.ErrInvalid) || !errors.As(err, &refused) || refused.Engine != "goman" {
				t.Errorf("error is %#v", err)
			}
			after := e.Stats()
			if after.Accepted != before.Accepted || after.Rejected.Invalid != before.Rejected.Invalid+1 ||
				after.Rejected.Total() != before.Rejected.Total()+1 {
				t.Errorf("from %+v to %+v", before, after)
			}
			for which, bad := range map[string]*core.Engine{"nil": nil, "zero": new(core.Engine)} {
				if err := call(bad); !errors.Is(err, core.ErrInvalid) || !errors.As(err, &refused) {
					t.Errorf("%s engine: error is %#v", which, err)
				}
			}
		})
	}
}

// A task that is a struct of one nil pointer is a task like any other.
func TestSubmit_E_CORE_13_OneWordStruct(t *testing.T) {
	e := engineFor(t)
	if v, err := core.Run(soon(t), e, oneWord{}); !v || err != nil {
		t.Errorf("got %v, %v", v, err)
	}
	if _, err := core.SubmitAll(soon(t), e, []core.Task[bool]{oneWord{}}); err != nil {
		t.Error(err)
	}
}

// Arguments come first, then the engine's state, then the context.
func TestSubmit_OrderOfChecks(t *testing.T) {
	e := engineFor(t)
	if err := e.Shutdown(soon(t)); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	var noTask core.Task[int]
	check := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	_, err := core.Submit(ended, e, noTask)
	check("nil task, closed, ended", err, core.ErrInvalid)
	_, err = core.SubmitWith(ended, e, core.Attributes{Priority: 5}, value(1))
	check("bad priority, closed, ended", err, core.ErrInvalid)
	_, err = core.Submit(ended, e, value(1))
	check("closed, ended", err, core.ErrClosed)
	if errors.Is(err, context.Canceled) {
		t.Errorf("%v is a cancellation", err)
	}
}

// E-CORE-15, E-CORE-20: a context that has ended is refused with its cause, even
// when a slot is free, and the body never runs.
func TestSubmit_E_CORE_15_20_EndedContext(t *testing.T) {
	e := engineFor(t)
	mine := errors.New("mine")
	cancelled, cancel := context.WithCancelCause(context.Background())
	cancel(mine)
	past, cancelPast := context.WithDeadline(context.Background(), time.Now().Add(-time.Hour))
	defer cancelPast()
	tiny, cancelTiny := context.WithTimeout(context.Background(), 1)
	defer cancelTiny()
	<-tiny.Done()
	body := core.Func(func(context.Context) (int, error) { t.Error("the body ran"); return 0, nil })
	rejected := uint64(0)
	for _, c := range []struct {
		ctx  context.Context
		want error
	}{{cancelled, mine}, {past, context.DeadlineExceeded}, {tiny, context.DeadlineExceeded}} {
		f, err := core.Submit(c.ctx, e, body)
		if f != nil || !errors.Is(err, c.want) {
			t.Errorf("Submit: %v, %v; want %v", f, err, c.want)
		}
		f, err = core.TrySubmit(c.ctx, e, body)
		if f != nil || !errors.Is(err, c.want) {
			t.Errorf("TrySubmit: %v, %v; want %v", f, err, c.want)
		}
		if fs, err := core.SubmitAll(c.ctx, e, []core.Task[int]{body}); len(fs) != 0 || !errors.Is(err, c.want) {
			t.Errorf("SubmitAll: %v, %v; want %v", fs, err, c.want)
		}
		if _, err := core.Run(c.ctx, e, body); !errors.Is(err, c.want) {
			t.Errorf("Run: %v; want %v", err, c.want)
		}
		if err := e.GoContext(c.ctx, func() { t.Error("the function ran") }); !errors.Is(err, c.want) {
			t.Errorf("GoContext: %v; want %v", err, c.want)
		}
		if rejected += 5; e.Stats().Rejected.Context != rejected || e.Stats().Accepted != 0 {
			t.Errorf("%+v", e.Stats())
		}
	}
}

// E-CORE-20: a deadline that is all but over never panics a timer; the task is
// refused, cancelled, or done.
func TestSubmit_E_CORE_20_NanosecondDeadline(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2), core.WithQueueLimit(1), core.WithRunLimit(1), quietly())
	for i := range 300 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*100)
		f, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) { return 1, ctx.Err() }))
		if err == nil {
			_, err = f.Await(context.Background())
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		cancel()
	}
}

// What was written before Submit is seen by the task, and what the task wrote is
// seen by whoever learns of its end. The race detector is the judge.
func TestSubmit_HappensBefore(t *testing.T) {
	for name, wait := range map[string]func(*core.Engine, *core.Future[int]){
		"Await":   func(_ *core.Engine, f *core.Future[int]) { _, _ = f.Await(soon(t)) },
		"Get":     func(_ *core.Engine, f *core.Future[int]) { _, _ = f.Get() },
		"Timeout": func(_ *core.Engine, f *core.Future[int]) { _, _ = f.GetWithTimeout(patience) },
		"Done":    func(_ *core.Engine, f *core.Future[int]) { <-f.Done() },
		"IsDone": func(_ *core.Engine, f *core.Future[int]) {
			for !f.IsDone() {
				runtime.Gosched()
			}
		},
		"OnDone": func(_ *core.Engine, f *core.Future[int]) {
			done := make(chan struct{})
			f.OnDone(func(int, error) { close(done) })
			<-done
		},
		"WaitIdle": func(e *core.Engine, _ *core.Future[int]) { idle(t, e) },
		"Shutdown": func(e *core.Engine, _ *core.Future[int]) { _ = e.Shutdown(soon(t)) },
	} {
		for _, end := range []string{"value", "error", "panic", "goexit"} {
			t.Run(name+"/"+end, func(t *testing.T) {
				e := engineFor(t, core.WithWorkers(2), quietly())
				plain := 1
				f, err := core.Submit(soon(t), e, core.Func(func(context.Context) (int, error) {
					plain++
					switch end {
					case "error":
						return 0, errors.New("no")
					case "panic":
						panic("no")
					case "goexit":
						runtime.Goexit()
					}
					return plain, nil
				}))
				if err != nil {
					t.Fatal(err)
				}
				wait(e, f)
				if plain != 2 {
					t.Errorf("plain is %d", plain)
				}
			})
		}
	}
}

// Run returns the error of the task, and of a wait that was given up.
func TestRun(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	no := errors.New("no")
	for i := range 100 {
		v, err := core.Run(context.Background(), e, core.Func(func(context.Context) (string, error) {
			return fmt.Sprint(i), no
		}))
		if v != fmt.Sprint(i) || !errors.Is(err, no) {
			t.Errorf("got %q, %v", v, err)
		}
	}
	release := occupy(t, e, 1)
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() {
		_, err := core.Run(ctx, e, value(1))
		result <- err
	}()
	for e.Stats().Queued != 1 {
		runtime.Gosched()
	}
	cancel()
	if err := receive(t, result, "end of Run"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if s := e.Stats(); s.Canceled != 1 || s.Queued != 0 {
		t.Errorf("the task that nobody can want any more is still there: %+v", s)
	}
	release()
}

// A batch that a task submits goes to its own worker, before what came from outside
// and in the order of the batch.
func TestSubmitAll_InsideATaskComesFirst(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	var mu sync.Mutex
	var order []string
	note := func(name string) core.Task[int] {
		return core.Func(func(context.Context) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, name)
			return 0, nil
		})
	}
	parent := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		for range 3 {
			if err := e.Go(func() { _, _ = note("outside").Execute(ctx) }); err != nil {
				return 0, err
			}
		}
		_, err := core.SubmitAll(ctx, e, []core.Task[int]{note("a"), note("b"), note("c")})
		return 0, err
	}))
	if _, err := parent.Await(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err := e.WaitIdle(soon(t)); err != nil {
		t.Fatal(err)
	}
	if got, want := order, []string{"a", "b", "c", "outside", "outside", "outside"}; !slices.Equal(got, want) {
		t.Errorf("the tasks ran in the order %v, want %v", got, want)
	}
}
