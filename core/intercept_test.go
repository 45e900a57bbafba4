package core_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

// trail notes what happens, in order.
type trail struct {
	mu    sync.Mutex
	steps []string
}

func (l *trail) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steps = append(l.steps, fmt.Sprintf(format, args...))
}

func (l *trail) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	steps := l.steps
	l.steps = nil
	return steps
}

// layer is an interceptor that notes its two halves.
func (l *trail) layer(name string) core.Interceptor {
	return func(next core.Handler) core.Handler {
		return func(ctx context.Context, job core.Job) error {
			l.note("%s before", name)
			err := next(ctx, job)
			var p *core.PanicError
			if errors.As(err, &p) {
				l.note("%s after panic %v", name, p.Value)
			} else {
				l.note("%s after %v", name, err)
			}
			return err
		}
	}
}

// The first interceptor is the outermost, and each sees what comes from within.
func TestIntercept_Order(t *testing.T) {
	l := new(trail)
	e := engineFor(t, core.WithInterceptors(l.layer("a"), l.layer("b")))
	remove, err := e.Intercept(l.layer("c"))
	if err != nil {
		t.Fatal(err)
	}
	task := core.Func(func(context.Context) (int, error) { l.note("body"); return 7, io.EOF })
	for range 2 {
		v, err := core.Run(soon(t), e, task)
		if v != 7 || !errors.Is(err, io.EOF) {
			t.Errorf("%d, %v", v, err)
		}
		if diff := cmp.Diff([]string{"a before", "b before", "c before", "body", "c after EOF", "b after EOF", "a after EOF"}, l.take()); diff != "" {
			t.Error(diff)
		}
	}
	remove()
	remove()
	if err := e.Go(func() { l.note("function") }); err != nil {
		t.Fatal(err)
	}
	idle(t, e)
	if diff := cmp.Diff([]string{"a before", "b before", "function", "b after <nil>", "a after <nil>"}, l.take()); diff != "" {
		t.Error(diff)
	}
}

// E-CORE-12: wherever in a chain of five somebody panics, the future fails with
// the panic, and the halves of the outer layers run.
func TestIntercept_E_CORE_12_Panics(t *testing.T) {
	for at := range 6 {
		for _, half := range []string{"before", "after"} {
			if at == 5 && half == "after" {
				continue
			}
			t.Run(fmt.Sprint(half, at), func(t *testing.T) {
				l := new(trail)
				var chain []core.Interceptor
				var over atomic.Bool
				for i := range 5 {
					chain = append(chain, func(next core.Handler) core.Handler {
						return func(ctx context.Context, job core.Job) error {
							if over.Load() {
								return next(ctx, job)
							}
							l.note("before %d", i)
							if i == at && half == "before" {
								panic("at")
							}
							err := next(ctx, job)
							if i == at {
								panic("at")
							}
							var p *core.PanicError
							if i < at && (!errors.As(err, &p) || p.Value != "at" || len(p.Stack) == 0) || i > at && err != nil {
								t.Errorf("layer %d sees %v", i, err)
							}
							l.note("after %d", i)
							return err
						}
					})
				}
				e := engineFor(t, core.WithWorkers(1), quietly(), core.WithInterceptors(chain...))
				f := must(t, e, core.Func(func(context.Context) (int, error) {
					l.note("body")
					if at == 5 {
						panic("at")
					}
					return 1, nil
				}))
				_, err := f.Await(soon(t))
				var p *core.PanicError
				if !errors.As(err, &p) || p.Value != "at" || !errors.Is(err, core.ErrPanicked) {
					t.Errorf("%v", err)
				}
				var want []string
				deepest := 5
				if half == "before" {
					deepest = min(at, 5)
				}
				for i := 0; i <= min(deepest, 4); i++ {
					want = append(want, fmt.Sprint("before ", i))
				}
				if deepest == 5 {
					want = append(want, "body")
				}
				for i := 4; i >= 0; i-- {
					if i < at || half == "after" && i > at {
						want = append(want, fmt.Sprint("after ", i))
					}
				}
				if diff := cmp.Diff(want, l.take()); diff != "" {
					t.Error(diff)
				}
				over.Store(true)
				occupy(t, e, 1)()
				idle(t, e)
				if s := e.Stats(); s.Panicked != 1 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

// A Goexit passes through the chain, and the future says so.
func TestIntercept_E_CORE_12_Goexit(t *testing.T) {
	for at := range 3 {
		e := engineFor(t, core.WithWorkers(1), quietly(), core.WithInterceptors(pass, func(next core.Handler) core.Handler {
			return func(ctx context.Context, job core.Job) error {
				if at == 0 {
					runtime.Goexit()
				}
				err := next(ctx, job)
				if at == 1 {
					runtime.Goexit()
				}
				return err
			}
		}))
		f := must(t, e, core.Func(func(context.Context) (int, error) {
			if at == 2 {
				runtime.Goexit()
			}
			return 1, nil
		}))
		if _, err := f.Await(soon(t)); !errors.Is(err, core.ErrGoexit) {
			t.Errorf("at %d: %v", at, err)
		}
		endEngine(t, e)
	}
}

// An interceptor that swallows the task is found out; one that turns an error
// away is not.
func TestIntercept_Skipped(t *testing.T) {
	mine := errors.New("mine")
	for name, c := range map[string]struct {
		handle func(next core.Handler) error
		want   error
	}{
		"nil without the task": {func(core.Handler) error { return nil }, core.ErrSkipped},
		"error without it":     {func(core.Handler) error { return mine }, mine},
	} {
		t.Run(name, func(t *testing.T) {
			e := engineFor(t, core.WithInterceptors(func(next core.Handler) core.Handler {
				return func(context.Context, core.Job) error { return c.handle(next) }
			}))
			v, err := core.Run(soon(t), e, core.Func(func(context.Context) (int, error) { t.Error("it ran"); return 1, nil }))
			if v != 0 || !errors.Is(err, c.want) {
				t.Errorf("%d, %v", v, err)
			}
			if s := e.Stats(); s.Failed != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
	e := engineFor(t, quietly(), core.WithInterceptors(func(next core.Handler) core.Handler {
		return func(ctx context.Context, job core.Job) error {
			_ = next(ctx, job) // its error, or panic, is forgiven
			return nil
		}
	}))
	for _, body := range []func(){func() {}, func() { panic("forgiven") }} {
		if _, err := core.Run(soon(t), e, core.Func(func(context.Context) (int, error) { body(); return 1, io.EOF })); err != nil {
			t.Error(err)
		}
	}
	if s := e.Stats(); s.Succeeded != 2 || s.Panicked != 0 {
		t.Errorf("%+v", s)
	}
}

// An interceptor may repeat the task, and the last result counts.
func TestIntercept_Repeats(t *testing.T) {
	e := engineFor(t, quietly(), core.WithInterceptors(func(next core.Handler) core.Handler {
		return func(ctx context.Context, job core.Job) error {
			err := next(ctx, job)
			for range 3 {
				if err != nil {
					err = next(ctx, job)
				}
			}
			return err
		}
	}))
	calls := 0
	v, err := core.Run(soon(t), e, core.Func(func(context.Context) (int, error) {
		switch calls++; calls {
		case 1:
			return calls, io.EOF
		case 2:
			panic("once")
		}
		return calls, nil
	}))
	if v != 3 || err != nil || calls != 3 {
		t.Errorf("%d, %v", v, err)
	}
}

// A context that an interceptor passes on reaches inner layers and the task, and
// is still the task's for its children.
func TestIntercept_Context(t *testing.T) {
	type key struct{}
	e := engineFor(t, core.WithWorkers(1), core.WithInterceptors(
		func(next core.Handler) core.Handler {
			return func(ctx context.Context, job core.Job) error {
				before := ctx.Value(key{}) // of the parent, for the child
				err := next(context.WithValue(ctx, key{}, job.Name()), job)
				if ctx.Value(key{}) != before {
					t.Error("the outer context has changed")
				}
				return err
			}
		},
		func(next core.Handler) core.Handler {
			return func(ctx context.Context, job core.Job) error {
				if ctx.Value(key{}) != job.Name() {
					t.Error("the inner layer does not see it")
				}
				return next(ctx, job)
			}
		}))
	v, err := core.Run(soon(t), e, core.Func(func(ctx context.Context) (string, error) {
		child, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (string, error) {
			return "child", nil
		}))
		if err != nil {
			return "", err
		}
		name, err := child.Await(ctx) // on one worker: only a wait inside can end
		return fmt.Sprint(name, " of ", ctx.Value(key{})), err
	}))
	if v != "child of core.TaskFunc[string]" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}
