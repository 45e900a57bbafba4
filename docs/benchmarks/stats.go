package main

import (
	"cmp"
	"slices"
)

// A result is what was measured of one contender of one workload.
type result struct {
	Rounds []round
	Failed string // why there are no more rounds
}

// A spread is a median, and the quarters below and above which there are no more than a
// quarter of the values.
type spread struct{ low, median, high float64 }

// calm returns the third of the rounds in which the kernel let the process wait least, and
// three at least, if there are so many. The choice is made by that alone: what was measured
// does not count.
func calm(rounds []round) []round {
	sorted := slices.SortedStableFunc(slices.Values(rounds), func(a, b round) int { return cmp.Compare(a.Waited, b.Waited) })
	return sorted[:min(max((len(sorted)+2)/3, 3), len(sorted))]
}

// mark is "!" after what was disturbed: even of the rounds that are kept one waited for half
// of its time.
func (r result) mark() string {
	if kept := calm(r.Rounds); len(kept) > 0 && kept[len(kept)-1].Waited > 0.5 {
		return " !"
	}
	return ""
}

// of is the spread of a figure in the calm rounds, false if they have none.
func (r result) of(figure string) (spread, bool) {
	var values []float64
	for _, r := range calm(r.Rounds) {
		if v, ok := r.Figures[figure]; ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return spread{}, false
	}
	slices.Sort(values)
	return spread{quantile(values, 0.25), quantile(values, 0.5), quantile(values, 0.75)}, true
}

// quantile is the value below which that share of the sorted values lies, between two of
// them in proportion.
func quantile(sorted []float64, share float64) float64 {
	at := share * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// results are those of all workloads: by id, then by contender.
type results map[string]map[string]result

// ratio is the median of a figure of one contender to that of another, false if either is
// not known.
func (r results) ratio(id, figure, who, base string) (float64, bool) {
	return ratio(figure, r[id][who], r[id][base])
}

func ratio(figure string, a, b result) (float64, bool) {
	x, okx := a.of(figure)
	y, oky := b.of(figure)
	if !okx || !oky || y.median == 0 {
		return 0, false
	}
	return x.median / y.median, true
}

// A verdict is how a goal was met.
type verdict struct {
	workload workload
	of       string // what the value is
	goal     goal
	value    float64
}

// missed tells by how much a value is above what it should be at most: above 1 it is missed.
func (v verdict) missed() float64 { return v.value / v.goal.must }

// verdicts are of all goals of which there are figures, the most missed first.
func (r results) verdicts(list []workload) (found []verdict) {
	for _, w := range list {
		for _, g := range w.goals {
			g.figure, g.base = cmp.Or(g.figure, w.figure), cmp.Or(g.base, w.base)
			v := verdict{workload: w, of: g.figure + " / " + g.base, goal: g}
			var ok bool
			switch {
			case g.absolute:
				var s spread
				s, ok = r[w.id][g.who].of(g.figure)
				v.value, v.of = s.median, g.figure
			case g.in != "":
				v.value, ok = ratio(g.figure, r[w.id][g.who], r[g.in][g.who])
				v.of = g.figure + " / that of " + g.in
			default:
				v.value, ok = r.ratio(w.id, g.figure, g.who, g.base)
			}
			if ok {
				found = append(found, v)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b verdict) int { return cmp.Compare(b.missed(), a.missed()) })
	return found
}

// A loss is a workload in which another contender is ahead of goman's.
type loss struct {
	workload   workload
	goman, who string
	ratio      float64
}

// noise is a difference that means nothing.
const noise = 1.15

// losses are those of the best of goman's contenders to the best of the others that is
// no limit, in the figure that is compared; the largest first.
func (r results) losses(list []workload) (found []loss) {
	for _, w := range list {
		goman := r.best(w, isGoman)
		other := r.best(w, func(name string) bool { return !isGoman(name) && !isLimit(name) })
		if ratio, ok := r.ratio(w.id, w.figure, goman, other); ok && ratio > noise {
			found = append(found, loss{w, goman, other, ratio})
		}
	}
	slices.SortStableFunc(found, func(a, b loss) int { return cmp.Compare(b.ratio, a.ratio) })
	return found
}

// best is the contender with the smallest median among those that are wanted.
func (r results) best(w workload, wanted func(name string) bool) (name string) {
	least := 0.0
	for _, c := range w.who {
		s, ok := r[w.id][c.name].of(w.figure)
		if ok && wanted(c.name) && (name == "" || s.median < least) {
			name, least = c.name, s.median
		}
	}
	return name
}

func isGoman(name string) bool { return len(name) >= 5 && name[:5] == "goman" }

// isLimit tells of those that show what is possible at best: they are no pools.
func isLimit(name string) bool { return name == "ideal" || name == "serial" || name == "nothing" }
