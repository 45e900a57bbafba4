package queue

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// keyed is an item with a key that is often equal to another's.
type keyed[K cmp.Ordered] struct {
	key K
	id  int
}

func keyOf[K cmp.Ordered](item keyed[K]) K { return item.key }

// keyedModel keeps items sorted by key, those of one key in their order.
type keyedModel[K cmp.Ordered] []keyed[K]

func (m *keyedModel[K]) push(item keyed[K]) {
	i := len(*m)
	for i > 0 && cmp.Compare(item.key, (*m)[i-1].key) < 0 {
		i--
	}
	*m = slices.Insert(*m, i, item)
}

func (m *keyedModel[K]) pop() (item keyed[K], ok bool) {
	if len(*m) == 0 {
		return item, false
	}
	item = (*m)[0]
	*m = slices.Delete(*m, 0, 1)
	return item, true
}

func TestKeyHeap_Invalid(t *testing.T) {
	if h, err := NewKeyHeap[int, int](nil); h != nil || !errors.Is(err, ErrInvalid) {
		t.Errorf("NewKeyHeap(nil) = %v, %v", h, err)
	}
}

func TestKeyHeap_Model(t *testing.T) {
	t.Run("small", func(t *testing.T) { checkKeyHeap(t, rapid.IntRange(0, 5)) })
	t.Run("E_QUE_08", func(t *testing.T) {
		checkKeyHeap(t, rapid.SampledFrom([]int{math.MinInt, math.MinInt + 1, -1, 0, 1, math.MaxInt - 1, math.MaxInt}))
	})
	t.Run("unsigned", func(t *testing.T) { checkKeyHeap(t, rapid.Uint64()) })
	t.Run("float", func(t *testing.T) {
		checkKeyHeap(t, rapid.SampledFrom([]float64{math.NaN(), math.Inf(-1), -1, math.Copysign(0, -1), 0, 1, math.Inf(1)}))
	})
	t.Run("string", func(t *testing.T) { checkKeyHeap(t, rapid.StringN(0, 2, -1)) })
}

func checkKeyHeap[K cmp.Ordered](t *testing.T, keys *rapid.Generator[K]) {
	rapid.Check(t, func(t *rapid.T) {
		h := made(NewKeyHeap(keyOf[K]))
		h.pushed = rapid.SampledFrom(orderStarts).Draw(t, "start")
		var model keyedModel[K]
		id := 0
		same := func(got, want keyed[K]) bool { return got.id == want.id && cmp.Compare(got.key, want.key) == 0 }
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					id++
					item := keyed[K]{keys.Draw(t, "key"), id}
					h.TryPush(item)
					model.push(item)
				}
			},
			"pop": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					peeked, peekOK := h.Peek()
					got, ok := h.TryPop()
					want, wantOK := model.pop()
					if ok != wantOK || !same(got, want) || peekOK != ok || !same(peeked, got) {
						t.Fatalf("got %v, %v, peeked %v, want %v, %v", got, ok, peeked, want, wantOK)
					}
				}
			},
			"": func(t *rapid.T) {
				if h.Len() != len(model) {
					t.Fatalf("Len %d, want %d", h.Len(), len(model))
				}
			},
		})
	})
}

func TestKeyHeap_GivenKey(t *testing.T) {
	h := made(NewKeyHeap(keyOf[int]))
	h.TryPush(keyed[int]{2, 0})
	h.Push(1, keyed[int]{3, 1})
	if item, _ := h.TryPop(); item.id != 1 {
		t.Errorf("popped %v", item)
	}
}

func TestKeyHeap_PanicOfTheFunction(t *testing.T) {
	h := made(NewKeyHeap(func(item int) int { return 1 / item }))
	h.TryPush(1)
	if !panics(func() { h.TryPush(0) }) || h.Len() != 1 {
		t.Errorf("Len %d", h.Len())
	}
}
