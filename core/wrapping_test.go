package core_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

// What is kept with a task is there in its next run, for interceptors and for the task,
// and another task knows nothing of it.
func TestJobValue_OutlivesARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		e := engineFor(t, core.WithInterceptors(func(next core.Handler) core.Handler {
			return func(ctx context.Context, job core.Job) error {
				n, _ := job.Value(key{}).(int)
				if !job.SetValue(key{}, n+1) {
					t.Error("it was not kept")
				}
				if err := next(ctx, job); err != nil {
					return core.Again(time.Second, err)
				}
				if job.SetValue(key{}, nil); job.Value(key{}) != nil {
					t.Error("it was not forgotten")
				}
				return nil
			}
		}))
		for range 2 {
			v, err := core.Run(soon(t), e, core.Func(func(ctx context.Context) (int, error) {
				inner, stop := context.WithCancel(ctx)
				defer stop()
				n, _ := core.JobOf(inner).Value(key{}).(int)
				if n < 3 {
					return 0, errors.New("once more")
				}
				return n, nil
			}))
			if v != 3 || err != nil {
				t.Errorf("%d, %v", v, err)
			}
		}
	})
}

// A plain function and no job keep nothing.
func TestJobValue_None(t *testing.T) {
	functions := 0
	e := engineFor(t, core.WithInterceptors(func(next core.Handler) core.Handler {
		return func(ctx context.Context, job core.Job) error {
			if job.Name() == "func()" {
				functions++
				if job.SetValue(1, 2) || job.Value(1) != nil || !core.JobOf(ctx).IsZero() {
					t.Error("a function keeps a value")
				}
			}
			return next(ctx, job)
		}
	}))
	if err := e.Go(func() {}); err != nil {
		t.Fatal(err)
	}
	idle(t, e)
	if functions != 1 {
		t.Errorf("%d functions were seen", functions)
	}
	if j := (core.Job{}); j.SetValue(1, 2) || j.Value(1) != nil || !core.JobOf(context.Background()).IsZero() {
		t.Error("no job keeps a value")
	}
	if v, err := core.Run(soon(t), e, core.Func(func(ctx context.Context) (bool, error) {
		job := core.JobOf(ctx)
		return !job.SetValue(1, nil) || job.Value(1) != nil || job.IsZero(), nil
	})); v || err != nil {
		t.Errorf("%v, %v", v, err)
	}
}

// The context of a run belongs to the task until the next run, and a detached one to none.
func TestJobOf_EachRun(t *testing.T) {
	e := engineFor(t)
	var first context.Context
	zero, err := core.Run(soon(t), e, core.Func(func(ctx context.Context) (bool, error) {
		if core.Attempt(ctx) == 0 {
			if first = ctx; core.JobOf(ctx).IsZero() {
				t.Error("the first run belongs to no task")
			}
			return false, core.Again(0, nil)
		}
		if core.JobOf(ctx).IsZero() {
			t.Error("the second run belongs to no task")
		}
		return core.JobOf(first).IsZero() && core.JobOf(core.Detach(ctx)).IsZero(), nil
	}))
	if !zero || err != nil {
		t.Errorf("%v, %v", zero, err)
	}
}

// wrapper tells which of its methods was called.
type wrapper struct{ inner core.Task[string] }

func (w *wrapper) Execute(ctx context.Context) (string, error) {
	return w.told(ctx, "part")
}

func (w *wrapper) ExecuteJob(ctx context.Context, job core.Job) (string, error) {
	if job.IsZero() || job != core.JobOf(ctx) {
		return "", errors.New("it is another job")
	}
	return w.told(ctx, "whole")
}

func (w *wrapper) told(ctx context.Context, what string) (string, error) {
	if w.inner == nil {
		return what, nil
	}
	inner, err := w.inner.Execute(ctx)
	return what + " " + inner, err
}

// A task is told that it is the whole of a job, however it comes to be run, and each time,
// but not as a part of another.
func TestJobExecutor(t *testing.T) {
	again := func(next core.Handler) core.Handler {
		return func(ctx context.Context, job core.Job) error {
			if err := next(ctx, job); err != nil || job.Attempt() > 0 {
				return err
			}
			return core.Again(0, nil)
		}
	}
	for name, options := range map[string][]core.Option{"plain": nil, "intercepted": {core.WithInterceptors(again)}} {
		t.Run(name, func(t *testing.T) {
			e := engineFor(t, options...)
			task := &wrapper{&wrapper{}}
			if v, err := core.Run(soon(t), e, core.Task[string](task)); v != "whole part" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
			v, err := core.Run(soon(t), e, core.Func(func(ctx context.Context) (string, error) {
				f, err := core.Submit(ctx, e, core.Task[string](task))
				if err != nil {
					return "", err
				}
				child, err := f.Await(ctx) // which may run it on this goroutine
				if err != nil {
					return "", err
				}
				own, err := task.Execute(ctx)
				return child + ", " + own, err
			}))
			if v != "whole part, part part" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
		})
	}
}

// The panic that Contain returns is one of the task, in each run.
func TestContain_IsThePanicOfTheTask(t *testing.T) {
	e := engineFor(t, quietly())
	f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		err := core.Contain(ctx, func() error { panic("oh") })
		if core.Attempt(ctx) == 0 {
			return 0, core.Again(0, err)
		}
		return 0, err
	}))
	_, err := f.Get()
	var p *core.PanicError
	if !errors.As(err, &p) || p.Value != "oh" || p.Engine != e.Name() || !strings.Contains(string(p.Stack), "TestContain") {
		t.Errorf("%v", err)
	}
	if s := e.Stats(); s.Panicked != 1 || s.Retried != 1 {
		t.Errorf("%+v", s)
	}
}

func TestContain_OutsideATask(t *testing.T) {
	mine := errors.New("mine")
	if err := core.Contain(context.Background(), func() error { return mine }); err != mine {
		t.Error(err)
	}
	err := core.Contain(context.Background(), func() error { panic(mine) })
	if !errors.Is(err, core.ErrPanicked) || !errors.Is(err, mine) || err.Error() != "core: panicked: mine" {
		t.Error(err)
	}
	var none context.Context
	if err := core.Contain(none, func() error { panic(mine) }); !errors.Is(err, mine) {
		t.Error(err)
	}
	ended := make(chan bool)
	go func() {
		past := false
		defer func() { ended <- past }()
		_ = core.Contain(context.Background(), func() error { runtime.Goexit(); return nil })
		past = true
	}()
	if <-ended {
		t.Error("a Goexit was caught")
	}
}
