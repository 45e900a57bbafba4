package queuetest

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing/synctest"
)

// controller lets one goroutine at a time go on, from one point of the queue to its
// next, in an order that a seed chooses. It lives in a testing/synctest bubble,
// which tells it when all others are at a point or blocked.
type controller struct {
	random *rand.Rand
	pct    bool
	change map[int]bool // the steps at which the highest rank becomes the lowest
	low    float64
	wakes  bool // not only the one that was let go can come to a point

	mu      sync.Mutex
	actors  map[uint64]*actor // by the number of their goroutine
	pending []*actor          // at a point
	live    int
	step    int
	running *actor // the one that was let go last
	over    bool   // who comes to a point ends there
}

// strays tells that a test has given goroutines up: wherever they are, they may go on,
// and come to points while a controller of a later test is at work.
var strays atomic.Bool

// actor is a goroutine of a controller.
type actor struct {
	index  int
	rank   float64
	turns  int // steps in a row
	resume chan struct{}
}

// maxSteps is how many steps a schedule may have, where a hundred are usual.
const maxSteps = 20_000

// newController makes one for about as many steps as said. Three in four go by
// ranks that change at up to two random steps (Burckhardt et al., "A randomized
// scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010), the
// others choose anew at each step.
func newController(random *rand.Rand, steps int) *controller {
	c := &controller{random: random, actors: map[uint64]*actor{}, change: map[int]bool{}, wakes: strays.Load()}
	if depth := random.IntN(4); depth > 0 {
		c.pct = true
		for range depth {
			c.change[random.IntN(max(steps, 1))] = true
		}
	}
	return c
}

// start makes a goroutine that does one thing after the other, with a point before
// each. It is called in the bubble.
func (c *controller) start(body func(point func())) {
	a := &actor{index: c.live, rank: 1 + c.random.Float64(), resume: make(chan struct{}, 1)}
	c.live++
	go func() {
		defer func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.live--
		}()
		if c.wakes {
			c.mu.Lock()
			c.actors[goroutineNumber()] = a
			c.mu.Unlock()
		}
		c.stop(a)
		body(c.at)
	}()
}

// at is a point. Goroutines of others pass.
func (c *controller) at() {
	c.mu.Lock()
	a := c.running
	c.mu.Unlock()
	if c.wakes {
		number := goroutineNumber() // which is slow
		c.mu.Lock()
		a = c.actors[number]
		c.mu.Unlock()
	}
	if a != nil {
		c.stop(a)
	}
}

// stop stops the calling goroutine until it is let go.
func (c *controller) stop(a *actor) {
	c.mu.Lock()
	if c.over {
		c.mu.Unlock()
		runtime.Goexit()
	}
	c.pending = append(c.pending, a)
	c.mu.Unlock()
	<-a.resume
	c.mu.Lock()
	over := c.over
	c.mu.Unlock()
	if over {
		runtime.Goexit()
	}
}

// run lets the goroutines go until all have ended. When none can go on it calls
// idle, which may unblock some, and reports false if it has nothing left to try: then
// they are blocked for ever. A schedule without end is an error too; its goroutines
// end at their next point.
func (c *controller) run(idle func() (bool, error)) error {
	for {
		synctest.Wait()
		a, live := c.next()
		switch {
		case live == 0:
			return nil
		case c.step > maxSteps:
			c.end(a)
			return fmt.Errorf("no end after %d steps: a livelock, or a loop without end", maxSteps)
		case a != nil:
			a.resume <- struct{}{}
		default:
			if more, err := idle(); err != nil || !more {
				return cmp.Or(err, fmt.Errorf("%d goroutines are blocked for ever", live))
			}
		}
	}
}

// next chooses one of those at a point.
func (c *controller) next() (*actor, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 {
		return nil, c.live
	}
	slices.SortFunc(c.pending, func(a, b *actor) int { return cmp.Compare(a.index, b.index) })
	i := c.choose()
	a := c.pending[i]
	c.pending = slices.Delete(c.pending, i, i+1)
	c.step++
	c.running = a
	return a, c.live
}

func (c *controller) choose() int {
	if !c.pct {
		return c.random.IntN(len(c.pending))
	}
	i := c.highest()
	a := c.pending[i]
	// Who goes on alone for long may wait for another in a loop.
	if a.turns++; a.turns > 40 || c.change[c.step] {
		c.low--
		a.rank, a.turns = c.low, 0
		i = c.highest()
	}
	for j, other := range c.pending {
		if j != i {
			other.turns = 0
		}
	}
	return i
}

func (c *controller) highest() (best int) {
	for i, a := range c.pending {
		if a.rank > c.pending[best].rank {
			best = i
		}
	}
	return best
}

// end makes all goroutines end at their points, and one that was chosen to go on.
func (c *controller) end(chosen *actor) {
	c.mu.Lock()
	c.over = true
	pending := c.pending
	c.pending = nil
	c.mu.Unlock()
	for _, a := range append(pending, chosen) {
		if a != nil {
			a.resume <- struct{}{}
		}
	}
	synctest.Wait()
}

// goroutineNumber is the number of the calling goroutine, as stacks show it.
func goroutineNumber() uint64 {
	var space [32]byte
	text, _ := bytes.CutPrefix(space[:runtime.Stack(space[:], false)], []byte("goroutine "))
	digits, _, _ := bytes.Cut(text, []byte(" "))
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		panic("queuetest: a stack begins with " + string(space[:]))
	}
	return n
}
