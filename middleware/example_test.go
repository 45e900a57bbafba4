package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/middleware"
)

// A policy around every task of an engine.
func ExampleRetry() {
	retry, err := middleware.NewRetry(middleware.RetryConfig{Attempts: 5, Delay: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, err := core.New(core.WithWorkers(1), core.WithInterceptors(retry.Intercept))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer engine.Shutdown(ctx)

	runs := 0
	v, err := core.Run(ctx, engine, core.Func(func(context.Context) (string, error) {
		if runs++; runs < 3 {
			return "", errors.New("not yet")
		}
		return fmt.Sprintf("run %d", runs), nil
	}))
	fmt.Println(v, err)
	_, err = core.Run(ctx, engine, core.Func(func(context.Context) (string, error) {
		return "", middleware.Permanent(errors.New("no such page"))
	}))
	fmt.Println(err)
	// Output:
	// run 3 <nil>
	// no such page
}

// Policies around the tasks of one type, named from the outside in.
func ExampleDecorate() {
	all, _ := middleware.NewTimeout(time.Minute)
	retry, _ := middleware.NewRetry(middleware.RetryConfig{Delay: time.Millisecond})
	each, _ := middleware.NewTimeout(10 * time.Millisecond)
	fetch, err := middleware.Decorate[string](all.Intercept, retry.Intercept, each.Intercept)
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, _ := core.New()
	ctx := context.Background()
	defer engine.Shutdown(ctx)

	_, err = core.Run(ctx, engine, fetch(core.Func(func(ctx context.Context) (string, error) {
		<-ctx.Done() // it hangs, and obeys
		return "", ctx.Err()
	})))
	fmt.Println(errors.Is(err, middleware.ErrTimeout), errors.Is(err, middleware.ErrExhausted))
	// Output: true true
}

// The object has the state: it can be shared, and asked.
func ExampleBreaker() {
	breaker, err := middleware.NewBreaker(middleware.BreakerConfig{
		Failures:      1,
		Keys:          middleware.Keys{Of: core.Job.Key},
		OnStateChange: func(key string, from, to middleware.BreakerState) { fmt.Println(key, "was", from, "and is", to) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, _ := core.New(core.WithWorkers(1), core.WithInterceptors(breaker.Intercept))
	ctx := context.Background()
	defer engine.Shutdown(ctx)

	host := core.Attributes{Name: "lookup", Key: "db-1"}
	core.RunWith(ctx, engine, host, core.Func(func(context.Context) (int, error) { return 0, errors.New("connection refused") }))
	_, err = core.RunWith(ctx, engine, host, core.Func(func(context.Context) (int, error) { return 1, nil }))
	fmt.Println(err, breaker.State("db-1"), breaker.State("db-2"))
	// Output:
	// db-1 was closed and is open
	// middleware: task lookup was not run: circuit breaker is open for key "db-1" open closed
}

// Tasks wait for their turn, and hold no worker meanwhile.
func ExampleRateLimit() {
	limit, err := middleware.NewRateLimit(middleware.RateLimitConfig{Tasks: 100, Per: time.Second, Wait: middleware.Waiting{Max: time.Minute}})
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, _ := core.New(core.WithWorkers(1), core.WithInterceptors(limit.Intercept))
	ctx := context.Background()
	defer engine.Shutdown(ctx)

	begin := time.Now()
	for range 4 {
		core.Submit(ctx, engine, core.Func(func(context.Context) (int, error) { return 0, nil }))
	}
	engine.WaitIdle(ctx)
	fmt.Println(time.Since(begin) > 20*time.Millisecond)
	// Output: true
}

// One at a time: a task that needs another of its kind finds no place.
func ExampleBulkhead() {
	bulkhead, err := middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	export, _ := middleware.Decorate[int](bulkhead.Intercept)
	engine, _ := core.New(core.WithWorkers(2))
	ctx := context.Background()
	defer engine.Shutdown(ctx)

	_, err = core.Run(ctx, engine, export(core.Func(func(ctx context.Context) (int, error) {
		return core.RunWith(ctx, engine, core.Attributes{Name: "export"}, export(core.Func(func(context.Context) (int, error) { return 1, nil })))
	})))
	fmt.Println(err, bulkhead.InFlight(""))
	// Output: middleware: task export was not run: too many tasks at a time 0
}

// It begins with ten at a time, and finds out whether more or fewer are better.
func ExampleAdaptiveLimit() {
	limit, err := middleware.NewAdaptiveLimit(middleware.AdaptiveLimitConfig{Initial: 10, Wait: middleware.Waiting{Max: time.Second}})
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, _ := core.New(core.WithInterceptors(limit.Intercept))
	ctx := context.Background()
	defer engine.Shutdown(ctx)

	inside, err := core.Run(ctx, engine, core.Func(func(context.Context) (int, error) { return limit.InFlight(), nil }))
	fmt.Println(inside, "of", limit.Limit(), err)
	// Output: 1 of 10 <nil>
}

// A fixed answer where all attempts have failed.
func ExampleFallback() {
	retry, _ := middleware.NewRetry(middleware.RetryConfig{Delay: time.Millisecond})
	retried, _ := middleware.Decorate[int](retry.Intercept)
	fallback, err := middleware.NewFallback(middleware.FallbackConfig[int]{
		Do: func(_ context.Context, err error) (int, error) { fmt.Println(err); return 42, nil },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, _ := core.New()
	ctx := context.Background()
	defer engine.Shutdown(ctx)

	v, err := core.RunWith(ctx, engine, core.Attributes{Name: "price"}, fallback.Decorate(retried(core.Func(func(context.Context) (int, error) {
		return 0, errors.New("down")
	}))))
	fmt.Println(v, err)
	// Output:
	// middleware: task price was tried 3 times: down
	// 42 <nil>
}

// A Retry that goes by the result.
func ExampleCheck() {
	retry, _ := middleware.NewRetry(middleware.RetryConfig{Delay: time.Millisecond})
	retried, _ := middleware.Decorate[string](retry.Intercept)
	finished, err := middleware.Check(func(state string) error {
		if state != "finished" {
			return errors.New("it is " + state)
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, _ := core.New()
	ctx := context.Background()
	defer engine.Shutdown(ctx)

	states := []string{"queued", "running", "finished"}
	v, err := core.Run(ctx, engine, retried(finished(core.Func(func(context.Context) (string, error) {
		state := states[0]
		states = states[1:]
		return state, nil
	}))))
	fmt.Println(v, err)
	// Output: finished <nil>
}

// The first run hangs; another one answers.
func ExampleHedge() {
	hedge, err := middleware.NewHedge[string](middleware.HedgeConfig{After: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, _ := core.New()
	ctx := context.Background()
	defer engine.Shutdown(ctx)

	servers := make(chan string, 2)
	servers <- "slow"
	servers <- "quick"
	v, err := core.Run(ctx, engine, hedge.Decorate(core.Func(func(ctx context.Context) (string, error) {
		server := <-servers
		if server == "slow" {
			<-ctx.Done()
			return "", ctx.Err()
		}
		return server, nil
	})))
	fmt.Println(v, err, hedge.Launched())
	// Output: quick <nil> 1
}

// The same question twice is asked once.
func ExampleCache() {
	cache, err := middleware.NewCache[string, int](middleware.CacheConfig{TTL: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, _ := core.New()
	ctx := context.Background()
	defer engine.Shutdown(ctx)

	for _, word := range []string{"goman", "go", "goman"} {
		length, err := core.Run(ctx, engine, cache.Decorate(word, core.Func(func(context.Context) (int, error) {
			fmt.Println("counting", word)
			return len(word), nil
		})))
		fmt.Println(length, err)
	}
	// Output:
	// counting goman
	// 5 <nil>
	// counting go
	// 2 <nil>
	// 5 <nil>
}

// What before puts into the context reaches the task, and after.
func ExampleBeforeAfter() {
	type user struct{}
	session, err := middleware.NewBeforeAfter(
		func(ctx context.Context, job core.Job) (context.Context, error) {
			return context.WithValue(ctx, user{}, "ada"), nil
		},
		func(ctx context.Context, job core.Job, err error) {
			fmt.Println(ctx.Value(user{}), "has panicked:", errors.Is(err, core.ErrPanicked))
		})
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, _ := core.New(core.WithInterceptors(session.Intercept), core.WithOnPanic(func(*core.PanicError) {}))
	ctx := context.Background()
	defer engine.Shutdown(ctx)

	core.Run(ctx, engine, core.Func(func(ctx context.Context) (int, error) { panic("oh") }))
	// Output: ada has panicked: true
}

// A line for each run that fails, with what tells the task from others.
func ExampleLog() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "took" {
				return slog.Attr{}
			}
			return a
		},
	}))
	log, err := middleware.NewLog(middleware.LogConfig{Logger: logger, Slow: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, _ := core.New(core.WithInterceptors(log.Intercept))
	ctx := context.Background()
	defer engine.Shutdown(ctx)

	core.RunWith(ctx, engine, core.Attributes{Name: "report", Key: "july"}, core.Func(func(context.Context) (int, error) {
		return 0, errors.New("no figures")
	}))
	// Output: level=ERROR msg="task failed" task=report key=july error="no figures"
}

// A task that hangs, and obeys when its context ends.
func ExampleTimeout() {
	timeout, err := middleware.NewTimeout(time.Millisecond)
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, _ := core.New(core.WithInterceptors(timeout.Intercept))
	ctx := context.Background()
	defer engine.Shutdown(ctx)

	_, err = core.RunWith(ctx, engine, core.Attributes{Name: "fetch"}, core.Func(func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}))
	fmt.Println(err, errors.Is(err, context.DeadlineExceeded))
	// Output: middleware: task fetch ran longer than its timeout of 1ms true
}
