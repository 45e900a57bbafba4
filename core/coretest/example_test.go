package coretest_test

import (
	"context"
	"fmt"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
)

func ExampleRecorder() {
	ctx := context.Background() // in a test t.Context()
	var rec coretest.Recorder
	engine, err := core.New(core.WithHooks(rec.Hooks())) // in a test coretest.New(t, ...)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Shutdown(ctx)

	mail := core.Attributes{Name: "mail"}
	for range 3 {
		_, err := core.SubmitWith(ctx, engine, mail, core.Func(func(context.Context) (int, error) { return 0, nil }))
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(rec.WaitEnded(ctx, "mail", 3))
	fmt.Println(rec.Outcomes()["mail"][core.OutcomeSucceeded])

	e, err := rec.WaitFor(ctx, func(e coretest.Event) bool { return e.Kind == coretest.Ended })
	fmt.Println(e.Name, e.Outcome, err)
	// Output:
	// <nil>
	// 3
	// mail succeeded <nil>
}

func ExampleVerify() {
	t := &fakeTB{} // in a test the test's own
	ctx := context.Background()
	engine, err := core.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := engine.Go(func() { fmt.Println("working") }); err != nil {
		fmt.Println(err)
	}
	coretest.Verify(t, engine) // waits until it is idle
	fmt.Println(engine.Shutdown(ctx))
	coretest.Verify(t, engine) // no goroutine is left
	fmt.Println(t.Failed())
	// Output:
	// working
	// <nil>
	// false
}
