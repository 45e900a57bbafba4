package middleware_test

import (
	"context"
	"errors"
	"strings"
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

// pointed is a task that is a pointer and brings an attribute.
type pointed struct{ name string }

func (p *pointed) Execute(context.Context) (int, error) { return 1, nil }
func (p *pointed) Name() string                         { return p.name }

// Whatever is around no task, it is refused at the door.
func TestDecorate_NoTask(t *testing.T) {
	e := coretest.New(t)
	for name, decorate := range map[string]func(core.Task[int]) core.Task[int]{
		"Decorate": must(middleware.Decorate[int]()),
		"Check":    must(middleware.Check(func(int) error { return nil })),
		"Fallback": must(middleware.NewFallback(middleware.FallbackConfig[int]{Do: func(context.Context, error) (int, error) { return 9, nil }})).Decorate,
		"Hedge":    must(middleware.NewHedge[int](middleware.HedgeConfig{After: time.Hour})).Decorate,
		"Cache": func(task core.Task[int]) core.Task[int] {
			return must(middleware.NewCache[int, int](middleware.CacheConfig{})).Decorate(1, task)
		},
	} {
		for _, task := range []core.Task[int]{nil, core.TaskFunc[int](nil), (*pointed)(nil)} {
			_, err := core.Submit(t.Context(), e, decorate(task))
			wantInvalid(t, name, err)
		}
	}
}

// The value of a run that failed is not that of the next, which panics.
func TestDecorate_ValueOfAnEarlierRun(t *testing.T) {
	bothWays(t, func(b bench) {
		retry := steady(func(c *middleware.RetryConfig) { c.InPlace = true })
		runs := 0
		v, err := b.with(retry.Intercept)(func(context.Context) (int, error) {
			if runs++; runs > 1 {
				panic("oh")
			}
			return 7, errFlaky
		}).Get()
		if v != 0 || !errors.Is(err, core.ErrPanicked) {
			b.Error(v, err)
		}
	})
}

// A context that is not derived from that of the task cannot find it.
func TestDecorate_ForeignContext(t *testing.T) {
	decorate := must(middleware.Decorate[int](func(next core.Handler) core.Handler {
		return func(_ context.Context, job core.Job) error { return next(context.Background(), job) }
	}))
	_, err := decorate(answer(1)).Execute(t.Context())
	wantInvalid(t, "context", err)
}

// A policy that was not made by its constructor is refused where it is put around something,
// or fails the task, with a word about it.
func TestDecorate_NotMade(t *testing.T) {
	for name, layers := range map[string][]core.Interceptor{
		"Retry":         {(*middleware.Retry)(nil).Intercept, new(middleware.Retry).Intercept},
		"Breaker":       {(*middleware.Breaker)(nil).Intercept, new(middleware.Breaker).Intercept},
		"RateLimit":     {(*middleware.RateLimit)(nil).Intercept, new(middleware.RateLimit).Intercept},
		"Bulkhead":      {(*middleware.Bulkhead)(nil).Intercept, new(middleware.Bulkhead).Intercept},
		"AdaptiveLimit": {(*middleware.AdaptiveLimit)(nil).Intercept, new(middleware.AdaptiveLimit).Intercept},
		"Timeout":       {(*middleware.Timeout)(nil).Intercept, new(middleware.Timeout).Intercept},
		"BeforeAfter":   {(*middleware.BeforeAfter)(nil).Intercept, new(middleware.BeforeAfter).Intercept},
		"Log":           {(*middleware.Log)(nil).Intercept, new(middleware.Log).Intercept},
	} {
		for _, layer := range layers {
			_, err := core.New(core.WithInterceptors(layer))
			wantInvalid(t, name, err)
			if _, err = middleware.Decorate[int](layer); !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), "this "+name+" was not made") {
				t.Error(name, err)
			}
		}
	}
	for name, task := range map[string]core.Task[int]{
		"nil Cache":    (*middleware.Cache[int, int])(nil).Decorate(1, answer(1)),
		"Cache":        new(middleware.Cache[int, int]).Decorate(1, answer(1)),
		"nil Hedge":    (*middleware.Hedge[int])(nil).Decorate(answer(1)),
		"Hedge":        new(middleware.Hedge[int]).Decorate(answer(1)),
		"nil Fallback": (*middleware.Fallback[int])(nil).Decorate(answer(1)),
		"Fallback":     new(middleware.Fallback[int]).Decorate(answer(1)),
	} {
		_, err := task.Execute(t.Context())
		wantInvalid(t, name, err)
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
