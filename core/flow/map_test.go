package flow_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/core/flow"
)

// TestMap_AsLoop: the results and the error are those of a loop, each item before the
// first that fails is called once, and no item is called twice.
func TestMap_AsLoop(t *testing.T) {
	engines := []*core.Engine{
		coretest.New(t, core.WithWorkers(1), quietly()), coretest.New(t, core.WithWorkers(2), quietly()),
		coretest.New(t, core.WithWorkers(7), quietly()),
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 300).Draw(t, "items")
		fails := rapid.MapOf(rapid.IntRange(0, 400), rapid.Bool()).Draw(t, "which fail, and panic")
		items, want := make([]int, n), make([]string, n)
		first := n
		for i := range items {
			items[i], want[i] = i, fmt.Sprint(i)
			if _, bad := fails[i]; bad {
				first = min(first, i)
			}
		}
		for _, e := range engines {
			calls := make([]atomic.Int32, n)
			call := func(_ context.Context, i int) error {
				calls[i].Add(1)
				if i%10 == 0 {
					runtime.Gosched()
				}
				panics, bad := fails[i]
				switch {
				case panics:
					panic(nodeError{i})
				case bad:
					return nodeError{i}
				}
				return nil
			}
			got, err := flow.Map(context.Background(), e, items, func(ctx context.Context, i int) (string, error) {
				return fmt.Sprint(i), call(ctx, i)
			})
			check := func(err error, times int32) {
				t.Helper()
				if first < n && (!errors.Is(err, nodeError{first}) || errors.Is(err, core.ErrPanicked) != fails[first]) || first == n && err != nil {
					t.Fatalf("%v; the first of %d to fail is %d", err, n, first)
				}
				for i := range calls {
					if c := calls[i].Load(); i <= first && c != times || c > times {
						t.Fatalf("item %d was called %d times, the first to fail is %d", i, c, first)
					}
				}
			}
			check(err, 1)
			if first == n {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatal(diff)
				}
			} else if got != nil {
				t.Fatalf("results and an error: %v", got)
			}
			for i := range calls {
				calls[i].Store(0)
			}
			check(flow.ForEach(context.Background(), e, items, call), 1)
			for i := range calls {
				calls[i].Store(0)
			}
			check(flow.ForN(context.Background(), e, n, call), 1)
		}
	})
}

// TestForN_Parallel: as many run as there are workers, and the caller's task is one of them.
func TestForN_Parallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers = 4
		e := coretest.New(t, core.WithWorkers(workers))
		var meeting sync.WaitGroup
		meeting.Add(workers)
		err := flow.ForN(t.Context(), e, workers, func(context.Context, int) error {
			meeting.Done()
			meeting.Wait() // each holds a worker
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestForN_SmallChunks: items that take long are not kept behind each other: a list whose
// first items take the time is shared.
func TestForN_SmallChunks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(2))
		gate := make(chan struct{})
		var last atomic.Int64
		go func() {
			synctest.Wait() // item 0 waits, and the other has done all it could
			if n := last.Load(); n < 850 {
				t.Errorf("%d items of 1000 were done beside the first", n)
			}
			close(gate)
		}()
		err := flow.ForN(t.Context(), e, 1000, func(_ context.Context, i int) error {
			if i == 0 {
				<-gate
			}
			last.Add(1)
			return nil
		})
		if err != nil || last.Load() != 1000 {
			t.Error(last.Load(), err)
		}
	})
}

// TestForN_Ends: what ends it early, and that no call is under way then.
func TestForN_Ends(t *testing.T) {
	mine := errors.New("mine")
	for name, c := range map[string]struct {
		at   func(cancel context.CancelCauseFunc) error
		want []error
	}{
		"error":   {func(context.CancelCauseFunc) error { return mine }, []error{mine}},
		"panic":   {func(context.CancelCauseFunc) error { panic(mine) }, []error{mine, core.ErrPanicked}},
		"Goexit":  {func(context.CancelCauseFunc) error { runtime.Goexit(); return nil }, []error{core.ErrGoexit}},
		"context": {func(cancel context.CancelCauseFunc) error { cancel(mine); return nil }, []error{mine, context.Canceled}},
	} {
		for workers := range 4 {
			e := coretest.New(t, core.WithWorkers(workers+1), quietly())
			ctx, cancel := context.WithCancelCause(t.Context())
			var under, calls atomic.Int64
			err := flow.ForN(ctx, e, 10_000, func(_ context.Context, i int) error {
				under.Add(1)
				defer under.Add(-1)
				calls.Add(1)
				runtime.Gosched()
				if i == 3 {
					return c.at(cancel)
				}
				return nil
			})
			for _, want := range c.want {
				if !errors.Is(err, want) {
					t.Errorf("%s, %d workers: %v is not %v", name, workers+1, err, want)
				}
			}
			if under.Load() != 0 || calls.Load() == 10_000 && workers == 0 {
				t.Errorf("%s, %d workers: %d of %d calls are under way", name, workers+1, under.Load(), calls.Load())
			}
			cancel(nil)
		}
	}
}

// TestMap_Inside: within tasks, within itself, with tasks inside, on one worker as well.
func TestMap_Inside(t *testing.T) {
	for _, workers := range []int{1, 2, 4} {
		e := coretest.New(t, core.WithWorkers(workers))
		var sum atomic.Int64
		err := flow.ForN(t.Context(), e, 10, func(ctx context.Context, i int) error {
			squares, err := flow.Map(ctx, e, []int{i, i + 1, i + 2}, func(ctx context.Context, i int) (int, error) {
				return core.Run(ctx, e, square(i))
			})
			for _, s := range squares {
				sum.Add(int64(s))
			}
			return err
		})
		if want := int64(285 + 385 + 505); sum.Load() != want || err != nil {
			t.Errorf("%d workers: %d, %v; want %d", workers, sum.Load(), err, want)
		}
	}
}

func TestMap_Invalid(t *testing.T) {
	e := coretest.New(t, core.WithWorkers(1))
	nothing := func(context.Context, int) error { return nil }
	var none context.Context
	for name, err := range map[string]error{
		"engine":       flow.ForN(t.Context(), nil, 1, nothing),
		"zero engine":  flow.ForN(t.Context(), new(core.Engine), 1, nothing),
		"function":     flow.ForN(t.Context(), e, 1, nil),
		"negative":     flow.ForN(t.Context(), e, -1, nothing),
		"context":      flow.ForN(none, e, 1, nothing),
		"none of them": flow.ForN(none, e, 0, nothing),
	} {
		if !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	list, err := flow.Map(t.Context(), e, nil, func(context.Context, int) (int, error) { return 0, nil })
	if list == nil || len(list) != 0 || err != nil {
		t.Errorf("no items: %v, %v", list, err)
	}
	closed, err := core.New()
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Shutdown(t.Context())
	if err := flow.ForN(t.Context(), closed, 1, nothing); !errors.Is(err, core.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// TestMap_Alloc: the number of allocations does not depend on that of the items.
func TestMap_Alloc(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates by itself: bash .ci/run allocs")
	}
	e := coretest.New(t, core.WithWorkers(1))
	of := func(n int) float64 {
		items := make([]int, n)
		return testing.AllocsPerRun(50, func() {
			if _, err := flow.Map(context.Background(), e, items, func(_ context.Context, i int) (int, error) { return i, nil }); err != nil {
				t.Fatal(err)
			}
		})
	}
	if small, large := of(10), of(10_000); large > small+2 || small > 25 {
		t.Errorf("%v allocations for 10 items, %v for 10,000", small, large)
	}
}

// BenchmarkMap is a list of items with a cheap function, and with one of a microsecond:
// in a loop, on a goroutine for each processor with chunks of 1,024 items (16 of the
// slow ones), as a task for each item, and by Map; ns/item.
func BenchmarkMap(b *testing.B) {
	cheap := func(_ context.Context, i int) (int, error) { return i*i + 1, nil }
	slow := func(_ context.Context, i int) (int, error) {
		x := uint64(i)
		for range 640 {
			x = x*6364136223846793005 + 1442695040888963407
		}
		return int(x), nil
	}
	ctx := context.Background()
	for _, work := range []struct {
		name     string
		n, chunk int
		fn       func(context.Context, int) (int, error)
	}{{"cheap", 1_000_000, 1024, cheap}, {"1us", 20_000, 16, slow}} {
		items := make([]int, work.n)
		for i := range items {
			items[i] = i
		}
		e, err := core.New(core.WithWorkers(2))
		if err != nil {
			b.Fatal(err)
		}
		for _, way := range []struct {
			name string
			run  func() ([]int, error)
		}{
			{"loop", func() ([]int, error) {
				results := make([]int, len(items))
				for i, item := range items {
					r, err := work.fn(ctx, item)
					if err != nil {
						return nil, err
					}
					results[i] = r
				}
				return results, nil
			}},
			{"go", func() ([]int, error) { return goMap(items, work.chunk, work.fn) }},
			{"tasks", func() ([]int, error) {
				tasks := make([]core.Task[int], len(items))
				for i, item := range items {
					tasks[i] = core.Func(func(ctx context.Context) (int, error) { return work.fn(ctx, item) })
				}
				futures, err := core.SubmitAll(ctx, e, tasks)
				if err != nil {
					return nil, err
				}
				return flow.All(ctx, futures)
			}},
			{"map", func() ([]int, error) { return flow.Map(ctx, e, items, work.fn) }},
		} {
			b.Run(work.name+"/"+way.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if results, err := way.run(); len(results) != len(items) || err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(items)), "ns/item")
			})
		}
		if err := e.Shutdown(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// goMap is what one writes by hand: two goroutines and a cursor. A panic ends the program.
func goMap(items []int, chunk int, fn func(context.Context, int) (int, error)) ([]int, error) {
	results := make([]int, len(items))
	var next atomic.Int64
	var group sync.WaitGroup
	var first error
	var once sync.Once
	var failed atomic.Bool
	for range 2 {
		group.Go(func() {
			for !failed.Load() {
				end := int(next.Add(int64(chunk)))
				for i := end - chunk; i < min(end, len(items)); i++ {
					r, err := fn(context.Background(), items[i])
					if err != nil {
						once.Do(func() { first = err })
						failed.Store(true)
						return
					}
					results[i] = r
				}
				if end >= len(items) {
					return
				}
			}
		})
	}
	group.Wait()
	return results, first
}
