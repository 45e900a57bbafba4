package balance

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
)

// owners returns the engine to which each of keys belongs.
func owners(g *Group, keys int) []*core.Engine {
	r := g.roster.Load()
	list := make([]*core.Engine, keys)
	for i := range list {
		list[i] = r.engines[g.choose(r, nil, wish{key: fmt.Sprint("key ", i)})]
	}
	return list
}

// ownedBy counts the keys of each of engines.
func ownedBy(list, engines []*core.Engine) (counts []int) {
	counts = make([]int, len(engines))
	for _, owner := range list {
		for i, e := range engines {
			if owner == e {
				counts[i]++
			}
		}
	}
	return counts
}

func TestBalancer_ByKeyShares(t *testing.T) {
	for _, weights := range [][]float64{{1, 1}, {1, 1, 1, 1, 1}, {1, 2, 3, 4}, {0.5, 0.5, 9}} {
		var engines []*core.Engine
		for range weights {
			engines = append(engines, engineFor(t))
		}
		g, err := New(Config{Balancer: ByKey(), Engines: engines, Weights: weights})
		if err != nil {
			t.Fatal(err)
		}
		counts := ownedBy(owners(g, 20_000), engines)
		// Above the 99.9999 % quantile of 4 degrees of freedom.
		if x := chiSquare(counts, weights); x > 35 {
			t.Errorf("weights %v: %v, chi square %v", weights, counts, x)
		}
	}
}

// No key moves but to who joins and from who leaves, and about as many as the share says.
func TestBalancer_ByKeyMovesTheFewestKeys(t *testing.T) {
	const keys = 20_000
	for _, weighted := range []bool{false, true} {
		engines := []*core.Engine{engineFor(t), engineFor(t), engineFor(t), engineFor(t)}
		g := groupOf(t, ByKey(), engines...)
		if weighted {
			if err := g.SetWeight(engines[0], 1.5); err != nil {
				t.Fatal(err)
			}
		}
		sum := 4.0
		if weighted {
			sum = 4.5
		}
		before := owners(g, keys)
		newcomer := engineFor(t)
		if err := g.Join(newcomer); err != nil {
			t.Fatal(err)
		}
		joined, moved := owners(g, keys), 0
		for i := range before {
			if joined[i] != before[i] {
				if moved++; joined[i] != newcomer {
					t.Fatalf("key %d has moved between two engines that were there before", i)
				}
			}
		}
		if share := float64(moved) / keys; math.Abs(share-1/(sum+1)) > 0.02 { // 7 standard deviations
			t.Errorf("%v of the keys have moved to 1 of %v", share, sum+1)
		}
		leaver := engines[1]
		if err := g.Leave(leaver); err != nil {
			t.Fatal(err)
		}
		left, moved := owners(g, keys), 0
		for i := range joined {
			if left[i] != joined[i] {
				if moved++; joined[i] != leaver {
					t.Fatalf("key %d has moved between two engines that have stayed", i)
				}
			}
		}
		if share := float64(moved) / keys; math.Abs(share-1/(sum+1)) > 0.02 {
			t.Errorf("%v of the keys have moved from 1 of %v", share, sum+1)
		}
		// Both go back: so do the keys.
		if err := g.Leave(newcomer); err != nil {
			t.Fatal(err)
		}
		if err := g.Join(leaver); err != nil {
			t.Fatal(err)
		}
		for i, owner := range owners(g, keys) {
			if owner != before[i] {
				t.Fatalf("key %d is not back", i)
			}
		}
		// A weight that grows takes keys and gives none.
		if err := g.SetWeight(leaver, 3); err != nil {
			t.Fatal(err)
		}
		for i, owner := range owners(g, keys) {
			if owner != before[i] && owner != leaver {
				t.Fatalf("key %d has moved between two engines of the same weight", i)
			}
		}
	}
}

// While an engine is passed over, its keys and no others are elsewhere, where they would
// be if it had left.
func TestBalancer_ByKeyPassesOver(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 6).Draw(rt, "engines")
		var engines []*core.Engine
		for range n {
			e, err := core.New(core.WithWorkers(1))
			if err != nil {
				rt.Fatal(err)
			}
			defer func() { _ = e.Shutdown(soon(t)) }()
			engines = append(engines, e)
		}
		g, err := New(Config{Balancer: ByKey(), Engines: engines})
		if err != nil {
			rt.Fatal(err)
		}
		if rapid.Bool().Draw(rt, "weighted") {
			if err := g.SetWeight(engines[0], 2); err != nil {
				rt.Fatal(err)
			}
		}
		before := owners(g, 200)
		out := engines[rapid.IntRange(0, n-1).Draw(rt, "out")]
		if err := out.Pause(); err != nil {
			rt.Fatal(err)
		}
		paused := owners(g, 200)
		if err := out.Resume(); err != nil {
			rt.Fatal(err)
		}
		after := owners(g, 200)
		if err := g.Leave(out); err != nil {
			rt.Fatal(err)
		}
		left := owners(g, 200)
		for i := range before {
			if before[i] != out && paused[i] != before[i] || paused[i] == out || paused[i] != left[i] || after[i] != before[i] {
				rt.Fatalf("key %d", i)
			}
		}
	})
}

// The ends of the range give a score above 0 that is a number.
func TestBalancer_WeightedScoreIsFinite(t *testing.T) {
	for _, rank := range []uint64{0, 1, 1 << 63, math.MaxUint64 - 1, math.MaxUint64} {
		for _, w := range []float64{MinWeight, 1, MaxWeight} {
			if s := weightedScore(rank, w); !(s > 0) || math.IsInf(s, 0) {
				t.Errorf("rank %x, weight %v: %v", rank, w, s)
			}
		}
	}
}

func TestBalancer_ByKeyWithoutKeyGoesRound(t *testing.T) {
	ctx := soon(t)
	g := groupOf(t, ByKey(), engineFor(t), engineFor(t), engineFor(t))
	for range 30 {
		if _, err := Run(ctx, g, answer(1)); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range g.Stats().Engines {
		if s.Accepted != 10 {
			t.Errorf("%d of 30 tasks", s.Accepted)
		}
	}
	// With a key, given or brought, they stay together.
	g = groupOf(t, ByKey(), engineFor(t), engineFor(t), engineFor(t))
	var all []core.Task[int]
	for range 150 {
		all = append(all, described{})
		if _, err := RunWith(ctx, g, core.Attributes{Key: "key"}, answer(1)); err != nil {
			t.Fatal(err)
		}
		if _, err := Run(ctx, g, core.Task[int](described{})); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := SubmitAll(ctx, g, all); err != nil {
		t.Fatal(err)
	}
	if _, err := SubmitAllWith(ctx, g, core.Attributes{Key: "key"}, all); err != nil {
		t.Fatal(err)
	}
	for _, s := range g.Stats().Engines {
		if s.Accepted != 0 && s.Accepted != 600 {
			t.Errorf("%d tasks of one key", s.Accepted)
		}
	}
}
