package queue

import (
	"cmp"
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"
)

// A capacity in the range for items so large that no address could name them all is
// refused; a make of that many would panic.
func TestBadInput_E_QUE_02_CapacityBeyondMemory(t *testing.T) {
	type large [1 << 20]byte
	check := func(kind string, q any, err error) {
		if !isNil(q) || !errors.Is(err, ErrCapacity) {
			t.Errorf("%s: %v, %v", kind, q, err)
		}
	}
	mpmc, err := NewMPMC[large](1 << 30)
	check("MPMC", mpmc, err)
	spsc, err := NewSPSC[large](1 << 30)
	check("SPSC", spsc, err)
	if math.MaxInt == math.MaxInt32 {
		mpmc, err := NewMPMC[int](1 << 30)
		check("MPMC of int", mpmc, err)
		spsc, err := NewSPSC[int](1 << 30)
		check("SPSC of int", spsc, err)
	}
	if q := must(NewSPSC[struct{}](1 << 30)); q.Cap() != 1<<30 {
		t.Errorf("Cap() = %d", q.Cap())
	}
}

// A pointer that is nil is no queue either, though the interface value is not nil.
func TestBadInput_NilQueue(t *testing.T) {
	for name, q := range map[string]Queue[int]{
		"nil": nil, "nil MPMC": (*MPMC[int])(nil), "nil Locked": (*Locked[int])(nil), "nil of another package": (*locked)(nil),
	} {
		if b, err := NewBlocking(q); b != nil || !errors.Is(err, ErrInvalid) {
			t.Errorf("NewBlocking of %s: %v, %v", name, b, err)
		}
		if l, err := NewLocked(q); l != nil || !errors.Is(err, ErrInvalid) {
			t.Errorf("NewLocked of %s: %v, %v", name, l, err)
		}
	}
}

func TestBadInput_NilContext(t *testing.T) {
	var none context.Context
	for kind, b := range blockings(1) {
		if err := b.Push(none, 1); !errors.Is(err, ErrInvalid) || b.Len() != 0 {
			t.Errorf("%s: Push: %v, Len() = %d", kind, err, b.Len())
		}
		b.TryPush(1)
		if n, err := b.Pop(none); n != 0 || !errors.Is(err, ErrInvalid) || b.Len() != 1 {
			t.Errorf("%s: Pop: %d, %v, Len() = %d", kind, n, err, b.Len())
		}
	}
}

// A queue that was not made by its constructor panics or refuses. It never takes an
// item that it cannot give back.
func TestBadInput_ZeroValue(t *testing.T) {
	for kind, q := range map[string]Queue[int]{
		"MPMC": new(MPMC[int]), "SPSC": new(SPSC[int]), "MPSC": new(MPSC[int]), "Unbounded": new(Unbounded[int]),
		"Deque": new(Deque[int]), "Levels": new(Levels[int]), "Heap": new(Heap[int]), "KeyHeap": new(KeyHeap[int, int]),
		"MultiQueue": new(MultiQueue[int, int]), "DelayQueue": new(DelayQueue[int]), "Fair": new(Fair[int, int]),
		"Locked": new(Locked[int]), "Blocking": new(Blocking[int]),
	} {
		pushed, popped := false, false
		panicked := panics(func() { pushed = q.TryPush(1) })
		panics(func() { _, popped = q.TryPop() })
		if pushed || popped {
			t.Errorf("%s: pushed %t, popped %t", kind, pushed, popped)
		}
		t.Logf("%s: TryPush panics: %t", kind, panicked)
	}
}

// Slices of no and of one item.
func TestBadInput_SmallSlices(t *testing.T) {
	kinds := map[string]Queue[int]{"DelayQueue": made(NewDelayQueue(DelayConfig[int]{}))}
	kinds["Levels"] = made(NewLevels(2, itself))
	kinds["Fair"] = made(NewFair(FairConfig[int, int]{Key: itself}))
	for kind, make := range all[int](1) {
		kinds[kind] = make(0)
	}
	for kind, q := range kinds {
		popAll := func(into []int) int {
			if d, ok := q.(*Deque[int]); ok {
				return d.StealHalf(into)
			}
			return q.(popAller[int]).PopAll(into)
		}
		for range 3 {
			if b, ok := q.(batcher[int]); ok {
				if n := b.PushAll(nil) + b.PushAll([]int{}); n != 0 || q.Len() != 0 {
					t.Errorf("%s: stored %d of no items", kind, n)
				}
			}
			if !q.TryPush(7) {
				t.Errorf("%s: refused", kind)
			}
			if n := popAll(nil) + popAll([]int{}); n != 0 || q.Len() != 1 {
				t.Errorf("%s: popped %d into nothing", kind, n)
			}
			one := []int{0}
			if n := popAll(one); n != 1 || one[0] != 7 || q.Len() != 0 {
				t.Errorf("%s: popped %d, %v", kind, n, one)
			}
			if n := popAll(one) + popAll(nil); n != 0 || one[0] != 7 {
				t.Errorf("%s: popped %d of nothing, %v", kind, n, one)
			}
		}
	}
}

// A handle that another queue has given names nothing here, though both have as many
// items; nor does one that was used before.
func TestBadInput_HandleOfAnotherQueue(t *testing.T) {
	h, other := made(NewHeap(cmp.Compare[int])), made(NewHeap(cmp.Compare[int]))
	d, later := made(NewDelayQueue(DelayConfig[int]{})), made(NewDelayQueue(DelayConfig[int]{}))
	for i := range 100 {
		at := time.Now().Add(time.Duration(i) * time.Hour)
		mine, _ := h.Push(i)
		foreign, _ := other.Push(i)
		my, _ := d.Add(i, at)
		strange, _ := later.Add(i, at)
		for _, handle := range []Handle{foreign, strange, my, {}} {
			if _, ok := h.Remove(handle); ok || h.Update(handle, -1) {
				t.Fatalf("%v names an item of the heap", handle)
			}
		}
		for _, handle := range []Handle{foreign, strange, mine, {}} {
			if _, ok := d.Cancel(handle); ok {
				t.Fatalf("%v names an item of the delay queue", handle)
			}
		}
		if i%3 == 0 {
			_, first := h.Remove(mine)
			_, second := h.Remove(mine)
			if !first || second {
				t.Errorf("removed %t, and again %t", first, second)
			}
			_, first = d.Cancel(my)
			_, second = d.Cancel(my)
			if !first || second {
				t.Errorf("cancelled %t, and again %t", first, second)
			}
		}
	}
}

// A compare function that ends its goroutine leaves the heap as it was, and a lock
// and a line around it free.
func TestBadInput_GoexitOfCompare(t *testing.T) {
	exit := false
	b := must(NewBlocking(must(NewLocked(made(NewHeap(func(a, b int) int {
		if exit {
			runtime.Goexit()
		}
		return cmp.Compare(a, b)
	}))))))
	for i := range 10 {
		b.TryPush(9 - i)
	}
	exits := func(f func()) {
		exit = true
		returned, done := false, make(chan struct{})
		go func() {
			defer close(done)
			f()
			returned = true
		}()
		<-done
		if exit = false; returned {
			t.Error("it returned")
		}
	}
	exits(func() { b.TryPush(-1) })
	exits(func() { b.TryPop() })
	exits(func() { _ = b.Push(t.Context(), -1) })
	exits(func() { _, _ = b.Pop(t.Context()) })
	for i := range 10 {
		if n, err := b.Pop(t.Context()); err != nil || n != i {
			t.Errorf("got %d, %v for %d", n, err, i)
		}
	}
}

// What a batch has moved before a panic stays moved, and the lock is free.
func TestBadInput_PanicInABatch(t *testing.T) {
	level := func(item int) int {
		if item < 0 {
			panic("level")
		}
		return 0
	}
	levels := made(NewLevels(1, level))
	l := must(NewLocked(made(NewLevels(1, level))))
	for kind, q := range map[string]batcher[int]{"Levels": levels, "Locked": l} {
		if v := recovered(func() { q.PushAll([]int{1, 2, -1, 3}) }); v != "level" || q.Len() != 2 {
			t.Errorf("%s: panicked with %v, Len() = %d", kind, v, q.Len())
		}
	}
	pops := 0
	l = must(NewLocked(&stuck{locked: locked{limit: 9}, pop: func() {
		if pops++; pops == 3 {
			panic("pop")
		}
	}}))
	l.PushAll([]int{1, 2, 3, 4})
	into := make([]int, 4)
	if v := recovered(func() { l.PopAll(into) }); v != "pop" || l.Len() != 2 || !slices.Equal(into, []int{1, 2, 0, 0}) {
		t.Errorf("panicked with %v, Len() = %d, %v", v, l.Len(), into)
	}
	if n := l.PopAll(into); n != 2 || into[0] != 3 {
		t.Errorf("popped %v", into[:n])
	}
}

// A clock or a due time that panics changes nothing.
func TestBadInput_PanicOfTheClock(t *testing.T) {
	fault := ""
	q := made(NewDelayQueue(DelayConfig[int]{
		Now: func() time.Time {
			if fault == "now" {
				panic(fault)
			}
			return time.Now()
		},
		Due: func(int) time.Time {
			if fault == "due" {
				panic(fault)
			}
			return time.Now()
		},
	}))
	q.TryPush(1)
	fault = "due"
	if v := recovered(func() { q.TryPush(2) }); v != "due" || q.Len() != 1 {
		t.Errorf("TryPush panicked with %v, Len() = %d", v, q.Len())
	}
	fault = "now"
	for name, call := range map[string]func(){"TryPop": func() { q.TryPop() }, "PopAll": func() { q.PopAll(make([]int, 3)) }} {
		if v := recovered(call); v != "now" || q.Len() != 1 {
			t.Errorf("%s panicked with %v, Len() = %d", name, v, q.Len())
		}
	}
	fault = ""
	at, ok := q.NextDue()
	if n, popped := q.PopDue(at); !ok || !popped || n != 1 || q.wheel.entries.used != 0 {
		t.Errorf("popped %d, %t", n, popped)
	}
}

// Batches of many segments and laps at once, and slices that are far too large.
func TestBadInput_LargeBatches(t *testing.T) {
	n := sized(100_000)
	items := make([]int, n)
	for i := range items {
		items[i] = i
	}
	for _, capacity := range []int{1, 1000, n} {
		for kind, make := range all[int](capacity) {
			for name, start := range starts {
				q := make(start)
				stored := q.PushAll(items)
				if stored != min(n, q.Cap()) || q.Len() != stored {
					t.Fatalf("%s of %d at %s: stored %d, Len() = %d", kind, capacity, name, stored, q.Len())
				}
				into, got := make2[int](2*n), 0
				if d, ok := q.(*Deque[int]); ok {
					for d.Len() > 0 {
						got += d.StealHalf(into[got:])
					}
				} else {
					got = q.(popAller[int]).PopAll(into)
				}
				if got != stored || !slices.Equal(into[:got], items[:got]) || q.Len() != 0 {
					t.Fatalf("%s of %d at %s: got %d of %d, Len() = %d", kind, capacity, name, got, stored, q.Len())
				}
			}
		}
	}
}

// Times that a Duration cannot span, in both directions, and a clock that goes back.
func TestBadInput_Times(t *testing.T) {
	year1, year9999 := time.Time{}, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	for _, tick := range []time.Duration{1, time.Millisecond, math.MaxInt64} {
		now := time.Now()
		q := made(NewDelayQueue(DelayConfig[int]{Tick: tick, Now: func() time.Time { return now }}))
		q.Add(1, year9999)
		q.Add(2, year1)
		q.Add(3, now)
		now = year1
		for _, want := range []int{2, 3} {
			if n, ok := q.TryPop(); !ok || n != want {
				t.Errorf("tick %v: popped %d, %t, want %d", tick, n, ok, want)
			}
		}
		if at, ok := q.NextDue(); ok {
			t.Errorf("tick %v: due at %v", tick, at)
		}
		now = year9999
		if n, ok := q.TryPop(); ok || q.Len() != 1 {
			t.Errorf("tick %v: popped %d", tick, n)
		}
		now = year1
		q.TryPush(4)
		if n, ok := q.TryPop(); !ok || n != 4 {
			t.Errorf("tick %v: popped %d, %t, want 4", tick, n, ok)
		}
	}
}
