//go:build goman_points

package point

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is what became of one schedule.
type Report struct {
	// Config is the schedule: Run with it repeats it.
	Config Config
	// Failures are what the scenario has reported, hangs and leaks included.
	Failures []string
	// Hang says that nobody could go on.
	Hang bool
	// Trace is who was let go from where.
	Trace []Event
	// Diverged is the first step, from 1, at which a choice of Config.Choices could
	// not be made: the engine is not the one that they were made for. Otherwise 0.
	Diverged int
	// Coverage counts what happened at each site.
	Coverage Coverage
}

// Failed reports whether the schedule found something.
func (r *Report) Failed() bool { return len(r.Failures) > 0 }

// Choices returns the names in the trace: with them as Config.Choices, and the
// rest of Config, the schedule is repeated whatever the strategy.
func (r *Report) Choices() []string {
	choices := make([]string, len(r.Trace))
	for i, e := range r.Trace {
		choices[i] = e.Name
	}
	return choices
}

// Text is the schedule in the form that [Parse] reads.
func (r *Report) Text() string {
	c := r.Config
	if c.Choices == nil || len(c.Choices) > len(r.Trace) {
		c.Choices = r.Choices()
	}
	return c.Text()
}

// String tells what failed, and the trace, one goroutine's steps in one line.
func (r *Report) String() string {
	var b strings.Builder
	c := r.Config
	fmt.Fprintf(&b, "seed %d, %v", c.Seed, c.Strategy)
	if c.Strategy == PCT {
		fmt.Fprintf(&b, " of depth %d over %d steps", c.Depth, c.Steps)
	}
	fmt.Fprintf(&b, ", %d steps taken\n", len(r.Trace))
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(strings.TrimSpace(f), "\n", "\n  "))
	}
	fmt.Fprintf(&b, "trace (who went on, from which points):\n%s", TraceText(r.Trace))
	return b.String()
}

// TraceText writes a trace, the steps that one goroutine takes in a row in one line.
func TraceText(trace []Event) string {
	var b strings.Builder
	for i, e := range trace {
		if i == 0 || trace[i-1].Name != e.Name {
			if i > 0 {
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "  %-12s", e.Name)
		}
		for _, site := range e.Failed {
			fmt.Fprintf(&b, " (%v failed)", site)
		}
		fmt.Fprintf(&b, " %v", e.Site)
	}
	b.WriteByte('\n')
	return b.String()
}

// sameTrace reports whether two schedules were the same.
func sameTrace(a, b []Event) bool {
	return slices.EqualFunc(a, b, func(a, b Event) bool {
		return a.Name == b.Name && a.Site == b.Site && slices.Equal(a.Failed, b.Failed)
	})
}

// Coverage counts, for each site, what happened there.
type Coverage struct {
	Visits   [Sites]int // goroutines that came there
	Switches [Sites]int // how often another was let go while one was there
	Faults   [Sites]int // how often it was made to fail
}

// step counts that g was let go while pending were at points.
func (v *Coverage) step(pending []*goroutine, g *goroutine) {
	v.Visits[g.site]++
	for _, other := range pending {
		if other != g {
			v.Switches[other.site]++
		}
	}
}

// Add adds other to v.
func (v *Coverage) Add(other *Coverage) {
	for s := range sites {
		v.Visits[s] += other.Visits[s]
		v.Switches[s] += other.Switches[s]
		v.Faults[s] += other.Faults[s]
	}
}

// Unseen returns the sites that nobody came to, and those that somebody came to
// but where nobody else ever went first: the order of these was never tried.
func (v *Coverage) Unseen() (unvisited, unswitched []Site) {
	for s := range sites {
		switch {
		case v.Visits[s] == 0:
			unvisited = append(unvisited, s)
		case v.Switches[s] == 0:
			unswitched = append(unswitched, s)
		}
	}
	return unvisited, unswitched
}

// String is a table of the sites that were visited, and names the others.
func (v *Coverage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-16s %10s %10s %8s\n", "site", "visits", "switches", "faults")
	for s := range sites {
		if v.Visits[s] > 0 {
			fmt.Fprintf(&b, "%-16v %10d %10d %8d\n", s, v.Visits[s], v.Switches[s], v.Faults[s])
		}
	}
	unvisited, unswitched := v.Unseen()
	fmt.Fprintf(&b, "never a switch at: %v\nnever visited: %v\n", unswitched, unvisited)
	return b.String()
}

// Summary is what became of many schedules.
type Summary struct {
	Runs     int
	Failed   int
	First    *Report // the first that failed, or nil
	Steps    int     // of all schedules together
	Elapsed  time.Duration
	Coverage Coverage
}

// String tells how many schedules were run, how fast, and how many failed.
func (s *Summary) String() string {
	seconds := max(s.Elapsed.Seconds(), 1e-9)
	return fmt.Sprintf("%d schedules, %d failed; %.0f schedules/s, %.0f steps/s, %.1f steps each",
		s.Runs, s.Failed, float64(s.Runs)/seconds, float64(s.Steps)/seconds, float64(s.Steps)/float64(max(s.Runs, 1)))
}

// stacksOf returns the stacks of a bubble's goroutines.
func stacksOf(bubble uint64) string {
	buffer := make([]byte, 1<<16)
	for {
		n := runtime.Stack(buffer, true)
		if n < len(buffer) || len(buffer) >= 1<<24 {
			buffer = buffer[:n]
			break
		}
		buffer = make([]byte, 4*len(buffer))
	}
	mark := fmt.Sprintf("bubble %d", bubble)
	var kept []string
	for _, stack := range strings.Split(string(buffer), "\n\n") {
		head, _, _ := strings.Cut(stack, "\n")
		if strings.Contains(head, mark+"]") || strings.Contains(head, mark+",") {
			kept = append(kept, stack)
		}
	}
	return strings.Join(kept, "\n\n")
}
