package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// rounds have a figure each, and waited so much.
func roundsOf(figure string, waited []float64, values ...float64) (list []round) {
	for i, v := range values {
		list = append(list, round{waited[i], map[string]float64{figure: v}})
	}
	return list
}

// What is kept waited least, and what was measured makes no difference.
func TestCalm_ByTheWaitAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		waited := rapid.SliceOfNDistinct(rapid.Float64Range(0, 2), 1, 30, rapid.ID).Draw(t, "waited")
		values := rapid.SliceOfN(rapid.Float64(), len(waited), len(waited)).Draw(t, "values")
		rounds := roundsOf("x", waited, values...)
		kept := calm(rounds)
		if 3*len(kept) < len(rounds) || len(kept) < min(3, len(rounds)) || len(kept) > max(3, len(rounds)/3+1) {
			t.Fatalf("%d of %d", len(kept), len(rounds))
		}
		sorted := slices.Sorted(slices.Values(waited))
		for i, r := range kept {
			if r.Waited != sorted[i] {
				t.Fatalf("kept one that waited %v, there is %v", r.Waited, sorted[i])
			}
		}
	})
}

func TestResult_Spread(t *testing.T) {
	// Of eight the three that waited least are 4, 8 and 2.
	r := result{Rounds: roundsOf("x", []float64{9, 1, 8, 2, 7, 3, 6, 4}, 100, 4, 200, 8, 300, 2, 400, 6)}
	got, ok := r.of("x")
	if want := (spread{3, 4, 6}); !ok || got != want {
		t.Error(got, ok)
	}
	if _, ok := r.of("y"); ok {
		t.Error("a figure that nobody measured")
	}
}

func TestQuantile_Between(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sorted := slices.Sorted(slices.Values(rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 20).Draw(t, "values")))
		share := rapid.Float64Range(0, 1).Draw(t, "share")
		v := quantile(sorted, share)
		if v < sorted[0] || v > sorted[len(sorted)-1] {
			t.Fatalf("%v", v)
		}
		if more := quantile(sorted, min(share+0.1, 1)); more < v-1e-6 {
			t.Fatalf("%v, and then %v", v, more)
		}
	})
	if v := quantile([]float64{1, 2, 4}, 0.5); v != 2 {
		t.Error(v)
	}
}

// disturbed is a result of which each round waited for most of its time.
func disturbed(r result) result {
	for i := range r.Rounds {
		r.Rounds[i].Waited = 0.9
	}
	return r
}

// sample is a page of two workloads with figures that are easy to check.
func sample() page {
	calmly := func(figures ...float64) result {
		r := result{}
		for _, v := range figures {
			r.Rounds = append(r.Rounds, round{0.01, map[string]float64{wallNS: v, allocCount: 1, allocBytes: 48, cpuNS: 2 * v, peakMB: 10}})
		}
		return r
	}
	return page{
		machine:  []string{"a machine"},
		settings: settings{repeat: 6, rounds: 4, each: 40_000_000},
		list: []workload{
			{
				id: "A/1", about: "things", figure: wallNS, unit: "ns/thing", base: "chan", curve: "workers", at: 1, quick: true,
				goals: []goal{{who: "goman", must: 0.5, aim: 0.25}, {who: "goman", in: "B", must: 3}, {who: "goman", base: "ideal", must: 10, aim: 2}, {who: "goman", figure: allocBytes, absolute: true, must: 48}},
				who:   []contender{simple("goman", nil).states(1), simple("chan", nil), simple("pond", nil), simple("ideal", nil), simple("ants", nil)},
			},
			{
				id: "A/10", about: "more things", figure: "held B", unit: "B/thing", base: "chan", curve: "workers", at: 10,
				who: []contender{simple("goman", nil), simple("chan", nil)},
			},
			{id: "B", about: "one", figure: wallNS, unit: "ns", base: "chan", who: []contender{simple("goman", nil), simple("chan", nil)}},
			{id: "C", about: "two", figure: wallNS, unit: "ns", base: "chan", who: []contender{simple("goman", nil), simple("chan", nil)}},
		},
		results: results{
			"A/1": {
				"goman": calmly(60, 60), "chan": calmly(100, 100, 90), "pond": calmly(30), "ideal": calmly(20),
				"ants": {Failed: "hangs"},
			},
			"A/10": {
				"goman": {Rounds: roundsOf("held B", []float64{0}, 8)},
				"chan":  {Rounds: roundsOf("held B", []float64{0}, 16)},
			},
			"B": {"goman": calmly(50), "chan": calmly(100)},
			"C": {"goman": disturbed(calmly(300)), "chan": calmly(100)},
		},
	}
}

func TestVerdicts_MostMissedFirst(t *testing.T) {
	p := sample()
	var got []string
	for _, v := range p.results.verdicts(p.list) {
		got = append(got, v.of+" "+number(v.value)+" of "+number(v.goal.must))
	}
	want := []string{"ns / chan 0.6 of 0.5", "B 48 of 48", "ns / that of B 1.2 of 3", "ns / ideal 3 of 10"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLosses_LargestFirst(t *testing.T) {
	p := sample()
	var got []string
	for _, l := range p.results.losses(p.list) {
		got = append(got, l.workload.id+" "+l.who+" "+number(l.ratio))
	}
	if diff := cmp.Diff([]string{"C chan 3", "A/1 pond 2"}, got); diff != "" {
		t.Error(diff)
	}
}

// The quick form fails on what allocates more than is stated, and on what fails.
func TestReport_Allocations(t *testing.T) {
	p := sample()
	list := quickly(p.list)
	if len(list) != 1 || len(list[0].who) != 2 {
		t.Fatalf("%d workloads are quick", len(list))
	}
	var out bytes.Buffer
	if err := p.results.report(list, &out); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "0.60 chan") {
		t.Error(out.String())
	}
	list[0].who[0] = list[0].who[0].states(0)
	if err := p.results.report(list, &out); err == nil || !strings.Contains(err.Error(), "A/1, goman: 1.00 allocations, 0 are stated") {
		t.Error(err)
	}
	p.results["A/1"]["goman"] = result{Failed: "hangs"}
	if err := p.results.report(list, &out); err == nil || !strings.Contains(err.Error(), "A/1, goman: hangs") {
		t.Error(err)
	}
}
