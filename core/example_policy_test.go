package core_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/uptutu/goman/core"
)

// namedTask returns a task that does nothing, and its attributes.
func namedTask(name string) (core.Attributes, core.Task[string]) {
	return core.Attributes{Name: name}, core.Func(func(context.Context) (string, error) { return name, nil })
}

// Under RejectDiscardOldest the newest tasks survive. A hook sees each victim.
func ExampleRejectPolicy_discardOldest() {
	ctx := context.Background()
	engine, err := core.New(
		core.WithWorkers(1), core.WithQueueCapacity(2),
		core.WithReject(core.RejectDiscardOldest),
		core.WithHooks(core.Hooks{Ended: func(end core.EndInfo) {
			if end.Outcome == core.OutcomeDiscarded {
				fmt.Println(end.Job.Name(), "was discarded")
			}
		}}),
	)
	if err != nil {
		log.Fatal(err)
	}
	engine.Pause() // for the sake of the example: the queue fills up

	var frames []*core.Future[string]
	for i := range 4 {
		attributes, task := namedTask(fmt.Sprint("frame ", i))
		future, err := core.SubmitWith(ctx, engine, attributes, task)
		if err != nil {
			log.Fatal(err)
		}
		frames = append(frames, future)
	}
	engine.Resume()
	for _, future := range frames {
		name, err := future.Await(ctx)
		fmt.Printf("%q %t\n", name, errors.Is(err, core.ErrDiscarded))
	}
	engine.Shutdown(ctx)
	// Output:
	// frame 0 was discarded
	// frame 1 was discarded
	// "" true
	// "" true
	// "frame 2" false
	// "frame 3" false
}

// Under RejectCallerRuns a full queue makes those who submit do the work.
func ExampleRejectPolicy_callerRuns() {
	ctx := context.Background()
	engine, err := core.New(core.WithWorkers(1), core.WithQueueCapacity(1), core.WithReject(core.RejectCallerRuns))
	if err != nil {
		log.Fatal(err)
	}
	// Occupy the worker, then the queue.
	started, release := make(chan struct{}), make(chan struct{})
	engine.Go(func() { close(started); <-release })
	<-started
	engine.Go(func() { fmt.Println("run by the worker") })

	// No room: the function has been run when Go returns.
	err = engine.Go(func() { fmt.Println("run by the caller") })
	fmt.Println("Go returned", err)

	close(release)
	engine.Shutdown(ctx)
	// Output:
	// run by the caller
	// Go returned <nil>
	// run by the worker
}

// OnFull decides for each task what a full queue means.
func ExampleWithOnFull() {
	ctx := context.Background()
	engine, err := core.New(core.WithWorkers(1), core.WithQueueCapacity(1),
		core.WithOnFull(func(_ context.Context, job core.Job) core.RejectPolicy {
			if job.Priority() == core.Critical {
				return core.RejectDiscardOldest
			}
			return core.RejectFail
		}))
	if err != nil {
		log.Fatal(err)
	}
	engine.Pause() // for the sake of the example: the queue fills up

	for _, name := range []string{"a", "b", "c"} {
		attributes, task := namedTask(name)
		if name == "c" {
			attributes.Priority = core.Critical
		}
		_, err := core.SubmitWith(ctx, engine, attributes, task)
		fmt.Println(name, err)
	}
	engine.Shutdown(ctx)
	fmt.Println(engine.Stats().Discarded, "discarded")
	// Output:
	// a <nil>
	// b core: engine goman: queue is full: its capacity is 1
	// c <nil>
	// 1 discarded
}

// A panic becomes the error of the future, and is reported at once: to OnPanic
// if it is set, otherwise to the logger.
func ExamplePanicError() {
	ctx := context.Background()
	engine, err := core.New(core.WithOnPanic(func(p *core.PanicError) {
		fmt.Println("reported:", p.Value)
	}))
	if err != nil {
		log.Fatal(err)
	}
	future, err := core.Submit(ctx, engine, core.Func(func(context.Context) (int, error) {
		var scores []int
		return scores[3], nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	engine.Shutdown(ctx) // the worker survived, and has reported

	_, err = future.Await(ctx)
	if p, ok := errors.AsType[*core.PanicError](err); ok {
		fmt.Println("awaited:", p.Value, len(p.Stack) > 0)
	}
	// Output:
	// reported: runtime error: index out of range [3] with length 0
	// awaited: runtime error: index out of range [3] with length 0 true
}

// A task has two clocks: one for the time in the queue, one for the time it
// runs.
func ExampleTimeoutError() {
	ctx := context.Background()
	engine, err := core.New(core.WithName("mail"), core.WithRunLimit(time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	slow := core.Func(func(ctx context.Context) (int, error) {
		<-ctx.Done() // a task that obeys
		return 0, context.Cause(ctx)
	})
	future, err := core.SubmitWith(ctx, engine, core.Attributes{Name: "send"}, slow)
	if err != nil {
		log.Fatal(err)
	}
	_, err = future.Await(ctx)
	fmt.Println(err)
	fmt.Println(errors.Is(err, core.ErrTaskTimeout), errors.Is(err, context.DeadlineExceeded))

	engine.Pause() // for the sake of the example: nothing starts
	future, err = core.SubmitWith(ctx, engine, core.Attributes{Name: "greet", QueueLimit: time.Millisecond}, slow)
	if err != nil {
		log.Fatal(err)
	}
	_, err = future.Await(ctx)
	fmt.Println(err)
	fmt.Println(errors.Is(err, core.ErrQueueTimeout), errors.Is(err, context.DeadlineExceeded))
	engine.Shutdown(ctx)
	// Output:
	// core: engine mail: task send was stopped at its run limit of 1ms
	// true true
	// core: engine mail: task greet waited longer than its queue limit of 1ms
	// true true
}

// A task that fails for a reason that will pass asks to be run again. No worker
// waits meanwhile.
func ExampleAgain() {
	ctx := context.Background()
	engine, err := core.New(core.WithHooks(core.Hooks{
		Retried: func(info core.RetryInfo) {
			fmt.Printf("attempt %d: again after %v: %v\n", info.Attempt, info.After, info.Cause)
		},
	}))
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	busy := errors.New("the server is busy")
	fmt.Println(core.Run(ctx, engine, core.Func(func(ctx context.Context) (string, error) {
		attempt := core.Attempt(ctx) // 0 on the first run
		if attempt < 2 {
			return "", core.Again(time.Millisecond<<attempt, busy)
		}
		return "an answer", nil
	})))
	// Output:
	// attempt 1: again after 1ms: the server is busy
	// attempt 2: again after 2ms: the server is busy
	// an answer <nil>
}

// A task that waits for a task that waits for it would wait for ever. The wait
// that closes the ring fails instead, and the others go on.
func ExampleDeadlockError() {
	ctx := context.Background()
	engine, err := core.New(core.WithName("ring"), core.WithWorkers(1))
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	var hen, egg *core.Future[string]
	submitted := make(chan struct{})
	hen, err = core.SubmitWith(ctx, engine, core.Attributes{Name: "hen"}, core.Func(func(ctx context.Context) (string, error) {
		<-submitted
		return egg.Await(ctx)
	}))
	if err != nil {
		log.Fatal(err)
	}
	egg, err = core.SubmitWith(ctx, engine, core.Attributes{Name: "egg"}, core.Func(func(ctx context.Context) (string, error) {
		_, err := hen.Await(ctx)
		return "came first", err
	}))
	if err != nil {
		log.Fatal(err)
	}
	close(submitted)

	_, err = hen.Await(ctx)
	fmt.Println(errors.Is(err, core.ErrDeadlock))
	ring, _ := errors.AsType[*core.DeadlockError](err)
	fmt.Println(len(ring.Tasks), "tasks")
	// Output:
	// true
	// 2 tasks
}

// With one worker, a task waits for a message that another task sends.
func ExampleBlocking() {
	ctx := context.Background()
	engine, err := core.New(core.WithWorkers(1))
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	messages := make(chan string)
	reader, err := core.Submit(ctx, engine, core.Func(func(ctx context.Context) (string, error) {
		var message string
		core.Blocking(ctx, func() { message = <-messages })
		return message, nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	if err := engine.Go(func() { messages <- "hello" }); err != nil {
		log.Fatal(err)
	}
	fmt.Println(reader.Await(ctx))
	// Output: hello <nil>
}
