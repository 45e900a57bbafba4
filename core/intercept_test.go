package core_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
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

// Interceptors come and go while the engine runs: each task sees a whole chain,
// the before and after of the same layers.
func TestIntercept_AddedAndRemovedUnderLoad(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2))
	stop := sampler(t, e)
	quit := make(chan struct{})
	var changers sync.WaitGroup
	var open, added atomic.Int64
	for range 2 {
		changers.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				remove, err := e.Intercept(func(next core.Handler) core.Handler {
					return func(ctx context.Context, job core.Job) error {
						open.Add(1)
						defer open.Add(-1)
						return next(ctx, job)
					}
				})
				if err != nil {
					t.Error(err)
					return
				}
				added.Add(1)
				removeHooks := e.AddHooks(core.Hooks{Ended: func(core.Job, core.Outcome, error) {}})
				runtime.Gosched()
				remove()
				removeHooks()
			}
		})
	}
	for i := range 3000 {
		if i%100 == 0 {
			runtime.Gosched()
		}
		if i%2 == 0 {
			must(t, e, value(i))
		} else if err := e.Go(func() {}); err != nil {
			t.Fatal(err)
		}
	}
	for added.Load() == 0 { // on one processor the changers may be late
		runtime.Gosched()
	}
	idle(t, e)
	close(quit)
	changers.Wait()
	stop()
	if open.Load() != 0 || added.Load() == 0 {
		t.Errorf("%d layers are still open, %d were added", open.Load(), added.Load())
	}
	if s := e.Stats(); s.Succeeded != 3000 {
		t.Errorf("%+v", s)
	}
}

// Two equal functions are two interceptors, and remove takes the right one. An
// interceptor may change the engine it is added to.
func TestIntercept_TwiceTheSame(t *testing.T) {
	l := new(trail)
	e := engineFor(t)
	var removes []func()
	layer := l.layer("x")
	for range 3 {
		remove, err := e.Intercept(layer)
		if err != nil {
			t.Fatal(err)
		}
		removes = append(removes, remove)
	}
	removes[1]()
	removes[1]()
	_, _ = core.Run(soon(t), e, value(1))
	if got := len(l.take()); got != 4 {
		t.Errorf("%d steps", got)
	}
	removes[0]()
	removes[2]()
	_, _ = core.Run(soon(t), e, value(1))
	if got := l.take(); len(got) != 0 {
		t.Errorf("%v", got)
	}
	var once sync.Once
	done := make(chan struct{})
	go func() {
		defer close(done)
		remove, err := e.Intercept(func(next core.Handler) core.Handler {
			once.Do(func() {
				e.AddHooks(core.Hooks{})()
				_ = e.SetQueueCapacity(77)
				if _, err := e.Intercept(layer); err != nil {
					t.Error(err)
				}
			})
			return next
		})
		if err != nil {
			t.Error(err)
			return
		}
		remove()
	}()
	receive(t, done, "end: an interceptor is called under a lock")
	_, _ = core.Run(soon(t), e, value(1))
	if diff := cmp.Diff([]string{"x before", "x after <nil>"}, l.take()); diff != "" {
		t.Error(diff)
	}
}

// An interceptor that panics while the chain is put together, or makes no
// handler, is left out and reported.
func TestIntercept_BadFactory(t *testing.T) {
	log, l := new(logbook), new(trail)
	e := engineFor(t, log.option(), core.WithInterceptors(l.layer("a"), func(core.Handler) core.Handler { panic("in factory") }))
	if _, err := core.Run(soon(t), e, value(1)); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"a before", "a after <nil>"}, l.take()); diff != "" {
		t.Error(diff)
	}
	if !contains(log.String(), "interceptor", "in factory") {
		t.Errorf("the log says %q", log)
	}
	var refused *core.RefusedError
	if _, err := e.Intercept(nil); !errors.Is(err, core.ErrInvalid) || !errors.As(err, &refused) {
		t.Errorf("nil: %v", err)
	}
	if _, err := new(core.Engine).Intercept(pass); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("zero engine: %v", err)
	}
	if s := e.Stats(); s.Rejected.Total() != 0 {
		t.Errorf("an interceptor is no submission: %+v", s)
	}
}

// A panic hidden in an error that an interceptor wraps is still one panic.
func TestIntercept_WrapsPanic(t *testing.T) {
	var told []string
	e := engineFor(t, quietly(), core.WithInterceptors(func(next core.Handler) core.Handler {
		return func(ctx context.Context, job core.Job) error {
			if err := next(ctx, job); err != nil {
				return fmt.Errorf("wrapped: %w", err)
			}
			return nil
		}
	}), core.WithHooks(core.Hooks{
		Panicked: func(_ core.Job, err *core.PanicError) { told = append(told, fmt.Sprint(err.Value)) },
		Ended:    func(_ core.Job, o core.Outcome, err error) { told = append(told, o.String()) },
	}))
	f := must(t, e, core.Func(func(context.Context) (int, error) { panic("deep") }))
	_, err := f.Await(soon(t))
	if !errors.Is(err, core.ErrPanicked) || !contains(err.Error(), "wrapped: ", "deep") {
		t.Error(err)
	}
	idle(t, e)
	endEngine(t, e)
	if !slices.Equal(told, []string{"deep", "panicked"}) {
		t.Errorf("the hooks were told %v", told)
	}
}
