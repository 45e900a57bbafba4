package queue

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

func itself(item int) int { return item }

func TestMultiQueue_Invalid(t *testing.T) {
	for _, lanes := range []int{math.MinInt, -1, MaxLanes + 1} {
		if q, err := NewMultiQueue(lanes, itself); q != nil || !errors.Is(err, ErrInvalid) {
			t.Errorf("NewMultiQueue(%d) = %v, %v", lanes, q, err)
		}
	}
	if q, err := NewMultiQueue[int, int](1, nil); q != nil || !errors.Is(err, ErrInvalid) {
		t.Errorf("NewMultiQueue without a function = %v, %v", q, err)
	}
	if q := made(NewMultiQueue(0, itself)); q.Lanes() != 2*runtime.GOMAXPROCS(0) {
		t.Errorf("%d lanes", q.Lanes())
	}
}

// With one lane it is strict, also for NaN and the extremes.
func TestMultiQueue_OneLaneIsStrict(t *testing.T) {
	q := made(NewMultiQueue(1, func(item float64) float64 { return item }))
	want := []float64{math.NaN(), math.Inf(-1), -math.MaxFloat64, 0, 0.5, math.MaxFloat64, math.Inf(1)}
	for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(len(want)) {
		q.TryPush(want[i])
	}
	for _, want := range want {
		if got, ok := q.TryPop(); !ok || cmp.Compare(got, want) != 0 {
			t.Errorf("popped %v, %v, want %v", got, ok, want)
		}
	}
}

// ranks is a set of numbers that tells how many of them are below another: a Fenwick
// tree.
type ranks []int32

func (r ranks) add(number int, n int32) {
	for i := number + 1; i < len(r); i += i & -i {
		r[i] += n
	}
}

func (r ranks) below(number int) (n int) {
	for i := number; i > 0; i -= i & -i {
		n += int(r[i])
	}
	return n
}

// rankErrors makes pops pops of a queue that keeps depth items, whose keys grow as
// in a simulation, and returns the rank error of each, sorted.
func rankErrors(lanes, depth, pops int) []int {
	q := made(NewMultiQueue(lanes, itself))
	random := rand.New(rand.NewPCG(5, uint64(lanes)))
	// Keys are drawn once each, so that a rank is well defined: the order of a
	// permutation, shifted on as the pops go.
	window := 4 * depth
	stored := make(ranks, 2*pops+depth+2*window)
	used := make([]bool, len(stored))
	push := func(from int) {
		key := from + random.IntN(window)
		for used[key] {
			key++
		}
		used[key] = true
		stored.add(key, 1)
		q.TryPush(key)
	}
	for range depth {
		push(0)
	}
	errs := make([]int, 0, pops)
	for i := range pops {
		key, _ := q.TryPop()
		errs = append(errs, stored.below(key))
		stored.add(key, -1)
		push(2 * i)
	}
	slices.Sort(errs)
	return errs
}

func mean(numbers []int) float64 {
	sum := 0
	for _, n := range numbers {
		sum += n
	}
	return float64(sum) / float64(len(numbers))
}

func TestMultiQueue_E_QUE_14_RankError(t *testing.T) {
	for lanes, pops := range map[int]int{1: 10_000, 2: 50_000, 4: 50_000, 8: sized(1_000_000), 16: sized(1_000_000), 64: 100_000} {
		errs := rankErrors(lanes, 2_000, pops)
		n := float64(lanes)
		average, rare, most := mean(errs), errs[len(errs)*999/1000], errs[len(errs)-1]
		t.Logf("%2d lanes: mean %.2f (%.2f of the lanes), p99 %d, p99.9 %d, most %d",
			lanes, average, average/n, errs[len(errs)*99/100], rare, most)
		if average > n*0.9 { // 5/6, and what a mean of so many may differ by
			t.Errorf("%d lanes: a mean of %.2f", lanes, average)
		}
		if rare > 8*lanes || most > 40*lanes {
			t.Errorf("%d lanes: p99.9 %d, most %d", lanes, rare, most)
		}
		if lanes == 1 && most != 0 {
			t.Error("one lane is not strict")
		}
	}
}

// A lone item, or one of a few, is found in whichever lane it is.
func TestMultiQueue_E_QUE_14_SingleItem(t *testing.T) {
	for _, lanes := range []int{1, 2, 3, 64, 1000} {
		q := made(NewMultiQueue(lanes, itself))
		for i := range 2_000 {
			q.TryPush(i)
			if item, ok := q.TryPop(); !ok || item != i {
				t.Fatalf("%d lanes: popped %d, %v, want %d", lanes, item, ok, i)
			}
			if item, ok := q.TryPop(); ok {
				t.Fatalf("%d lanes: popped %d of an empty queue", lanes, item)
			}
		}
	}
}

// Everyone pops no more than he has pushed before, so the queue is empty at no instant
// of a pop, and no pop may say so. With few items and many lanes nearly all looks miss.
func TestMultiQueue_E_QUE_14_EmptyIsNotSaidInVain(t *testing.T) {
	each := max(sized(20_000), 5_000)
	for _, lanes := range []int{1, 2, 8, 500} {
		q := made(NewMultiQueue(lanes, itself))
		var group sync.WaitGroup
		var wrong atomic.Int64
		for g := range 4 {
			group.Go(func() {
				for i := range each {
					q.TryPush(g*each + i)
					if i%16 == 0 {
						runtime.Gosched()
					}
					if _, ok := q.TryPop(); !ok {
						wrong.Add(1)
					}
				}
			})
		}
		group.Wait()
		if wrong.Load() > 0 || q.Len() != 0 {
			t.Errorf("%d lanes: %d wrong answers, %d items are left", lanes, wrong.Load(), q.Len())
		}
	}
}

// The two looks of empty see a push that comes and goes between and inside them.
func TestMultiQueue_E_QUE_14_DoubleCheck(t *testing.T) {
	q := made(NewMultiQueue(2, itself))
	if !q.empty() {
		t.Error("an empty queue is not")
	}
	q.lanes[1].heap.Push(1, 1)
	q.lanes[1].size.Store(1) // as a push does before it releases the lock
	if q.empty() {
		t.Error("a full lane is not seen")
	}
	const lanes = 500
	q = made(NewMultiQueue(lanes, itself))
	stop := make(chan struct{})
	var movers sync.WaitGroup
	at := &q.lanes[0]
	at.heap.Push(0, 0)
	at.size.Store(1)
	movers.Go(func() { // moves the only item from lane to lane, never without one
		for {
			select {
			case <-stop:
				return
			default:
			}
			to := &q.lanes[rand.IntN(lanes)]
			if to == at {
				continue
			}
			to.mu.Lock()
			to.heap.Push(0, 0)
			to.size.Store(int64(to.heap.Len()))
			to.pushes.Add(1)
			to.mu.Unlock()
			at.mu.Lock()
			at.pop()
			at = to
		}
	})
	for range 50_000 {
		if q.empty() {
			t.Error("empty is said of a queue that never is")
			break
		}
	}
	close(stop)
	movers.Wait()
}

// Every item leaves once, and Len stays between 0 and what was pushed.
func TestMultiQueue_E_QUE_15_Conservation(t *testing.T) {
	const producers, each = 4, 5_000
	for _, lanes := range []int{1, 4, 16} {
		q := made(NewMultiQueue(lanes, func(item int) int { return item % 97 }))
		seen := make([]atomic.Int32, producers*each)
		var popped atomic.Int64
		var group sync.WaitGroup
		for p := range producers {
			group.Go(func() {
				for i := range each {
					q.TryPush(p*each + i)
				}
			})
			group.Go(func() {
				for popped.Load() < producers*each {
					if item, ok := q.TryPop(); ok {
						seen[item].Add(1)
						popped.Add(1)
					} else {
						runtime.Gosched()
					}
					if n := q.Len(); n < 0 || n > producers*each {
						t.Errorf("Len %d", n)
					}
				}
			})
		}
		group.Wait()
		for i := range seen {
			if n := seen[i].Load(); n != 1 {
				t.Fatalf("%d lanes: item %d left %d times", lanes, i, n)
			}
		}
		if item, ok := q.TryPop(); ok || q.Len() != 0 {
			t.Errorf("popped %d, Len %d", item, q.Len())
		}
	}
}

// A call passes a lane that is held up by; only if it finds no other it waits for it.
func TestMultiQueue_E_QUE_14_LaneHeldUp(t *testing.T) {
	q := made(NewMultiQueue(64, itself)) // to come upon the one five times: 1 in 10^9
	q.lanes[3].mu.Lock()
	for i := range 1000 {
		q.TryPush(i)
		if item, ok := q.TryPop(); !ok || item != i {
			t.Fatalf("popped %d, %v, want %d", item, ok, i)
		}
	}
	q.lanes[3].mu.Unlock()

	q = made(NewMultiQueue(1, itself))
	q.lanes[0].mu.Lock()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() { q.TryPush(i) })
		group.Go(func() { q.TryPop() })
	}
	runtime.Gosched()
	q.lanes[0].mu.Unlock()
	group.Wait()
	for n := q.Len(); n > 0; n-- {
		if _, ok := q.TryPop(); !ok {
			t.Error("an item is lost")
		}
	}
}

// A panic of the key function leaves no lane locked.
func TestMultiQueue_PanicOfTheFunction(t *testing.T) {
	q := made(NewMultiQueue(1, func(item int) int { return 1 / item }))
	if !panics(func() { q.TryPush(0) }) || !q.TryPush(1) || q.Len() != 1 {
		t.Errorf("Len %d", q.Len())
	}
}
