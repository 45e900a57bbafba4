package balance_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/scheduler/balance"
)

// mustEngine makes an engine for an example.
func mustEngine(options ...core.Option) *core.Engine {
	engine, err := core.New(options...)
	if err != nil {
		log.Fatal(err)
	}
	return engine
}

func ExampleGroup() {
	ctx := context.Background()
	group, err := balance.New(balance.Config{
		Engines: []*core.Engine{mustEngine(core.WithName("a")), mustEngine(core.WithName("b"))},
	})
	if err != nil {
		log.Fatal(err)
	}
	for range 4 {
		if _, err := balance.Run(ctx, group, core.Func(func(context.Context) (int, error) { return 1, nil })); err != nil {
			log.Fatal(err)
		}
	}
	for _, s := range group.Stats().Engines {
		fmt.Println(s.Name, s.Accepted)
	}
	fmt.Println(group.Shutdown(ctx))
	// Output:
	// a 2
	// b 2
	// <nil>
}

// The large engine gets three tasks of four.
func ExampleWeightedRoundRobin() {
	group, err := balance.New(balance.Config{
		Balancer: balance.WeightedRoundRobin(),
		Engines:  []*core.Engine{mustEngine(core.WithName("small")), mustEngine(core.WithName("large"))},
		Weights:  []float64{1, 3},
	})
	if err != nil {
		log.Fatal(err)
	}
	for range 100 {
		if err := group.Go(func() {}); err != nil {
			log.Fatal(err)
		}
	}
	for _, s := range group.Stats().Engines {
		fmt.Println(s.Name, s.Accepted)
	}
	fmt.Println(group.Shutdown(context.Background()))
	// Output:
	// small 25
	// large 75
	// <nil>
}

// Two engines, one of which has much to do.
func ExampleLeastLoaded() {
	busy, idle := mustEngine(core.WithName("busy"), core.WithWorkers(1)), mustEngine(core.WithName("idle"), core.WithWorkers(1))
	gate := make(chan struct{})
	for range 10 {
		if err := busy.Go(func() { <-gate }); err != nil {
			log.Fatal(err)
		}
	}
	group, err := balance.New(balance.Config{Balancer: balance.LeastLoaded(), Engines: []*core.Engine{busy, idle}})
	if err != nil {
		log.Fatal(err)
	}
	for range 5 {
		if err := group.Go(func() { <-gate }); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(idle.Stats().Accepted)
	close(gate)
	fmt.Println(group.Shutdown(context.Background()))
	// Output:
	// 5
	// <nil>
}

func ExamplePowerOfTwo() {
	ctx := context.Background()
	group, err := balance.New(balance.Config{
		Balancer: balance.PowerOfTwo(),
		Engines:  []*core.Engine{mustEngine(), mustEngine(), mustEngine()},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(balance.Run(ctx, group, core.Func(func(context.Context) (string, error) { return "done", nil })))
	fmt.Println(group.Shutdown(ctx))
	// Output:
	// done <nil>
	// <nil>
}

// All tasks of one customer run on one engine, whose caches know the customer.
func ExampleByKey() {
	ctx := context.Background()
	group, err := balance.New(balance.Config{
		Balancer: balance.ByKey(),
		Engines:  []*core.Engine{mustEngine(), mustEngine(), mustEngine()},
	})
	if err != nil {
		log.Fatal(err)
	}
	for range 30 {
		_, err := balance.RunWith(ctx, group, core.Attributes{Key: "customer 42"},
			core.Func(func(context.Context) (int, error) { return 1, nil }))
		if err != nil {
			log.Fatal(err)
		}
	}
	for _, s := range group.Stats().Engines {
		if s.Accepted > 0 {
			fmt.Println(s.Accepted)
		}
	}
	fmt.Println(group.Shutdown(ctx))
	// Output:
	// 30
	// <nil>
}

// Urgent tasks have the first engine for themselves; tenants are spread over the others.
func ExampleByFunc() {
	ctx := context.Background()
	group, err := balance.New(balance.Config{
		Engines: []*core.Engine{mustEngine(core.WithName("urgent")), mustEngine(), mustEngine()},
		Balancer: balance.ByFunc(func(engines []*core.Engine, a core.Attributes) int {
			if a.Priority == core.Critical {
				return 0
			}
			hash := fnv.New32a()
			hash.Write([]byte(a.Tenant))
			return 1 + int(hash.Sum32()%uint32(len(engines)-1))
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	task := core.Func(func(context.Context) (int, error) { return 1, nil })
	_, err = balance.RunWith(ctx, group, core.Attributes{Priority: core.Critical}, task)
	fmt.Println(err, group.Stats().Engines[0].Accepted)
	fmt.Println(group.Shutdown(ctx))
	// Output:
	// <nil> 1
	// <nil>
}

// An engine is replaced while the group is in use: what it has not run moves to the others.
func ExampleGroup_Leave() {
	ctx := context.Background()
	old, other := mustEngine(core.WithName("old"), core.WithWorkers(1)), mustEngine(core.WithName("other"))
	group, err := balance.New(balance.Config{Engines: []*core.Engine{old, other}})
	if err != nil {
		log.Fatal(err)
	}
	if err := group.Join(mustEngine(core.WithName("new"))); err != nil {
		log.Fatal(err)
	}
	if err := group.Leave(old); err != nil {
		log.Fatal(err)
	}
	if err := old.Shutdown(ctx); err != nil {
		report, _ := errors.AsType[*core.ShutdownError](err)
		for _, undone := range report.Undone {
			if err := undone.Resubmit(ctx, other); err != nil {
				log.Fatal(err)
			}
		}
	}
	for _, e := range group.Engines() {
		fmt.Println(e.Name())
	}
	fmt.Println(group.Shutdown(ctx))
	// Output:
	// other
	// new
	// <nil>
}

// A refusal holds the reason of each engine.
func ExampleError() {
	ctx := context.Background()
	gate := make(chan struct{})
	group, err := balance.New(balance.Config{Engines: []*core.Engine{
		mustEngine(core.WithName("a"), core.WithWorkers(1), core.WithQueueCapacity(1)),
		mustEngine(core.WithName("b"), core.WithWorkers(1), core.WithQueueCapacity(1)),
	}})
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		started := make(chan struct{})
		if err := group.Go(func() { close(started); <-gate }); err != nil {
			log.Fatal(err)
		}
		<-started
	}
	for err == nil {
		err = group.TryGo(func() {})
	}
	refused, _ := errors.AsType[*balance.Error](err)
	fmt.Println(errors.Is(err, core.ErrQueueFull), len(refused.Reasons))
	close(gate)
	fmt.Println(group.Shutdown(ctx))
	// Output:
	// true 2
	// <nil>
}
