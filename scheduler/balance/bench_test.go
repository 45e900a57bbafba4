package balance

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/uptutu/goman/core"
)

// balancers are those that a benchmark measures.
func balancers() []Balancer {
	return []Balancer{RoundRobin(), WeightedRoundRobin(), LeastLoaded(), PowerOfTwo(), ByKey(),
		ByFunc(func(engines []*core.Engine, _ core.Attributes) int { return len(engines) - 1 })}
}

// groupFor makes a group of n engines with a queue that nothing fills; their weights are
// 1 to 3.
func groupFor(b *testing.B, balancer Balancer, n int) *Group {
	c := Config{Balancer: balancer}
	for i := range n {
		e, err := core.New(core.WithWorkers(1), core.WithUnboundedQueue())
		if err != nil {
			b.Fatal(err)
		}
		c.Engines, c.Weights = append(c.Engines, e), append(c.Weights, float64(i%3+1))
	}
	g, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := g.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return g
}

// BenchmarkBalancer is the choice of an engine alone.
func BenchmarkBalancer(b *testing.B) {
	for _, balancer := range balancers() {
		for _, n := range []int{2, 16} {
			b.Run(fmt.Sprintf("%v/%d", balancer, n), func(b *testing.B) {
				g := groupFor(b, balancer, n)
				r := g.roster.Load()
				given := core.Attributes{Key: "order 42"}
				b.ReportAllocs()
				for b.Loop() {
					wish, err := g.wish(r, &given, nil)
					if err != nil || g.choose(r, nil, wish) < 0 {
						b.Fatal("no choice")
					}
				}
			})
		}
	}
}

// BenchmarkGo is a function on a group of two engines, beside one engine.
func BenchmarkGo(b *testing.B) {
	b.Run("one engine", func(b *testing.B) {
		e := groupFor(b, RoundRobin(), 1).Engines()[0]
		b.ReportAllocs()
		for b.Loop() {
			_ = e.Go(func() {})
		}
	})
	for _, balancer := range balancers() {
		b.Run(balancer.String(), func(b *testing.B) {
			g := groupFor(b, balancer, 2)
			b.ReportAllocs()
			for b.Loop() {
				_ = g.Go(func() {})
			}
		})
	}
}

// BenchmarkSubmit is a typed task, submitted and awaited, beside one engine.
func BenchmarkSubmit(b *testing.B) {
	ctx := context.Background()
	task := core.Func(func(context.Context) (int, error) { return 1, nil })
	b.Run("one engine", func(b *testing.B) {
		e := groupFor(b, RoundRobin(), 1).Engines()[0]
		b.ReportAllocs()
		for b.Loop() {
			_, _ = core.Run(ctx, e, task)
		}
	})
	for _, balancer := range balancers() {
		b.Run(balancer.String(), func(b *testing.B) {
			g := groupFor(b, balancer, 2)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Run(ctx, g, task)
			}
		})
	}
}

// BenchmarkFull is a submitter that is always ahead of the workers, beside one
// engine with as many workers and as large a queue.
func BenchmarkFull(b *testing.B) {
	spin := func(turns int) func() {
		return func() {
			for i := range turns {
				_ = i
			}
		}
	}
	for _, turns := range []int{0, 2_000, 200_000} {
		b.Run(strconv.Itoa(turns)+"/one engine", func(b *testing.B) {
			e := engineFor(b, core.WithWorkers(2), core.WithQueueCapacity(128))
			b.ReportAllocs()
			for b.Loop() {
				_ = e.Go(spin(turns))
			}
		})
		b.Run(strconv.Itoa(turns)+"/group", func(b *testing.B) {
			c := Config{}
			for range 2 {
				c.Engines = append(c.Engines, engineFor(b, core.WithWorkers(1), core.WithQueueCapacity(64)))
			}
			g, err := New(c)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				_ = g.Go(spin(turns))
			}
		})
	}
}
