package balance

import (
	"math/rand/v2"
	"sync/atomic"

	"github.com/uptutu/goman/core"
)

// load counts the tasks that an engine has accepted and not ended. Submitters write
// the one word and workers the other, each on a cache line of its own.
type load struct {
	_        [64]byte
	accepted atomic.Int64
	_        [64]byte
	ended    atomic.Int64
	_        [64]byte
}

// hooks are the functions that count.
func (l *load) hooks() core.Hooks {
	return core.Hooks{
		Accepted: func(core.Job) { l.accepted.Add(1) },
		Ended:    func(core.EndInfo) { l.ended.Add(1) },
	}
}

// correct makes the load what it is said to be.
func (l *load) correct(load int) {
	l.accepted.Add(int64(load) - l.accepted.Load() + l.ended.Load())
}

// now returns the load. A task may be told to have ended before it is told to have been
// accepted, so the difference may be negative for a moment.
func (l *load) now() int64 {
	ended := l.ended.Load() // first: what ends meanwhile must not make it negative
	return max(l.accepted.Load()-ended, 0)
}

// lighter reports whether engine i would be less loaded than j after one more task.
// It multiplies where it might divide, so that equals are equal.
func (r *roster) lighter(i, j int) bool {
	a, b := float64(r.seats[i].load.now()+1), float64(r.seats[j].load.now()+1)
	return a*r.weights[j] < b*r.weights[i]
}

// leastLoaded begins somewhere, so that among equals none is preferred.
func (r *roster) leastLoaded(asked []bool) int {
	n := len(r.seats)
	if n == 0 {
		return -1
	}
	best, i := -1, rand.IntN(n)
	for range n {
		if r.free(i, asked) && (best < 0 || r.lighter(i, best)) {
			best = i
		}
		if i++; i == n {
			i = 0
		}
	}
	return best
}

func (r *roster) powerOfTwo(asked []bool) int {
	n := len(r.seats)
	if n < 2 {
		return r.from(0, asked)
	}
	i, j := rand.IntN(n), rand.IntN(n-1)
	if j >= i {
		j++
	}
	switch first, second := r.free(i, asked), r.free(j, asked); {
	case first && second:
		if r.lighter(j, i) {
			return j
		}
		return i
	case first:
		return i
	case second:
		return j
	}
	return r.leastLoaded(asked)
}
