package main

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// A workload is one table of the page: the same work done by several contenders.
type workload struct {
	id     string // names it on the command line and in child processes
	about  string
	figure string // the figure that is compared, of those that a meter knows
	unit   string // how that figure is written, "ns/task"
	base   string // the contender that the others are compared with
	step   int    // operations that belong together; a round does a multiple of them
	fixed  bool   // a round does exactly step operations
	cold   bool   // a process does one round, from a cold start
	hangs  bool   // some contenders never end: they are given two seconds
	quick  bool   // part of the quick form
	curve  string // the plot that it is a point of, if any
	at     float64
	goals  []goal
	who    []contender
}

// A contender is one way to do the work of a workload.
type contender struct {
	name string
	// start gets it ready. round does m.n operations, and stop ends it. A round is
	// measured as a whole unless it says otherwise by m.start and m.stop.
	start func() (round func(m *meter), stop func())
	// allocs is how many allocations an operation is stated to make, where stated is set.
	allocs float64
	stated bool
}

// A goal is what a contender's figure should be at most.
type goal struct {
	who       string
	figure    string  // of the meter's; that of the workload by default
	base      string  // the ratio is to this contender; by default to the workload's
	in        string  // or to the same contender in another workload
	absolute  bool    // the goal is the figure itself
	must, aim float64 // aim may be 0 for none
}

// The figures that every meter knows, for each operation. Rounds add others.
const (
	wallNS     = "ns"
	cpuNS      = "cpu ns"
	allocCount = "allocs"
	allocBytes = "B"
	peakMB     = "peak MB" // of the process, so far
)

// workloads are all of them, in the order of the page.
func workloads(s scale) []workload {
	return slices.Concat(
		submitWorkloads(), typedWorkloads(), busyWorkloads(s), sleepWorkloads(s), forkWorkloads(s),
		queueWorkloads(s), orderWorkloads(s), mapWorkloads(s), waitWorkloads(s), backlogWorkloads(s),
		growthWorkloads(s), idleWorkloads(s),
	)
}

// A scale is how large the workloads are: as they are told, or tiny, to try them.
type scale bool

const (
	full scale = false
	tiny scale = true
)

// of chooses between two numbers.
func (s scale) of(n, small int) int {
	if s == tiny {
		return small
	}
	return n
}

// A meter measures one round.
type meter struct {
	n            int // how many operations to do
	began, ended snapshot
	further      map[string]float64
}

// start leaves out what was before.
func (m *meter) start() { m.began = before() }

// stop leaves out what comes after.
func (m *meter) stop() { m.ended = after() }

// set adds a figure, or replaces one that is known.
func (m *meter) set(figure string, value float64) {
	if m.further == nil {
		m.further = make(map[string]float64)
	}
	m.further[figure] = value
}

// A round is what was measured of one round. Waited is the part of its time in which
// the process could have run, and the kernel let another one run.
type round struct {
	Waited  float64
	Figures map[string]float64
}

// measure does one round of n operations.
func measure(do func(m *meter), n int) (round, time.Duration) {
	m := meter{n: n}
	m.start()
	do(&m)
	if m.ended.at.IsZero() {
		m.stop()
	}
	wall := m.ended.at.Sub(m.began.at)
	each := func(v float64) float64 { return v / float64(n) }
	r := round{Figures: map[string]float64{
		wallNS:     each(float64(wall)),
		allocCount: each(float64(m.ended.mallocs - m.began.mallocs)),
		allocBytes: each(float64(m.ended.bytes - m.began.bytes)),
	}}
	if cpu := m.ended.cpu - m.began.cpu; cpu > 0 {
		r.Figures[cpuNS] = each(float64(cpu))
	}
	if peak := peakMemory(); peak > 0 {
		r.Figures[peakMB] = peak
	}
	if wall > 0 {
		r.Waited = float64(m.ended.waited-m.began.waited) / float64(wall)
	}
	maps.Copy(r.Figures, m.further)
	return r, wall
}

// rounds does count rounds of about the length of each, after one to warm up; or a cold
// one. A workload of one step that takes longer takes as long as it takes.
func (w *workload) rounds(c contender, count int, each time.Duration) []round {
	do, stop := c.start()
	defer stop()
	n := max(w.step, 1)
	if w.cold {
		r, _ := measure(do, n)
		return []round{r}
	}
	if w.fixed {
		measure(do, n)
	} else {
		n = calibrate(do, n, each)
	}
	var list []round
	for range count {
		r, _ := measure(do, n)
		list = append(list, r)
	}
	return list
}

// calibrate is how many operations, in whole steps, take about as long as they should, by
// the faster of two rounds: the other may have been disturbed.
func calibrate(do func(m *meter), step int, length time.Duration) int {
	for n := step; ; n *= 2 {
		_, took := measure(do, n)
		_, again := measure(do, n)
		if took = max(min(took, again), 1); took > length/4 || n > 1<<30 {
			n = int(float64(n) * float64(length) / float64(took))
			return max(n-n%step, step)
		}
	}
}

// simple is a contender that has nothing to get ready and nothing to end.
func simple(name string, do func(n int)) contender {
	return contender{name: name, start: func() (func(*meter), func()) {
		return func(m *meter) { do(m.n) }, func() {}
	}}
}

// count writes a number of things.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// states returns c, which is stated to allocate so often in each operation.
func (c contender) states(allocs float64) contender {
	c.allocs, c.stated = allocs, true
	return c
}
