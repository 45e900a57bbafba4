package middleware_test

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/uptutu/goman/middleware"
)

// Whoever comes and goes: what is used is remembered, with the same value, and beyond that no
// more than allowed.
func TestKeyed_Model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 4).Draw(t, "max")
		places := middleware.NewPlaces(most)
		type user struct {
			key   string
			leave func()
		}
		var users []user
		values := make(map[string]*int) // of the keys that are used
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if n := len(users); n > 0 && rapid.Bool().Draw(t, "leaves") {
				i := rapid.IntRange(0, n-1).Draw(t, "who")
				u := users[i]
				users = slices.Delete(users, i, i+1)
				u.leave()
				if !slices.ContainsFunc(users, func(other user) bool { return other.key == u.key }) {
					delete(values, u.key)
				}
			} else {
				key := strconv.Itoa(rapid.IntRange(0, 8).Draw(t, "key"))
				v, leave := places.Enter(key)
				if old := values[key]; old != nil && old != v {
					t.Fatalf("%s is used, and has another value", key)
				}
				values[key] = v
				users = append(users, user{key, leave})
			}
			keys := places.Keys()
			if len(keys) > max(most, len(values)) {
				t.Fatalf("%d are used, %d allowed, %d remembered", len(values), most, len(keys))
			}
			for key := range values {
				if !slices.Contains(keys, key) {
					t.Fatalf("%s is used, and forgotten", key)
				}
			}
		}
		for _, u := range users {
			u.leave()
		}
		if n := len(places.Keys()); n > most {
			t.Fatalf("%d remembered", n)
		}
	})
}

// The one that was used least recently is forgotten.
func TestKeyed_Oldest(t *testing.T) {
	places := middleware.NewPlaces(3)
	for _, key := range []string{"a", "b", "c", "a", "d"} {
		_, leave := places.Enter(key)
		leave()
	}
	if keys := places.Keys(); !slices.Equal(keys, []string{"d", "a", "c"}) {
		t.Error(keys)
	}
}

// BenchmarkKeys is the cost of a key, with more of them in use than are remembered otherwise.
func BenchmarkKeys(b *testing.B) {
	for _, used := range []int{0, 100, 10_000} {
		b.Run(strconv.Itoa(used), func(b *testing.B) {
			places := middleware.NewPlaces(10)
			for i := range used {
				places.Enter(strconv.Itoa(i))
			}
			for b.Loop() {
				_, leave := places.Enter("x")
				leave()
			}
		})
	}
}
