package main

import (
	"fmt"
	"io"
	"strings"
)

// tolerance is how far above the stated number of allocations a measurement may be: the
// runtime makes some of its own.
const tolerance = 0.05

// quickly leaves of the workloads those of the quick form, and of their contenders goman's
// and the baseline.
func quickly(list []workload) (quick []workload) {
	for _, w := range list {
		if !w.quick {
			continue
		}
		var who []contender
		for _, c := range w.who {
			if isGoman(c.name) || c.name == w.base {
				who = append(who, c)
			}
		}
		w.who = who
		quick = append(quick, w)
	}
	return quick
}

// report prints ratios and allocations, and tells whether no contender allocates more
// than is stated of it.
func (r results) report(list []workload, out io.Writer) error {
	var above []string
	fmt.Fprintf(out, "%-12s %-26s %10s %-10s %14s %10s %8s\n", "workload", "who", "median", "", "of the baseline", "allocs", "stated")
	for _, w := range list {
		for _, c := range w.who {
			got := r[w.id][c.name]
			if got.Failed != "" {
				above = append(above, fmt.Sprintf("%s, %s: %s", w.id, c.name, got.Failed))
				continue
			}
			median, _ := got.of(w.figure)
			made := least(got.Rounds, allocCount)
			stated, ratio := "", w.base
			if v, ok := r.ratio(w.id, w.figure, c.name, w.base); ok && c.name != w.base {
				ratio = fmt.Sprintf("%.2f %s", v, w.base)
			}
			if c.stated {
				stated = number(c.allocs)
				if made > c.allocs+tolerance {
					above = append(above, fmt.Sprintf("%s, %s: %.2f allocations, %s are stated", w.id, c.name, made, stated))
				}
			}
			fmt.Fprintf(out, "%-12s %-26s %10s %-10s %14s %10.2f %8s\n", w.id, c.name, number(median.median), w.unit, ratio, made, stated)
		}
	}
	if len(above) > 0 {
		return fmt.Errorf("more than is stated:\n%s", strings.Join(above, "\n"))
	}
	return nil
}

// least is the smallest value of a figure: the collector empties what is kept for use
// again now and then, which makes allocations that are nobody's.
func least(rounds []round, figure string) float64 {
	value := -1.0
	for _, r := range rounds {
		if v := r.Figures[figure]; value < 0 || v < value {
			value = v
		}
	}
	return value
}
