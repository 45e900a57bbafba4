package queue

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// billed is an item of a Fair.
type billed struct {
	key, cost, id int
}

func fairOf(quantum int, weights map[int]int) *Fair[int, billed] {
	return made(NewFair(FairConfig[int, billed]{
		Key:     func(item billed) int { return item.key },
		Cost:    func(item billed) int { return item.cost },
		Weight:  func(key int) int { return weights[key] },
		Quantum: quantum,
	}))
}

// fairModel is deficit round robin by the book, one turn at a time.
type fairModel struct {
	quantum int
	weights map[int]int
	ring    []int // keys
	turn    bool
	credit  map[int]int
	items   map[int][]billed
	size    int
}

func (m *fairModel) push(item billed) {
	if len(m.items[item.key]) == 0 {
		m.ring = append(m.ring, item.key)
		m.credit[item.key] = 0
	}
	m.items[item.key] = append(m.items[item.key], item)
	m.size++
}

func (m *fairModel) pop() (billed, bool) {
	for m.size > 0 {
		key := m.ring[0]
		if !m.turn {
			m.credit[key] += m.quantum * min(max(m.weights[key], 1), MaxWeight)
			m.turn = true
		}
		item := m.items[key][0]
		cost := max(item.cost, 1)
		if cost > m.credit[key] {
			m.ring, m.turn = append(m.ring[1:], key), false
			continue
		}
		m.credit[key] -= cost
		m.items[key] = m.items[key][1:]
		m.size--
		if len(m.items[key]) == 0 {
			m.ring, m.turn = m.ring[1:], false
		}
		return item, true
	}
	return billed{}, false
}

func TestFair_Model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := map[int]int{}
		weight := rapid.SampledFrom([]int{math.MinInt, -1, 0, 1, 1, 2, 3, 10})
		quantum := rapid.SampledFrom([]int{1, 2, 10, 100}).Draw(t, "quantum")
		q := fairOf(quantum, weights)
		m := &fairModel{quantum: quantum, weights: weights, credit: map[int]int{}, items: map[int][]billed{}}
		for key := range 8 {
			weights[key] = weight.Draw(t, "weight")
		}
		costs := rapid.OneOf(rapid.IntRange(-1, 10), rapid.IntRange(1, 1000))
		id := 0
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				key := rapid.IntRange(0, 7).Draw(t, "key")
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					id++
					item := billed{key, costs.Draw(t, "cost"), id}
					m.push(item)
					q.TryPush(item)
				}
			},
			"pop": func(t *rapid.T) {
				for range rapid.IntRange(1, 80).Draw(t, "n") {
					want, wantOK := m.pop()
					if got, ok := q.TryPop(); got != want || ok != wantOK {
						t.Fatalf("popped %v, %v, want %v, %v", got, ok, want, wantOK)
					}
				}
			},
			"pop all": func(t *rapid.T) {
				into := make([]billed, rapid.IntRange(0, 50).Draw(t, "n"))
				n := q.PopAll(into)
				for _, got := range into[:n] {
					if want, _ := m.pop(); got != want {
						t.Fatalf("popped %v, want %v", got, want)
					}
				}
				if n < len(into) && m.size > 0 {
					t.Fatalf("popped %d, %d are left", n, m.size)
				}
			},
			"": func(t *rapid.T) {
				if q.Len() != m.size || q.Keys() != len(m.ring) {
					t.Fatalf("Len %d, Keys %d, want %d, %d", q.Len(), q.Keys(), m.size, len(m.ring))
				}
			},
		})
	})
}

// In every window in which two keys of weight w have items all the time, their served
// costs differ by at most a share and twice the dearest item; where a quantum pays for
// any item, that is at most two shares and the dearest item. Other keys come and go.
func TestFair_ShareOfTheBacklogged(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		quantum, maxCost, weight := 1+random.IntN(100), 1+random.IntN(200), 1+random.IntN(4)
		q := fairOf(quantum, map[int]int{0: weight, 1: weight})
		push := func(key int) { q.TryPush(billed{key: key, cost: 1 + random.IntN(maxCost)}) }
		diff, low, high := 0, 0, 0
		for key := range 2 { // one alone first, so that it has had turns
			for range 3 {
				push(key)
			}
		}
		for range sized(20_000) {
			if random.IntN(4) == 0 {
				push(2 + random.IntN(5))
			}
			item, _ := q.TryPop()
			switch item.key {
			case 0:
				diff += item.cost
				push(0)
			case 1:
				diff -= item.cost
				push(1)
			}
			low, high = min(low, diff), max(high, diff)
		}
		if bound := quantum*weight + 2*maxCost; high-low > bound {
			t.Errorf("seed %d: a difference of %d, the bound is %d", seed, high-low, bound)
		}
	}
}

// A new item of a new key leaves within the stated number of others' turns, however
// much of theirs is waiting.
func TestFair_BoundOfTheWait(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 2))
		quantum, maxCost := 1+random.IntN(50), 1+random.IntN(100)
		weights := map[int]int{}
		for key := range 21 {
			weights[key] = 1 + random.IntN(3)
		}
		q := fairOf(quantum, weights)
		for range 20_000 {
			q.TryPush(billed{key: random.IntN(20), cost: 1 + random.IntN(maxCost)})
		}
		for range random.IntN(3000) {
			q.TryPop()
		}
		late := billed{key: 20, cost: 1 + random.IntN(5*maxCost)}
		q.TryPush(late)
		served := map[int]int{}
		for {
			item, _ := q.TryPop()
			if item == late {
				break
			}
			served[item.key] += item.cost
		}
		share := quantum * weights[20]
		turns := (late.cost + share - 1) / share
		for key, cost := range served {
			if bound := turns*quantum*weights[key] + maxCost; cost > bound {
				t.Errorf("seed %d: key %d was served %d, the bound is %d", seed, key, cost, bound)
			}
		}
	}
}

// One heavy key and 999 light ones: each light item leaves within a round.
func TestFair_HeavyAndLight(t *testing.T) {
	q := fairOf(1, nil)
	for i := range 100_000 {
		q.TryPush(billed{key: 0, id: i})
	}
	for round := range 50 {
		for key := 1; key < 1000; key++ {
			q.TryPush(billed{key: key, id: round})
		}
		heavy := 0
		for range 1000 {
			if item, _ := q.TryPop(); item.key == 0 {
				heavy++
			} else if item.id != round {
				t.Fatalf("round %d: %v", round, item)
			}
		}
		if heavy != 1 {
			t.Fatalf("round %d: %d items of the heavy key", round, heavy)
		}
	}
}

func TestFair_IdleKeyKeepsNoCredit(t *testing.T) {
	q := fairOf(100, nil)
	for range 50 { // each time 99 would be left
		q.TryPush(billed{key: 1, cost: 1})
		q.TryPop()
	}
	q.TryPush(billed{key: 2, cost: 100})
	for range 300 {
		q.TryPush(billed{key: 1, cost: 1})
		q.TryPush(billed{key: 2, cost: 100})
	}
	served := map[int]int{}
	for range 400 {
		item, _ := q.TryPop()
		served[item.key] += item.cost
		// One share at most: less than a credit that was kept would be good for.
		if d := served[1] - served[2]; d > 100 || d < -100 {
			t.Fatalf("served %v", served)
		}
		if served[1] == 300 {
			break
		}
	}
}

func TestFair_E_QUE_13_Weights(t *testing.T) {
	weights := map[int]int{0: 0, 1: -5, 2: math.MinInt, 3: 1, 4: 3, 5: math.MaxInt}
	q := fairOf(1, weights)
	for range 400 {
		for key := range 5 {
			q.TryPush(billed{key: key})
		}
	}
	served := map[int]int{}
	for range 700 {
		item, _ := q.TryPop()
		served[item.key]++
	}
	for key, want := range []int{100, 100, 100, 100, 300} {
		if served[key] != want {
			t.Errorf("weight %d was served %d times of 700, want %d", weights[key], served[key], want)
		}
	}
	// A huge weight is served first, and does not last for ever.
	for i := range 2 * MaxWeight {
		q.TryPush(billed{key: 5, id: i})
	}
	most := 0
	for run, last := 0, -1; q.Len() > 0; {
		item, _ := q.TryPop()
		if run++; item.key != last {
			run, last = 1, item.key
		}
		most = max(most, run)
	}
	if most != MaxWeight {
		t.Errorf("%d items of one key in a row, want %d", most, MaxWeight)
	}
}

func TestFair_E_QUE_13_CostOverQuantum(t *testing.T) {
	q := fairOf(1, map[int]int{3: MaxWeight})
	q.TryPush(billed{key: 1, cost: math.MaxInt})
	q.TryPush(billed{key: 2, cost: 500})
	for i := range 1000 {
		q.TryPush(billed{key: 4, cost: 1, id: i})
	}
	cheap := 0
	for {
		item, ok := q.TryPop()
		if item.cost == 500 {
			break
		}
		if cheap++; !ok || item.key != 4 {
			t.Fatalf("popped %v, %v", item, ok)
		}
	}
	if cheap != 499 {
		t.Errorf("%d cheap items left before one of 500, want 499", cheap)
	}
	for range 1000 - cheap {
		if item, _ := q.TryPop(); item.key != 4 {
			t.Fatalf("popped %v", item)
		}
	}
	// Alone it does not wait for 2^31 turns to be counted one by one.
	for _, weighted := range []int{2, 3} {
		q.TryPush(billed{key: weighted, cost: math.MaxInt})
	}
	for _, want := range []int{3, 1, 2} {
		if item, ok := q.TryPop(); !ok || item.key != want {
			t.Errorf("popped %v, %v, want of key %d", item, ok, want)
		}
	}
}

func TestFair_MillionKeysLeaveNothing(t *testing.T) {
	q := made(NewFair(FairConfig[int, int]{Key: func(item int) int { return item }}))
	n := sized(1_000_000)
	base := heapBytes()
	for i := range n {
		q.TryPush(i)
	}
	full := heapBytes() - base
	if q.Keys() != n {
		t.Errorf("%d keys", q.Keys())
	}
	for i := range n {
		if item, _ := q.TryPop(); item != i {
			t.Fatalf("popped %d, want %d", item, i)
		}
	}
	if left := heapBytes() - base; left > orderBase {
		t.Errorf("%d bytes are left of %d", left, full)
	}
	t.Logf("%.1f bytes for a key with an item", float64(full)/float64(n))
	for i := range 3 * n { // one at a time
		q.TryPush(i)
		q.TryPop()
	}
	if left := heapBytes() - base; left > orderBase || q.Keys() != 0 {
		t.Errorf("%d bytes are left, %d keys", left, q.Keys())
	}
}

func TestFair_KeysThatAreNotThemselves(t *testing.T) {
	q := made(NewFair(FairConfig[any, float64]{Key: func(item float64) any { return item }}))
	for range 100 {
		q.TryPush(math.NaN())
	}
	q.TryPush(1)
	if q.Keys() != 2 {
		t.Errorf("%d keys", q.Keys())
	}
	q.TryPop()
	if item, _ := q.TryPop(); item != 1 {
		t.Errorf("popped %v", item)
	}
	for q.Len() > 0 {
		q.TryPop()
	}
	if q.Keys() != 0 || len(q.index) != 0 {
		t.Errorf("%d keys are left", q.Keys())
	}
}

func TestFair_PanicOfAFunction(t *testing.T) {
	fault := ""
	fail := func(name string) {
		if fault == name {
			panic(name)
		}
	}
	q := made(NewFair(FairConfig[any, any]{
		Key:    func(item any) any { fail("key"); return item },
		Cost:   func(any) int { fail("cost"); return 1 },
		Weight: func(any) int { fail("weight"); return 1 },
	}))
	q.TryPush(1)
	for _, fault = range []string{"key", "cost", "weight"} {
		if !panics(func() { q.TryPush(2) }) {
			t.Errorf("%s: no panic", fault)
		}
	}
	fault = ""
	if !panics(func() { q.TryPush([]int{1}) }) {
		t.Error("a slice as a key: no panic")
	}
	if item, _ := q.TryPop(); item != 1 || q.Len() != 0 || q.Keys() != 0 || q.items.used != 0 {
		t.Errorf("popped %v; Len %d, Keys %d", item, q.Len(), q.Keys())
	}
}

func TestFair_InvalidAndFull(t *testing.T) {
	key := func(item int) int { return item }
	for _, cfg := range []FairConfig[int, int]{{}, {Key: key, Quantum: -1}, {Key: key, Quantum: math.MinInt}} {
		if q, err := NewFair(cfg); q != nil || !errors.Is(err, ErrInvalid) {
			t.Errorf("NewFair = %v, %v", q, err)
		}
	}
	if q, err := NewFair(FairConfig[int, int]{Key: key, Quantum: MaxCost}); q == nil || err != nil {
		t.Error(err)
	}
	q := made(NewFair(FairConfig[int, int]{Key: key}))
	q.items.limit = 1
	for i := range q.Cap() {
		if !q.TryPush(i) {
			t.Fatalf("push %d of %d was refused", i, q.Cap())
		}
	}
	if q.TryPush(0) || q.TryPush(-1) || q.Len() != slabNodes || q.Keys() != slabNodes {
		t.Errorf("a full queue took an item: Len %d, Keys %d", q.Len(), q.Keys())
	}
	if item, _ := q.TryPop(); item != 0 || !q.TryPush(0) {
		t.Errorf("popped %d, or there is no room after it", item)
	}
}

func TestFair_AllocSteady(t *testing.T) {
	for _, keys := range []int{1, 10, 10_000} {
		t.Run(fmt.Sprint(keys), func(t *testing.T) {
			q := made(NewFair(FairConfig[int, int]{Key: func(item int) int { return item % keys }}))
			for i := range 20_000 {
				q.TryPush(i)
			}
			if n := testing.AllocsPerRun(50_000, func() { item, _ := q.TryPop(); q.TryPush(item) }); n > 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
