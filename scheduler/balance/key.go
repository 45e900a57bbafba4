package balance

import (
	"hash/maphash"
	"math"

	"github.com/uptutu/goman/core"
)

// hash returns the hash of a key. The seed is the group's own and secret, so nobody from
// outside can choose keys that all belong to one engine.
func (g *Group) hash(key string) uint64 { return maphash.String(g.seed, key) }

// placeOf returns the number that an engine has in the ranking of every key. It is the
// same when the engine comes back.
func (g *Group) placeOf(e *core.Engine) uint64 { return maphash.Comparable(g.seed, e) }

// byKey returns the engine that ranks highest for the key with that hash.
func (r *roster) byKey(asked []bool, hash uint64) int {
	best, highest, farthest := -1, uint64(0), 0.0
	for i, s := range r.seats {
		if !r.free(i, asked) {
			continue
		}
		rank := mix(hash ^ s.place)
		if r.even { // equal weights: the order of the ranks is that of the scores
			if best < 0 || rank > highest {
				best, highest = i, rank
			}
			continue
		}
		if score := weightedScore(rank, r.weights[i]); best < 0 || score > farthest {
			best, farthest = i, score
		}
	}
	return best
}

// weightedScore turns a rank into a score of which the largest is that of each engine
// with a chance in proportion to its weight.
func weightedScore(rank uint64, weight float64) float64 {
	const bits = 52                                     // with one more the largest would be rounded up to 1
	u := (float64(rank>>(64-bits)) + 0.5) / (1 << bits) // above 0 and below 1
	return -weight / math.Log(u)
}

// mix makes every bit of the result depend on every bit of x: the end of SplitMix64
// (Steele, Lea, Flood, 2014).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
