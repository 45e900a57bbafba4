package queue

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type leveled struct{ level, id int }

func levelOf(item leveled) int { return item.level }

func TestLevels_Invalid(t *testing.T) {
	for _, levels := range []int{math.MinInt, -1, 0, MaxLevels + 1, math.MaxInt} {
		if q, err := NewLevels(levels, levelOf); q != nil || !errors.Is(err, ErrInvalid) {
			t.Errorf("NewLevels(%d) = %v, %v", levels, q, err)
		}
	}
	if q, err := NewLevels[int](1, nil); q != nil || !errors.Is(err, ErrInvalid) {
		t.Errorf("NewLevels without a function = %v, %v", q, err)
	}
}

// A list for each level.
func TestLevels_Model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{1, 2, 3, 63, 64}).Draw(t, "levels")
		q := made(NewLevels(n, levelOf))
		model := make([][]leveled, n)
		size, id := 0, 0
		pop := func() (leveled, bool) {
			for level, items := range model {
				if len(items) > 0 {
					model[level] = items[1:]
					size--
					return items[0], true
				}
			}
			return leveled{}, false
		}
		draw := func(t *rapid.T) []leveled {
			items := make([]leveled, rapid.IntRange(0, 200).Draw(t, "items"))
			level := rapid.IntRange(-1, n)
			one := level.Draw(t, "level")
			mixed := rapid.Bool().Draw(t, "mixed")
			for i := range items {
				if mixed {
					one = level.Draw(t, "level")
				}
				items[i] = leveled{one, id}
				id++
				at := min(max(one, 0), n-1)
				model[at] = append(model[at], items[i])
			}
			size += len(items)
			return items
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for _, item := range draw(t) {
					if !q.TryPush(item) {
						t.Fatal("refused")
					}
				}
			},
			"push all": func(t *rapid.T) {
				items := draw(t)
				if got := q.PushAll(items); got != len(items) {
					t.Fatalf("stored %d of %d", got, len(items))
				}
			},
			"pop": func(t *rapid.T) {
				for range rapid.IntRange(1, 200).Draw(t, "n") {
					want, wantOK := pop()
					if got, ok := q.TryPop(); got != want || ok != wantOK {
						t.Fatalf("got %v, %v, want %v, %v", got, ok, want, wantOK)
					}
				}
			},
			"pop all": func(t *rapid.T) {
				into := make([]leveled, rapid.IntRange(0, 200).Draw(t, "n"))
				var want []leveled
				for range into {
					if item, ok := pop(); ok {
						want = append(want, item)
					}
				}
				if got := q.PopAll(into); !slices.Equal(into[:got], want) {
					t.Fatalf("got %v, want %v", into[:got], want)
				}
			},
			"": func(t *rapid.T) {
				if q.Len() != size {
					t.Fatalf("Len %d, want %d", q.Len(), size)
				}
				if size == 0 && (q.blocks != 0 || q.spares > 1 || q.filled != 0) {
					t.Fatalf("an empty queue has %d blocks in use, %d to spare", q.blocks, q.spares)
				}
			},
		})
	})
}

func TestLevels_E_QUE_08_Extremes(t *testing.T) {
	q := made(NewLevels(3, levelOf))
	for _, level := range []int{math.MaxInt, 1, math.MinInt, 2, 0, -1, 3} {
		q.TryPush(leveled{level: level})
	}
	var got []int
	for q.Len() > 0 {
		item, _ := q.TryPop()
		got = append(got, item.level)
	}
	if want := []int{math.MinInt, 0, -1, 1, math.MaxInt, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("got %d, want %d", got, want)
	}
	if q.Levels() != 3 {
		t.Errorf("Levels = %d", q.Levels())
	}
}

func TestLevels_PanicOfTheFunction(t *testing.T) {
	q := made(NewLevels(3, func(level int) int { return 1 / level }))
	q.TryPush(1)
	if !panics(func() { q.TryPush(0) }) || q.Len() != 1 {
		t.Errorf("Len %d", q.Len())
	}
}

// panics reports whether f panics.
func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return
}
