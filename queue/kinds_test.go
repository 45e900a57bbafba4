package queue

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// batcher is what the kinds here have besides Queue.
type batcher[T any] interface {
	Queue[T]
	PushAll(items []T) int
}

type popAller[T any] interface{ PopAll(into []T) int }

// bounded are the kinds with a capacity.
func bounded[T any]() map[string]func(capacity int, start uint64) batcher[T] {
	return map[string]func(capacity int, start uint64) batcher[T]{
		"MPMC": func(capacity int, start uint64) batcher[T] { return newMPMC[T](capacity, start*2) },
		"SPSC": func(capacity int, start uint64) batcher[T] { return newSPSC[T](capacity, start) },
		"Locked": func(capacity int, start uint64) batcher[T] {
			return must(NewLocked[T](newSPSC[T](capacity, start)))
		},
	}
}

// unbounded are the kinds without.
func unbounded[T any]() map[string]func(start uint64) batcher[T] {
	return map[string]func(start uint64) batcher[T]{
		"Unbounded": func(start uint64) batcher[T] { return newUnbounded[T](start * 2) },
		"MPSC":      func(start uint64) batcher[T] { return newMPSC[T](start * 2) },
		"Deque":     func(start uint64) batcher[T] { return newDeque[T](start) },
	}
}

// all are all kinds; the bounded ones have the capacity given.
func all[T any](capacity int) map[string]func(start uint64) batcher[T] {
	kinds := unbounded[T]()
	for name, make := range bounded[T]() {
		kinds[name] = func(start uint64) batcher[T] { return make(capacity, start) }
	}
	return kinds
}

// E-QUE-02: a capacity that is not allowed is refused with an error that says what
// is; every other is exact.
func TestQueues_E_QUE_02_Capacity(t *testing.T) {
	for _, capacity := range []int{0, -1, math.MinInt, 1<<30 + 1, math.MaxInt} {
		_, err1 := NewMPMC[int](capacity)
		_, err2 := NewSPSC[int](capacity)
		for _, err := range []error{err1, err2} {
			if !errors.Is(err, ErrCapacity) || !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "allowed are 1 to") {
				t.Errorf("capacity %d: %v", capacity, err)
			}
		}
	}
	if q := must(NewMPMC[int](3)); q.Cap() != 3 {
		t.Errorf("Cap() = %d", q.Cap())
	}
	if q := must(NewSPSC[int](3)); q.Cap() != 3 {
		t.Errorf("Cap() = %d", q.Cap())
	}
	for kind, make := range bounded[int]() {
		for name, start := range starts {
			for _, capacity := range []int{1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 1000} {
				q := make(capacity, start)
				for lap := range min(3*capacity, 20) {
					for i := range capacity {
						if q.Len() != i || !q.TryPush(lap+i) {
							t.Fatalf("%s of %d at %s: full with %d items, Len() = %d", kind, capacity, name, i, q.Len())
						}
					}
					if q.Cap() != capacity || q.Len() != capacity || q.TryPush(-1) || q.PushAll([]int{-1}) != 0 {
						t.Fatalf("%s of %d at %s: more than that fits, Len() = %d", kind, capacity, name, q.Len())
					}
					for i := range capacity {
						if n, ok := q.TryPop(); !ok || n != lap+i {
							t.Fatalf("%s of %d at %s: got %d, %t for item %d", kind, capacity, name, n, ok, lap+i)
						}
					}
					if n, ok := q.TryPop(); ok || n != 0 || q.Len() != 0 {
						t.Fatalf("%s of %d at %s: got %d, %t when empty", kind, capacity, name, n, ok)
					}
					// Another place in the ring next time.
					q.TryPush(0)
					q.TryPop()
				}
			}
		}
	}
}

func TestQueues_UnboundedCap(t *testing.T) {
	for kind, make := range unbounded[int]() {
		if q := make(0); q.Cap() != math.MaxInt {
			t.Errorf("%s: Cap() = %d", kind, q.Cap())
		}
	}
	for kind, q := range map[string]Queue[int]{"Unbounded": NewUnbounded[int](), "MPSC": NewMPSC[int](), "Deque": NewDeque[int]()} {
		if _, ok := q.TryPop(); ok || q.Len() != 0 || !q.TryPush(1) || q.Len() != 1 {
			t.Errorf("%s does not begin empty", kind)
		}
	}
}

// Each kind does what a slice does, through many segments, wherever its counters
// begin.
func TestQueues_Model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 70).Draw(t, "capacity")
		kinds := all[int](capacity)
		kind := rapid.SampledFrom(slices.Sorted(keys(kinds))).Draw(t, "kind")
		q := kinds[kind](starts[rapid.SampledFrom(slices.Sorted(keys(starts))).Draw(t, "start")])
		limit := min(capacity, q.Cap())
		if q.Cap() == math.MaxInt {
			limit = math.MaxInt
		}
		var model []int
		next := 0
		pop := func() (int, bool) {
			if len(model) == 0 {
				return 0, false
			}
			at := 0
			if kind == "Deque" {
				at = len(model) - 1
			}
			n := model[at]
			model = slices.Delete(model, at, at+1)
			return n, true
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				next++
				ok := len(model) < limit
				if got := q.TryPush(next); got != ok {
					t.Fatalf("TryPush = %t", got)
				}
				if ok {
					model = append(model, next)
				}
			},
			"pop": func(t *rapid.T) {
				want, ok := pop()
				if n, got := q.TryPop(); got != ok || n != want {
					t.Fatalf("TryPop = %d, %t; want %d, %t", n, got, want, ok)
				}
			},
			"pushAll": func(t *rapid.T) {
				items := make([]int, rapid.IntRange(0, 200).Draw(t, "n"))
				for i := range items {
					next++
					items[i] = next
				}
				want := min(len(items), limit-len(model))
				if n := q.PushAll(items); n != want {
					t.Fatalf("PushAll = %d, want %d", n, want)
				}
				model = append(model, items[:want]...)
			},
			"popAll": func(t *rapid.T) {
				into := make([]int, rapid.IntRange(0, 200).Draw(t, "n"))
				p, ok := q.(popAller[int])
				if !ok {
					t.Skip()
				}
				n := p.PopAll(into)
				if n != min(len(into), len(model)) || !slices.Equal(into[:n], model[:n]) {
					t.Fatalf("PopAll = %v; stored are %v", into[:n], model)
				}
				model = model[n:]
			},
			"steal": func(t *rapid.T) {
				d, ok := q.(*Deque[int])
				if !ok {
					t.Skip()
				}
				n, got := d.Steal()
				if got != (len(model) > 0) || got && n != model[0] {
					t.Fatalf("Steal = %d, %t; stored are %v", n, got, model)
				}
				if got {
					model = model[1:]
				}
			},
			"stealHalf": func(t *rapid.T) {
				d, ok := q.(*Deque[int])
				if !ok {
					t.Skip()
				}
				into := make([]int, rapid.IntRange(0, 200).Draw(t, "n"))
				n := d.StealHalf(into)
				if n != min(len(into), (len(model)+1)/2) || !slices.Equal(into[:n], model[:n]) {
					t.Fatalf("StealHalf = %v; stored are %v", into[:n], model)
				}
				model = model[n:]
			},
			"": func(t *rapid.T) {
				if q.Len() != len(model) {
					t.Fatalf("Len() = %d, stored are %d", q.Len(), len(model))
				}
			},
		})
	})
}

func keys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// Nothing is lost or doubled, and the order of each producer is kept, whatever the
// number of goroutines that a kind allows.
func TestQueues_Stress(t *testing.T) {
	n := rounds(200_000)
	for _, c := range []struct {
		kind                 string
		producers, consumers []int
	}{
		{"MPMC", []int{1, 2, 4}, []int{1, 2, 4}},
		{"Unbounded", []int{1, 2, 4}, []int{1, 2, 4}},
		{"MPSC", []int{1, 2, 4}, []int{1}},
		{"SPSC", []int{1}, []int{1}},
		{"Locked", []int{1, 4}, []int{1, 4}},
	} {
		for _, capacity := range []int{1, 3, 64} {
			if _, ok := unbounded[int]()[c.kind]; ok && capacity > 1 {
				continue
			}
			for name, start := range starts {
				for _, producers := range c.producers {
					for _, consumers := range c.consumers {
						q := all[int](capacity)[c.kind](start)
						name := fmt.Sprintf("%s/%d/%s/%dx%d", c.kind, capacity, name, producers, consumers)
						t.Run(name, func(t *testing.T) {
							stress(t, n/producers/16+1, same(producers, q.TryPush), same(consumers, q.TryPop), func() {})
							if q.Len() != 0 {
								t.Errorf("Len() = %d at the end", q.Len())
							}
						})
					}
				}
			}
		}
	}
}

// The same with batches of all sizes.
func TestQueues_StressBatches(t *testing.T) {
	n := rounds(60_000)
	for _, c := range []struct {
		kind                 string
		producers, consumers int
	}{{"MPMC", 3, 3}, {"Unbounded", 3, 3}, {"MPSC", 3, 1}, {"SPSC", 1, 1}, {"Locked", 3, 3}} {
		for _, capacity := range []int{1, 5, 64} {
			q := all[int](capacity)[c.kind](starts["2^64"])
			pushes, pops := make([]pushing, c.producers), make([]popping, c.consumers)
			for i := range pushes {
				pushes[i] = batchPush(q, n, n*(i+1)-1)
			}
			for i := range pops {
				pops[i] = batchPop(q.(popAller[int]))
			}
			t.Run(fmt.Sprintf("%s/%d", c.kind, capacity), func(t *testing.T) { stress(t, n, pushes, pops, func() {}) })
		}
	}
}

// batchPush collects up to size items and pushes them together; last comes at once.
func batchPush(q batcher[int], n, last int) pushing {
	var waiting []int
	size := 0
	return func(item int) bool {
		waiting = append(waiting, item)
		if len(waiting) <= size && item != last {
			return true
		}
		for len(waiting) > 0 {
			k := q.PushAll(waiting)
			if waiting = waiting[k:]; k == 0 {
				runtime.Gosched()
			}
		}
		size = (size + 1) % 37
		return true
	}
}

func batchPop(q popAller[int]) popping {
	var room [41]int
	var got []int
	size := 0
	return func() (int, bool) {
		if len(got) == 0 {
			size = size%len(room) + 1
			got = room[:q.PopAll(room[:size])]
		}
		if len(got) == 0 {
			return 0, false
		}
		n := got[0]
		got = got[1:]
		return n, true
	}
}

// E-QUE-15: Len is never negative and never above Cap, whoever asks.
func TestQueues_E_QUE_15_Len(t *testing.T) {
	// One goroutine may be producer, consumer and owner of each kind.
	users := map[string]int{"MPMC": 4, "Unbounded": 4, "Locked": 4, "SPSC": 1, "MPSC": 1, "Deque": 1}
	for kind, make := range all[int](3) {
		for name, start := range starts {
			t.Run(kind+"/"+name, func(t *testing.T) {
				q := make(start)
				var using, asking sync.WaitGroup
				var quit atomic.Bool
				for range users[kind] {
					using.Go(func() {
						for i := range rounds(50_000) {
							q.TryPush(i)
							if i%3 > 0 {
								q.TryPop()
								q.TryPop()
							}
						}
					})
				}
				for range 2 {
					asking.Go(func() {
						for !quit.Load() {
							if n := q.Len(); n < 0 || n > q.Cap() {
								t.Errorf("Len() = %d", n)
								return
							}
							runtime.Gosched()
						}
					})
				}
				using.Wait()
				quit.Store(true)
				asking.Wait()
			})
		}
	}
}
