package scheduler

import "maps"

// ring is a list with two ends in one slice. It grows by doubling, and becomes half
// as large when three quarters are empty. The zero ring is empty and holds no memory.
type ring[T any] struct {
	buffer []T // its length is a power of two, or zero
	first  int
	count  int
}

// ringMin is the smallest buffer: one cache line of jobs.
const ringMin = 8

func (r *ring[T]) at(i int) *T { return &r.buffer[(r.first+i)&(len(r.buffer)-1)] }

func (r *ring[T]) push(item T) {
	if r.count == len(r.buffer) {
		r.resize(max(2*r.count, ringMin))
	}
	r.count++
	*r.at(r.count - 1) = item
}

func (r *ring[T]) popFirst() (item T) {
	place := r.at(0)
	item, *place = *place, item
	r.first++
	r.shorten(r.count - 1)
	return item
}

func (r *ring[T]) popLast() (item T) {
	place := r.at(r.count - 1)
	item, *place = *place, item
	r.shorten(r.count - 1)
	return item
}

// deleteFunc removes the items for which drop returns true, the first is asked about
// first.
func (r *ring[T]) deleteFunc(drop func(T) bool) {
	kept := 0
	for i := range r.count {
		if item := *r.at(i); !drop(item) {
			*r.at(kept) = item
			kept++
		}
	}
	for i := kept; i < r.count; i++ {
		*r.at(i) = *new(T)
	}
	r.shorten(kept)
}

// shorten sets the number of items, the rest being cleared already.
func (r *ring[T]) shorten(count int) {
	r.count = count
	if n := len(r.buffer); n > ringMin && count <= n/4 {
		for n > ringMin && count <= n/4 {
			n /= 2
		}
		r.resize(n)
	}
}

func (r *ring[T]) resize(length int) {
	buffer := make([]T, length)
	for i := range r.count {
		buffer[i] = *r.at(i)
	}
	r.buffer, r.first = buffer, 0
}

// shrunk returns m, or a copy of it if it has become much smaller than the most that it
// held, since a map keeps its memory.
func shrunk[K comparable, V any](m map[K]V, most *int) map[K]V {
	if *most < 128 || len(m) > *most/8 {
		return m
	}
	*most = len(m)
	smaller := make(map[K]V, len(m))
	maps.Copy(smaller, m)
	return smaller
}
