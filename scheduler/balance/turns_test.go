package balance

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

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
	weighted, err := NewGroup(Config{Balancer: WeightedRoundRobin(), Engines: lettered(t, "a", "b", "c"), Weights: []float64{5, 1, 1}})
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
