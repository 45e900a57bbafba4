package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// counter loads the module that is changed by the tests.
func counter(t *testing.T) *source {
	t.Helper()
	t.Setenv("GOWORK", "off")
	m, err := load(t.Context(), "testdata/counter", nil)
	if err != nil {
		t.Fatal(err)
	}
	return m.packages[0].files[0]
}

// Each operator makes, of the counter, these changes and no others.
func TestMutants(t *testing.T) {
	want := map[string][]string{
		"delete-assign":   {"- c.cond.L = &c.mu", "- c.limit = v"},
		"delete-call":     {"- c.calls.Add(1)", "- c.mu.Unlock()", "- c.mu.Unlock()", "- c.cond.Broadcast()", "- c.cond.Wait()", "- c.calls.Store(1)"},
		"delete-clearing": {"- c.last = nil"},
		"delete-defer":    {"- defer c.mu.Unlock()"},
		"delete-incdec":   {"- c.n++"},
		"delete-send":     {"- c.done <- struct{}{}"},
		"drop-lock":       {"- c.mu.Lock() ... Unlock()", "- c.mu.Lock() ... Unlock()"},
		"swap": {
			"c.calls.Add(1) <-> c.mu.Lock()",
			"c.mu.Lock() <-> if c.n >= c.limit { c.mu.Unlock() return false }",
			"if c.n >= c.limit { c.mu.Unlock() return false } <-> c.n++",
			"c.last = nil <-> c.mu.Unlock()",
			"c.mu.Unlock() <-> c.cond.Broadcast()",
			"c.calls.Store(1) <-> c.done <- struct{}{}",
		},
		"swap-stores": {"c.limit = v <-> c.calls.Store(1)"},
		"signal":      {"c.cond.Broadcast() -> Signal"},
		"cas-store":   {"atomic.CompareAndSwapInt64(at, old, v) -> Store", "c.calls.CompareAndSwap(n, n-1) -> Store"},
		"split-add":   {"c.calls.Add(1) -> Load, Store"},
		"split-or":    {"c.flags.Or(1) -> Load, Store"},
		"boundary":    {"c.n >= c.limit -> >", "c.n < n -> <=", "v <= old -> <"},
		"equality":    {"c.flags.Or(1)&1 == 1 -> !="},
		"clause":      {"v <= old -> false", "atomic.CompareAndSwapInt64(at, old, v) -> false"},
		"loop-once":   {"for c.n < n -> if", "for -> if", "for -> if"},
	}
	for _, c := range []string{"c.n >= c.limit", "v <= old || atomic.CompareAndSwapInt64(at, old, v)", "c.calls.CompareAndSwap(n, n-1)"} {
		want["negate"] = append(want["negate"], c+" -> !")
		want["always"] = append(want["always"], c+" -> true")
		want["never"] = append(want["never"], c+" -> false")
	}
	got := make(map[string][]string)
	ids := make(map[string]bool)
	for _, m := range counter(t).mutants() {
		got[m.Operator] = append(got[m.Operator], m.Change)
		if ids[m.ID] {
			t.Errorf("%s is the id of two mutants", m.ID)
		}
		ids[m.ID] = true
		compiles := !strings.HasPrefix(m.ID, "counter.go:Counter.Take:loop-once:") // its return is missing
		if m.compiles() != compiles {
			t.Errorf("%s: compiles is %v, want %v:\n%s", m.ID, !compiles, compiles, m.apply())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("%s: got\n\t%s\nwant\n\t%s", name, strings.Join(got[name], "\n\t"), strings.Join(want[name], "\n\t"))
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("unexpected: %v", got)
	}
}

// Points are left alone, and what stands on both sides of one is next to each other.
func TestMutants_Points(t *testing.T) {
	t.Setenv("GOWORK", "off")
	m, err := load(t.Context(), "testdata/steered", nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range m.packages {
		if p.path == "steered.example" {
			for _, m := range p.files[0].mutants() {
				got = append(got, m.Operator+" "+m.Change)
			}
		}
	}
	want := []string{
		"delete-call - n.Store(1)",
		"swap n.Store(1) <-> mu.Lock()",
		"delete-call - mu.Lock()",
		"swap mu.Lock() <-> if point.Fail() { return false }",
		"clause n.CompareAndSwap(1, 2) -> true",
		"cas-store n.CompareAndSwap(1, 2) -> Store",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// What a mutant does to the text.
func TestMutant_Apply(t *testing.T) {
	want := map[string][]string{
		"delete-incdec": {"\n\tif false { c.n++ }\n"},
		"drop-lock": {
			"if false { c.mu.Lock() }\n\tif c.n >= c.limit {\n\t\tif false { c.mu.Unlock() }\n\t\treturn false",
			"if false { c.mu.Lock() }\n\tif false { defer c.mu.Unlock() }",
		},
		"swap-stores": {"\tc.calls.Store(1)\n\tc.limit = v\n"},
		"cas-store": {
			"func() bool { if false { return atomic.CompareAndSwapInt64(at, old, v) }; atomic.StoreInt64(at, (v)); return true }()",
			"func() bool { if false { return c.calls.CompareAndSwap(n, n-1) }; c.calls.Store((n-1)); return true }()",
		},
		"split-add": {"func() int64 { mutatedNew := c.calls.Load() + (1); c.calls.Store(mutatedNew); return mutatedNew }()"},
		"split-or":  {"func() uint32 { mutatedOld := c.flags.Load(); c.flags.Store(mutatedOld | (1)); return mutatedOld }()&1 == 1"},
		"always":    {"if (true || (c.n >= c.limit)) {"},
		"loop-once": {"for mutatedOnce := true; mutatedOnce && (c.n < n); mutatedOnce = false {"},
	}
	seen := make(map[string]int)
	for _, m := range counter(t).mutants() {
		i := seen[m.Operator]
		seen[m.Operator]++
		if i < len(want[m.Operator]) && !strings.Contains(string(m.apply()), want[m.Operator][i]) {
			t.Errorf("%s lacks %q:\n%s", m.ID, want[m.Operator][i], m.apply())
		}
	}
}

// An id outlives edits elsewhere, and does not outlive one of what it changes.
func TestMutant_StableID(t *testing.T) {
	src := counter(t)
	ids := func() (all []string) {
		for _, m := range src.mutants() {
			all = append(all, m.ID)
		}
		return all
	}
	before := ids()
	src.text = []byte(strings.ReplaceAll(string(src.text), "c.limit = v", "c.limit = w"))
	after := ids()
	for i, id := range before {
		if same := id == after[i]; same == (strings.Contains(id, "Publish:delete-assign") || strings.Contains(id, "Publish:swap-stores")) {
			t.Errorf("%s became %s", id, after[i])
		}
	}
}
