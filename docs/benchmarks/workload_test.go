package main

import (
	"os"
	"slices"
	"testing"
	"time"
)

// Children of the tests are this program too.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, "-child") {
		main()
		return
	}
	os.Exit(m.Run())
}

// Each contender does each workload, which looks at its results; and the figures that the
// page needs are there.
func TestWorkloads_Tiny(t *testing.T) {
	for _, w := range workloads(tiny) {
		t.Run(w.id, func(t *testing.T) {
			for _, c := range w.who {
				if w.hangs && !isGoman(c.name) {
					continue
				}
				for _, r := range w.rounds(c, 1, time.Nanosecond) {
					if v, ok := r.Figures[w.figure]; !ok || v < 0 && w.figure != "held B" && w.figure != "added us" {
						t.Errorf("%s: %s is %v", c.name, w.figure, v)
					}
				}
			}
		})
	}
}

// What the tables refer to exists, and names are told apart.
func TestWorkloads_Refer(t *testing.T) {
	ids := make(map[string]bool)
	for _, w := range workloads(full) {
		if ids[w.id] {
			t.Errorf("%s is there twice", w.id)
		}
		ids[w.id] = true
		var names []string
		for _, c := range w.who {
			names = append(names, c.name)
		}
		if len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
			t.Errorf("%s: names are there twice: %q", w.id, names)
		}
		if !slices.Contains(names, w.base) {
			t.Errorf("%s: the baseline %s does not take part", w.id, w.base)
		}
		for _, g := range w.goals {
			if !slices.Contains(names, g.who) || g.base != "" && !slices.Contains(names, g.base) {
				t.Errorf("%s: a goal is of %s / %s", w.id, g.who, g.base)
			}
			if g.aim > g.must {
				t.Errorf("%s: the aim %v is easier than %v", w.id, g.aim, g.must)
			}
		}
	}
}

// A round may leave out what it does before and after.
func TestMeasure_Part(t *testing.T) {
	var kept [][]byte
	r, wall := measure(func(m *meter) {
		kept = append(kept, make([]byte, 1<<20))
		m.start()
		for range m.n {
			kept = append(kept, make([]byte, 1000))
		}
		m.stop()
		kept = append(kept, make([]byte, 1<<20))
		m.set("further", 7)
	}, 100)
	if len(kept) != 102 || wall <= 0 {
		t.Error(len(kept), wall)
	}
	if b := r.Figures[allocBytes]; b < 1000 || b > 3000 {
		t.Errorf("%v B for each", b)
	}
	if n := r.Figures[allocCount]; n < 1 || n > 2 {
		t.Errorf("%v allocations for each", n)
	}
	if r.Figures["further"] != 7 {
		t.Error(r.Figures)
	}
}

// Rounds are as long as they should be, in whole steps.
func TestRounds_Length(t *testing.T) {
	var sizes []int
	c := simple("", func(n int) {
		sizes = append(sizes, n)
		time.Sleep(time.Duration(n) * 10 * time.Microsecond)
	})
	w := workload{step: 3}
	if got := w.rounds(c, 2, 5*time.Millisecond); len(got) != 2 {
		t.Errorf("%d rounds", len(got))
	}
	last := sizes[len(sizes)-1]
	if last%3 != 0 || last < 3 || last > 600 || last != sizes[len(sizes)-2] {
		t.Errorf("rounds of %d", sizes)
	}
	w.fixed, sizes = true, nil
	w.rounds(c, 2, time.Second)
	if !slices.Equal(sizes, []int{3, 3, 3}) {
		t.Errorf("fixed rounds of %d", sizes)
	}
	w.cold, sizes = true, nil
	w.rounds(c, 2, time.Second)
	if !slices.Equal(sizes, []int{3}) {
		t.Errorf("cold rounds of %d", sizes)
	}
}

func TestSplit_All(t *testing.T) {
	for n := range 20 {
		for parts := 1; parts < 9; parts++ {
			sum := 0
			for i := range parts {
				part := split(n, parts, i)
				if part < n/parts || part > n/parts+1 {
					t.Errorf("part %d of %d of %d is %d", i, parts, n, part)
				}
				sum += part
			}
			if sum != n {
				t.Errorf("%d parts of %d are %d", parts, n, sum)
			}
		}
	}
}

// The ideal of W12 is one server, first come, first served.
func TestIdealStarts_OneServer(t *testing.T) {
	at := func(us ...int) (list []time.Time) {
		for _, u := range us {
			list = append(list, time.Time{}.Add(time.Duration(u)*time.Microsecond))
		}
		return list
	}
	// They took 10, 20 and 5; the second comes while the first is served.
	got := idealStarts(at(0, 4, 100), at(50, 60, 200), at(60, 80, 205))
	if !slices.Equal(got, at(0, 10, 100)) {
		t.Error(got)
	}
}

func TestFirstFree_Balances(t *testing.T) {
	parts := firstFree([]int{10, 1, 1, 1, 1, 20})
	if !slices.Equal(parts[0], []int{10}) || !slices.Equal(parts[1], []int{1, 1, 1, 1, 20}) {
		t.Error(parts)
	}
}
