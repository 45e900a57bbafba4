package middleware_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

// The errors name the task; outside of an engine there is none.
func TestErrors_NameTheTask(t *testing.T) {
	rate := func(wait middleware.Waiting) func() core.Interceptor {
		return func() core.Interceptor {
			limit := must(middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 1, Per: time.Hour, Wait: wait, Keys: middleware.Keys{Of: func(core.Job) string { return "k" }}}))
			must(must(middleware.Decorate[int](limit.Intercept))(answer(1)).Execute(t.Context()))
			return limit.Intercept
		}
	}
	always := func(layer core.Interceptor) func() core.Interceptor { return func() core.Interceptor { return layer } }
	for _, c := range []struct {
		layer func() core.Interceptor
		task  core.TaskFunc[int]
		want  string
	}{
		{always(must(middleware.NewTimeout(time.Second)).Intercept), nap(time.Hour), "middleware: task named ran longer than its timeout of 1s"},
		{always(must(middleware.NewTimeout(time.Second)).Intercept), func(context.Context) (int, error) { return 0, core.Again(time.Hour, errFlaky) },
			"middleware: task named ran longer than its timeout of 1s: flaky"},
		{always(steady(func(c *middleware.RetryConfig) { c.Attempts = 2 }).Intercept), fail(errFlaky), "middleware: task named was tried 2 times: flaky"},
		{always(steady(func(c *middleware.RetryConfig) { c.MaxRetryAfter = 1 }).Intercept), fail(middleware.RetryAfter(time.Hour, errFlaky)),
			"middleware: task named was tried once: flaky; no further attempt: middleware: it asks for a delay of 1h0m0s, more than 1ns"},
		{rate(middleware.Waiting{}), answer(1), `middleware: task named was not run: rate limit exceeded for key "k"`},
		{rate(middleware.Waiting{Max: time.Minute}), answer(1), `middleware: task named was not run: rate limit exceeded for key "k"`},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := coretest.New(t, core.WithInterceptors(c.layer()))
			if _, err := core.Run(t.Context(), e, core.Task[int](named{c.task})); err == nil || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
	text := (&middleware.DeniedError{Reason: middleware.ErrFull}).Error()
	if text != "middleware: task was not run: too many tasks at a time" {
		t.Error(text)
	}
}

// record is a task with a type of its own, and no attributes.
type record struct{}

func (record) Execute(ctx context.Context) (string, error) { return core.JobOf(ctx).Name(), nil }

// A decorated task is called what it would be called without.
func TestErrors_NameOfTheType(t *testing.T) {
	e := coretest.New(t)
	decorate := must(middleware.Decorate[string]())
	for _, task := range []core.Task[string]{record{}, &record{}} {
		want := must(core.Run(t.Context(), e, task))
		if got := must(core.Run(t.Context(), e, decorate(decorate(task)))); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
