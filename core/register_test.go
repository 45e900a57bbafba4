package core

import (
	"slices"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// jobsFor returns n jobs, of records that lie side by side in memory, as those of a
// busy engine do.
func jobsFor(n int) []Job {
	records := make([]record, n)
	jobs := make([]Job, n)
	for i := range jobs {
		jobs[i] = jobOf(&records[i])
	}
	return jobs
}

// A register is a map of counts, whatever comes and goes.
func TestRegister_IsAMapOfCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		jobs := jobsFor(rapid.IntRange(1, 300).Draw(t, "jobs"))
		var g register
		counts := make(map[Job]int)
		live := 0
		t.Repeat(map[string]func(*rapid.T){
			"add some": func(t *rapid.T) {
				for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(jobs)-1), 1, 100).Draw(t, "which") {
					g.add(jobs[i])
					counts[jobs[i]]++
					live++
				}
			},
			"remove some": func(t *rapid.T) {
				for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(jobs)-1), 1, 100).Draw(t, "which") {
					if got, want := g.remove(jobs[i]), counts[jobs[i]] > 0; got != want {
						t.Fatalf("remove: %v, want %v", got, want)
					} else if want {
						counts[jobs[i]]--
						live--
					}
				}
			},
			"": func(t *rapid.T) {
				if g.live != live {
					t.Fatalf("%d are live, want %d", g.live, live)
				}
				got := make(map[Job]int)
				for job := range g.all() {
					got[job]++
				}
				if diff := cmp.Diff(counts, got, cmpopts.IgnoreMapEntries(func(_ Job, n int) bool { return n == 0 }),
					cmp.Comparer(func(a, b Job) bool { return a == b })); diff != "" {
					t.Fatal(diff)
				}
				for _, job := range jobs {
					if g.has(job) != (counts[job] > 0) {
						t.Fatalf("has: %v, want %v", g.has(job), counts[job] > 0)
					}
				}
			},
		})
	})
}

// What has gone is forgotten: the register keeps no job alive, and little memory.
func TestRegister_GivesBackMemory(t *testing.T) {
	var g register
	jobs := jobsFor(100_000)
	for _, job := range jobs {
		g.add(job)
	}
	if held := len(g.places); held > 1<<18 {
		t.Errorf("%d places for %d jobs", held, len(jobs))
	}
	for _, job := range jobs[100:] { // it is never empty
		g.remove(job)
	}
	if len(g.places) > keepRegister {
		t.Errorf("%d places are left for 100 jobs", len(g.places))
	}
	for _, job := range jobs[:100] {
		if !g.remove(job) {
			t.Fatal("a job is lost")
		}
	}
	for _, job := range jobs[:1000] {
		g.add(job)
	}
	for _, job := range jobs[:1000] {
		g.remove(job)
	}
	if i := slices.IndexFunc(g.places, func(p registered) bool { return p != registered{} }); i >= 0 {
		t.Errorf("place %d of an empty register holds %v", i, g.places[i])
	}
}

// The searches stay short for jobs at even distances, which is how an allocator lays
// them out.
func TestRegister_Spreads(t *testing.T) {
	for _, distance := range []int{16, 32, 48, 64, 96, 112, 128, 256, 1024, 4096, 8192} {
		const n = 4096
		memory := make([]byte, n*distance)
		var g register
		for i := range n {
			g.add(Job{unsafe.Pointer(&memory[i*distance])})
		}
		steps := 0
		for i, p := range g.places {
			if p.times > 0 {
				steps += (i - g.home(p.job)) & (len(g.places) - 1)
			}
		}
		if mean := float64(steps) / n; mean > 1 {
			t.Errorf("at a distance of %d a search takes %.2f steps", distance, mean)
		}
	}
}

// BenchmarkRegister is an insertion and a deletion, among 1,000 jobs in the order of
// their insertion, as a first-in first-out scheduler has them.
func BenchmarkRegister(b *testing.B) {
	jobs := jobsFor(2048)
	b.Run("register", func(b *testing.B) {
		var g register
		for i := range 1000 {
			g.add(jobs[i])
		}
		for i := range b.N {
			g.add(jobs[(i+1000)&2047])
			g.remove(jobs[i&2047])
		}
	})
	b.Run("map", func(b *testing.B) {
		g := make(map[Job]int32)
		for i := range 1000 {
			g[jobs[i]]++
		}
		for i := range b.N {
			g[jobs[(i+1000)&2047]]++
			delete(g, jobs[i&2047])
		}
	})
}
