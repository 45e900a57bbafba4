//go:build goman_points

package point

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Run runs one schedule of body, which is the actor "main", in a bubble of its
// own. It does not fail t.
func Run(t *testing.T, config Config, body func(*Controller)) *Report {
	t.Helper()
	defer oneProcessor()()
	config = config.complete()
	c := &Controller{
		TB: t, config: config, strategy: newStrategy(&config),
		known: make(map[uint64]*goroutine), names: make(map[string]int),
		left: config.Ticks, clock: &goroutine{name: clockName},
	}
	c.openLog()
	defer c.log.Close() // of a nil file it does nothing
	dog := time.AfterFunc(time.Minute, c.bark)
	defer dog.Stop()
	c.inBubble(t, body)
	r := &Report{Config: config, Failures: c.failures, Hang: c.hang, Trace: c.trace, Coverage: c.coverage}
	if s, ok := c.strategy.(*replay); ok {
		r.Diverged = s.diverged
	}
	return r
}

// openLog makes the file that GOMAN_POINTS_LOG names. After each step it holds the
// text by which Replay repeats the schedule so far, so a schedule that crashes the
// process can be found by running the same test again.
func (c *Controller) openLog() {
	path := os.Getenv("GOMAN_POINTS_LOG")
	if path == "" {
		return
	}
	var err error
	if c.log, err = os.Create(path); err == nil {
		config := c.config
		config.Choices = nil
		_, err = c.log.WriteString(config.Text())
	}
	if err != nil {
		c.TB.Fatal(err)
	}
}

// inBubble runs the schedule. The runtime panics here if goroutines are left
// that can never go on: those of a schedule that has failed, or ones that the
// scenario has forgotten to end.
func (c *Controller) inBubble(t *testing.T, body func(*Controller)) {
	defer active.Store(nil)
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		err, ok := v.(error)
		if !ok || !strings.Contains(err.Error(), "deadlock") {
			panic(v)
		}
		if !c.Failed() {
			c.Errorf("goroutines are left: %v\n%s", err, stacksOf(c.bubble))
		}
	}()
	synctest.Test(t, func(*testing.T) { c.run(body) })
}

// bark ends the process when a schedule makes no progress: a goroutine waits for
// something that does not count as durably blocking. It runs outside the bubble,
// in real time.
func (c *Controller) bark() {
	c.mu.Lock()
	trace := TraceText(c.trace)
	c.mu.Unlock()
	panic(fmt.Sprintf("point: the schedule with seed %d has taken a minute: is a point inside a critical section?\n%s\n%s",
		c.config.Seed, trace, stacksOf(c.bubble)))
}

// oneProcessor sets GOMAXPROCS to one, so that code that spins if there are more
// does not, and goroutines that run at the same time do so in a steady order.
func oneProcessor() (restore func()) {
	if runtime.GOMAXPROCS(0) == 1 {
		return func() {}
	}
	old := runtime.GOMAXPROCS(1)
	return func() { runtime.GOMAXPROCS(old) }
}

// Explore runs n schedules of body, with seeds from config.Seed on. It does not
// fail t, and ends at the first schedule that fails unless config.KeepGoing is set.
func Explore(t *testing.T, config Config, n int, body func(*Controller)) *Summary {
	t.Helper()
	defer oneProcessor()()
	s := &Summary{}
	began := time.Now()
	defer func() { s.Elapsed = time.Since(began) }()
	if config.Steps == 0 && config.Strategy != RandomWalk && config.Choices == nil {
		first := config
		first.Strategy = RandomWalk
		config.Steps = max(s.add(Run(t, first, body)), 1)
	}
	for i := 0; s.Runs < n && (s.Failed == 0 || config.KeepGoing); i++ {
		one := config
		one.Seed += uint64(i)
		s.add(Run(t, one, body))
	}
	return s
}

// add counts r and returns how many steps it took.
func (s *Summary) add(r *Report) int {
	s.Runs++
	s.Steps += len(r.Trace)
	s.Coverage.Add(&r.Coverage)
	if r.Failed() {
		if s.Failed++; s.First == nil {
			s.First = r
		}
	}
	return len(r.Trace)
}

// Check is Explore that fails t, with a shorter schedule if there is one, and the
// text by which Replay repeats it. If GOMAN_POINTS_REPLAY is set to such a text,
// that schedule alone is run, and its trace logged.
func Check(t *testing.T, config Config, n int, body func(*Controller)) *Summary {
	t.Helper()
	if text := os.Getenv("GOMAN_POINTS_REPLAY"); text != "" {
		r := Replay(t, text, body)
		t.Log(r)
		s := &Summary{}
		s.add(r)
		return s
	}
	s := Explore(t, config, n, body)
	t.Log(s)
	if s.First != nil {
		small := Minimise(t, s.First, body)
		t.Errorf("in schedule %d of %d: %v\nas short as it gets, %v\nto keep it: point.Replay(t, %q, …)",
			s.Runs, n, s.First, small, small.Text())
	}
	return s
}

// Replay runs a schedule that was kept as text, and fails t if it fails.
func Replay(t *testing.T, text string, body func(*Controller)) *Report {
	t.Helper()
	config, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	r := Run(t, config, body)
	if r.Failed() {
		t.Errorf("a schedule that was kept fails: %v", r)
	}
	return r
}

// Minimise looks for the shortest beginning of a failing schedule after which the
// goroutines may as well take turns. It returns that schedule, or r if there is
// none, or none that is found in five hundred runs.
func Minimise(t *testing.T, r *Report, body func(*Controller)) *Report {
	t.Helper()
	defer oneProcessor()()
	choices := r.Choices()
	for n := range min(len(choices), 500) {
		config := r.Config
		config.Choices = choices[:n:n]
		if small := Run(t, config, body); small.Failed() {
			return small
		}
	}
	return r
}
