package queuetest

import (
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"
)

// told writes histories down: items by number, calls with when they began and ended.
type told struct {
	s      Spec
	cap    int
	items  map[int]*Item
	events []event
}

func tell(s Spec, capacity int) *told {
	return &told{s: s, cap: capacity, items: map[int]*Item{}}
}

func (h *told) item(id, rank int) *Item {
	if h.items[id] == nil {
		h.items[id] = &Item{ID: id, Rank: rank, Key: rank}
	}
	return h.items[id]
}

func (h *told) add(k kind, id int, ok bool, call, ret int64) *told {
	e := event{kind: k, ok: ok, worker: len(h.events), call: call, ret: ret}
	if ok || k == push {
		e.item = h.item(id, 0)
	}
	h.events = append(h.events, e)
	return h
}

func (h *told) push(id int, call, ret int64) *told { return h.add(push, id, true, call, ret) }
func (h *told) pop(id int, call, ret int64) *told  { return h.add(pop, id, true, call, ret) }
func (h *told) none(call, ret int64) *told         { return h.add(pop, 0, false, call, ret) }
func (h *told) full(id int, call, ret int64) *told { return h.add(push, id, false, call, ret) }

// rank gives an item a rank (and key) before it is pushed.
func (h *told) rank(id, rank int) *told {
	h.item(id, rank)
	return h
}

func (h *told) len(n int, call, ret int64) *told {
	h.events = append(h.events, event{kind: length, n: n, call: call, ret: ret})
	return h
}

// failed are the names of the properties that a history has not.
func (h *told) failed() string {
	history := &history{s: &h.s, cap: h.cap, events: h.events}
	history.complete()
	return strings.Join(slices.Sorted(maps.Keys(history.checks())), " ")
}

// TestChecks tells histories by hand, where one goroutine could not have seen the
// mistake, or where there is none though it looks like it.
func TestChecks(t *testing.T) {
	fifo := func() *told { return tell(Spec{}, 2) }
	levels := func() *told { return tell(Spec{Order: Priority, Stable: true}, 9) }
	stack := func() *told { return tell(Spec{Order: LIFO}, 9) }
	slack := func(n int) *told { return tell(Spec{Slack: Slack{Max: n}}, 9) }
	keyed := func() *told { return tell(Spec{Order: Fair}, 9) }
	for name, c := range map[string]struct {
		h    *told
		want string
	}{
		"one by one":            {fifo().push(1, 0, 1).push(2, 2, 3).pop(1, 4, 5).pop(2, 6, 7).none(8, 9), ""},
		"lost":                  {fifo().push(1, 0, 1).push(2, 2, 3).pop(2, 4, 5), "Conservation Linearizable"},
		"twice":                 {fifo().push(1, 0, 1).pop(1, 2, 3).pop(1, 4, 5), "Conservation Linearizable"},
		"from nowhere":          {fifo().pop(1, 4, 5), "Conservation Linearizable"},
		"before it came":        {fifo().pop(1, 0, 1).push(1, 2, 3), "Conservation Linearizable"},
		"swapped":               {fifo().push(1, 0, 1).push(2, 2, 3).pop(2, 4, 5).pop(1, 6, 7), "Linearizable Order"},
		"swapped at once":       {fifo().push(1, 0, 3).push(2, 2, 4).pop(2, 5, 6).pop(1, 7, 8), ""},
		"swapped, pops overlap": {fifo().push(1, 0, 1).push(2, 2, 3).pop(2, 4, 7).pop(1, 6, 8), ""},
		"passed in a long pop":  {fifo().push(1, 2, 3).push(2, 4, 5).pop(2, 0, 6).pop(1, 7, 8), "Linearizable Order"},
		"three in two":          {fifo().push(1, 0, 1).push(2, 2, 3).push(3, 4, 5).pop(1, 6, 7).pop(2, 8, 9).pop(3, 10, 11), "Bound Linearizable"},
		"three, one may be out": {fifo().push(1, 0, 1).push(2, 2, 3).push(3, 4, 6).pop(1, 5, 7).pop(2, 8, 9).pop(3, 10, 11), ""},
		"refused with room":     {fifo().push(1, 0, 1).full(2, 2, 3).pop(1, 4, 5), "Full Linearizable"},
		"refused, perhaps full": {fifo().push(1, 0, 1).push(3, 2, 5).full(2, 4, 6).pop(1, 7, 8).pop(3, 9, 10), ""},
		"nothing, though there": {fifo().push(1, 0, 1).none(2, 3).pop(1, 4, 5), "Empty Linearizable"},
		"nothing, in time":      {fifo().push(1, 0, 3).none(2, 4).pop(1, 5, 6), ""},
		"nothing, by turns":     {tell(Spec{}, 9).push(1, 0, 1).none(2, 7).push(2, 3, 4).pop(1, 5, 6).pop(2, 8, 9), "Linearizable"},
		"loose, not alone":      {tell(Spec{Empty: Loose}, 9).push(1, 0, 1).none(2, 5).push(2, 3, 4).pop(1, 6, 7).pop(2, 8, 9), ""},
		"loose, alone":          {tell(Spec{Empty: Loose}, 9).push(1, 0, 1).none(2, 3).pop(1, 4, 5), "Empty Linearizable"},
		"negative Len":          {fifo().push(1, 0, 1).len(-1, 2, 3).pop(1, 4, 5), "Len"},
		"Len above what came":   {fifo().push(1, 0, 1).len(2, 2, 3).pop(1, 4, 5), "Len"},
		"no end":                {&told{s: Spec{Unbounded: true}, cap: 9, events: fifo().full(1, 0, 1).events, items: map[int]*Item{}}, "Full Linearizable"},
		"better passed":         {levels().rank(1, 1).rank(2, 0).push(1, 0, 1).push(2, 2, 3).pop(1, 4, 5).pop(2, 6, 7), "Order"},
		"better came in time":   {levels().rank(1, 1).rank(2, 0).push(1, 0, 1).push(2, 2, 5).pop(1, 4, 6).pop(2, 7, 8), ""},
		"equals swapped":        {levels().push(1, 0, 1).push(2, 2, 3).pop(2, 4, 5).pop(1, 6, 7), "Order"},
		"stack":                 {stack().push(1, 0, 1).push(2, 2, 3).pop(2, 4, 5).pop(1, 6, 7), ""},
		"stack the wrong way":   {stack().push(1, 0, 1).push(2, 2, 3).pop(1, 4, 5).pop(2, 6, 7), "Linearizable Order"},
		"stack, at once":        {stack().push(1, 0, 3).push(2, 2, 4).pop(1, 5, 6).pop(2, 7, 8), ""},
		"slack of one":          {slack(1).push(1, 0, 1).push(2, 2, 3).pop(2, 4, 5).pop(1, 6, 7), ""},
		"slack of one, two":     {slack(1).push(1, 0, 1).push(2, 2, 3).push(3, 4, 5).pop(3, 6, 7).pop(1, 8, 9).pop(2, 10, 11), "Order"},
		"one key swapped":       {keyed().push(1, 0, 1).push(2, 2, 3).pop(2, 4, 5).pop(1, 6, 7), "Order"},
		"keys swapped":          {keyed().rank(2, 1).push(1, 0, 1).push(2, 2, 3).pop(2, 4, 5).pop(1, 6, 7), ""},
	} {
		if got := c.h.failed(); got != c.want {
			t.Errorf("%s: failed %q, want %q", name, got, c.want)
		}
	}
}

// TestChecks_Batch: the order in a batch is known, though its calls are one.
func TestChecks_Batch(t *testing.T) {
	h := tell(Spec{}, 9).push(1, 0, 1).push(2, 0, 1).pop(2, 2, 3).pop(1, 4, 5)
	if got := h.failed(); got != "" {
		t.Errorf("two goroutines: %s", got)
	}
	h.events[0].worker, h.events[1].worker = 7, 7
	h.events[1].place = 1
	if got := h.failed(); got != "Linearizable" {
		t.Errorf("one batch: failed %q", got)
	}
}

// TestChecks_Thieves: below what the owner pops, thieves may take at any time.
func TestChecks_Thieves(t *testing.T) {
	s := Spec{Order: LIFO, Producers: One, Unbounded: true}
	h := tell(s, 9).push(1, 0, 1).push(2, 2, 3).add(steal, 1, true, 4, 5).pop(2, 6, 7)
	if got := h.failed(); got != "" {
		t.Errorf("failed %q", got)
	}
	h = tell(s, 9).push(1, 0, 1).push(2, 2, 3).add(steal, 2, true, 4, 5).pop(1, 6, 7)
	if got := h.failed(); got != "Linearizable" {
		t.Errorf("a thief at the owner's end: failed %q", got)
	}
	h = tell(s, 9).push(1, 0, 1).push(2, 2, 3).add(steal, 2, true, 4, 5).add(steal, 1, true, 6, 7)
	if got := h.failed(); got != "Linearizable" {
		t.Errorf("thieves the wrong way: failed %q", got)
	}
}

func TestHistory_String(t *testing.T) {
	h := tell(Spec{}, 2).push(1, 5, 6).full(2, 7, 8).pop(1, 9, 10).none(11, 12).len(0, 13, 14).add(steal, 1, true, 15, 16)
	h.events = append(h.events, event{kind: pop, ok: true, worker: -1, call: 17, ret: 18})
	history := &history{s: &h.s, cap: 2, events: h.events, how: "told"}
	want := `capacity 2, told; worker: call [began, ended]
0: push 1 [0, 1]
1: push 2 refused [2, 3]
2: pop 1 [4, 5]
3: pop nothing [6, 7]
0: Len 0 [8, 9]
5: steal 1 [10, 11]
-: pop nil [12, 13]
`
	if got := history.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for range 300 {
		history.events = append(history.events, h.events[0])
	}
	if got := history.String(); !strings.HasSuffix(got, "… and 57 more\n") {
		t.Errorf("a long history ends with %q", got[len(got)-40:])
	}
}

func TestEffort(t *testing.T) {
	for _, c := range []struct {
		scale, seed string
		short, race bool
		want        float64
		fails       bool
	}{
		{"", "", false, false, 1, false},
		{"", "7", true, true, 0.01, false},
		{"20", "", true, false, 2, false},
		{"0", "", false, false, 0, true},
		{"-1", "", false, false, 0, true},
		{"NaN", "", false, false, 0, true},
		{"many", "", false, false, 0, true},
		{"", "seven", false, false, 0, true},
		{"", "-7", false, false, 0, true},
	} {
		t.Setenv(scaleEnv, c.scale)
		t.Setenv(seedEnv, c.seed)
		e, err := effortFromEnv(c.short, c.race)
		if (err != nil) != c.fails || err == nil && (e.scale < c.want*0.999 || e.scale > c.want*1.001) {
			t.Errorf("%+v: scale %v, error %v", c, e.scale, err)
		}
		if c.seed == "7" && e.seed != 7 {
			t.Errorf("seed %d", e.seed)
		}
	}
	if n := (effort{scale: 0.01}).of(5); n != 1 {
		t.Errorf("a hundredth of 5 is %d", n)
	}
}

// TestControlled_Repeats: the same seed gives the same history.
func TestControlled_Repeats(t *testing.T) {
	s := ringSpec("")
	for i := range 50 {
		var texts []string
		for range 2 {
			err := bubble(tester{t}, func() error {
				random := effort{seed: 5}.random("repeat", i)
				p := newPlan(&s, random, 40, 3)
				p.controlled(newController(random, p.steps))
				texts = append(texts, p.history.String())
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if texts[0] != texts[1] {
			t.Fatalf("schedule %d differs:\n%s\n%s", i, texts[0], texts[1])
		}
	}
}

// TestBenchmark runs each part of the set once.
func TestBenchmark(t *testing.T) {
	benchtime := flag.Lookup("test.benchtime")
	before := benchtime.Value.String()
	if err := flag.Set("test.benchtime", "200x"); err != nil {
		t.Fatal(err)
	}
	defer benchtime.Value.Set(before) //nolint:errcheck // it was its value
	for name, s := range map[string]Spec{"ring": ringSpec(""), "line": lineSpec(""), "deque": dequeSpec(""), "fair": drrSpec("")} {
		if r, failed := measure(s); failed || r.T <= 0 {
			t.Errorf("%s: failed %v, measured %v", name, failed, r)
		}
	}
	// A crowd would wait for ever for what this one loses.
	if r, failed := measure(simpleSpec("lost item", Spec{})); !failed {
		t.Errorf("a queue that loses items was measured: %v", r)
	}
	for _, s := range []Spec{{}, {NewBlocking: newPipe}} {
		if r := testing.Benchmark(func(b *testing.B) { Benchmark(b, s) }); r.N != 0 {
			t.Errorf("a Spec without New was measured: %v", r)
		}
	}
}

// measure returns what Benchmark measures, and whether it fails.
func measure(s Spec) (r testing.BenchmarkResult, failed bool) {
	r = testing.Benchmark(func(b *testing.B) {
		defer func() { failed = b.Failed() }()
		Benchmark(b, s)
	})
	return r, failed
}

// TestFuzz_Finds: the seeds and random programs find what one goroutine can see.
func TestFuzz_Finds(t *testing.T) {
	for _, f := range []flaw{"", "reordered", "one too many", "batch loses one", "removes another"} {
		s := fullSpec(f, Spec{})
		found := false
		random := effort{seed: 3}.random("fuzz", 0)
		programs := seeds()
		for range 200 {
			program := make([]byte, 300)
			for i := range program {
				program[i] = byte(random.Uint32())
			}
			programs = append(programs, program)
		}
		for _, program := range programs {
			if fuzzOne(tester{t}, &s, program) != nil {
				found = true
			}
		}
		if found != (f != "") {
			t.Errorf("%q: found %v", f, found)
		}
	}
}

// TestGuard_TellsWhere: whose queue panics wants to know where.
func TestGuard_TellsWhere(t *testing.T) {
	err := guard(func() error { panic("broken") })
	if err == nil || !strings.Contains(err.Error(), "a panic: broken\n") || !strings.Contains(err.Error(), "TestGuard_TellsWhere") {
		t.Errorf("%v", err)
	}
}
