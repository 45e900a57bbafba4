//go:build goman_points

package point

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Strategy is how the next goroutine is chosen.
type Strategy int

const (
	// Mixed takes turns, by seed: a random walk, then PCT of depth 1, 2 and 3.
	Mixed Strategy = iota
	// RandomWalk chooses each time among all that are at a point.
	RandomWalk
	// PCT gives each goroutine a random rank when it first comes to a point, and
	// lets the highest go. At depth-1 random steps it makes that one the lowest.
	// With n goroutines and k steps a bug of that depth is hit by one schedule in
	// n*k^(depth-1) at least.
	PCT
)

var strategies = [...]string{Mixed: "mixed", RandomWalk: "walk", PCT: "pct"}

// String returns the strategy's name.
func (s Strategy) String() string { return strategies[s] }

// strategy chooses one of those at a point, who are sorted by name. The clock, if
// it is one of the choices, is the last.
type strategy interface {
	choose(choices []*goroutine) int
}

// newStrategy makes the strategy of one schedule.
func newStrategy(c *Config) strategy {
	random := rand.New(rand.NewPCG(c.Seed, 0x60a4))
	if c.Choices != nil {
		return &replay{choices: c.Choices}
	}
	if c.Strategy == PCT {
		p := &pct{random: random, at: make(map[int]int)}
		for i := range c.Depth - 1 {
			p.at[random.IntN(c.Steps)] = i
		}
		return p
	}
	return walk{random}
}

type walk struct{ random *rand.Rand }

func (w walk) choose(choices []*goroutine) int { return w.random.IntN(len(choices)) }

type pct struct {
	random *rand.Rand
	at     map[int]int // the steps at which the highest becomes the lowest
	step   int
	low    float64 // the lowest rank given to one that waits in a loop
}

// choose follows the ranks: those at the start lie above 1, those given at a change
// between 0 and 1, and those of goroutines that turn in a loop below 0. The clock
// has no rank, or it would use up its time at once, or never.
func (p *pct) choose(choices []*goroutine) int {
	n := len(choices)
	if choices[n-1].name == clockName {
		n--
		if p.random.IntN(8) == 0 {
			return n
		}
	}
	for _, g := range choices[:n] {
		if !g.ranked {
			g.ranked, g.rank = true, 1+p.random.Float64()
		}
		if g.yields && !g.lowered { // once for each look, or of two that wait one would look for ever
			p.low--
			g.rank, g.lowered = p.low, true
		}
	}
	i := highest(choices[:n])
	if change, here := p.at[p.step]; here {
		choices[i].rank = 1 / float64(change+2)
		i = highest(choices[:n])
	}
	p.step++
	choices[i].lowered = false
	return i
}

func highest(choices []*goroutine) (best int) {
	for i, g := range choices {
		if g.rank > choices[best].rank {
			best = i
		}
	}
	return best
}

// replay follows a list of names, and then lets one after the other go in the
// order of their names.
type replay struct {
	choices  []string
	last     string
	diverged int // the first step, from 1, whose choice was not there to be made
	step     int
}

func (r *replay) choose(choices []*goroutine) int {
	if r.step < len(r.choices) {
		name := r.choices[r.step]
		r.step++
		r.last = name
		if i := slices.IndexFunc(choices, func(g *goroutine) bool { return g.name == name }); i >= 0 {
			return i
		}
		if r.diverged == 0 {
			r.diverged = r.step
		}
	}
	i := slices.IndexFunc(choices, func(g *goroutine) bool { return g.name > r.last && g.name != clockName })
	i = max(i, 0) // choices[0] is the clock only if there is nobody else
	r.last = choices[i].name
	return i
}

// Text is the configuration of one schedule with its choices, to be kept in a
// test: "seed=7 faults=0.1 tick=1ms ticks=4 main*3 a worker#0*2". [Parse] reads it.
func (c Config) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed=%d faults=%v tick=%v ticks=%d", c.Seed, c.Faults, c.Tick, c.Ticks)
	for i := 0; i < len(c.Choices); {
		n := 1
		for i+n < len(c.Choices) && c.Choices[i+n] == c.Choices[i] {
			n++
		}
		b.WriteString(" " + c.Choices[i])
		if n > 1 {
			fmt.Fprintf(&b, "*%d", n)
		}
		i += n
	}
	return b.String()
}
