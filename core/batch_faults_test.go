package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/uptutu/goman/core"
)

// demanding is a task whose attribute is asked of a function.
type demanding func() core.Priority

func (demanding) Execute(context.Context) (int, error) { return 1, nil }
func (d demanding) Priority() core.Priority            { return d() }

// lateIn returns a batch of several slabs in which the last task but one brings its
// priority by ask: all others are of its type, or of a type that brings nothing.
func lateIn(mixed bool, ask func() core.Priority) []core.Task[int] {
	tasks := make([]core.Task[int], 1000)
	for i := range tasks {
		if tasks[i] = value(1); !mixed {
			tasks[i] = demanding(func() core.Priority { return core.Low })
		}
	}
	tasks[len(tasks)-2] = demanding(ask)
	return tasks
}

// Nobody is let in before all have told their attributes: a batch with one that is
// invalid is refused as a whole, and one that panics leaves no task behind of which
// the caller has no future.
func TestSubmitAll_AttributesFirst(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		t.Run(fmt.Sprintf("mixed %v", mixed), func(t *testing.T) {
			e := engineFor(t)
			invalid := lateIn(mixed, func() core.Priority { return 50 })
			if fs, err := core.SubmitAll(soon(t), e, invalid); len(fs) != 0 || !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%d futures, %v", len(fs), err)
			}
			if v := panics(func() {
				_, _ = core.SubmitAll(soon(t), e, lateIn(mixed, func() core.Priority { panic("not today") }))
			}); v != "not today" {
				t.Errorf("it panicked with %v", v)
			}
			if n := e.Stats().Accepted; n != 0 {
				t.Errorf("%d tasks were accepted", n)
			}
			ok := lateIn(mixed, func() core.Priority { return core.High })
			if fs, err := core.SubmitAll(soon(t), e, ok); len(fs) != len(ok) || err != nil {
				t.Errorf("%d futures, %v", len(fs), err)
			}
		})
	}
}

// batchOf returns n tasks of two types that take turns, and note that they ran.
func batchOf(n int, ran []atomic.Int32) []core.Task[int] {
	tasks := make([]core.Task[int], n)
	for i := range tasks {
		if i/50%2 == 0 {
			tasks[i] = core.Func(func(context.Context) (int, error) { ran[i].Add(1); return i, nil })
		} else {
			tasks[i] = noting{&ran[i], i}
		}
	}
	return tasks
}

type noting struct {
	ran *atomic.Int32
	n   int
}

func (n noting) Execute(context.Context) (int, error) { n.ran.Add(1); return n.n, nil }

// A batch is let in piece by piece: whatever comes between two pieces, what was
// accepted is the prefix whose futures are returned, and the rest never runs.
func TestSubmitAll_AgainstTheEnd(t *testing.T) {
	const size = 500
	for _, policy := range []core.RejectPolicy{core.RejectWait, core.RejectFail, core.RejectDiscardOldest, core.RejectCallerRuns} {
		t.Run(policy.String(), func(t *testing.T) {
			var seen tally
			watched(t, rounds(2000), func(i int, soon context.Context, watch func(*core.Engine)) {
				e := freshEngine(t, core.WithWorkers(1+i%3), core.WithQueueCapacity([]int{3, 150, 1000}[i/3%3]), core.WithReject(policy))
				watch(e)
				ran := make([]atomic.Int32, size)
				ctx, cancel := context.WithCancel(soon)
				defer cancel()
				if i%50 == 0 {
					cancel()
				}
				var wg sync.WaitGroup
				wg.Go(func() {
					for range i % 200 {
						runtime.Gosched()
					}
					switch i % 4 {
					case 0:
						_ = e.Shutdown(soon)
					case 1:
						_ = e.Close(soon)
					case 2:
						cancel()
					case 3:
						_ = errors.Join(e.Pause(), e.Resize(1+i%5), e.Resume())
					}
				})
				var fs []*core.Future[int]
				var err error
				if i%5 == 0 {
					fs, err = core.TrySubmitAll(ctx, e, batchOf(size, ran))
				} else {
					fs, err = core.SubmitAll(ctx, e, batchOf(size, ran))
				}
				wg.Wait()
				switch {
				case len(fs) == size && err == nil:
					seen.add("all")
				case len(fs) == size || err == nil:
					t.Errorf("%d futures, %v", len(fs), err)
				case len(fs) == 0:
					seen.add("none")
				default:
					seen.add("part")
				}
				for j, f := range fs {
					if n, err := f.Await(soon); err == nil && (n != j || ran[j].Load() != 1) {
						t.Errorf("task %d of %d: %d, ran %d times", j, len(fs), n, ran[j].Load())
					} else if errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("task %d of %d is not resolved: %+v", j, len(fs), e.Stats())
						break
					}
				}
				endEngine(t, e)
				for j := range ran {
					if n := ran[j].Load(); n > 1 || n == 1 && j >= len(fs) {
						t.Errorf("task %d ran %d times, %d were accepted", j, n, len(fs))
					}
				}
				if s := e.Stats(); s.Accepted != uint64(len(fs)) || s.Ended() != s.Accepted {
					t.Errorf("%d futures, accepted %d, ended %d", len(fs), s.Accepted, s.Ended())
				}
			})
			seen.want(t, "all", "part", "none")
		})
	}
}

// cargoContext is a context whose end of life can be seen.
type cargoContext struct {
	context.Context
	_ [1 << 10]byte
}

// The first tasks of a batch may end before the last is made, or be all that is
// accepted: the context is there for each that runs, and let go when all have ended.
func TestSubmitAll_LetsTheContextGo(t *testing.T) {
	type key struct{}
	for name, c := range map[string]struct {
		capacity int
		policy   core.RejectPolicy
		part     bool
	}{
		"all":     {2000, core.RejectWait, false},
		"waiting": {1, core.RejectWait, false},
		"part":    {150, core.RejectFail, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := engineFor(t, core.WithWorkers(2), core.WithQueueCapacity(c.capacity), core.WithReject(c.policy))
			submit := func(inside context.Context) ([]*core.Future[int], weak.Pointer[cargoContext]) {
				ctx := &cargoContext{Context: context.WithValue(inside, key{}, 7)}
				var tasks []core.Task[int]
				for i := range 1000 {
					task := core.Func(func(ctx context.Context) (int, error) { n, _ := ctx.Value(key{}).(int); return n, nil })
					if tasks = append(tasks, task); i/30%2 == 0 {
						tasks[i] = core.TaskFunc[int](func(ctx context.Context) (int, error) { return 7, nil })
					}
				}
				release := func() {}
				if c.part {
					release = occupy(t, e, 2)
				}
				fs, err := core.SubmitAll[int](ctx, e, tasks)
				release()
				if c.part != (err != nil) {
					t.Errorf("%d futures, %v", len(fs), err)
				}
				for i, f := range fs {
					if n, err := f.Await(soon(t)); n != 7 || err != nil {
						t.Fatalf("task %d: %d, %v", i, n, err)
					}
				}
				return fs, weak.Make(ctx)
			}
			fs, pointer := submit(context.Background())
			idle(t, e)
			runtime.GC()
			runtime.GC()
			if pointer.Value() != nil {
				t.Error("the context is kept")
			}
			runtime.KeepAlive(fs)
		})
	}
}

// Inside a task of another engine the batch is let in piece by piece too, and goes on
// under what that task was submitted with when it has returned.
func TestSubmitAll_FromAnotherEngine(t *testing.T) {
	type key struct{}
	e, other := engineFor(t, core.WithQueueCapacity(5)), engineFor(t)
	var fs []*core.Future[int]
	ctx := context.WithValue(context.Background(), key{}, 7)
	f, err := core.Submit(ctx, other, core.Func(func(ctx context.Context) (int, error) {
		tasks := make([]core.Task[int], 700)
		for i := range tasks {
			tasks[i] = core.Func(func(ctx context.Context) (int, error) { n, _ := ctx.Value(key{}).(int); return n, nil })
		}
		var err error
		fs, err = core.SubmitAll(ctx, e, tasks)
		return len(fs), err
	}))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Await(soon(t)); n != 700 || err != nil {
		t.Fatal(n, err)
	}
	for i, f := range fs {
		if n, err := f.Await(soon(t)); n != 7 || err != nil {
			t.Fatalf("task %d: %d, %v", i, n, err)
		}
	}
}

// In a bubble a long batch takes no time but that of its tasks.
func TestSubmitAll_InABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(100), core.WithQueueCapacity(2))
		tasks := make([]core.Task[int], 1000)
		for i := range tasks {
			tasks[i] = core.Func(func(context.Context) (int, error) { time.Sleep(time.Second); return i, nil })
		}
		began := time.Now()
		fs, err := core.SubmitAll(t.Context(), e, tasks)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range fs {
			if n, err := f.Await(t.Context()); n != i || err != nil {
				t.Fatal(n, err)
			}
		}
		if d := time.Since(began); d != 10*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}
