package balance

import (
	"math"
	"sync/atomic"
)

// maxRound is how many turns a round of [WeightedRoundRobin] has at most.
const maxRound = 4096

// turns hands out the numbers 0 to size-1 again and again, to any number of
// goroutines, each number once in a round.
//
// A counter that ran over at 2^64 would break its last round off, where 2^64 is not a
// multiple of size. So it is turned back before: limit is a multiple of size, and whoever
// draws it, which is one goroutine, takes limit off. Those who draw larger numbers
// meanwhile take it off for themselves. There are 2^63 numbers above limit.
type turns struct {
	size, limit uint64
	_           [64]byte
	drawn       atomic.Uint64
	_           [64]byte
}

func newTurns(size int, start uint64) *turns {
	n := uint64(size)
	t := &turns{size: n, limit: (1 << 63) / n * n}
	t.drawn.Store(start % n)
	return t
}

// next draws the next number.
func (t *turns) next() int {
	n := t.drawn.Add(1) - 1
	if n >= t.limit {
		if n == t.limit {
			t.drawn.Add(-t.limit)
		}
		n -= t.limit
	}
	return int(n % t.size)
}

// place returns which number comes next, about.
func (t *turns) place() uint64 { return t.drawn.Load() }

// inTurn draws turns until one belongs to an engine that is free. So an engine that is
// passed over loses its turn to the others evenly, and not to the one after it.
func (r *roster) inTurn(asked []bool) int {
	n := len(r.engines)
	if n == 0 {
		return -1
	}
	i := 0
	for range 2 * n {
		i = r.turn()
		if r.free(i, asked) {
			return i
		}
	}
	return r.from(i, asked) // the free ones are few, or others draw their turns
}

// turn returns whose turn is next.
func (r *roster) turn() int {
	i := r.turns.next()
	if r.round != nil {
		return int(r.round[i])
	}
	return i
}

// weightedRound returns the order of one round, or nil if it is that of the engines.
func weightedRound(weights []float64) []uint16 {
	if len(weights) == 0 || equal(weights) {
		return nil
	}
	units := wholeUnits(weights)
	if units == nil {
		units = roundedUnits(weights)
	}
	total := 0
	for _, u := range units {
		total += u
	}
	// Each engine gains its weight with every turn, the richest has the turn and pays
	// what all have gained.
	round := make([]uint16, total)
	purse := make([]int, len(units))
	for turn := range round {
		richest := 0
		for i, u := range units {
			if purse[i] += u; purse[i] > purse[richest] {
				richest = i
			}
		}
		purse[richest] -= total
		round[turn] = uint16(richest)
	}
	return round
}

func equal(weights []float64) bool {
	for _, w := range weights {
		if w != weights[0] {
			return false
		}
	}
	return true
}

// wholeUnits returns how many turns each engine has in a round, if the weights are whole
// numbers and the round is short enough, otherwise nil.
func wholeUnits(weights []float64) []int {
	units, divisor := make([]int, len(weights)), 0
	for i, w := range weights {
		if w != math.Trunc(w) {
			return nil
		}
		units[i] = int(w)
		for a, b := units[i], divisor; ; a, b = b, a%b { // Euclid
			if b == 0 {
				divisor = a
				break
			}
		}
	}
	total := 0
	for i := range units {
		units[i] /= divisor
		total += units[i]
	}
	if total > maxRound {
		return nil
	}
	return units
}

// roundedUnits divides a round of maxRound turns among the engines: one for each, and the
// others by weight. The running sum is rounded, and not each share, so that they add up.
// (due is not 0: weights that all have one turn or less are equal.)
func roundedUnits(weights []float64) []int {
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	spare := maxRound - len(weights) // every engine has one turn
	beyond := func(w float64) float64 { return max(w/sum*maxRound-1, 0) }
	due := 0.0
	for _, w := range weights {
		due += beyond(w)
	}
	units := make([]int, len(weights))
	running, given := 0.0, 0
	for i, w := range weights {
		running += beyond(w) / due * float64(spare)
		whole := int(math.Round(running))
		units[i] = 1 + whole - given
		given = whole
	}
	return units
}
