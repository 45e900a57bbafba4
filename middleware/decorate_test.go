package middleware_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

// noting is a layer that notes what goes in and what comes out.
func noting(notes *[]string, name string) core.Interceptor {
	return func(next core.Handler) core.Handler {
		return func(ctx context.Context, job core.Job) error {
			*notes = append(*notes, name+" "+job.Name())
			err := next(ctx, job)
			if errors.Is(err, core.ErrPanicked) {
				*notes = append(*notes, name+" panicked")
			} else {
				*notes = append(*notes, name+" ended")
			}
			return err
		}
	}
}

// A named task for the tests of attributes.
type named struct{ core.TaskFunc[int] }

func (named) Name() string                       { return "named" }
func (named) Priority() core.Priority            { return core.High }
func (named) Key() string                        { return "key" }
func (named) Tenant() string                     { return "tenant" }
func (named) Labels() map[string]string          { return map[string]string{"a": "b"} }
func (named) Limits() (queue, run time.Duration) { return time.Minute, time.Hour }

func TestDecorate_OrderAttributesAndPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(1), quietly())
		var notes []string
		decorate := must(middleware.Decorate[int](noting(&notes, "outer"), noting(&notes, "inner")))
		var seen core.Attributes
		f := must(core.Submit(t.Context(), e, decorate(named{func(ctx context.Context) (int, error) {
			seen = core.JobOf(ctx).Attributes()
			panic("oh")
		}})))
		_, err := f.Get()
		var p *core.PanicError
		if !errors.As(err, &p) || p.Value != "oh" || p.Task != "named" || e.Stats().Panicked != 1 {
			t.Errorf("%v, %+v", err, e.Stats())
		}
		if diff := cmp.Diff([]string{"outer named", "inner named", "inner panicked", "outer panicked"}, notes); diff != "" {
			t.Error(diff)
		}
		want := core.Attributes{Name: "named", Priority: core.High, Key: "key", Tenant: "tenant",
			Labels: map[string]string{"a": "b"}, QueueLimit: time.Minute, RunLimit: time.Hour}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Error(diff)
		}
	})
}

// onlyKeyed brings a single attribute: decorated, it is still named for its type.
type onlyKeyed struct{ core.TaskFunc[int] }

func (onlyKeyed) Key() string { return "key" }

func TestDecorate_OneAttribute(t *testing.T) {
	e := coretest.New(t)
	decorate := must(middleware.Decorate[int]())
	_, err := core.Run(t.Context(), e, decorate(onlyKeyed{func(ctx context.Context) (int, error) {
		want := core.Attributes{Name: "middleware_test.onlyKeyed", Key: "key"}
		if diff := cmp.Diff(want, core.JobOf(ctx).Attributes()); diff != "" {
			t.Error(diff)
		}
		return 1, nil
	}}))
	if err != nil {
		t.Error(err)
	}
	type onlyTenant struct {
		core.TaskFunc[int]
		core.Tenanted
	}
	f := must(core.Submit(t.Context(), e, decorate(onlyTenant{answer(1), named{}})))
	if v, err := f.Get(); v != 1 || err != nil {
		t.Error(v, err)
	}
}

// One decorated task in several futures at a time, decorated twice, with a result for each.
func TestDecorate_ManyRuns(t *testing.T) {
	e := coretest.New(t, core.WithWorkers(4))
	pass := func(next core.Handler) core.Handler { return next }
	decorate := must(middleware.Decorate[int](pass, pass))
	var mu sync.Mutex
	n := 0
	task := decorate(decorate(core.Func(func(context.Context) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		return n, nil
	})))
	var futures []*core.Future[int]
	for range 1000 {
		futures = append(futures, must(core.Submit(t.Context(), e, task)))
	}
	sum := 0
	for _, f := range futures {
		sum += must(f.Get())
	}
	if sum != 1000*1001/2 {
		t.Error(sum)
	}
}

// What is no task is none when it has been decorated.
func TestDecorate_NoTask(t *testing.T) {
	e := coretest.New(t)
	decorate := must(middleware.Decorate[int]())
	for name, task := range map[string]core.Task[int]{
		"nil":      nil,
		"function": core.TaskFunc[int](nil),
		"pointer":  (*named)(nil),
	} {
		_, err := core.Submit(t.Context(), e, decorate(task))
		wantInvalid(t, name, err)
	}
}

func TestDecorate_OutsideOfAnEngine(t *testing.T) {
	var job core.Job
	decorate := must(middleware.Decorate[int](func(next core.Handler) core.Handler {
		return func(ctx context.Context, j core.Job) error { job = j; return next(ctx, j) }
	}))
	if v, err := decorate(answer(3)).Execute(t.Context()); v != 3 || err != nil || !job.IsZero() {
		t.Error(v, err, job)
	}
	_, err := decorate(core.Func(func(context.Context) (int, error) { panic(errFlaky) })).Execute(t.Context())
	if !errors.Is(err, core.ErrPanicked) || !errors.Is(err, errFlaky) {
		t.Error(err)
	}
}

func TestDecorate_SkippedAndFaults(t *testing.T) {
	skip := must(middleware.Decorate[int](func(core.Handler) core.Handler {
		return func(context.Context, core.Job) error { return nil }
	}))
	if _, err := skip(answer(1)).Execute(t.Context()); !errors.Is(err, core.ErrSkipped) {
		t.Error(err)
	}
	broken := must(middleware.Decorate[int](func(core.Handler) core.Handler {
		return func(context.Context, core.Job) error { panic("layer") }
	}))
	if _, err := broken(answer(1)).Execute(t.Context()); !errors.Is(err, core.ErrPanicked) {
		t.Error(err)
	}
	for what, layer := range map[string]core.Interceptor{
		"nil":        nil,
		"no handler": func(core.Handler) core.Handler { return nil },
		"panic":      func(core.Handler) core.Handler { panic("no") },
	} {
		_, err := middleware.Decorate[int](layer)
		wantInvalid(t, what, err)
	}
}
