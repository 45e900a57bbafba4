package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/middleware"
)

// E-MID-12: the context of before reaches the task, the layers within and after.
func TestBeforeAfter_E_MID_12_Context(t *testing.T) {
	bothWays(t, func(b bench) {
		type key struct{}
		var seen []any
		look := func(ctx context.Context) { seen = append(seen, ctx.Value(key{})) }
		outer := must(middleware.NewBeforeAfter(
			func(ctx context.Context, _ core.Job) (context.Context, error) {
				return context.WithValue(ctx, key{}, "mine"), nil
			},
			func(ctx context.Context, _ core.Job, _ error) { look(ctx) }))
		inner := must(middleware.NewBeforeAfter(
			func(ctx context.Context, _ core.Job) (context.Context, error) { look(ctx); return ctx, nil }, nil))
		submit := b.with(outer.Intercept, inner.Intercept)
		if v, err := submit(func(ctx context.Context) (int, error) { look(ctx); return 1, nil }).Get(); v != 1 || err != nil {
			b.Error(v, err)
		}
		b.WaitIdle(b.Context()) //nolint:errcheck // the context does not end
		if diff := cmp.Diff([]any{"mine", "mine", "mine"}, seen); diff != "" {
			b.Error(diff)
		}
	})
}

// In a chain of five, whichever part panics, exits or refuses: each after-part runs exactly
// once if its before-part has let the task in, in reverse order, and knows why.
func TestBeforeAfter_AlwaysRuns(t *testing.T) {
	const task = 5
	for _, how := range []string{"panic", "Goexit", "error"} {
		for broken := range task + 1 {
			t.Run(fmt.Sprintf("%s in %d", how, broken), func(t *testing.T) {
				bothWays(t, func(b bench) {
					var afters []int
					breakAt := func(n int) error {
						if n != broken {
							return nil
						}
						switch how {
						case "panic":
							panic(how)
						case "Goexit":
							runtime.Goexit()
						}
						return errFlaky
					}
					var layers []core.Interceptor
					for i := range task {
						layers = append(layers, must(middleware.NewBeforeAfter(
							func(ctx context.Context, _ core.Job) (context.Context, error) { return ctx, breakAt(i) },
							func(_ context.Context, _ core.Job, err error) {
								afters = append(afters, i)
								want := map[string]error{"panic": core.ErrPanicked, "Goexit": core.ErrGoexit, "error": errFlaky}[how]
								if !errors.Is(err, want) {
									b.Errorf("after %d: %v", i, err)
								}
								var p *core.PanicError
								if errors.As(err, &p) && len(p.Stack) == 0 {
									b.Error("no stack")
								}
							})).Intercept)
					}
					_, err := b.with(layers...)(func(context.Context) (int, error) { return 1, breakAt(task) }).Get()
					if err == nil {
						b.Error("no error")
					}
					b.WaitIdle(b.Context()) //nolint:errcheck // the context does not end
					var want []int
					for i := range broken {
						want = append(want, i)
					}
					slices.Reverse(want)
					if diff := cmp.Diff(want, afters); diff != "" {
						b.Error(diff)
					}
				})
			})
		}
	}
}

// A panic of after is one of the task, and does not hide the layers around from it.
func TestBeforeAfter_AfterPanics(t *testing.T) {
	bothWays(t, func(b bench) {
		outer := 0
		count := must(middleware.NewBeforeAfter(nil, func(_ context.Context, _ core.Job, err error) {
			if errors.Is(err, core.ErrPanicked) {
				outer++
			}
		}))
		bad := must(middleware.NewBeforeAfter(nil, func(context.Context, core.Job, error) { panic("after") }))
		if _, err := b.with(count.Intercept, bad.Intercept)(answer(1)).Get(); !errors.Is(err, core.ErrPanicked) {
			b.Error(err)
		}
		b.WaitIdle(b.Context()) //nolint:errcheck // the context does not end
		if outer != 1 {
			b.Error(outer)
		}
	})
}

// Each run has its own before and after.
func TestBeforeAfter_EachRun(t *testing.T) {
	bothWays(t, func(b bench) {
		befores, afters := 0, 0
		count := must(middleware.NewBeforeAfter(
			func(ctx context.Context, _ core.Job) (context.Context, error) { befores++; return ctx, nil },
			func(context.Context, core.Job, error) { afters++ }))
		v, err := b.with(count.Intercept)(func(ctx context.Context) (int, error) {
			if core.Attempt(ctx) < 2 {
				return 0, core.Again(time.Minute, nil)
			}
			return 7, nil
		}).Get()
		if v != 7 || err != nil || befores != 3 || afters != 3 {
			b.Error(v, err, befores, afters)
		}
	})
}

func TestBeforeAfter_Invalid(t *testing.T) {
	_, err := middleware.NewBeforeAfter(nil, nil)
	wantInvalid(t, "neither", err)
	lost := must(middleware.NewBeforeAfter(func(context.Context, core.Job) (context.Context, error) { return nil, nil }, nil))
	_, err = must(middleware.Decorate[int](lost.Intercept))(answer(1)).Execute(t.Context())
	wantInvalid(t, "no context", err)
}
