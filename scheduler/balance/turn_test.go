package balance

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
)

// A counter that has been drawn 2^32, 2^63 or 2^64 times gives no index out of range, and
// up to the last number each index comes once in a round.
func TestBalancer_E_SCH_11_CounterNearItsEnd(t *testing.T) {
	for _, size := range []int{1, 2, 3, 5, 7, 64, 1000, maxRound} {
		limit := newTurns(size, 0).limit
		for name, start := range map[string]uint64{"0": 0, "2^31": 1 << 31, "2^32": 1 << 32, "its end": limit} {
			turns := newTurns(size, 0)
			turns.drawn.Store(start - min(start, uint64(size)*3/2))
			last := -1
			for range 4 * size {
				i := turns.next()
				if last >= 0 && i != (last+1)%size {
					t.Fatalf("size %d, near %s: %d came after %d", size, name, i, last)
				}
				last = i
			}
		}
		if size > 1 && limit%uint64(size) != 0 {
			t.Fatalf("size %d: the counter turns back within a round", size)
		}
		// Nobody can draw so often. The index is right all the same.
		turns := newTurns(size, 0)
		turns.drawn.Store(math.MaxUint64 - 3)
		for range 8 {
			if i := turns.next(); i < 0 || i >= size {
				t.Fatalf("size %d, near 2^64: index %d", size, i)
			}
		}
	}
}

// Goroutines that draw while the counter is turned back get each number once in a round.
func TestBalancer_E_SCH_11_CounterTurnsBackUnderLoad(t *testing.T) {
	const goroutines, draws, size = 8, 999, 3
	for range 50 {
		turns := newTurns(size, 0)
		turns.drawn.Store(turns.limit - goroutines*draws/2/size*size)
		var mu sync.Mutex
		var all [size]int
		var done sync.WaitGroup
		for range goroutines {
			done.Go(func() {
				var mine [size]int
				for range draws {
					mine[turns.next()]++
				}
				mu.Lock()
				defer mu.Unlock()
				for i, n := range mine {
					all[i] += n
				}
			})
		}
		done.Wait()
		for i, n := range all {
			if n != goroutines*draws/size {
				t.Fatalf("%d was drawn %d times of %d: %v", i, n, goroutines*draws, all)
			}
		}
		if turns.drawn.Load() >= turns.limit {
			t.Fatal("the counter was not turned back")
		}
	}
}

// letters writes a round as letters.
func letters(round []uint16) string {
	var b strings.Builder
	for _, i := range round {
		b.WriteByte('a' + byte(i))
	}
	return b.String()
}

func TestBalancer_WeightedRound(t *testing.T) {
	for _, c := range []struct {
		weights []float64
		want    string
	}{
		{[]float64{5, 1, 1}, "aabacaa"}, // as nginx does it
		{[]float64{1, 2}, "bab"},
		{[]float64{10, 20}, "bab"},
		{[]float64{3, 3}, ""}, // equal: in the engines' order
		{[]float64{1}, ""},
		{nil, ""},
		{[]float64{4, 2, 1}, "abacaba"},
	} {
		if got := letters(weightedRound(c.weights)); got != c.want {
			t.Errorf("%v: %s, want %s", c.weights, got, c.want)
		}
	}
}

// In a round each engine has the turns that its weight is due, and at every point of it
// about as many as by then.
func TestBalancer_WeightedRoundIsExactAndSmooth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.Bool().Draw(t, "whole")
		weights := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) float64 {
			if whole {
				return float64(rapid.IntRange(1, 300).Draw(t, "weight"))
			}
			return rapid.Float64Range(MinWeight, MaxWeight).Draw(t, "weight")
		}), 1, 12).Draw(t, "weights")
		round := weightedRound(weights)
		if equal(weights) {
			if round != nil {
				t.Fatalf("equal weights need no order: %v", round)
			}
			return
		}
		if len(round) > maxRound {
			t.Fatalf("the round has %d turns", len(round))
		}
		sum, least := 0.0, math.Inf(1)
		for _, w := range weights {
			sum += w
			least = min(least, w)
		}
		due := func(i, turns int) float64 { return weights[i] / sum * float64(turns) }
		tiny := least/sum*float64(len(round)) < 1 // raised to one turn, at the others' expense
		counts := make([]float64, len(weights))
		for turn, i := range round {
			counts[i]++
			if tiny {
				continue
			}
			for j, n := range counts {
				if off := math.Abs(n - due(j, turn+1)); off > 2 {
					t.Fatalf("%v: after %d turns engine %d has %v, due are %v", weights, turn+1, j, n, due(j, turn+1))
				}
			}
		}
		for i, n := range counts {
			off := math.Abs(n - due(i, len(round)))
			switch {
			case n < 1:
				t.Fatalf("%v: engine %d has no turn", weights, i)
			case whole && off > 1e-6:
				t.Fatalf("%v: engine %d has %v turns of %d", weights, i, n, len(round))
			case !tiny && off > 1+1e-6:
				t.Fatalf("%v: engine %d has %v turns of %d, due are %v", weights, i, n, len(round), due(i, len(round)))
			}
		}
	})
}

// Weights as far apart as they may be, and as many as there may be.
func TestBalancer_WeightedRoundExtremes(t *testing.T) {
	apart := weightedRound([]float64{MinWeight, MaxWeight})
	if n := strings.Count(letters(apart), "a"); n != 1 || len(apart) != maxRound {
		t.Errorf("the lightest has %d turns of %d", n, len(apart))
	}
	many := slices.Repeat([]float64{MinWeight}, MaxEngines)
	many[MaxEngines/2] = MaxWeight
	round := weightedRound(many)
	counts := make(map[uint16]int)
	for _, i := range round {
		counts[i]++
	}
	if len(counts) != MaxEngines || len(round) != maxRound || counts[MaxEngines/2] != maxRound-MaxEngines+1 {
		t.Errorf("%d engines have turns in a round of %d, the heaviest %d", len(counts), len(round), counts[MaxEngines/2])
	}
}

// sequence submits n tasks and returns the letters of the engines that took them.
func sequence(t *testing.T, g *Group, n int) string {
	t.Helper()
	var s []byte
	for range n {
		before := g.Stats().Engines
		if err := g.TryGo(func() {}); err != nil {
			t.Fatal(err)
		}
		for i, after := range g.Stats().Engines {
			if after.Accepted != before[i].Accepted {
				s = append(s, after.Name[0])
			}
		}
	}
	return string(s)
}

func lettered(t *testing.T, names ...string) (engines []*core.Engine) {
	for _, name := range names {
		engines = append(engines, engineFor(t, core.WithName(name), core.WithUnboundedQueue()))
	}
	return engines
}

func TestBalancer_Sequences(t *testing.T) {
	engines := lettered(t, "a", "b", "c")
	g := groupOf(t, RoundRobin(), engines...)
	if got := sequence(t, g, 7); got != "abcabca" {
		t.Error(got)
	}
	// An engine that is passed over loses its turn to both others.
	if err := engines[1].Pause(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("cacacaca", sequence(t, g, 8)); diff != "" {
		t.Error(diff)
	}
	if err := engines[1].Resume(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("bcabca", sequence(t, g, 6)); diff != "" {
		t.Error(diff)
	}
	weighted, err := New(Config{Balancer: WeightedRoundRobin(), Engines: lettered(t, "a", "b", "c"), Weights: []float64{5, 1, 1}})
	if err != nil {
		t.Fatal(err)
	}
	if got := sequence(t, weighted, 14); got != "aabacaaaabacaa" {
		t.Error(got)
	}
	// All equal again.
	if err := weighted.SetWeight(weighted.Engines()[0], 1); err != nil {
		t.Fatal(err)
	}
	if got := sequence(t, weighted, 6); got != "abcabc" && got != "bcabca" && got != "cabcab" {
		t.Error(got)
	}
}
