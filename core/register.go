package core

import (
	"iter"
	"math/bits"
)

// register counts what a user's scheduler stores, in case it does not give it back. It
// is a hash table with linear probing, since a map takes two to three times as long, under
// the mutex that all goroutines want: see BenchmarkRegister. A job's address is hashed: Go's
// collector moves nothing that is on the heap. The zero register is empty. It is not safe
// for concurrent use.
type register struct {
	places []registered // a power of two, or none; at most half of them are taken
	taken  int
	shift  int // what leaves an index of the upper bits of a hash
	live   int // how many entries, counted as often as they are stored
}

// registered is a live entry. A function may be stored several times.
type registered struct {
	job   Job
	times int
}

const (
	minRegister = 64
	// keepRegister is how many places are kept, however few of them are taken.
	keepRegister = 1 << 13
)

// home returns the place where the search for job begins: a multiplicative hash (Knuth,
// The Art of Computer Programming, volume 3, section 6.4), twice, since once leaves the
// even distances at which an allocator lays jobs out.
func (g *register) home(job Job) int {
	const golden = 0x9E3779B97F4A7C15
	hash := uint64(uintptr(job.p)) * golden
	return int((hash ^ hash>>32) * golden >> g.shift)
}

// find returns the place of job, or the free one where it belongs. There are places.
func (g *register) find(job Job) int {
	i := g.home(job)
	for g.places[i].job != job && g.places[i].times != 0 {
		i = (i + 1) & (len(g.places) - 1)
	}
	return i
}

// add counts job as stored once more.
func (g *register) add(job Job) {
	if 2*g.taken >= len(g.places) {
		g.resize(max(2*len(g.places), minRegister))
	}
	g.live++
	p := &g.places[g.find(job)]
	if p.times == 0 {
		p.job = job
		g.taken++
	}
	p.times++
}

func (g *register) resize(n int) {
	old := g.places
	g.places, g.shift = make([]registered, n), 64-bits.TrailingZeros(uint(n))
	for _, p := range old {
		if p.times > 0 {
			g.places[g.find(p.job)] = p
		}
	}
}

// has reports whether job is stored.
func (g *register) has(job Job) bool {
	return g.taken > 0 && g.places[g.find(job)].times > 0
}

// remove counts job as stored once less. It reports false if it is not stored.
func (g *register) remove(job Job) bool {
	if g.taken == 0 {
		return false
	}
	i := g.find(job)
	if g.places[i].times == 0 {
		return false
	}
	g.live--
	if g.places[i].times--; g.places[i].times > 0 {
		return true
	}
	g.taken--
	// Whoever was turned away from the free place moves into it.
	mask := len(g.places) - 1
	for next := (i + 1) & mask; g.places[next].times > 0; next = (next + 1) & mask {
		if (next-g.home(g.places[next].job))&mask >= (next-i)&mask {
			g.places[i] = g.places[next]
			i = next
		}
	}
	g.places[i] = registered{}
	if len(g.places) > keepRegister && g.taken < len(g.places)/16 {
		g.resize(len(g.places) / 4)
	}
	return true
}

// all are the jobs, each as often as it is stored.
func (g *register) all() iter.Seq[Job] {
	return func(yield func(Job) bool) {
		for _, p := range g.places {
			for range p.times {
				if !yield(p.job) {
					return
				}
			}
		}
	}
}
