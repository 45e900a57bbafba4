package balance

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
)

// queuedAt returns how many tasks are queued at each engine of g.
func queuedAt(g *Group) (queued []int) {
	for _, s := range g.Stats().Engines {
		queued = append(queued, s.Queued)
	}
	return queued
}

// busyGroup makes a group of n engines whose only worker is busy.
func busyGroup(t *testing.T, balancer Balancer, n int) *Group {
	var engines []*core.Engine
	for range n {
		e := engineFor(t, core.WithWorkers(1), core.WithUnboundedQueue())
		occupy(t, e)
		engines = append(engines, e)
	}
	return groupOf(t, balancer, engines...)
}

func TestBalancer_LeastLoadedFillsEvenly(t *testing.T) {
	g := busyGroup(t, LeastLoaded(), 5)
	for range 503 {
		if err := g.Go(func() {}); err != nil {
			t.Fatal(err)
		}
	}
	least, most := math.MaxInt, 0
	for _, n := range queuedAt(g) {
		least, most = min(least, n), max(most, n)
	}
	if most-least != 1 {
		t.Errorf("queued: %v", queuedAt(g))
	}
}

func TestBalancer_LeastLoadedByWeight(t *testing.T) {
	g := busyGroup(t, LeastLoaded(), 3)
	for i, e := range g.Engines() {
		if err := g.SetWeight(e, float64(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	for range 597 { // with the 3 that keep the workers busy 600: 100, 200 and 300
		if err := g.Go(func() {}); err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range queuedAt(g) {
		if want := (i+1)*100 - 1; n < want-1 || n > want+1 {
			t.Errorf("queued: %v", queuedAt(g))
		}
	}
}

// Among equals each engine is chosen as often, within what chance allows.
func TestBalancer_LoadTiesAreBroken(t *testing.T) {
	for _, balancer := range []Balancer{LeastLoaded(), PowerOfTwo()} {
		g := groupOf(t, balancer, engineFor(t), engineFor(t), engineFor(t), engineFor(t))
		r := g.roster.Load()
		const n = 40_000
		counts := make([]int, 4)
		for range n {
			counts[g.choose(r, nil, wish{})]++
		}
		if x := chiSquare(counts, []float64{1, 1, 1, 1}); x > 30 { // of 3 degrees of freedom: once in 700,000 runs
			t.Errorf("%v: %v, chi square %v", balancer, counts, x)
		}
	}
}

// chiSquare compares counts with shares.
func chiSquare(counts []int, shares []float64) (x float64) {
	total, sum := 0, 0.0
	for i, n := range counts {
		total += n
		sum += shares[i]
	}
	for i, n := range counts {
		want := float64(total) * shares[i] / sum
		x += (float64(n) - want) * (float64(n) - want) / want
	}
	return x
}

// The longest of the queues is hardly longer than the mean, where one engine drawn by
// chance would be ahead by tens.
func TestBalancer_PowerOfTwoIsNearlyEven(t *testing.T) {
	const engines, each = 16, 200
	g := busyGroup(t, PowerOfTwo(), engines)
	for range engines * each {
		if err := g.Go(func() {}); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range queuedAt(g) {
		if n > each+8 || n < each-40 {
			t.Errorf("queued: %v", queuedAt(g))
		}
	}
}

func TestBalancer_PowerOfTwoPassesOver(t *testing.T) {
	g := busyGroup(t, PowerOfTwo(), 6)
	engines := g.Engines()
	for _, e := range engines[:5] {
		if err := e.Pause(); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		if err := g.Go(func() {}); err != nil {
			t.Fatal(err)
		}
	}
	if n := queuedAt(g)[5]; n != 100 {
		t.Errorf("queued: %v", queuedAt(g))
	}
}

// Whatever becomes of a task, the load that it was is gone in the end.
func TestBalancer_LoadReturnsToZero(t *testing.T) {
	ctx := soon(t)
	e := engineFor(t, core.WithWorkers(2), core.WithQueueCapacity(4))
	if err := e.Go(func() {}); err != nil { // a past
		t.Fatal(err)
	}
	if err := e.WaitIdle(ctx); err != nil {
		t.Fatal(err)
	}
	release := occupy(t, e)
	g := groupOf(t, LeastLoaded(), e)
	load := &g.roster.Load().seats[0].load
	if n := load.now(); n != 2 {
		t.Errorf("it joined with 2 tasks running, the load is %d", n)
	}
	canceled, err := Submit(ctx, g, answer(1))
	if err != nil {
		t.Fatal(err)
	}
	displaced, err := SubmitWith(ctx, g, core.Attributes{Priority: core.Low}, answer(1))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, e)
	if n := load.now(); n != 6 {
		t.Errorf("with 2 tasks running and 4 queued the load is %d", n)
	}
	if _, err := SubmitWith(ctx, g, core.Attributes{Reject: core.RejectDisplaceLowest}, answer(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := SubmitWith(ctx, g, core.Attributes{Reject: core.RejectDiscardNewest}, answer(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := SubmitWith(ctx, g, core.Attributes{Reject: core.RejectCallerRuns}, answer(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := displaced.Await(ctx); !errors.Is(err, core.ErrDiscarded) {
		t.Error(err)
	}
	canceled.Cancel()
	// Only now: the room of a task that expires is room for those above.
	expired, err := SubmitWith(ctx, g, core.Attributes{QueueLimit: time.Millisecond}, answer(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := expired.Await(ctx); !errors.Is(err, core.ErrQueueTimeout) {
		t.Error(err)
	}
	release()
	for _, task := range []core.Task[int]{
		core.Func(func(context.Context) (int, error) { panic("panics") }),
		core.Func(func(ctx context.Context) (int, error) {
			if core.Attempt(ctx) < 2 {
				return 0, core.Again(time.Microsecond, nil)
			}
			return 0, errors.New("fails")
		}),
		core.Func(func(ctx context.Context) (int, error) { return core.Run(ctx, e, answer(3)) }), // past the group
	} {
		_, _ = Run(ctx, g, task)
	}
	if err := e.WaitIdle(ctx); err != nil {
		t.Fatal(err)
	}
	if n := load.now(); n != 0 {
		t.Errorf("nothing is queued or runs, the load is %d", n)
	}
	if got, want := load.accepted.Load(), load.ended.Load(); got != want {
		t.Errorf("accepted %d, ended %d", got, want)
	}
	// An engine that has left costs nothing any more.
	if err := g.Leave(e); err != nil {
		t.Fatal(err)
	}
	if _, err := core.Run(ctx, e, answer(1)); err != nil || load.accepted.Load() != load.ended.Load() {
		t.Error(err)
	}
}
