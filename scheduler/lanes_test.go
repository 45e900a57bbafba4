package scheduler

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Lanes are found by their keys, whatever comes and goes, and the table follows their
// number.
func TestLanes_AreAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.IntRange(1, 2000).Draw(t, "keys")
		table := newLanes()
		model := make(map[string]*lane)
		draw := func(t *rapid.T) []int {
			return rapid.SliceOfN(rapid.IntRange(0, keys-1), 1, 500).Draw(t, "which")
		}
		t.Repeat(map[string]func(*rapid.T){
			"add some": func(t *rapid.T) {
				for _, i := range draw(t) {
					if key := fmt.Sprint(i); model[key] == nil {
						model[key] = table.add(key, table.hash(key))
					}
				}
			},
			"remove some": func(t *rapid.T) {
				for _, i := range draw(t) {
					if key := fmt.Sprint(i); model[key] != nil {
						table.remove(model[key])
						delete(model, key)
					}
				}
			},
			"": func(t *rapid.T) {
				var want []string
				for i := range keys {
					key := fmt.Sprint(i)
					if table.find(key) != model[key] {
						t.Fatalf("key %s: not its lane", key)
					}
					if model[key] != nil {
						want = append(want, key)
					}
				}
				slices.Sort(want)
				var got []string
				for _, l := range table.sorted() {
					got = append(got, l.key)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatal(diff)
				}
				if chains := len(table.chains); chains > minChains && (table.count > chains || table.count < chains/16) {
					t.Fatalf("%d chains for %d lanes", chains, table.count)
				}
			},
		})
	})
}
