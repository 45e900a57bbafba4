//go:build goman_points

package point

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Both planted mistakes are found, each by more than one strategy; what a strategy
// finds of them is logged.
func TestExplore_FindsPlantedMistakes(t *testing.T) {
	for name, body := range map[string]func(*Controller){
		"no recheck": submitAgainstPark(mistakes{noRecheck: true}),
		"no drain":   submitAgainstClose(mistakes{noDrain: true}),
	} {
		found := 0
		for _, c := range []Config{{Strategy: RandomWalk}, {Strategy: PCT, Depth: 1}, {Strategy: PCT, Depth: 2}, {Strategy: PCT, Depth: 3}, {}} {
			c.KeepGoing = true
			s := Explore(t, c, 1000, body)
			t.Logf("%s, %v %d: %v", name, c.Strategy, c.Depth, s)
			if s.Failed > 0 && c.Strategy != Mixed {
				found++
			}
			if s.Failed == 0 && c.Strategy == Mixed {
				t.Errorf("%s: not found by the mixed strategy", name)
			}
		}
		if found < 2 {
			t.Errorf("%s: found by %d strategies", name, found)
		}
	}
}

// The toy without mistakes passes, also if its looks miss what is there.
func TestExplore_PassesWhatIsRight(t *testing.T) {
	for name, body := range map[string]func(*Controller){
		"park":  submitAgainstPark(mistakes{}),
		"close": submitAgainstClose(mistakes{}),
	} {
		s := Check(t, Config{}, 5000, body)
		t.Logf("%s: %v", name, s)
		if s = Check(t, Config{Faults: 0.2}, 1000, body); s.Coverage.Faults[Take] == 0 {
			t.Errorf("%s: nothing was made to fail", name)
		}
	}
}

// The same seed gives the same trace, with faults and a moving clock as well, and
// the choices of one schedule repeat it.
func TestRun_RepeatsItself(t *testing.T) {
	body := submitAgainstPark(mistakes{})
	different := map[string]bool{}
	for seed := range uint64(200) {
		c := Config{Seed: seed, Faults: 0.1, Ticks: 3}
		first, second := Run(t, c, body), Run(t, c, body)
		if !sameTrace(first.Trace, second.Trace) {
			t.Fatalf("seed %d has two traces:\n%s\n%s", seed, TraceText(first.Trace), TraceText(second.Trace))
		}
		c, err := Parse(first.Text())
		if err != nil {
			t.Fatal(err)
		}
		if third := Run(t, c, body); third.Diverged != 0 || !sameTrace(first.Trace, third.Trace) {
			t.Fatalf("seed %d is not repeated by its choices, from step %d:\n%s\n%s", seed, third.Diverged,
				TraceText(first.Trace), TraceText(third.Trace))
		}
		different[TraceText(first.Trace)] = true
	}
	if len(different) < 190 {
		t.Errorf("200 seeds made %d different schedules", len(different))
	}
}

// The log holds the text of the last schedule, for one that crashes the process.
func TestRun_KeepsALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	t.Setenv("GOMAN_POINTS_LOG", path)
	r := Run(t, Config{Seed: 3, Faults: 0.1}, submitAgainstPark(mistakes{}))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(string(text))
	if err != nil || c.Seed != 3 || !slices.Equal(c.Choices, r.Choices()) {
		t.Errorf("%v: %s", err, text)
	}
}

// A failing schedule gets shorter, and can be kept as text.
func TestMinimise_KeepsTheFailure(t *testing.T) {
	body := submitAgainstPark(mistakes{noRecheck: true})
	s := Explore(t, Config{Strategy: RandomWalk}, 5000, body)
	if s.First == nil || !s.First.Hang {
		t.Fatalf("no hang: %v", s)
	}
	small := Minimise(t, s.First, body)
	if !small.Hang || len(small.Config.Choices) >= len(s.First.Trace) {
		t.Errorf("%d choices, from %d steps: %v", len(small.Config.Choices), len(s.First.Trace), small)
	}
	t.Logf("from %d choices to %d: %s", len(s.First.Trace), len(small.Config.Choices), small.Text())
	c, err := Parse(small.Text())
	if err != nil {
		t.Fatal(err)
	}
	if r := Run(t, c, body); !r.Hang {
		t.Errorf("the text does not hang: %v", r)
	}
	if text := small.String(); !strings.Contains(text, "hang") || !strings.Contains(text, "recheck") && !strings.Contains(text, "park") {
		t.Errorf("the report tells too little: %s", text)
	}
}

// The report of what was covered names sites at which nobody else went first.
func TestCoverage_NamesWhatWasNotTried(t *testing.T) {
	s := Explore(t, Config{}, 100, func(c *Controller) {
		At(Resize) // main is alone
		c.Go("a", func() { At(Pause) })
		c.Go("b", func() { At(Pause) })
	})
	unvisited, unswitched := s.Coverage.Unseen()
	if fmt.Sprint(unswitched) != "[actor resize]" {
		t.Errorf("never a switch at %v\n%v", unswitched, &s.Coverage)
	}
	if len(unvisited) != Sites-4 { // begin, actor, pause, resize
		t.Errorf("never visited: %v", unvisited)
	}
}

// Time passes by itself only when nobody can go on; with Ticks also before.
func TestRun_ClockMovesInBetween(t *testing.T) {
	early := 0
	body := func(c *Controller) {
		var rang atomic.Bool
		time.AfterFunc(time.Millisecond, func() { rang.Store(true) })
		for range 4 {
			At(Actor)
		}
		if rang.Load() {
			early++
		}
	}
	if Check(t, Config{}, 50, body); early != 0 {
		t.Errorf("without ticks time passed %d times", early)
	}
	if Check(t, Config{Ticks: 2}, 50, body); early == 0 || early == 50 {
		t.Errorf("with ticks time passed %d times of 50", early)
	}
}

// What goes wrong in a scenario is in the report, and nowhere else.
func TestRun_ReportsFailures(t *testing.T) {
	for want, body := range map[string]func(*Controller){
		"panicked: boom": func(c *Controller) { c.Go("a", func() { panic("boom") }) },
		"a livelock":     func(*Controller) { spin(func() bool { return false }) },
		"a hang":         func(*Controller) { <-make(chan int) },
		"goroutines are left": func(*Controller) {
			go func() { <-make(chan int) }()
		},
		"cleaned up last": func(c *Controller) {
			c.Cleanup(func() { c.Error("cleaned up last") })
			c.Fatal("fatal")
		},
		"context ended": func(c *Controller) {
			ctx := c.Context()
			c.Cleanup(func() {
				<-ctx.Done()
				c.Error("context ended")
			})
		},
	} {
		r := Run(t, Config{}, body)
		if text := strings.Join(r.Failures, ""); !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
}

func spin(until func() bool) {
	for !until() {
		Yield(Watch)
	}
}

// A loop with Yield lets the others go on, whatever the strategy.
func TestRun_YieldLetsOthersGo(t *testing.T) {
	Check(t, Config{MaxSteps: 2000}, 500, func(c *Controller) {
		var set atomic.Bool
		c.Go("waits", func() { spin(set.Load) })
		c.Go("waits too", func() { spin(set.Load) })
		c.Go("sets", func() {
			for range 5 {
				At(Actor)
			}
			set.Store(true)
		})
	})
}

// A point may lie in a critical section of a Mutex.
func TestMutex_AllowsPointsInside(t *testing.T) {
	s := Check(t, Config{}, 200, func(c *Controller) {
		var mu Mutex
		inside := 0
		for _, actor := range []string{"a", "b", "c"} {
			c.Go(actor, func() {
				for range 2 {
					mu.Lock()
					if inside++; inside != 1 {
						c.Errorf("%d are inside", inside)
					}
					At(Pause)
					inside--
					mu.Unlock()
				}
			})
		}
	})
	if s.Coverage.Switches[Pause] == 0 || s.Coverage.Visits[Locked] == 0 {
		t.Errorf("nobody ever found it taken: %v", &s.Coverage)
	}
}

// Without a controller, and outside its bubble, points hold nobody up.
func TestPoint_PassesOutside(t *testing.T) {
	stop, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for {
			select {
			case <-stop:
				return
			default:
				Enter("stranger", 1)
				At(Claim)
				runtime.Gosched()
			}
		}
	}()
	Check(t, Config{}, 100, submitAgainstPark(mistakes{}))
	close(stop)
	<-gone
	for range 1000 {
		At(Park)
		Yield(Watch)
		if Fail(Claim) {
			t.Fatal("a step failed although nobody asked for faults")
		}
	}
}

func BenchmarkAt_Perturbed(b *testing.B) {
	for b.Loop() {
		At(Park)
	}
}

func TestParse_RefusesWhatItDoesNotKnow(t *testing.T) {
	for _, text := range []string{"seed=x", "colour=red", "main*many"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// Goroutines that turn in a loop take turns: PCT does not let the first of them spin
// for ever while it waits for the next.
func TestRun_LoopsTakeTurns(t *testing.T) {
	Check(t, Config{Strategy: PCT}, 50, func(c *Controller) {
		var first, second atomic.Bool
		c.Go("a", func() { spin(second.Load) })
		c.Go("b", func() {
			spin(first.Load)
			second.Store(true)
		})
		c.Go("c", func() {
			Yield(Actor)
			first.Store(true)
		})
		c.Join()
	})
}
