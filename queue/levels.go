package queue

import (
	"math"
	"math/bits"
)

// MaxLevels is the largest number of levels of a [Levels].
const MaxLevels = 64

// Levels is a queue with strict priority: the item of the lowest level leaves
// first, and within a level the one that came first. A higher level waits as long
// as a lower one is not empty, for ever if need be; where that must not happen,
// use [Fair].
//
// TryPush and TryPop take the same time at any depth, some nanoseconds: a word
// with a bit for each level tells the first that is not empty, and each level is a
// list of blocks, as in the scheduler of Linux 2.6.8 (R. Love, Linux Kernel
// Development, chapter on scheduling). BenchmarkOrder shows it.
//
// It is not safe for concurrent use: one goroutine at a time, each call ends. It
// has no limit but memory. An item takes its size and 8 bytes for each 62 items; a
// level that is not empty has a block of 62 items at least. Blocks are given back
// as they are drained; of those a part is kept for use again, one block when the
// queue is empty, and a queue whose length stays the same allocates nothing.
type Levels[T any] struct {
	level  func(T) int
	filled uint64 // a bit for each level that is not empty
	lines  []levelLine[T]
	count  int

	blocks int // in use
	spare  *levelBlock[T]
	spares int
}

// levelItems makes a block of words as large as a size class of the allocator.
const levelItems = 62

type levelBlock[T any] struct {
	items [levelItems]T
	next  *levelBlock[T]
}

// levelLine is one level: blocks from head to tail, the first item at head[first],
// room at tail[end]. An empty one has no block.
type levelLine[T any] struct {
	head, tail *levelBlock[T]
	first, end int
}

// NewLevels returns an empty queue of the given number of levels, 1 to
// [MaxLevels]. level tells the level of an item as it is pushed, 0 for the most
// urgent; a number below 0 counts as 0, one that is too large as the last level. Any
// other number of levels, or no function, is an error that matches ErrInvalid.
func NewLevels[T any](levels int, level func(item T) int) (*Levels[T], error) {
	if levels < 1 || levels > MaxLevels {
		return nil, invalidf("%d levels of Levels, allowed are 1 to %d", levels, MaxLevels)
	}
	if level == nil {
		return nil, invalidf("the level function of Levels is nil")
	}
	return &Levels[T]{level: level, lines: make([]levelLine[T], levels)}, nil
}

// TryPush stores an item behind those of its level. It always reports true. If the
// level function panics, nothing is stored.
func (q *Levels[T]) TryPush(item T) bool {
	level := min(max(q.level(item), 0), len(q.lines)-1)
	line := &q.lines[level]
	if line.tail == nil || line.end == levelItems {
		q.extend(line)
		q.filled |= 1 << level
	}
	line.tail.items[line.end] = item
	line.end++
	q.count++
	return true
}

// TryPop removes the item that came first in the lowest level that is not empty. It
// reports false if there is none.
func (q *Levels[T]) TryPop() (item T, ok bool) {
	if q.count == 0 {
		return item, false
	}
	level := bits.TrailingZeros64(q.filled)
	line := &q.lines[level]
	place := &line.head.items[line.first]
	item = *place
	*place = *new(T)
	q.count--
	q.passed(level, line, 1)
	return item, true
}

// PushAll stores all items, in their order, and returns their number. If the level
// function panics, the items before that one are stored.
func (q *Levels[T]) PushAll(items []T) int {
	for i := range items {
		q.TryPush(items[i])
	}
	return len(items)
}

// PopAll removes up to len(into) items, in the order of TryPop, stores them in
// into, and returns how many. It copies whole runs, and is cheaper than as many
// calls of TryPop.
func (q *Levels[T]) PopAll(into []T) int {
	n := 0
	for n < len(into) && q.count > 0 {
		level := bits.TrailingZeros64(q.filled)
		line := &q.lines[level]
		end := levelItems
		if line.head == line.tail {
			end = line.end
		}
		run := line.head.items[line.first:end]
		run = run[:copy(into[n:], run)]
		clear(run)
		n += len(run)
		q.count -= len(run)
		q.passed(level, line, len(run))
	}
	return n
}

// Len returns the number of items.
func (q *Levels[T]) Len() int { return q.count }

// Cap returns math.MaxInt: there is no limit but memory.
func (q *Levels[T]) Cap() int { return math.MaxInt }

// Levels returns the number of levels.
func (q *Levels[T]) Levels() int { return len(q.lines) }

// passed moves the line on by n items of its first block.
func (q *Levels[T]) passed(level int, line *levelLine[T], n int) {
	line.first += n
	switch {
	case line.head == line.tail && line.first == line.end:
		q.release(line.head)
		*line = levelLine[T]{}
		q.filled &^= 1 << level
	case line.first == levelItems:
		block := line.head
		line.head, line.first = block.next, 0
		q.release(block)
	}
}

// extend gives the line another block.
func (q *Levels[T]) extend(line *levelLine[T]) {
	block := q.spare
	if block != nil {
		q.spare, block.next = block.next, nil
		q.spares--
	} else {
		block = new(levelBlock[T])
	}
	q.blocks++
	if line.tail == nil {
		line.head = block
	} else {
		line.tail.next = block
	}
	line.tail, line.end = block, 0
}

// release takes back a block whose items are cleared. Of the blocks that are free
// it keeps one for each eight in use, and one more.
func (q *Levels[T]) release(block *levelBlock[T]) {
	q.blocks--
	block.next, q.spare = q.spare, block
	q.spares++
	for q.spares > q.blocks/8+1 {
		q.spare = q.spare.next
		q.spares--
	}
}
