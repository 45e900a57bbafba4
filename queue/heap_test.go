package queue

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"weak"

	"pgregory.net/rapid"
)

func compareKeyed(a, b keyed[int]) int { return cmp.Compare(a.key, b.key) }

func TestHeap_Invalid(t *testing.T) {
	if h, err := NewHeap[int](nil); h != nil || !errors.Is(err, ErrInvalid) {
		t.Errorf("NewHeap(nil) = %v, %v", h, err)
	}
}

// heapPair is a heap and its model: the items in the order of their pushes.
type heapPair struct {
	heap    *Heap[keyed[int]]
	stored  []keyed[int] // by id, that is, by push
	handles []Handle     // by id, also those that have left
	id      int
}

func (p *heapPair) push(key int) {
	item := keyed[int]{key, p.id}
	handle, _ := p.heap.Push(item)
	p.stored = append(p.stored, item)
	p.handles = append(p.handles, handle)
	p.id++
}

// smallest returns the place in stored of the item that leaves next.
func (p *heapPair) smallest() int {
	best := -1
	for i, item := range p.stored {
		if best < 0 || item.key < p.stored[best].key {
			best = i
		}
	}
	return best
}

func (p *heapPair) find(id int) int {
	return slices.IndexFunc(p.stored, func(item keyed[int]) bool { return item.id == id })
}

// pop pops of both and tells a difference.
func (p *heapPair) pop() error {
	peeked, peekOK := p.heap.Peek()
	got, ok := p.heap.TryPop()
	i := p.smallest()
	if ok != (i >= 0) || peekOK != ok || peeked != got {
		return fmt.Errorf("popped %v, %v, peeked %v of %v", got, ok, peeked, p.stored)
	}
	if ok {
		if want := p.stored[i]; got != want {
			return fmt.Errorf("popped %v, want %v", got, want)
		}
		p.stored = slices.Delete(p.stored, i, i+1)
	}
	return nil
}

// remove removes the item of that id from both and tells a difference.
func (p *heapPair) remove(id int) error {
	seen, stored := p.heap.Get(p.handles[id])
	got, ok := p.heap.Remove(p.handles[id])
	i := p.find(id)
	if ok != (i >= 0) || stored != ok || seen != got || ok && got != p.stored[i] {
		return fmt.Errorf("removed %v, %v of %v", got, ok, p.stored)
	}
	if ok {
		p.stored = slices.Delete(p.stored, i, i+1)
	}
	return nil
}

// update changes the key of the item of that id in both and tells a difference.
func (p *heapPair) update(id, key int) error {
	ok := p.heap.Update(p.handles[id], keyed[int]{key, id})
	i := p.find(id)
	if ok != (i >= 0) {
		return fmt.Errorf("updated %d: %v of %v", id, ok, p.stored)
	}
	if ok {
		p.stored[i].key = key
	}
	return nil
}

// check tells what is wrong inside the heap.
func (p *heapPair) check() error {
	h := p.heap
	if h.Len() != len(p.stored) {
		return fmt.Errorf("Len %d, want %d", h.Len(), len(p.stored))
	}
	for i := range h.entries {
		if parent := (i - 1) / heapArity; i > 0 && h.before(&h.entries[i], &h.entries[parent]) {
			return fmt.Errorf("entry %d is before its parent", i)
		}
		if at := h.places[h.entries[i].index]; int(at) != i {
			return fmt.Errorf("entry %d is said to be at %d", i, at)
		}
	}
	return nil
}

func TestHeap_Model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := heapPair{heap: made(NewHeap(compareKeyed))}
		p.heap.pushed = rapid.SampledFrom(orderStarts).Draw(t, "start")
		keys := rapid.OneOf(rapid.IntRange(0, 5), rapid.SampledFrom([]int{math.MinInt, -1, 0, math.MaxInt}))
		do := func(t *rapid.T, f func() error) {
			for range rapid.IntRange(1, 40).Draw(t, "n") {
				if err := f(); err != nil {
					t.Fatal(err)
				}
			}
		}
		anID := func(t *rapid.T) int {
			if p.id == 0 {
				t.Skip("nothing was pushed")
			}
			return rapid.IntRange(0, p.id-1).Draw(t, "id")
		}
		t.Repeat(map[string]func(*rapid.T){
			"push":   func(t *rapid.T) { do(t, func() error { p.push(keys.Draw(t, "key")); return nil }) },
			"pop":    func(t *rapid.T) { do(t, p.pop) },
			"remove": func(t *rapid.T) { do(t, func() error { return p.remove(anID(t)) }) },
			"update": func(t *rapid.T) { do(t, func() error { return p.update(anID(t), keys.Draw(t, "key")) }) },
			"": func(t *rapid.T) {
				if err := p.check(); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

// FuzzHeap reads bytes as operations: the two highest bits tell which, the others
// the key or the item.
func FuzzHeap(f *testing.F) {
	f.Add([]byte("\x01\x02\x00\x40\x81\xc1\x40\x40\x40"))
	f.Add([]byte{5, 5, 5, 4, 4, 4, 0xc0, 0x81, 0x40, 0x40, 0x82, 9, 0x40})
	f.Fuzz(func(t *testing.T, ops []byte) {
		p := heapPair{heap: made(NewHeap(compareKeyed))}
		p.heap.pushed = 1<<64 - 3
		for _, op := range ops {
			var err error
			low := int(op & 0x3f)
			switch {
			case op>>6 == 0:
				p.push(low)
			case op>>6 == 1:
				err = p.pop()
			case p.id == 0:
			case op>>6 == 2:
				err = p.remove(low % p.id)
			default:
				err = p.update(low%p.id, low/2)
			}
			if err = errors.Join(err, p.check()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Each comparison of each call panics once; the heap must be what it was before.
func TestHeap_PanicOfCompare(t *testing.T) {
	left := math.MaxInt
	compare := func(a, b keyed[int]) int {
		if left--; left < 0 {
			panic("compare")
		}
		return compareKeyed(a, b)
	}
	for n := range 40 {
		for name, call := range map[string]func(p *heapPair) error{
			"push":   func(p *heapPair) error { p.push(0); return nil },
			"pop":    (*heapPair).pop,
			"remove": func(p *heapPair) error { return p.remove(n / 2) },
			"up":     func(p *heapPair) error { return p.update(n-1, -1) },
			"down":   func(p *heapPair) error { return p.update(n/2, 100) },
		} {
			if n == 0 && name != "push" && name != "pop" {
				continue
			}
			panicked := true
			for after := 0; panicked; after++ {
				left = math.MaxInt
				p := &heapPair{heap: made(NewHeap(compare))}
				for i := range n {
					p.push(i * 7 % 5)
				}
				before := *p
				before.stored = slices.Clone(p.stored)
				left = after
				var err error
				panicked = panics(func() { err = call(p) })
				left = math.MaxInt
				if panicked {
					if *p = before; p.heap.vacant != none || len(p.heap.places) != n {
						t.Errorf("%d, %s: a handle is lost or used", n, name)
					}
				}
				for err == nil && len(p.stored) > 0 {
					err = errors.Join(p.check(), p.pop())
				}
				if err != nil {
					t.Fatalf("%d items, %s, panic after %d comparisons: %v", n, name, after, err)
				}
			}
		}
	}
}

func TestHeap_NaN(t *testing.T) {
	h := made(NewHeap(cmp.Compare[float64]))
	for _, key := range []float64{1, math.NaN(), math.Inf(-1), math.NaN(), math.Inf(1), -1} {
		h.TryPush(key)
	}
	want := []float64{math.NaN(), math.NaN(), math.Inf(-1), -1, 1, math.Inf(1)}
	for _, want := range want {
		if got, _ := h.TryPop(); cmp.Compare(got, want) != 0 {
			t.Errorf("popped %v, want %v", got, want)
		}
	}
}

// What is no order loses nothing.
func TestHeap_NoOrder(t *testing.T) {
	calls := 0
	h := made(NewHeap(func(a, b int) int { calls++; return calls*calls%7 - 3 }))
	var handles []Handle
	for i := range 100 {
		handle, _ := h.Push(i)
		handles = append(handles, handle)
	}
	seen := make([]bool, 100)
	for i := range 40 {
		item, ok := h.Remove(handles[i])
		seen[i] = ok && item == i
		h.Update(handles[50], 50)
	}
	for h.Len() > 0 {
		item, _ := h.TryPop()
		seen[item] = true
	}
	if i := slices.Index(seen, false); i >= 0 {
		t.Errorf("%d is lost", i)
	}
}

func TestHeap_Full(t *testing.T) {
	h := made(NewHeap(cmp.Compare[int]))
	h.limit = 128
	for i := range h.Cap() {
		if !h.TryPush(i) {
			t.Fatalf("push %d of %d was refused", i, h.Cap())
		}
	}
	if handle, ok := h.Push(-1); ok || handle != (Handle{}) || h.TryPush(-1) || h.Len() != 128 {
		t.Errorf("a full heap took an item: %v, Len %d", handle, h.Len())
	}
	if item, _ := h.TryPop(); item != 0 || !h.TryPush(-1) {
		t.Errorf("popped %d, or there is no room after it", item)
	}
}

func TestHeap_HandlesOfOthers(t *testing.T) {
	h := made(NewHeap(cmp.Compare[int]))
	h.pushed = 1<<64 - 1
	h.TryPush(1)
	h.TryPop()
	for range 3 { // the first at the place and, but for the gap, with the number of the zero Handle
		h.TryPush(1)
	}
	for _, handle := range []Handle{{}, {seq: 1, index: none}, {seq: 7, index: 1}, {seq: 2, index: 0}, {seq: 1, index: 64}} {
		if _, ok := h.Remove(handle); ok {
			t.Errorf("%v removed an item", handle)
		}
		if _, ok := h.Get(handle); ok || h.Update(handle, 0) {
			t.Errorf("%v names an item", handle)
		}
	}
}

func TestHeap_RemovedItemsAreNotKept(t *testing.T) {
	h := made(NewHeap(func(a, b *orderItem) int { return cmp.Compare(a[0], b[0]) }))
	var refs []weak.Pointer[orderItem]
	var handles []Handle
	for i := range 300 {
		item := new(orderItem)
		item[0] = i
		handle, _ := h.Push(item)
		refs, handles = append(refs, weak.Make(item)), append(handles, handle)
	}
	for i, handle := range handles[:200] {
		if i%2 == 0 {
			h.Remove(handle)
		} else {
			h.Update(handle, new(orderItem))
		}
	}
	if alive := liveRefs(refs); alive != 100 {
		t.Errorf("%d items are alive, 100 are stored", alive)
	}
	if h.Len() != 200 {
		t.Errorf("Len %d", h.Len())
	}
}
