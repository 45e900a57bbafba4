package flow_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
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

func TestDivide_Fibonacci(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 8, 64} {
		e := coretest.New(t, core.WithWorkers(workers))
		for range 20 {
			if got, err := flow.Divide(t.Context(), e, 20, branchFib); got != 6765 || err != nil {
				t.Fatalf("%d workers: %d, %v", workers, got, err)
			}
		}
	}
}

// node is a tree of calls that a test draws.
type node struct {
	value int
	fail  bool
	yield int  // how often it lets others run
	each  bool // Each, not Both
	parts []*node
}

func drawNode(t *rapid.T, depth int, faults bool) *node {
	n := &node{
		value: rapid.IntRange(0, 100).Draw(t, "value"),
		yield: rapid.IntRange(0, 3).Draw(t, "yield"),
		fail:  faults && rapid.IntRange(0, 30).Draw(t, "fail") == 0,
	}
	if depth > 0 {
		n.each = rapid.Bool().Draw(t, "each")
		count := 2
		if n.each {
			count = rapid.IntRange(0, 5).Draw(t, "parts")
		}
		for range count {
			n.parts = append(n.parts, drawNode(t, depth-rapid.IntRange(1, 2).Draw(t, "less"), faults))
		}
	}
	return n
}

type nodeError struct{ value int }

func (e nodeError) Error() string { return fmt.Sprint("node ", e.value) }

// sum is the plain way.
func (n *node) sum() (int, error) {
	sum := n.value
	for _, part := range n.parts {
		s, err := part.sum()
		if err != nil {
			return 0, err
		}
		sum += s
	}
	if n.fail {
		return 0, nodeError{n.value}
	}
	return sum, nil
}

func divided(b *flow.Branch[*node, int], n *node) (int, error) {
	for range n.yield {
		runtime.Gosched()
	}
	sum := n.value
	switch {
	case n.each:
		parts, err := b.Each(n.parts...)
		if err != nil {
			return 0, err
		}
		for _, s := range parts {
			sum += s
		}
	case len(n.parts) == 2:
		x, y, err := b.Both(n.parts[0], n.parts[1])
		if err != nil {
			return 0, err
		}
		sum += x + y
	}
	if n.fail {
		return 0, nodeError{n.value}
	}
	return sum, nil
}

// TestDivide_AsCalls: whatever the tree, and whoever takes which part, the result and the
// error are those of plain calls.
func TestDivide_AsCalls(t *testing.T) {
	engines := []*core.Engine{coretest.New(t, core.WithWorkers(1)), coretest.New(t, core.WithWorkers(2)), coretest.New(t, core.WithWorkers(4))}
	rapid.Check(t, func(t *rapid.T) {
		root := drawNode(t, rapid.IntRange(0, 7).Draw(t, "depth"), rapid.Bool().Draw(t, "faults"))
		want, wantErr := root.sum()
		for _, e := range engines {
			got, err := flow.Divide(context.Background(), e, root, divided)
			if got != want || !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
				t.Fatalf("%d, %v; want %d, %v", got, err, want, wantErr)
			}
		}
	})
}

// TestDivide_Parallel: what has nothing to do takes a part, and as many run as there are
// workers.
func TestDivide_Parallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers = 4
		e := coretest.New(t, core.WithWorkers(workers))
		var inside sync.WaitGroup
		inside.Add(workers)
		meet := func(b *flow.Branch[int, int], i int) (int, error) {
			if i < 0 {
				parts, err := b.Each(0, 1, 2, 3)
				slices.Reverse(parts)
				return len(parts), err
			}
			inside.Done()
			inside.Wait() // without Blocking: each holds a worker
			return i, nil
		}
		if n, err := flow.Divide(t.Context(), e, -1, meet); n != workers || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// taken runs two parts, of which x waits until y has begun, elsewhere, and y until x says
// how it ends.
func taken(t *testing.T, e *core.Engine, x, y func(b *flow.Branch[string, string]) (string, error)) (string, error) {
	t.Helper()
	began, first := make(chan struct{}), make(chan struct{})
	return flow.Divide(t.Context(), e, "root", func(b *flow.Branch[string, string], which string) (string, error) {
		switch which {
		case "x":
			<-began
			defer close(first)
			return x(b)
		case "y":
			close(began)
			<-first
			return y(b)
		}
		rx, ry, err := b.Both("x", "y")
		return rx + ry, err
	})
}

func says(text string) func(*flow.Branch[string, string]) (string, error) {
	return func(*flow.Branch[string, string]) (string, error) { return text, nil }
}

// TestDivide_FaultsElsewhere: how a part ends on another goroutine reaches who waits.
func TestDivide_FaultsElsewhere(t *testing.T) {
	boom, other := errors.New("boom"), errors.New("other")
	fails := func(*flow.Branch[string, string]) (string, error) { return "", boom }
	panics := func(*flow.Branch[string, string]) (string, error) { panic(boom) }
	exits := func(*flow.Branch[string, string]) (string, error) { runtime.Goexit(); return "", nil }
	failsToo := func(*flow.Branch[string, string]) (string, error) { return "", other }
	for name, c := range map[string]struct {
		x, y func(*flow.Branch[string, string]) (string, error)
		want []error
		not  error
	}{
		"error":                      {says("x"), fails, []error{boom}, core.ErrPanicked},
		"panic":                      {says("x"), panics, []error{boom, core.ErrPanicked}, nil},
		"Goexit":                     {says("x"), exits, []error{core.ErrGoexit}, nil},
		"error here":                 {fails, says("y"), []error{boom}, nil},
		"panic here":                 {panics, says("y"), []error{boom, core.ErrPanicked}, nil},
		"Goexit here":                {exits, says("y"), []error{core.ErrGoexit}, nil},
		"two errors":                 {fails, failsToo, []error{boom}, other},
		"error here, panic there":    {failsToo, panics, []error{boom, core.ErrPanicked}, nil},
		"Goexit here, panic there":   {exits, panics, []error{core.ErrGoexit}, nil},
		"panic with a PanicError":    {says("x"), func(*flow.Branch[string, string]) (string, error) { panic(&core.PanicError{Value: boom}) }, []error{boom, core.ErrPanicked}, nil},
		"panic here, of a nil value": {func(*flow.Branch[string, string]) (string, error) { panic(nil) }, says("y"), []error{core.ErrPanicked}, nil}, //nolint:govet // meant
	} {
		t.Run(name, func(t *testing.T) {
			e := coretest.New(t, core.WithWorkers(2), quietly())
			_, err := taken(t, e, c.x, c.y)
			for _, want := range c.want {
				if !errors.Is(err, want) {
					t.Errorf("%v is not %v", err, want)
				}
			}
			if c.not != nil && errors.Is(err, c.not) {
				t.Errorf("%v is %v", err, c.not)
			}
			if got, err := flow.Divide(t.Context(), e, 10, branchFib); got != 55 || err != nil {
				t.Errorf("afterwards: %d, %v", got, err)
			}
		})
	}
}

// TestDivide_Recovered: a panic that fn recovers leaves the branch in order.
func TestDivide_Recovered(t *testing.T) {
	for _, workers := range []int{1, 3} {
		e := coretest.New(t, core.WithWorkers(workers))
		var calls atomic.Int64
		fn := func(b *flow.Branch[int, int], n int) (sum int, err error) {
			calls.Add(1)
			if n == 0 {
				panic("zero")
			}
			defer func() {
				if recover() != nil {
					x, y, _ := b.Both(-1, -1)
					sum = 100 + x + y
				}
			}()
			if n < 0 {
				return 1, nil
			}
			x, y, err := b.Both(n-1, -1)
			return x + y, err
		}
		for range 50 {
			if got, err := flow.Divide(t.Context(), e, 10, fn); got != 102+9 || err != nil {
				t.Fatalf("%d, %v", got, err)
			}
		}
	}
}

// TestDivide_DropsParts: after an error the parts behind it are not called, those that
// were taken are waited for.
func TestDivide_DropsParts(t *testing.T) {
	boom := errors.New("boom")
	e := coretest.New(t, core.WithWorkers(1))
	var called []int
	results, err := flow.Divide(t.Context(), e, -1, func(b *flow.Branch[int, []int], i int) ([]int, error) {
		called = append(called, i)
		switch i {
		case -1:
			_, err := b.Each(0, 1, 2, 3)
			return []int{9}, err
		case 1:
			_, _, err := b.Both(10, 11)
			return nil, err
		case 10:
			return nil, boom
		}
		return nil, nil
	})
	if !errors.Is(err, boom) {
		t.Errorf("%v, %v", results, err)
	}
	if diff := cmp.Diff([]int{-1, 0, 1, 10}, called); diff != "" {
		t.Error(diff)
	}

	two := coretest.New(t, core.WithWorkers(2))
	var under atomic.Int64
	_, err = taken(t, two, func(*flow.Branch[string, string]) (string, error) { return "", boom },
		func(*flow.Branch[string, string]) (string, error) {
			under.Add(1)
			for range 1000 {
				runtime.Gosched()
			}
			under.Add(-1)
			return "", nil
		})
	if !errors.Is(err, boom) || under.Load() != 0 {
		t.Errorf("%v, and %d calls are under way", err, under.Load())
	}
}

// TestDivide_Deep: parts in many chunks, at the bottom of which some are taken.
func TestDivide_Deep(t *testing.T) {
	e := coretest.New(t, core.WithWorkers(3))
	deep := func(b *flow.Branch[int, int], n int) (int, error) {
		if n <= 0 {
			return 1, nil
		}
		x, y, err := b.Both(n-1, 0)
		return x + y, err
	}
	for range 5 {
		if got, err := flow.Divide(t.Context(), e, 20_000, deep); got != 20_001 || err != nil {
			t.Fatalf("%d, %v", got, err)
		}
	}
	wide := func(b *flow.Branch[int, int], n int) (int, error) {
		if n == 0 {
			return 1, nil
		}
		parts, err := b.Each(make([]int, n)...)
		return len(parts), err
	}
	if got, err := flow.Divide(t.Context(), e, 50_000, wide); got != 50_000 || err != nil {
		t.Fatalf("%d, %v", got, err)
	}
}

// TestDivide_Inside: within a task, within another division, and with tasks within the
// parts, on one worker as well.
func TestDivide_Inside(t *testing.T) {
	for _, workers := range []int{1, 2, 4} {
		e := coretest.New(t, core.WithWorkers(workers))
		outer := func(b *flow.Branch[int, int], n int) (int, error) {
			if n == 0 {
				f, err := core.Submit(b.Context(), e, core.Func(func(ctx context.Context) (int, error) {
					return flow.Divide(ctx, e, 10, branchFib)
				}))
				if err != nil {
					return 0, err
				}
				return f.Await(b.Context())
			}
			x, y, err := b.Both(n-1, n-1)
			return x + y, err
		}
		got, err := core.Run(t.Context(), e, core.Func(func(ctx context.Context) (int, error) {
			return flow.Divide(ctx, e, 5, outer)
		}))
		if got != 32*55 || err != nil {
			t.Errorf("%d workers: %d, %v", workers, got, err)
		}
	}
}

// TestDivide_Blocking: who waits for a part that was taken holds no worker up.
func TestDivide_Blocking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(2))
		release := make(chan struct{})
		var result string
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			result, err = taken(t, e, says("x"), func(*flow.Branch[string, string]) (string, error) { <-release; return "y", nil })
		}()
		synctest.Wait()
		if s := e.Stats(); s.Running != 2 || s.Waiting != 1 {
			t.Errorf("%d tasks run, %d wait; want 2, 1", s.Running, s.Waiting)
		}
		if err := e.Go(func() { close(release) }); err != nil { // takes the slot of who waits
			t.Error(err)
		}
		<-done
		if result != "xy" || err != nil {
			t.Errorf("%q, %v", result, err)
		}
	})
}

// TestDivide_Cancel: a context that ends stops helpers; fn sees it.
func TestDivide_Cancel(t *testing.T) {
	e := coretest.New(t, core.WithWorkers(2))
	ctx, cancel := context.WithCancelCause(t.Context())
	mine := errors.New("mine")
	_, err := flow.Divide(ctx, e, 100, func(b *flow.Branch[int, int], n int) (int, error) {
		if n == 50 {
			cancel(mine)
		}
		if b.Context().Err() != nil || n == 0 {
			return 0, context.Cause(b.Context())
		}
		x, y, err := b.Both(n-1, 0)
		return x + y, err
	})
	if !errors.Is(err, mine) {
		t.Error(err)
	}
	if _, err := flow.Divide(ctx, e, 5, branchFib); !errors.Is(err, mine) {
		t.Errorf("a context that has ended: %v", err)
	}
}

// TestDivide_NoHelpers: a full or stopping engine has none to give, and it works alone.
func TestDivide_NoHelpers(t *testing.T) {
	e := coretest.New(t, core.WithWorkers(2), core.WithQueueCapacity(1))
	gate := make(chan struct{})
	got, err := core.Run(t.Context(), e, core.Func(func(ctx context.Context) (int, error) {
		busy := make(chan struct{})
		if err := e.Go(func() { close(busy); <-gate }); err != nil { // on the other worker
			return 0, err
		}
		<-busy
		if err := e.TryGo(func() {}); err != nil { // and in the queue
			return 0, err
		}
		defer close(gate)
		return flow.Divide(ctx, e, 20, branchFib)
	}))
	if got != 6765 || err != nil {
		t.Errorf("full: %d, %v", got, err)
	}
	closed, err := core.New()
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Shutdown(t.Context())
	if _, err := flow.Divide(t.Context(), closed, 5, branchFib); !errors.Is(err, core.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestDivide_Invalid(t *testing.T) {
	e := coretest.New(t, core.WithWorkers(1))
	if _, err := flow.Divide(t.Context(), nil, 1, branchFib); !errors.Is(err, core.ErrInvalid) {
		t.Error(err)
	}
	if _, err := flow.Divide[int, int](t.Context(), e, 1, nil); !errors.Is(err, core.ErrInvalid) {
		t.Error(err)
	}
	var none context.Context
	if _, err := flow.Divide(none, e, 1, branchFib); !errors.Is(err, core.ErrInvalid) {
		t.Error(err)
	}
}

// TestDivide_Alloc: parts allocate nothing, only the whole does.
func TestDivide_Alloc(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates by itself: bash .ci/run allocs")
	}
	e := coretest.New(t, core.WithWorkers(1))
	of := func(n int) float64 {
		return testing.AllocsPerRun(50, func() {
			if _, err := flow.Divide(context.Background(), e, n, branchFib); err != nil {
				t.Fatal(err)
			}
		})
	}
	if small, large := of(10), of(20); large > small+2 || small > 20 {
		t.Errorf("%v allocations for 89 parts, %v for 10,946", small, large)
	}
}
