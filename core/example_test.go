package core_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/uptutu/goman/core"
)

// One worker, two result types, and a task that waits for another task of its
// own engine. README.md shows the same lines.
func Example() {
	ctx := context.Background()
	engine, err := core.New(core.WithWorkers(1)) // one worker is enough for what follows
	if err != nil {
		log.Fatal(err)
	}
	length, err := core.Run(ctx, engine, core.Func(func(ctx context.Context) (int, error) {
		word, err := core.Run(ctx, engine, core.Func(func(context.Context) (string, error) { return "goman", nil }))
		return len(word), err // this task has waited for a task of its own engine
	}))
	fmt.Println(length, err, engine.Shutdown(ctx))
	// Output: 5 <nil> <nil>
}

// Submit returns a future at once; Await waits for its result.
func ExampleSubmit() {
	ctx := context.Background()
	engine, err := core.New()
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	// Two result types on one engine, and no type assertion.
	number, err := core.Submit(ctx, engine, core.Func(func(context.Context) (int, error) {
		return 6 * 7, nil
	}))
	if err != nil {
		log.Fatal(err) // it was refused and will never run
	}
	text, err := core.Submit(ctx, engine, core.Func(func(context.Context) (string, error) {
		return "", errors.New("no such file")
	}))
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(number.Await(ctx))
	_, err = text.Await(ctx)
	fmt.Println(err)
	// Output:
	// 42 <nil>
	// no such file
}

// Attributes describe one task. Schedulers, hooks and reject policies look at
// them, and errors name the task by them.
func ExampleSubmitWith() {
	ctx := context.Background()
	engine, err := core.New(core.WithHooks(core.Hooks{Started: func(job core.Job) {
		fmt.Println(job.Name(), job.Priority(), job.Attributes().Labels["region"])
	}}))
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	urgent := core.Attributes{
		Name:       "invoice 42",
		Priority:   core.Critical,
		Labels:     map[string]string{"region": "north"},
		QueueLimit: time.Minute, // fail if it has not been started by then
		RunLimit:   time.Second, // then its context ends
	}
	future, err := core.SubmitWith(ctx, engine, urgent, core.Func(func(ctx context.Context) (string, error) {
		_, limited := ctx.Deadline()
		return fmt.Sprint("limited: ", limited), nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(future.Await(ctx))
	// Output:
	// invoice 42 critical north
	// limited: true <nil>
}

// A batch takes one reservation of capacity and one wake-up.
func ExampleSubmitAll() {
	ctx := context.Background()
	engine, err := core.New()
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	var tasks []core.Task[int]
	for n := range 5 {
		tasks = append(tasks, core.Func(func(context.Context) (int, error) { return n * n, nil }))
	}
	futures, err := core.SubmitAll(ctx, engine, tasks)
	if err != nil {
		fmt.Printf("%d of %d were accepted: %v\n", len(futures), len(tasks), err)
	}
	for _, future := range futures { // in the order of tasks
		square, err := future.Await(ctx)
		fmt.Println(square, err)
	}
	// Output:
	// 0 <nil>
	// 1 <nil>
	// 4 <nil>
	// 9 <nil>
	// 16 <nil>
}

// TrySubmit never waits, whatever the policy of the engine.
func ExampleTrySubmit() {
	ctx := context.Background()
	engine, err := core.New(core.WithName("small"), core.WithWorkers(1), core.WithQueueCapacity(2))
	if err != nil {
		log.Fatal(err)
	}
	engine.Pause() // for the sake of the example: the queue fills up

	task := core.Func(func(context.Context) (string, error) { return "done", nil })
	for range 3 {
		_, err := core.TrySubmit(ctx, engine, task)
		fmt.Println(err, errors.Is(err, core.ErrQueueFull))
	}
	engine.Shutdown(ctx) // resumes and drains
	fmt.Println(engine.Stats().Succeeded, "ran")
	// Output:
	// <nil> false
	// <nil> false
	// core: engine small: queue is full: its capacity is 2 true
	// 2 ran
}

// Run submits a task and awaits it. An error is that of the submission or that
// of the task.
func ExampleRun() {
	ctx := context.Background()
	engine, err := core.New()
	if err != nil {
		log.Fatal(err)
	}
	task := core.Func(func(context.Context) (int, error) { return 42, nil })
	fmt.Println(core.Run(ctx, engine, task))

	engine.Shutdown(ctx)
	_, err = core.Run(ctx, engine, task)
	fmt.Println(errors.Is(err, core.ErrClosed))
	// Output:
	// 42 <nil>
	// true
}

// RunWith is Run with attributes: errors and hooks name the task by them.
func ExampleRunWith() {
	ctx := context.Background()
	engine, err := core.New(core.WithName("shop"))
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	order := core.Attributes{Name: "order 1", RunLimit: time.Millisecond}
	_, err = core.RunWith(ctx, engine, order, core.Func(func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}))
	fmt.Println(err)
	// Output: core: engine shop: task order 1 was stopped at its run limit of 1ms
}

// A wait that was given up has an error of its own; the task goes on, and can be
// awaited again.
func ExampleWaitError() {
	ctx := context.Background()
	engine, err := core.New(core.WithName("shop"))
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	release := make(chan struct{})
	future, err := core.SubmitWith(ctx, engine, core.Attributes{Name: "order 1"}, core.Func(func(context.Context) (int, error) {
		<-release
		return 42, nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	patience, cancel := context.WithCancelCause(ctx)
	cancel(errors.New("the customer has left"))
	_, err = future.Await(patience)
	if wait, ok := errors.AsType[*core.WaitError](err); ok {
		fmt.Println(wait)
		fmt.Println(wait.Task, errors.Is(err, context.Canceled))
	}
	close(release)
	fmt.Println(future.Await(ctx))
	// Output:
	// core: engine shop: gave up waiting for task order 1: the customer has left
	// order 1 true
	// 42 <nil>
}

// Go runs a plain function. Nobody is told its result.
func ExampleEngine_Go() {
	ctx := context.Background()
	engine, err := core.New()
	if err != nil {
		log.Fatal(err)
	}
	squares := make([]int, 5)
	for i := range squares {
		if err := engine.Go(func() { squares[i] = i * i }); err != nil {
			log.Fatal(err) // it was refused and will never run
		}
	}
	// What the functions wrote is seen once Shutdown, or WaitIdle, has returned.
	if err := engine.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(squares)
	// Output: [0 1 4 9 16]
}

// GoAll takes many functions at once, and says how many it has accepted.
func ExampleEngine_GoAll() {
	ctx := context.Background()
	engine, err := core.New(core.WithName("batch"), core.WithWorkers(2))
	if err != nil {
		log.Fatal(err)
	}
	squares := make([]int, 5)
	var all []func()
	for i := range squares {
		all = append(all, func() { squares[i] = i * i })
	}
	fmt.Println(engine.GoAll(ctx, all))
	if err := engine.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(squares)
	fmt.Println(engine.GoAll(ctx, all))
	// Output:
	// 5 <nil>
	// [0 1 4 9 16]
	// 0 core: engine batch is closed: Shutdown or Close has begun
}

// leaves is a task that submits tasks for its children and waits for them.
type leaves struct {
	engine *core.Engine
	depth  int
}

// Execute returns the number of leaves.
func (t leaves) Execute(ctx context.Context) (int, error) {
	if t.depth == 0 {
		return 1, nil
	}
	// The task's own context goes to Submit and to Await: by it the engine
	// knows who submits and who waits.
	left, err := core.Submit(ctx, t.engine, leaves{t.engine, t.depth - 1})
	if err != nil {
		return 0, err
	}
	right, err := leaves{t.engine, t.depth - 1}.Execute(ctx)
	if err != nil {
		return 0, err
	}
	n, err := left.Await(ctx)
	return n + right, err
}

// Tasks that wait for tasks of their own engine, ten levels deep, on two
// workers. Where the awaited task is still queued, the waiter runs it itself;
// where it runs elsewhere, the waiter's slot goes to other work meanwhile.
func ExampleFuture_Await() {
	ctx := context.Background()
	engine, err := core.New(core.WithWorkers(2))
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	fmt.Println(core.Run(ctx, engine, leaves{engine, 10}))
	// Output: 1024 <nil>
}

// OnDone calls a function with the result, on a goroutine of its own.
func ExampleFuture_OnDone() {
	ctx := context.Background()
	engine, err := core.New()
	if err != nil {
		log.Fatal(err)
	}
	future, err := core.Submit(ctx, engine, core.Func(func(context.Context) (string, error) {
		return "a report", nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	future.OnDone(func(report string, err error) { fmt.Println("first:", report, err) })
	future.OnDone(func(report string, err error) { fmt.Println("then:", report, err) })

	engine.Shutdown(ctx) // waits for the callbacks too
	// Output:
	// first: a report <nil>
	// then: a report <nil>
}

// A queued task that is cancelled never starts; a running one sees its context
// end. The error tells which of the two happened.
func ExampleFuture_CancelCause() {
	ctx := context.Background()
	engine, err := core.New(core.WithName("shop"), core.WithWorkers(1))
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	started := make(chan struct{})
	order := core.Func(func(ctx context.Context) (int, error) {
		close(started)
		<-ctx.Done()
		return 0, ctx.Err()
	})
	running, err := core.SubmitWith(ctx, engine, core.Attributes{Name: "order 1"}, order)
	if err != nil {
		log.Fatal(err)
	}
	<-started
	queued, err := core.SubmitWith(ctx, engine, core.Attributes{Name: "order 2"}, order)
	if err != nil {
		log.Fatal(err)
	}

	left := errors.New("the customer has left")
	fmt.Println(queued.CancelCause(left), running.CancelCause(left), running.Cancel())
	_, err = queued.Await(ctx)
	fmt.Println(err)
	_, err = running.Await(ctx)
	fmt.Println(err)
	fmt.Println(errors.Is(err, context.Canceled), errors.Is(err, left))
	// Output:
	// true true false
	// core: engine shop: task order 2 was cancelled before it started: the customer has left
	// core: engine shop: task order 1 was cancelled while it ran: the customer has left
	// true true
}
