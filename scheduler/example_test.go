package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/queue"
	"github.com/uptutu/goman/scheduler"
)

// say returns a task that prints its name.
func say(name string) core.TaskFunc[int] {
	return core.Func(func(context.Context) (int, error) {
		fmt.Println(name)
		return 0, nil
	})
}

// paused makes an engine of one worker that starts nothing yet, so that everything is
// queued before the first task runs.
func paused(s core.Scheduler, err error) *core.Engine {
	engine, err := core.New(core.WithWorkers(1), core.WithScheduler(s, err))
	if err != nil {
		log.Fatal(err)
	}
	engine.Pause()
	return engine
}

// Urgent tasks first; and a low one rises by a level for each five seconds that it
// waits. Within a level the tenants take turns.
func ExamplePriority() {
	ctx := context.Background()
	engine, err := core.New(
		core.WithWorkers(1),
		core.WithScheduler(scheduler.NewPriority(scheduler.Aging(5*time.Second), scheduler.NewFair)),
	)
	if err != nil {
		log.Fatal(err)
	}
	engine.Pause() // for the sake of the example
	for range 2 {
		core.SubmitWith(ctx, engine, core.Attributes{Priority: core.Low, Tenant: "a"}, say("low, a"))
	}
	core.SubmitWith(ctx, engine, core.Attributes{Priority: core.Low, Tenant: "b"}, say("low, b"))
	core.SubmitWith(ctx, engine, core.Attributes{Priority: core.Critical}, say("critical"))
	engine.Shutdown(ctx)
	// Output:
	// critical
	// low, a
	// low, b
	// low, a
}

// One of four workers is kept for critical tasks.
func ExamplePriorityConfig_Reserving() {
	engine, err := core.New(core.WithWorkers(4), core.WithScheduler(scheduler.NewPriority(
		scheduler.Strict().Reserving(core.Critical, 1), scheduler.NewFIFO)))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	release := make(chan struct{})
	for range 10 { // three of them run, seven wait
		engine.Go(func() { <-release })
	}
	core.RunWith(ctx, engine, core.Attributes{Priority: core.Critical}, say("critical"))
	close(release)
	engine.Shutdown(ctx)
	// Output: critical
}

// Whatever one tenant submits, the others get their turns.
func ExampleFair() {
	ctx := context.Background()
	engine := paused(scheduler.NewFairWith(scheduler.FairConfig{
		Weight:   func(tenant string) int { return map[string]int{"gold": 2}[tenant] },
		InFlight: 8,
	}, scheduler.NewFIFO))
	for range 4 {
		core.SubmitWith(ctx, engine, core.Attributes{Tenant: "basic"}, say("basic"))
	}
	for range 3 {
		core.SubmitWith(ctx, engine, core.Attributes{Tenant: "gold"}, say("gold"))
	}
	engine.Shutdown(ctx)
	// Output:
	// basic
	// gold
	// gold
	// basic
	// gold
	// basic
	// basic
}

// The earliest deadline first.
func ExampleDeadline() {
	engine := paused(scheduler.NewDeadline())
	for _, within := range []time.Duration{time.Hour, time.Minute, time.Second * 30} {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		core.Submit(ctx, engine, say(within.String()))
	}
	core.Submit(context.Background(), engine, say("whenever"))
	engine.Shutdown(context.Background())
	// Output:
	// 30s
	// 1m0s
	// 1h0m0s
	// whenever
}

// What is critical is of no use after a millisecond. Reports have taken longer, so one
// that is critical is refused.
func ExampleNewDeadlineWith() {
	engine, err := core.New(core.WithScheduler(scheduler.NewDeadlineWith(scheduler.DeadlineConfig{
		Of: func(job core.Job) (time.Time, bool) {
			return time.Now().Add(time.Millisecond), job.Priority() == core.Critical
		},
		Refuse: true,
	})))
	if err != nil {
		log.Fatal(err)
	}
	report := core.Func(func(context.Context) (int, error) {
		time.Sleep(2 * time.Millisecond)
		return 7, nil
	})
	ctx := context.Background()
	for range 8 { // from then on there is an estimate
		core.RunWith(ctx, engine, core.Attributes{Name: "report"}, report)
	}
	engine.WaitIdle(ctx) // until the scheduler has heard of the last end
	_, err = core.SubmitWith(ctx, engine, core.Attributes{Name: "report", Priority: core.Critical}, report)
	fmt.Println(errors.Is(err, scheduler.ErrDeadlineUnmeetable))
	engine.Shutdown(ctx)
	// Output: true
}

// The tasks of one account run one after another, those of different accounts side by
// side.
func ExampleKeyed() {
	engine, err := core.New(core.WithWorkers(4), core.WithScheduler(scheduler.NewKeyed(1, scheduler.NewFIFO)))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	balance := map[string]*int{"ann": new(int), "bob": new(int)}
	for i := range 1000 {
		for name, sum := range balance {
			core.SubmitWith(ctx, engine, core.Attributes{Key: name}, core.Func(func(context.Context) (int, error) {
				*sum += i // no lock
				return *sum, nil
			}))
		}
	}
	engine.Shutdown(ctx)
	fmt.Println(*balance["ann"], *balance["bob"])
	// Output: 499500 499500
}

// As long as there are urgent tasks, no other one starts.
func ExampleStrict() {
	ctx := context.Background()
	engine := paused(scheduler.NewPriority(scheduler.Strict(), scheduler.NewFIFO))
	for _, name := range []string{"first", "second"} {
		core.SubmitWith(ctx, engine, core.Attributes{Priority: core.Low}, say("low, "+name))
	}
	for _, name := range []string{"first", "second"} {
		core.SubmitWith(ctx, engine, core.Attributes{Priority: core.High}, say("high, "+name))
	}
	engine.Shutdown(ctx)
	// Output:
	// high, first
	// high, second
	// low, first
	// low, second
}

// The newest first, and the oldest is given up for it.
func ExampleLIFO() {
	engine, err := core.New(core.WithWorkers(1), core.WithQueueCapacity(2),
		core.WithReject(core.RejectDiscardOldest), core.WithScheduler(scheduler.NewLIFO()))
	if err != nil {
		log.Fatal(err)
	}
	engine.Pause()
	ctx := context.Background()
	for _, name := range []string{"oldest", "older", "newest"} {
		core.Submit(ctx, engine, say(name))
	}
	engine.Shutdown(ctx)
	// Output:
	// newest
	// older
}

// Any queue can be a scheduler: here one that orders by the length of the names.
func ExampleFromQueue() {
	byName, err := queue.NewKeyHeap(func(job core.Job) int { return len(job.Name()) })
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	engine := paused(scheduler.FromQueue(byName))
	for _, name := range []string{"triangle", "dot", "line"} {
		core.SubmitWith(ctx, engine, core.Attributes{Name: name}, say(name))
	}
	engine.Shutdown(ctx)
	// Output:
	// dot
	// line
	// triangle
}
