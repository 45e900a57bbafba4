package flow_test

import (
	"context"
	"fmt"
	"strconv"

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

func ExampleDivide() {
	ctx := context.Background()
	engine, err := core.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Shutdown(ctx)

	list := make([]int, 50_000)
	for i := range list {
		list[i] = i
	}
	sum := func(b *flow.Branch[[]int, int], list []int) (int, error) {
		if len(list) <= 1000 {
			total := 0
			for _, n := range list {
				total += n
			}
			return total, nil
		}
		half := len(list) / 2
		x, y, err := b.Both(list[:half], list[half:])
		return x + y, err
	}
	fmt.Println(flow.Divide(ctx, engine, list, sum))
	// Output: 1249975000 <nil>
}

func ExampleMap() {
	ctx := context.Background()
	engine, err := core.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Shutdown(ctx)

	words := []string{"a", "task", "engine"}
	fmt.Println(flow.Map(ctx, engine, words, func(_ context.Context, word string) (int, error) {
		return len(word), nil
	}))
	// Output: [1 4 6] <nil>
}

func ExampleForEach() {
	ctx := context.Background()
	engine, err := core.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Shutdown(ctx)

	// The first in the list that fails decides, whoever is faster.
	err = flow.ForEach(ctx, engine, []string{"1", "two", "3", "four"}, func(_ context.Context, text string) error {
		_, err := strconv.Atoi(text)
		return err
	})
	fmt.Println(err)
	// Output: strconv.Atoi: parsing "two": invalid syntax
}

func ExampleForN() {
	ctx := context.Background()
	engine, err := core.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Shutdown(ctx)

	a, b := []int{1, 2, 3}, []int{10, 20, 30}
	err = flow.ForN(ctx, engine, len(a), func(_ context.Context, i int) error {
		a[i] += b[i] // each call has an element of its own
		return nil
	})
	fmt.Println(a, err)
	// Output: [11 22 33] <nil>
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
