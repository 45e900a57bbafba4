package core_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/uptutu/goman/core"
)

// The report of a Shutdown that was cut short hands back what did not run.
func ExampleUndone_Resubmit() {
	ctx := context.Background()
	engine, err := core.New(core.WithName("old"), core.WithWorkers(1))
	if err != nil {
		log.Fatal(err)
	}
	started := make(chan struct{})
	if _, err := core.Submit(ctx, engine, core.Func(func(ctx context.Context) (int, error) {
		close(started)
		<-ctx.Done() // ends with core.ErrShutdown as its cause
		return 0, context.Cause(ctx)
	})); err != nil {
		log.Fatal(err)
	}
	<-started
	engine.Go(func() { fmt.Println("first") })
	engine.Go(func() { fmt.Println("second") })

	patience, cancel := context.WithCancelCause(ctx)
	cancel(errors.New("a new version is deployed")) // no patience at all
	err = engine.Shutdown(patience)
	fmt.Println(err)

	next, _ := core.New(core.WithName("new"), core.WithWorkers(1))
	if report, ok := errors.AsType[*core.ShutdownError](err); ok {
		for _, undone := range report.Undone {
			if err := undone.Resubmit(ctx, next); err != nil {
				fmt.Println(undone.Name(), "is lost:", err)
			}
		}
	}
	next.Shutdown(ctx)
	// Output:
	// core: engine old: stopped before it was drained, 2 undone, 1 cancelled: a new version is deployed
	// first
	// second
}

// Shutdown runs what is queued and returns nil when it has; from then on the
// engine refuses everything.
func ExampleEngine_Shutdown() {
	ctx := context.Background()
	engine, err := core.New(core.WithName("batch"), core.WithWorkers(2))
	if err != nil {
		log.Fatal(err)
	}
	for range 100 {
		if err := engine.Go(func() {}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(engine.Shutdown(ctx), engine.Stats().Succeeded)
	fmt.Println(engine.Go(func() {}))
	fmt.Println(engine.Shutdown(ctx)) // may be called again
	// Output:
	// <nil> 100
	// core: engine batch is closed: Shutdown or Close has begun
	// <nil>
}

// While an engine is paused tasks are accepted and none starts.
func ExampleEngine_Pause() {
	ctx := context.Background()
	engine, err := core.New()
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	engine.Pause()
	future, err := core.Submit(ctx, engine, core.Func(func(context.Context) (string, error) {
		return "run after Resume", nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(engine.IsPaused(), engine.Stats().Queued, future.IsDone())

	engine.Resume()
	fmt.Println(future.Await(ctx))
	// Output:
	// true 1 false
	// run after Resume <nil>
}

// Several settings change as one step, or none does.
func ExampleEngine_Reconfigure() {
	ctx := context.Background()
	engine, err := core.New(core.WithWorkers(2))
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	show := func() { fmt.Println(engine.Config().Workers, engine.Config().QueueCapacity, engine.Config().Reject) }
	show()
	fmt.Println(engine.Reconfigure(core.WithWorkers(8), core.WithQueueCapacity(50), core.WithReject(core.RejectFail)))
	show()
	fmt.Println(engine.Reconfigure(core.WithWorkers(4), core.WithQueueCapacity(0)))
	show()
	// Output:
	// 2 1000 wait
	// <nil>
	// 8 50 fail
	// core: invalid configuration: QueueCapacity is 0: allowed is 1 to 1000000, or Unbounded
	// 8 50 fail
}

// WaitIdle waits for everything that was accepted, and closes nothing.
func ExampleEngine_WaitIdle() {
	ctx := context.Background()
	engine, err := core.New(core.WithWorkers(2))
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	for round := range 2 {
		squares := make([]int, 4)
		for i := range squares {
			engine.Go(func() { squares[i] = (i + round) * (i + round) })
		}
		if err := engine.WaitIdle(ctx); err != nil {
			log.Fatal(err)
		}
		fmt.Println(squares)
	}
	// Output:
	// [0 1 4 9]
	// [1 4 9 16]
}

// A snapshot is exact: what was accepted is queued, running or has ended.
func ExampleEngine_Stats() {
	ctx := context.Background()
	engine, err := core.New(core.WithName("counted"), core.WithWorkers(3))
	if err != nil {
		log.Fatal(err)
	}
	for n := range 10 {
		core.Submit(ctx, engine, core.Func(func(context.Context) (int, error) {
			if n%5 == 0 {
				return 0, errors.New("a bad one")
			}
			return n, nil
		}))
	}
	engine.Shutdown(ctx)
	core.Submit(ctx, engine, core.Func(func(context.Context) (int, error) { return 0, nil }))

	s := engine.Stats()
	fmt.Println(s.Accepted, s.Queued, s.Running, s.Ended())
	fmt.Println(s.Succeeded, s.Failed, s.Rejected.Closed, s.Check())
	// Output:
	// 10 0 0 10
	// 8 2 1 <nil>
}
