package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A page shows the results of a run.
type page struct {
	machine  []string // what it was, a line for each thing
	settings settings
	list     []workload
	results  results
}

// publish writes the page and its plots into a directory.
func (p page) publish(dir string) error {
	for _, plot := range p.plots() {
		for _, theme := range themes {
			if err := plot.save(theme, filepath.Join(dir, plot.file(theme))); err != nil {
				return err
			}
		}
	}
	var text bytes.Buffer
	if err := p.write(&text); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "RESULTS.md"), text.Bytes(), 0o644)
}

// write writes the page.
func (p page) write(out io.Writer) error {
	var b strings.Builder
	p.head(&b)
	p.lossTable(&b)
	p.goalTable(&b)
	for _, plot := range p.plots() {
		fmt.Fprintf(&b, "## %s\n\n<picture>\n<source media=\"(prefers-color-scheme: dark)\" srcset=\"%s\">\n<img alt=\"%s\" src=\"%s\">\n</picture>\n\n%s\n\n",
			plot.title, plot.file(dark), plot.title, plot.file(light), plot.about)
	}
	for _, w := range p.list {
		p.table(&b, w)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (p page) head(b *strings.Builder) {
	fmt.Fprintf(b, `# Benchmarks

Made by %s: see [doc.go](doc.go) for how it is measured. Read ratios, not nanoseconds;
differences under 15 %% are noise. Each measurement had a process of its own, %d for each contender, in random order,
with %d rounds of %v. Shown are medians of the third of the rounds in which the kernel let the process wait least; the
spread is that of the middle half of these, and ! marks what was disturbed all the same: do not use it. A ratio below 1 is faster, or smaller. Two processors cannot show
the collapse of contended queues, storms of thieves or distant memory.

`, "`go run ./docs/benchmarks`", p.settings.repeat, p.settings.rounds, p.settings.each)
	for _, line := range p.machine {
		fmt.Fprintf(b, "- %s\n", line)
	}
	fmt.Fprintln(b)
}

func (p page) lossTable(b *strings.Builder) {
	fmt.Fprint(b, "## Where goman is behind\n\nThe best of goman against the best of the others, where the difference is more than noise.\n\n")
	losses := p.results.losses(p.list)
	if len(losses) == 0 {
		fmt.Fprint(b, "Nowhere in this run.\n\n")
		return
	}
	fmt.Fprint(b, "| workload | goman's | best other | goman's / other's |\n|--|--|--|--|\n")
	for _, l := range losses {
		fmt.Fprintf(b, "| %s | %s%s | %s%s | %.2f |\n", link(l.workload.id), l.goman, p.results[l.workload.id][l.goman].mark(),
			l.who, p.results[l.workload.id][l.who].mark(), l.ratio)
	}
	fmt.Fprintln(b)
}

func (p page) goalTable(b *strings.Builder) {
	verdicts := p.results.verdicts(p.list)
	if len(verdicts) == 0 {
		return
	}
	fmt.Fprint(b, "## Goals\n\nRatios to the baseline, or figures. The most missed first.\n\n| workload | who | of | is | must | aim | |\n|--|--|--|--|--|--|--|\n")
	for _, v := range verdicts {
		verb := "met"
		if v.value > v.goal.must {
			verb = "**missed**"
		} else if v.goal.aim > 0 && v.value <= v.goal.aim {
			verb = "aim met"
		}
		aim := ""
		if v.goal.aim > 0 {
			aim = number(v.goal.aim)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s |\n", link(v.workload.id), v.goal.who+p.results[v.workload.id][v.goal.who].mark(), v.of, number(v.value), number(v.goal.must), aim, verb)
	}
	fmt.Fprintln(b)
}

// table is that of one workload, the best first.
func (p page) table(b *strings.Builder, w workload) {
	all := p.results[w.id]
	shown := []string{cpuNS, allocCount, allocBytes, peakMB} // what is shown besides the figure that is compared
	if w.figure == wallNS {
		shown = append(shown, further(all)...)
	} else {
		shown = append(append([]string{wallNS}, shown...), further(all)...)
	}
	shown = slices.DeleteFunc(shown, func(figure string) bool {
		return figure == w.figure || !slices.ContainsFunc(slices.Collect(maps.Values(all)), func(r result) bool { _, ok := r.of(figure); return ok })
	})
	fmt.Fprintf(b, "## %s\n\n%s%s.\n\n", w.id, strings.ToUpper(w.about[:1]), w.about[1:])
	columns := slices.Concat([]string{"who", w.unit, "spread", "/ " + w.base}, shown, []string{"rounds", "waited"})
	fmt.Fprintf(b, "| %s |\n%s|\n", strings.Join(columns, " | "), strings.Repeat("|--", len(columns)))
	for _, name := range p.ranked(w) {
		r := all[name]
		s, ok := r.of(w.figure)
		if !ok {
			fmt.Fprintf(b, "| %s | %s |%s\n", name, cmp.Or(r.Failed, "no figure"), strings.Repeat(" |", len(shown)+4))
			continue
		}
		ratio := "-"
		if v, ok := p.results.ratio(w.id, w.figure, name, w.base); ok {
			ratio = fmt.Sprintf("%.2f", v)
		}
		fmt.Fprintf(b, "| %s | %s%s | %s to %s | %s |", name, number(s.median), r.mark(), number(s.low), number(s.high), ratio)
		for _, figure := range shown {
			text := "-"
			if s, ok := r.of(figure); ok {
				text = number(s.median)
			}
			fmt.Fprintf(b, " %s |", text)
		}
		kept := calm(r.Rounds)
		fmt.Fprintf(b, " %d of %d | %.0f %% |\n", len(kept), len(r.Rounds), 100*kept[len(kept)-1].Waited)
	}
	fmt.Fprintln(b)
}

// ranked are the contenders of a workload by their medians, those that failed last.
func (p page) ranked(w workload) (names []string) {
	for _, c := range w.who {
		if _, ok := p.results[w.id][c.name]; ok {
			names = append(names, c.name)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int {
		x, okx := p.results[w.id][a].of(w.figure)
		y, oky := p.results[w.id][b].of(w.figure)
		switch {
		case okx && oky:
			return cmp.Compare(x.median, y.median)
		case okx:
			return -1
		case oky:
			return 1
		}
		return 0
	})
	return names
}

// further are the figures that rounds have added, by name.
func further(all map[string]result) []string {
	found := make(map[string]bool)
	for _, r := range all {
		for _, r := range r.Rounds {
			for figure := range r.Figures {
				found[figure] = true
			}
		}
	}
	for _, figure := range []string{wallNS, cpuNS, allocCount, allocBytes, peakMB} {
		delete(found, figure)
	}
	return slices.Sorted(maps.Keys(found))
}

// link leads to the table of a workload, by the anchor that its heading has.
func link(id string) string {
	anchor := strings.Map(func(r rune) rune {
		if r == '/' {
			return -1
		}
		return r
	}, strings.ToLower(id))
	return fmt.Sprintf("[%s](#%s)", id, anchor)
}

// number prints v with three digits.
func number(v float64) string {
	if v >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
