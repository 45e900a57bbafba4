package flow_test

import (
	"context"
	"fmt"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/flow"
)

// square returns the task that squares n.
func square(n int) core.Task[int] {
	return core.Func(func(context.Context) (int, error) { return n * n, nil })
}

func ExampleAll() {
	ctx := context.Background()
	engine, err := core.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Shutdown(ctx)

	futures, err := core.SubmitAll(ctx, engine, []core.Task[int]{square(1), square(2), square(3)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(flow.All(ctx, futures))
	// Output: [1 4 9] <nil>
}

func ExampleRace() {
	ctx := context.Background()
	engine, err := core.New(core.WithWorkers(2))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Shutdown(ctx)

	slow := core.Func(func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
	futures, err := core.SubmitAll(ctx, engine, []core.Task[int]{slow, square(7)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(flow.Race(ctx, futures, flow.CancelRest()))
	// Output: 1 49 <nil>
}
