package queuetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// kind is what a call is.
type kind uint8

const (
	push kind = iota
	pop
	steal
	length
)

// event is one call in a history, with the moments at which it began and ended.
type event struct {
	kind   kind
	ok     bool
	alone  bool // no other call was under way at any moment of it
	worker int
	item   *Item // nil if nothing was popped
	n      int   // what Len has returned
	place  int   // in its batch
	call   int64
	ret    int64
}

func (e event) String() string {
	who := fmt.Sprintf("%d: ", e.worker)
	if e.worker < 0 {
		who = "-: "
	}
	switch {
	case e.kind == length:
		return fmt.Sprintf("%sLen %d", who, e.n)
	case e.kind == push && e.ok:
		return fmt.Sprintf("%spush %d", who, e.item.ID)
	case e.kind == push:
		return fmt.Sprintf("%spush %d refused", who, e.item.ID)
	}
	what := who + "pop"
	if e.kind == steal {
		what = who + "steal"
	}
	switch {
	case !e.ok:
		return what + " nothing"
	case e.item == nil:
		return what + " nil"
	}
	return fmt.Sprintf("%s %d", what, e.item.ID)
}

// history is all that was done with one queue, from its making until it was
// drained.
type history struct {
	s      *Spec
	cap    int
	events []event
	how    string // how to make it again
	cut    string // why it has no end, or ""
}

// complete sorts the events by when they began, and marks those that were alone.
func (h *history) complete() {
	slices.SortStableFunc(h.events, func(a, b event) int { return cmp.Compare(a.call, b.call) })
	latest := int64(-1) // when the last of those before has ended
	for i := range h.events {
		e := &h.events[i]
		e.alone = latest < e.call && (i+1 == len(h.events) || e.ret < h.events[i+1].call)
		latest = max(latest, e.ret)
	}
}

// String lists the calls, with when they began and ended.
func (h *history) String() string {
	const most = 250
	var b strings.Builder
	fmt.Fprintf(&b, "capacity %d, %s; worker: call [began, ended]\n", h.cap, h.how)
	first := int64(0)
	if len(h.events) > 0 {
		first = h.events[0].call
	}
	for i, e := range h.events {
		if i == most {
			fmt.Fprintf(&b, "… and %d more\n", len(h.events)-most)
			break
		}
		fmt.Fprintf(&b, "%v [%d, %d]\n", e, e.call-first, e.ret-first)
	}
	return b.String()
}

// stay is one item's: when it came and when it went.
type stay struct {
	item *Item
	in   event
	out  event // its call is never if it has not left
}

// never is later than all moments.
const never = 1<<63 - 1

// stays pairs the pushes with the pops, and reports what was lost, has doubled or
// come from nowhere. The stays are sorted by the end of their push.
func (h *history) stays() ([]stay, error) {
	at := make(map[*Item]int, len(h.events)/2)
	all := make([]stay, 0, len(h.events)/2)
	for _, e := range h.events {
		if e.kind == push && e.ok {
			at[e.item] = len(all)
			all = append(all, stay{item: e.item, in: e, out: event{call: never, ret: never}})
		}
	}
	for _, e := range h.events {
		if e.kind != pop && e.kind != steal || !e.ok {
			continue
		}
		i, known := at[e.item]
		switch {
		case e.item == nil:
			return nil, fmt.Errorf("a pop succeeded and gave nothing: %v", e)
		case !known:
			return nil, fmt.Errorf("item %d has left, and no push of it succeeded", e.item.ID)
		case all[i].out.call != never:
			return nil, fmt.Errorf("item %d has left twice: %v and %v", e.item.ID, all[i].out, e)
		case e.ret < all[i].in.call:
			return nil, fmt.Errorf("item %d left before it came", e.item.ID)
		}
		all[i].out = e
	}
	for _, st := range all {
		if st.out.call == never {
			return nil, fmt.Errorf("item %d was lost: it came, and was not there when the queue was drained", st.item.ID)
		}
	}
	slices.SortFunc(all, func(a, b stay) int { return cmp.Compare(a.in.ret, b.in.ret) })
	return all, nil
}

// checkBound looks for a moment with more items than there is room for: those
// that have certainly come and cannot have gone.
func (h *history) checkBound(all []stay) error {
	outs := make([]int64, 0, len(all))
	for _, st := range all {
		outs = append(outs, st.out.call)
	}
	slices.Sort(outs)
	out := 0
	for i, st := range all { // by the end of the push
		for out < len(outs) && outs[out] <= st.in.ret {
			out++
		}
		if n := i + 1 - out; n > h.cap {
			return fmt.Errorf("after the push of item %d at least %d items were in a queue for %d", st.item.ID, n, h.cap)
		}
	}
	return nil
}

// checkLen looks for impossible lengths.
func (h *history) checkLen(all []stay) error {
	began := make([]int64, 0, len(all))
	for _, st := range all {
		began = append(began, st.in.call)
	}
	slices.Sort(began)
	for _, e := range h.events {
		if e.kind != length {
			continue
		}
		came, _ := slices.BinarySearch(began, e.ret+1)
		if e.n < 0 || e.n > h.cap || e.n > came {
			return fmt.Errorf("a Len of %d, with room for %d and %d pushes that had begun", e.n, h.cap, came)
		}
	}
	return nil
}

// checkEmpty looks for a call that found nothing though one item was there
// all the time. For an answer that is Loose, only calls that were alone count.
func (h *history) checkEmpty(all []stay) error {
	// after[i] is the latest end of a stay among the first i+1.
	after := make([]int64, len(all))
	latest := int64(-1)
	for i, st := range all {
		latest = max(latest, st.out.call)
		after[i] = latest
	}
	for _, e := range h.events {
		if e.ok || h.excused(e) || e.kind != pop && e.kind != steal {
			continue
		}
		i, _ := slices.BinarySearchFunc(all, e.call, func(st stay, call int64) int { return cmp.Compare(st.in.ret, call) })
		if i == 0 || after[i-1] <= e.ret {
			continue
		}
		for _, st := range all[:i] {
			if st.out.call > e.ret {
				return fmt.Errorf("%v, though item %d was there from before its beginning until after its end", e, st.item.ID)
			}
		}
	}
	return nil
}

// checkFull looks for a push that was refused though there was room all the time.
func (h *history) checkFull(all []stay) error {
	ins, outs := make([]int64, 0, len(all)), make([]int64, 0, len(all))
	for _, st := range all {
		ins, outs = append(ins, st.in.call), append(outs, st.out.ret)
	}
	slices.Sort(ins)
	slices.Sort(outs)
	for _, e := range h.events {
		if e.kind != push || e.ok || h.excused(e) {
			continue
		}
		came, _ := slices.BinarySearch(ins, e.ret+1) // all that may have come
		gone, _ := slices.BinarySearch(outs, e.call) // all that have certainly gone
		if came-gone < h.cap {
			return fmt.Errorf("%v, with at most %d items in a queue for %d all the time", e, came-gone, h.cap)
		}
	}
	return nil
}

// excused reports whether a refusal is none that means anything.
func (h *history) excused(e event) bool {
	promise := h.s.Empty
	switch e.kind {
	case push:
		promise = h.s.Full
	case steal:
		promise = h.s.Missed
	}
	return promise == Loose && !e.alone
}
