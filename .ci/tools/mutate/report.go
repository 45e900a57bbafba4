package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// tally counts the mutants of an operator, of a file, or all.
type tally struct {
	Made        int            `json:"made"`
	NotCompiled int            `json:"not_compiled"`
	Equivalent  int            `json:"equivalent"`
	Untried     int            `json:"untried"` // skipped, or not in the sample
	Killed      int            `json:"killed"`
	Survived    int            `json:"survived"`
	How         map[string]int `json:"killed_by,omitempty"`
}

func (t *tally) count(m *mutant) {
	t.Made++
	switch m.Verdict {
	case notCompiled:
		t.NotCompiled++
	case equivalent:
		t.Equivalent++
	case killed:
		t.Killed++
		if t.How == nil {
			t.How = make(map[string]int)
		}
		t.How[m.How]++
	case survived:
		t.Survived++
	default:
		t.Untried++
	}
}

// rate returns the killed among those that were run, in percent; 100 if none was.
func (t *tally) rate() float64 {
	if t.Killed+t.Survived == 0 {
		return 100
	}
	return 100 * float64(t.Killed) / float64(t.Killed+t.Survived)
}

// report is everything at the end.
type report struct {
	Module     string            `json:"module"`
	Rate       float64           `json:"rate"`
	Total      *tally            `json:"total"`
	ByOperator map[string]*tally `json:"by_operator"`
	ByFile     map[string]*tally `json:"by_file"`
	Mutants    []*mutant         `json:"mutants"`
	Stale      []string          `json:"stale,omitempty"`
}

func newReport(module string, mutants []*mutant) *report {
	r := &report{
		Module: module, Total: &tally{}, Mutants: mutants,
		ByOperator: make(map[string]*tally), ByFile: make(map[string]*tally),
	}
	for _, m := range mutants {
		r.Total.count(m)
		for key, by := range map[string]map[string]*tally{m.Operator: r.ByOperator, m.File: r.ByFile} {
			if by[key] == nil {
				by[key] = &tally{}
			}
			by[key].count(m)
		}
	}
	r.Rate = r.Total.rate()
	return r
}

// json writes the report for programs.
func (r *report) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// text writes the tables, and before them the survivors again: among thousands of
// lines they are what is looked for.
func (r *report) text(out io.Writer) error {
	if r.Total.Survived > 0 {
		fmt.Fprintln(out, "\nSurvivors: kill them with a test, delete the code, or list them with a reason.")
		for _, m := range r.Mutants {
			if m.Verdict == survived {
				fmt.Fprintf(out, "  %s  line %d: %s\n", m.ID, m.Line, m.Change)
			}
		}
	}
	for _, id := range r.Stale {
		fmt.Fprintf(out, "stale: %s is listed as equivalent, and there is no such mutant\n", id)
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	const columns = "made\tnot compiled\tequivalent\tuntried\tkilled\tsurvived\trate\t"
	fmt.Fprintln(w, "operator\t"+columns)
	for _, name := range slices.Sorted(maps.Keys(r.ByOperator)) {
		r.ByOperator[name].row(w, name)
	}
	fmt.Fprintln(w, "file\t"+columns)
	for _, name := range slices.Sorted(maps.Keys(r.ByFile)) {
		r.ByFile[name].row(w, name)
	}
	r.Total.row(w, "all")
	if err := w.Flush(); err != nil {
		return err
	}
	var how []string
	for _, name := range slices.Sorted(maps.Keys(r.Total.How)) {
		how = append(how, fmt.Sprintf("%d by %s", r.Total.How[name], name))
	}
	if len(how) > 0 {
		fmt.Fprintln(out, "killed:", strings.Join(how, ", "))
	}
	return nil
}

func (t *tally) row(out io.Writer, name string) {
	rate := "-"
	if t.Killed+t.Survived > 0 {
		rate = fmt.Sprintf("%.1f %%", t.rate())
	}
	fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t\n", name, t.Made, t.NotCompiled, t.Equivalent, t.Untried, t.Killed, t.Survived, rate)
}
