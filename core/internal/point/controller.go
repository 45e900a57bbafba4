//go:build goman_points

package point

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Controller runs one schedule. It is the testing.TB of the scenario too, so that
// helpers that want one can be used; what fails is kept for the report, and does
// not fail the test at once. Its methods may be called by all goroutines of the
// scenario.
type Controller struct {
	testing.TB // the test's own: for Name and the like
	config     Config
	strategy   strategy
	bubble     uint64
	arrived    chan struct{} // somebody has come to a point, or an actor has ended
	healed     atomic.Bool

	join sync.WaitGroup // the actors but for main

	mu       sync.Mutex
	known    map[uint64]*goroutine
	pending  []*goroutine // those at a point
	live     int          // actors that have not ended
	others   int          // goroutines without a name so far
	names    map[string]int
	over     bool // points let everybody pass
	left     int  // how often the clock may still be moved
	clock    *goroutine
	trace    []Event
	coverage Coverage
	failures []string
	hang     bool
	cleanups []func()
	ctx      context.Context
	end      context.CancelFunc
	log      *os.File // the choices so far, for a schedule that crashes the process; or nil
}

// goroutine is one that has been at a point.
type goroutine struct {
	number uint64 // the runtime's
	name   string // "" until it is first looked at, if nobody has named it
	resume chan struct{}
	site   Site
	yields bool
	asked  uint64 // how often it has called Fail
	failed []Site // what has failed since its last point

	ranked  bool    // PCT has given it a rank
	rank    float64 // of those at a point PCT lets the one with the highest go
	lowered bool    // PCT has made it the lowest, because it looks in a loop
}

// Event is one step of a schedule: who was let go, and from where.
type Event struct {
	Name   string
	Site   Site
	Failed []Site // what was made to fail on the way there
}

// clockName is who takes a step when the controller lets time pass.
const clockName = "clock"

// stop is a point of the calling goroutine. It reports false if the caller is not
// in the bubble. A name is given at a goroutine's beginning.
func (c *Controller) stop(site Site, yields bool, name string) bool {
	c.mu.Lock()
	g := c.caller()
	if g == nil || c.over {
		c.mu.Unlock()
		return g != nil
	}
	if name != "" {
		g.name = name
	}
	g.site, g.yields = site, yields
	c.pending = append(c.pending, g)
	c.mu.Unlock()
	c.signal()
	<-g.resume
	return true
}

// caller returns the calling goroutine, or nil if it is not in the bubble. Numbers
// are never used twice, so its bubble is asked for once. The caller holds mu.
func (c *Controller) caller() *goroutine {
	number := goroutineNumber()
	g, known := c.known[number]
	if known {
		return g
	}
	if _, bubble := whoami(); bubble == c.bubble {
		g = &goroutine{number: number, resume: make(chan struct{}, 1)}
	}
	c.known[number] = g
	return g
}

func (c *Controller) signal() {
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

// fails is Fail for a goroutine of this schedule. Whether the n-th step fails
// depends on the seed, the goroutine's name and n alone: not on who else runs.
func (c *Controller) fails(site Site) (fails, mine bool) {
	if c.config.Faults <= 0 || c.healed.Load() {
		return false, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.caller()
	if g == nil || g.name == "" || c.over {
		return false, g != nil
	}
	g.asked++
	x := c.config.Seed
	for _, b := range []byte(g.name) {
		x = mix(x ^ uint64(b))
	}
	if unit(mix(x^g.asked<<8^uint64(site))) >= c.config.Faults {
		return false, true
	}
	g.failed = append(g.failed, site)
	c.coverage.Faults[site]++
	return true, true
}

// Heal ends the faults: what comes after must go well in bounded time.
func (c *Controller) Heal() { c.healed.Store(true) }

// Go starts an actor. The scenario ends when all have.
func (c *Controller) Go(name string, fn func()) {
	c.join.Add(1)
	c.spawn(name, func() {
		defer c.join.Done()
		fn()
	})
}

func (c *Controller) spawn(name string, fn func()) {
	c.mu.Lock()
	c.live++
	if c.names[name]++; c.names[name] > 1 {
		name = fmt.Sprintf("%s'%d", name, c.names[name])
	}
	c.mu.Unlock()
	go func() {
		defer func() {
			if v := recover(); v != nil {
				c.Errorf("%s panicked: %v\n%s", name, v, debug.Stack())
			}
			c.mu.Lock()
			c.live--
			c.mu.Unlock()
			c.signal()
		}()
		c.stop(Begin, false, name)
		fn()
	}()
}

// Join waits for all actors that Go has started. Only the body calls it.
func (c *Controller) Join() {
	c.join.Wait()
	At(Actor)
}

// run is the life of the controller, as the test's goroutine in the bubble.
func (c *Controller) run(body func(*Controller)) {
	_, c.bubble = whoami()
	c.arrived = make(chan struct{}, 1)
	c.ctx, c.end = context.WithCancel(context.Background())
	active.Store(c)
	c.spawn("main", func() {
		defer c.cleanUp()
		defer c.Join()
		body(c)
	})
	fuse := time.NewTimer(c.config.Horizon)
	defer fuse.Stop()
	for {
		synctest.Wait()
		switch g, what := c.choose(); what {
		case release:
			g.resume <- struct{}{}
		case tick:
			time.Sleep(c.config.Tick)
		case rest:
			select {
			case <-c.arrived:
			case <-fuse.C:
				c.mu.Lock()
				c.hang = true
				c.mu.Unlock()
				c.Errorf("a hang: nobody is at a point, no timer helps, and %d actors have not ended\n%s", c.live, stacksOf(c.bubble))
				return
			}
		case end:
			return
		}
	}
}

// next is what the controller does next.
type next int

const (
	release next = iota // let a goroutine go
	tick                // let a little time pass
	rest                // wait: nobody is at a point
	end                 // all is over
)

// choose decides that. Everybody else is blocked.
func (c *Controller) choose() (*goroutine, next) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nameStrangers()
	switch {
	case len(c.pending) == 0 && c.live == 0:
		c.over = true
		return nil, end
	case len(c.pending) == 0:
		return nil, rest
	case len(c.trace) >= c.config.MaxSteps:
		c.failures = append(c.failures, fmt.Sprintf("no end after %d steps: a livelock?", len(c.trace)))
		return nil, end // who is at a point stays there
	}
	slices.SortFunc(c.pending, func(a, b *goroutine) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.number, b.number))
	})
	choices := c.pending
	if c.left > 0 {
		choices = append(slices.Clone(choices), c.clock)
	}
	i := c.strategy.choose(choices)
	g := choices[i]
	if c.log != nil {
		_, _ = c.log.WriteString(" " + g.name)
	}
	if g == c.clock {
		c.left--
		c.trace = append(c.trace, Event{Name: clockName, Site: Actor})
		return nil, tick
	}
	c.trace = append(c.trace, Event{g.name, g.site, g.failed})
	g.failed = nil
	c.coverage.step(c.pending, g)
	c.pending = slices.Delete(c.pending, i, i+1)
	return g, release
}

// nameStrangers names goroutines that nobody has named: in the order in which
// they were made, as far as the runtime tells. The caller holds mu.
func (c *Controller) nameStrangers() {
	var strangers []*goroutine
	for _, g := range c.pending {
		if g.name == "" {
			strangers = append(strangers, g)
		}
	}
	slices.SortFunc(strangers, func(a, b *goroutine) int { return cmp.Compare(a.number, b.number) })
	for _, g := range strangers {
		g.name = fmt.Sprintf("other#%d", c.others)
		c.others++
	}
}
