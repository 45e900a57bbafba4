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
