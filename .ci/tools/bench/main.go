// Command bench turns the output of several runs of go test -bench into a table
// of ratios. It reads standard input, where one benchmark's name is
// Benchmark<Workload>/<case>/<who>, and prints for each workload and case the
// medians, and for everybody but the baseline the ratio to it. Runs should be
// interleaved: many runs of -count=1 rather than one of a high count.
//
//	for i in 1 2 3 4 5 6; do go test -run '^$' -bench . ./core; done | bench -baseline chan
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func main() {
	baseline := flag.String("baseline", "chan", "who the others are compared with")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, *baseline); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// results holds, by workload and case, then by who, the values of each unit.
type results struct {
	order []string
	cases map[string]*row
}

type row struct {
	order []string
	who   map[string]map[string][]float64
}

var line = regexp.MustCompile(`^Benchmark(\S+)/([^/\s]+?)(?:-\d+)?\s+\d+\s+(.*)$`)

// parse reads benchmark lines and ignores all others.
func parse(in io.Reader) (*results, error) {
	r := &results{cases: make(map[string]*row)}
	scanner := bufio.NewScanner(in)
	for scanner.Scan() {
		m := line.FindStringSubmatch(scanner.Text())
		if m == nil {
			continue
		}
		name, who, fields := m[1], m[2], strings.Fields(m[3])
		c := r.cases[name]
		if c == nil {
			c = &row{who: make(map[string]map[string][]float64)}
			r.cases[name] = c
			r.order = append(r.order, name)
		}
		if c.who[who] == nil {
			c.who[who] = make(map[string][]float64)
			c.order = append(c.order, who)
		}
		for i := 0; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			c.who[who][fields[i+1]] = append(c.who[who][fields[i+1]], v)
		}
	}
	return r, scanner.Err()
}

// units are the figures that are shown, in this order; the first that a row has
// is the one that is compared.
var units = []string{"us-added", "ns/op", "us-p50", "us-p99", "B/queued", "B/op", "allocs/op"}

func run(in io.Reader, out io.Writer, baseline string) error {
	r, err := parse(in)
	if err != nil {
		return err
	}
	if len(r.order) == 0 {
		return fmt.Errorf("no benchmark lines in the input")
	}
	fmt.Fprintf(out, "| workload | who | median | spread | /%s | further figures |\n|--|--|--|--|--|--|\n", baseline)
	for _, name := range r.order {
		c := r.cases[name]
		unit := units[0]
		for _, u := range units {
			if len(c.who[c.order[0]][u]) > 0 {
				unit = u
				break
			}
		}
		base := median(c.who[baseline][unit])
		for _, who := range c.order {
			values := c.who[who][unit]
			if len(values) == 0 {
				continue
			}
			ratio := "-"
			if base > 0 && who != baseline {
				ratio = fmt.Sprintf("%.2f", median(values)/base)
			}
			var further []string
			for _, u := range units {
				if v := c.who[who][u]; u != unit && len(v) > 0 {
					further = append(further, fmt.Sprintf("%s %s", number(median(v)), u))
				}
			}
			fmt.Fprintf(out, "| %s | %s | %s %s | %s to %s | %s | %s |\n", name, who, number(median(values)), unit,
				number(slices.Min(values)), number(slices.Max(values)), ratio, strings.Join(further, ", "))
		}
	}
	return nil
}

// median returns the middle of values, or 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// number prints v with three digits.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
