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

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

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
				removeHooks := addHooks(t, e, core.Hooks{Ended: func(core.EndInfo) {}})
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
				addHooks(t, e, core.Hooks{})()
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
// handler, is not left out: New names each, Intercept refuses the new one, and the
// removal of another leaves the chain as it was.
func TestIntercept_BadFactory(t *testing.T) {
	panicking := func(core.Handler) core.Handler { panic("in factory") }
	empty := func(core.Handler) core.Handler { return nil }
	e, err := core.New(quietly(), core.WithScheduler(badScheduler{}), core.WithInterceptors(pass, panicking, pass, empty))
	if e != nil || !errors.Is(err, core.ErrConfig) || !errors.Is(err, core.ErrPanicked) {
		t.Fatalf("New: %v", err)
	}
	if !contains(err.Error(), "Scheduler panicked", "interceptor 1 of 4 panicked", "in factory", "interceptor 3 of 4 returned a nil Handler") {
		t.Errorf("New: %v", err)
	}

	log, l := new(logbook), new(trail)
	e = engineFor(t, log.option(), core.WithInterceptors(l.layer("a")))
	run := func(want ...string) {
		t.Helper()
		if _, err := core.Run(soon(t), e, value(1)); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, l.take()); diff != "" {
			t.Error(diff)
		}
	}
	var refused *core.RefusedError
	for name, bad := range map[string]core.Interceptor{"panicked: ": panicking, "nil Handler": empty} {
		remove, err := e.Intercept(bad)
		if remove != nil || !errors.Is(err, core.ErrInvalid) || !errors.As(err, &refused) || !contains(err.Error(), "interceptor 1 of 2", name) {
			t.Errorf("Intercept: %v", err)
		}
	}
	run("a before", "a after <nil>")
	var fails atomic.Bool
	removeFirst, err := e.Intercept(l.layer("b"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Intercept(func(next core.Handler) core.Handler {
		if fails.Load() {
			panic("second thoughts")
		}
		return next
	})
	if err != nil {
		t.Fatal(err)
	}
	fails.Store(true)
	removeFirst()
	run("a before", "b before", "b after <nil>", "a after <nil>")
	if !contains(log.String(), "removal of an interceptor", "second thoughts") || e.Stats().Failures != 1 {
		t.Errorf("the log says %q", log)
	}
	fails.Store(false)
	removeFirst()
	run("a before", "a after <nil>")
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
		Ended:    func(end core.EndInfo) { told = append(told, end.Outcome.String()) },
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
