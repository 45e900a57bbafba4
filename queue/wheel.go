package queue

import "math/bits"

// wheel is the timing wheel of a DelayQueue, in ticks.
//
// The place of an entry follows from its tick and the current one alone: the level
// from the highest of the groups of 6 bits in which the two differ, the slot from
// that group of the entry's tick. So all entries of level 0 come before all of level
// 1, and so on; within a level the slots come in their order; a slot of level 0 is
// one tick. The current tick moves on only to the next slot that has entries, or not
// so far; when it comes to a slot above level 0, those entries are placed again, in
// their order. Entries of one tick are therefore always in one slot, in the order in
// which they came, and an entry is found again without a note of where it is.
type wheel[T any] struct {
	entries slab[wheelEntry[T]]
	count   int
	current uint64 // the tick that has come
	levels  uint32 // a bit for each level with entries
	filled  [wheelLevels]uint64
	slots   [wheelLevels][wheelSlots]wheelSlot
	added   uint64 // counts entries, modulo 2^64

	first uint64 // the first tick with an entry, if known
	known bool
}

// wheelEntry is an item in the list of its slot.
type wheelEntry[T any] struct {
	item       T
	due        uint64
	seq        uint64
	prev, next uint32
}

// wheelSlot is a list of entries; what it holds means nothing if it has none.
type wheelSlot struct{ first, last uint32 }

const (
	wheelBits   = 6
	wheelSlots  = 1 << wheelBits
	wheelLevels = (64 + wheelBits - 1) / wheelBits
	// never is a tick after all that come.
	never = 1 << 63
)

func (w *wheel[T]) init() {
	w.entries = newSlab[wheelEntry[T]]()
	w.added = firstSeq()
}

// place returns where an entry of that tick belongs.
func (w *wheel[T]) place(due uint64) (level, slot uint) {
	level = uint(bits.Len64((due^w.current)|(wheelSlots-1))-1) / wheelBits
	return level, uint(due>>(level*wheelBits)) % wheelSlots
}

func (w *wheel[T]) add(item T, due uint64) (Handle, bool) {
	index, entry, ok := w.entries.take()
	if !ok {
		return Handle{}, false
	}
	due = max(due, w.current)
	entry.item, entry.due, entry.seq = item, due, w.added
	w.append(index, entry)
	if w.count == 0 || w.known && due < w.first {
		w.first, w.known = due, true
	}
	w.count++
	handle := Handle{w.added, index}
	if w.added++; w.added == 0 {
		w.added = 1
	}
	return handle, true
}

// append stores an entry at the end of its slot.
func (w *wheel[T]) append(index uint32, entry *wheelEntry[T]) {
	level, slot := w.place(entry.due)
	list := &w.slots[level][slot]
	entry.next = none
	if w.filled[level]>>slot&1 == 0 {
		w.filled[level] |= 1 << slot
		w.levels |= 1 << level
		entry.prev, list.first = none, index
	} else {
		entry.prev = list.last
		w.entries.at(list.last).next = index
	}
	list.last = index
}

// remove takes an entry out of its slot and gives its node back.
func (w *wheel[T]) remove(index uint32, entry *wheelEntry[T]) T {
	level, slot := w.place(entry.due)
	list := &w.slots[level][slot]
	if entry.prev == none {
		list.first = entry.next
	} else {
		w.entries.at(entry.prev).next = entry.next
	}
	if entry.next == none {
		list.last = entry.prev
	} else {
		w.entries.at(entry.next).prev = entry.prev
	}
	if entry.prev == entry.next { // both none: it was alone
		w.clear(level, slot)
	}
	if entry.due == w.first {
		w.known = false
	}
	item := entry.item
	w.count--
	w.entries.give(index)
	return item
}

func (w *wheel[T]) clear(level, slot uint) {
	if w.filled[level] &^= 1 << slot; w.filled[level] == 0 {
		w.levels &^= 1 << level
	}
}

func (w *wheel[T]) cancel(handle Handle) (item T, ok bool) {
	entry := w.entries.find(handle.index)
	if entry == nil || entry.seq != handle.seq {
		return item, false
	}
	return w.remove(handle.index, entry), true
}

// pop removes the first entry of the ticks up to now.
func (w *wheel[T]) pop(now uint64) (item T, ok bool) {
	now = max(now, w.current)
	for w.count > 0 {
		level, slot, begin := w.soonest()
		if begin > now {
			break
		}
		w.current = begin
		if level == 0 {
			index := w.slots[0][slot].first
			return w.remove(index, w.entries.at(index)), true
		}
		w.cascade(level, slot)
	}
	w.current = now
	return item, false
}

// soonest returns the slot of the soonest entries, and the tick with which it begins.
func (w *wheel[T]) soonest() (level, slot uint, begin uint64) {
	level = uint(bits.TrailingZeros32(w.levels))
	slot = uint(bits.TrailingZeros64(w.filled[level]))
	above := (level + 1) * wheelBits // a shift by 64 or more leaves 0
	return level, slot, w.current>>above<<above | uint64(slot)<<(level*wheelBits)
}

// cascade places the entries of a slot that the current tick has come to again.
func (w *wheel[T]) cascade(level, slot uint) {
	index := w.slots[level][slot].first
	w.clear(level, slot)
	for index != none {
		entry := w.entries.at(index)
		next := entry.next
		w.append(index, entry)
		index = next
	}
}

// next returns the first tick that has an entry and will come.
func (w *wheel[T]) next() (uint64, bool) {
	if w.count == 0 {
		return 0, false
	}
	if !w.known {
		level, slot, first := w.soonest()
		if level > 0 {
			first = never
			for index := w.slots[level][slot].first; index != none; {
				entry := w.entries.at(index)
				first = min(first, entry.due)
				index = entry.next
			}
		}
		w.first, w.known = first, true
	}
	return w.first, w.first != never
}
