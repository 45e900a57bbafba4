package queuetest

import (
	"cmp"
	"fmt"
	"slices"
)

// checkOrder compares the stays of items two by two, in a way that takes hardly
// more than linear time: what was there during the whole of a pop, and goes before
// what the pop gave, was passed over. For items of one class (all, of one rank, or
// of one key), that came one after the other, it is enough that the first leaves
// after the second.
func (h *history) checkOrder(all []stay) error {
	switch h.s.Order {
	case FIFO:
		if !h.s.exactOrder() {
			return h.checkPassed(all)
		}
		return h.checkClass(all)
	case LIFO:
		return h.checkStack(all)
	case Priority:
		if !h.s.exactOrder() {
			return h.checkPassed(all)
		}
		return h.checkRanks(all)
	case Fair:
		for key := range keys {
			if err := h.checkClass(only(all, func(it *Item) bool { return it.Key == key })); err != nil {
				return err
			}
		}
	}
	return nil
}

func only(all []stay, which func(*Item) bool) (some []stay) {
	for _, st := range all {
		if which(st.item) {
			some = append(some, st)
		}
	}
	return some
}

// checkClass is FIFO: of all whose push ended before an item's began, none may
// leave in a call that begins after that item has left.
func (h *history) checkClass(all []stay) error {
	byIn := slices.Clone(all)
	slices.SortFunc(byIn, func(a, b stay) int { return cmp.Compare(a.in.call, b.in.call) })
	last := -1 // of those that came before, the one whose leaving begins last
	done := 0
	for _, st := range byIn {
		for done < len(all) && all[done].in.ret < st.in.call {
			if last < 0 || all[done].out.call > all[last].out.call {
				last = done
			}
			done++
		}
		if last >= 0 && all[last].out.call > st.out.ret {
			return fmt.Errorf("%s came after %s and left before it", name(h.s, st.item), name(h.s, all[last].item))
		}
	}
	return nil
}

// checkRanks is strict priority: of those with a better rank, none may be there
// during the whole of a pop.
func (h *history) checkRanks(all []stay) error {
	byRank := map[int][]stay{}
	for _, st := range all {
		byRank[st.item.Rank] = append(byRank[st.item.Rank], st)
	}
	var better []stay // sorted by the end of their push
	for _, rank := range sortedKeys(byRank) {
		same := byRank[rank]
		if h.s.Stable {
			if err := h.checkClass(same); err != nil {
				return err
			}
		}
		if err := h.checkBetter(better, same); err != nil {
			return err
		}
		better = append(better, same...)
		slices.SortFunc(better, func(a, b stay) int { return cmp.Compare(a.in.ret, b.in.ret) })
	}
	return nil
}

func (h *history) checkBetter(better, worse []stay) error {
	byOut := slices.Clone(worse)
	slices.SortFunc(byOut, func(a, b stay) int { return cmp.Compare(a.out.call, b.out.call) })
	last, done := -1, 0 // of those there when a pop began, the one that stays longest
	for _, st := range byOut {
		for done < len(better) && better[done].in.ret < st.out.call {
			if last < 0 || better[done].out.call > better[last].out.call {
				last = done
			}
			done++
		}
		if last >= 0 && better[last].out.call > st.out.ret {
			return fmt.Errorf("%s left, and %s was there from before the call until after it", name(h.s, st.item), name(h.s, better[last].item))
		}
	}
	return nil
}

// checkStack is LIFO: what came after an item and was there during the whole of
// its pop should have gone first. It compares all pairs near each other in time.
func (h *history) checkStack(all []stay) error {
	for _, st := range all {
		if st.out.kind == steal {
			continue
		}
		for i := len(all) - 1; i >= 0 && all[i].in.ret > st.in.ret; i-- {
			other := all[i]
			if st.in.ret < other.in.call && other.in.ret < st.out.call && other.out.call > st.out.ret {
				return fmt.Errorf("item %d left, and item %d, which came later, was there from before the call until after it", st.item.ID, other.item.ID)
			}
		}
	}
	return nil
}

// checkPassed counts how many were passed over. It compares all pairs.
func (h *history) checkPassed(all []stay) error {
	for _, st := range all {
		passed := 0
		for _, other := range all {
			if other.in.ret >= st.out.call {
				break
			}
			if other.out.call > st.out.ret && h.goesFirst(other, st) {
				passed++
			}
		}
		if passed > h.s.Slack.Max {
			return fmt.Errorf("%s left before %d that go first and were there all the time, with a slack of %d", name(h.s, st.item), passed, h.s.Slack.Max)
		}
	}
	return nil
}

func (h *history) goesFirst(a, b stay) bool {
	earlier := a.in.ret < b.in.call
	if h.s.Order == Priority {
		return a.item.Rank < b.item.Rank || a.item.Rank == b.item.Rank && h.s.Stable && earlier
	}
	return earlier
}

func sortedKeys[V any](m map[int]V) []int {
	all := make([]int, 0, len(m))
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}
