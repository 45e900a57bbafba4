package queue

import (
	"math"
	"math/bits"
)

// slab keeps nodes that refer to each other by number: 4 bytes where a pointer
// takes 8, and nothing for the garbage collector to follow. Nodes lie in chunks of
// 64; a chunk without a used node is given back, but for one that is kept.
type slab[N any] struct {
	chunks []slabChunk[N]
	limit  int    // the largest number of chunks
	open   uint32 // the first chunk with both used and free nodes, or none
	vacant uint32 // the first number whose chunk was given back, or none
	spare  *[slabNodes]N
	used   int // chunks with nodes in use
}

type slabChunk[N any] struct {
	nodes      *[slabNodes]N
	taken      uint64 // a bit for each node in use
	prev, next uint32 // in the list of open or of vacant chunks
}

const (
	slabNodes = 64
	slabBits  = 6
	// none is no node and no chunk.
	none = ^uint32(0)
	// maxChunks keeps none from being a node's number.
	maxChunks = 1<<(32-slabBits) - 1
)

func newSlab[N any]() slab[N] {
	return slab[N]{limit: maxChunks, open: none, vacant: none}
}

// capacity returns how many nodes there may be: nearly 2^32, or fewer where an int
// has 32 bits.
func (s *slab[N]) capacity() int {
	return int(min(uint64(s.limit)*slabNodes, math.MaxInt))
}

// at returns a node in use.
func (s *slab[N]) at(index uint32) *N {
	return &s.chunks[index>>slabBits].nodes[index%slabNodes]
}

// find returns the node if it is in use, else nil.
func (s *slab[N]) find(index uint32) *N {
	c := index >> slabBits
	if uint64(c) >= uint64(len(s.chunks)) || s.chunks[c].taken>>(index%slabNodes)&1 == 0 {
		return nil
	}
	return s.at(index)
}

// take returns a zero node that was free. It reports false if there is none.
func (s *slab[N]) take() (uint32, *N, bool) {
	c := s.open
	if c == none {
		if c = s.grow(); c == none {
			return none, nil, false
		}
	}
	chunk := &s.chunks[c]
	i := bits.TrailingZeros64(^chunk.taken)
	chunk.taken |= 1 << i
	if chunk.taken == ^uint64(0) {
		s.unlink(c)
	}
	return c<<slabBits | uint32(i), &chunk.nodes[i], true
}

// give takes a node back and clears it.
func (s *slab[N]) give(index uint32) {
	c, i := index>>slabBits, index%slabNodes
	chunk := &s.chunks[c]
	chunk.nodes[i] = *new(N)
	if chunk.taken == ^uint64(0) {
		s.link(c)
	}
	chunk.taken &^= 1 << i
	if chunk.taken == 0 {
		s.drop(c)
	}
}

// grow opens a chunk of free nodes.
func (s *slab[N]) grow() uint32 {
	c := s.vacant
	switch {
	case c != none:
		s.vacant = s.chunks[c].next
	case len(s.chunks) < s.limit:
		c = uint32(len(s.chunks))
		s.chunks = append(s.chunks, slabChunk[N]{})
	default:
		return none
	}
	nodes := s.spare
	s.spare = nil
	if nodes == nil {
		nodes = new([slabNodes]N)
	}
	s.chunks[c].nodes = nodes
	s.used++
	s.link(c)
	return c
}

// drop gives an open chunk without used nodes back, and the table with the last.
func (s *slab[N]) drop(c uint32) {
	s.unlink(c)
	s.spare = s.chunks[c].nodes
	s.chunks[c] = slabChunk[N]{next: s.vacant}
	s.vacant = c
	s.used--
	if s.used == 0 && len(s.chunks) > slabNodes {
		s.chunks, s.vacant = nil, none
	}
}

func (s *slab[N]) link(c uint32) {
	s.chunks[c].prev, s.chunks[c].next = none, s.open
	if s.open != none {
		s.chunks[s.open].prev = c
	}
	s.open = c
}

func (s *slab[N]) unlink(c uint32) {
	prev, next := s.chunks[c].prev, s.chunks[c].next
	if prev == none {
		s.open = next
	} else {
		s.chunks[prev].next = next
	}
	if next != none {
		s.chunks[next].prev = prev
	}
}
