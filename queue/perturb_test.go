//go:build goman_points

package queue

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/uptutu/goman/queue/internal/point"
)

// With this tag all tests run once more with a chance of one in eight, at each
// synchronisation step, that another goroutine goes first.
func init() { point.Set(perturb) }

func perturb() {
	if rand.Uint32()%8 == 0 {
		runtime.Gosched()
	}
}

// between calls step, and when that comes to its nth point, other: what another
// goroutine may do in the middle of a call. If step has fewer points, it does it
// afterwards.
func between(n int, step, other func()) {
	defer point.Set(perturb)
	point.Set(func() {
		if n--; n == 0 {
			point.Set(nil)
			other()
		}
	})
	step()
	point.Set(nil)
	if n > 0 {
		other()
	}
}

// Whatever another goroutine does in the middle of a push or a pop, at whichever
// point: a pop finds the second item if the first is taken from under it, and a push
// another place.
func TestPoints_TakenFromUnderIt(t *testing.T) {
	for name, start := range starts {
		for n := 1; n <= 4; n++ {
			for kind, make := range map[string]func() batcher[int]{
				"MPMC":      func() batcher[int] { return newMPMC[int](3, 2*start) },
				"Unbounded": func() batcher[int] { return newUnbounded[int](2 * start) },
				"MPSC":      func() batcher[int] { return newMPSC[int](2 * start) },
			} {
				q := make()
				between(n, func() {
					if !q.TryPush(1) {
						t.Errorf("%s at %s: no room beside one other, point %d", kind, name, n)
					}
				}, func() { q.TryPush(2) })
				between(n, func() {
					if q.PushAll([]int{3}) != 1 && q.Len() < 3 {
						t.Errorf("%s at %s: no room beside two others, point %d", kind, name, n)
					}
				}, func() { q.TryPush(4) })
				if got := q.Len(); got < 3 || got > 4 {
					t.Errorf("%s at %s: %d items after point %d", kind, name, got, n)
				}
				if kind == "MPSC" {
					continue // has one consumer
				}
				p := q.(popAller[int])
				seen := map[int]bool{}
				between(n, func() {
					item, ok := q.TryPop()
					if !ok {
						t.Errorf("%s at %s: nothing found, point %d", kind, name, n)
					}
					seen[item] = true
				}, func() {
					item, _ := q.TryPop()
					seen[item] = true
				})
				between(n, func() {
					var into [1]int
					if p.PopAll(into[:]) != 1 && len(seen) < 3 {
						t.Errorf("%s at %s: nothing found by PopAll, point %d", kind, name, n)
					}
					seen[into[0]] = true
				}, func() {
					if item, ok := q.TryPop(); ok {
						seen[item] = true
					}
				})
				if !seen[1] || !seen[2] {
					t.Errorf("%s at %s: %v came out, point %d", kind, name, seen, n)
				}
			}
		}
	}
}

// Two producers add a segment at the same time: one of them wins, and nothing is lost.
func TestPoints_TwoExtend(t *testing.T) {
	for _, start := range starts {
		for n := 1; n <= 12; n++ {
			for kind, q := range map[string]batcher[int]{"Unbounded": newUnbounded[int](2 * start), "MPSC": newMPSC[int](2 * start)} {
				q.PushAll(make([]int, minSegment))
				between(n, func() { q.TryPush(1) }, func() { q.TryPush(2) })
				sum, count := 0, 0
				for item, ok := q.TryPop(); ok; item, ok = q.TryPop() {
					sum += item
					count++
				}
				if sum != 3 || count != minSegment+2 {
					t.Errorf("%s: %d items with sum %d, point %d", kind, count, sum, n)
				}
			}
		}
	}
}

// Seal against a push that adds a segment, at each point: the push is refused or its
// item comes out.
func TestPoints_SealWhileExtending(t *testing.T) {
	for n := 1; n <= 8; n++ {
		for kind, q := range map[string]batcher[int]{"Unbounded": NewUnbounded[int](), "MPSC": NewMPSC[int]()} {
			for i, f := range []func(pushed *bool){
				func(pushed *bool) {
					between(n, func() { *pushed = q.TryPush(1) }, q.(sealer).seal)
				},
				func(pushed *bool) {
					between(n, q.(sealer).seal, func() { *pushed = q.TryPush(1) })
				},
			} {
				if i == 1 {
					q = map[string]batcher[int]{"Unbounded": NewUnbounded[int](), "MPSC": NewMPSC[int]()}[kind]
				}
				q.PushAll(make([]int, minSegment))
				pushed := false
				f(&pushed)
				if q.TryPush(1) {
					t.Errorf("%s: a push after the seal, point %d", kind, n)
				}
				count := 0
				for _, ok := q.TryPop(); ok; _, ok = q.TryPop() {
					count++
				}
				if pushed != (count == minSegment+1) || q.Len() != 0 {
					t.Errorf("%s: pushed %t, %d came out, point %d", kind, pushed, count, n)
				}
			}
		}
	}
}

// A thief or the owner whose item is taken from under it.
func TestPoints_Deque(t *testing.T) {
	for name, start := range starts {
		for n := 1; n <= 6; n++ {
			for size := 1; size <= 3; size++ {
				for which, step := range map[string]func(d *Deque[int]) (int, bool){"Steal": (*Deque[int]).Steal, "TryPop": (*Deque[int]).TryPop} {
					d := newDeque[int](start)
					for i := range size {
						d.TryPush(i)
					}
					var a, b int
					var gotA, gotB bool
					between(n, func() { a, gotA = step(d) }, func() { b, gotB = d.Steal() })
					if size > 1 && !(gotA && gotB && a != b) || size == 1 && gotA == gotB {
						t.Errorf("%s at %s of %d: %d, %t and %d, %t, point %d", which, name, size, a, gotA, b, gotB, n)
					}
				}
			}
		}
	}
	d := NewDeque[int]()
	d.PushAll([]int{1, 2, 3, 4})
	into := make([]int, 4)
	between(1, func() {
		if n := d.StealHalf(into); n > 2 {
			t.Errorf("stole %d of 4", n)
		}
	}, func() { d.StealHalf(into); d.TryPop(); d.TryPop() })
}
