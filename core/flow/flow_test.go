package flow_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/flow"
)

var errChild = errors.New("the child has failed")

// children are tasks that end when they are told, well or with errChild.
type children struct {
	engine  *core.Engine
	gates   []chan error
	futures []*core.Future[int]
}

// begin submits n tasks that run at the same time, inside a bubble.
func begin(t *testing.T, n int) *children {
	e, err := core.New(core.WithWorkers(max(n, 1)))
	if err != nil {
		t.Fatal(err)
	}
	c := &children{engine: e}
	for i := range n {
		gate := make(chan error, 1)
		f, err := core.Submit(t.Context(), e, core.Func(func(ctx context.Context) (int, error) {
			select {
			case err := <-gate:
				return i + 1, err
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		c.gates, c.futures = append(c.gates, gate), append(c.futures, f)
	}
	return c
}

// end lets the task at place i end.
func (c *children) end(i int, err error) {
	c.gates[i] <- err
	synctest.Wait()
}

func (c *children) close(t *testing.T) {
	for _, f := range c.futures {
		f.Cancel()
	}
	if err := c.engine.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// permutations calls visit with each order of 0 to n-1.
func permutations(n int, visit func([]int)) {
	order := make([]int, 0, n)
	used := make([]bool, n)
	var next func()
	next = func() {
		if len(order) == n {
			visit(order)
			return
		}
		for i := range n {
			if !used[i] {
				used[i], order = true, append(order, i)
				next()
				used[i], order = false, order[:len(order)-1]
			}
		}
	}
	next()
}

// E-FUT-14, P-F6: the verdict is as promised for every order in which up to four
// children end, and every set of them that fails.
func TestFlow_E_FUT_14_EveryOrder(t *testing.T) {
	for n := 1; n <= 4; n++ {
		for fails := range 1 << n {
			permutations(n, func(order []int) {
				synctest.Test(t, func(t *testing.T) { everyVerdict(t, n, fails, order) })
			})
		}
	}
}

// everyVerdict compares the four verdicts with what follows from the order.
func everyVerdict(t *testing.T, n, fails int, order []int) {
	c := begin(t, n)
	defer c.close(t)
	got := make(chan string, 4)
	ctx := t.Context()
	go func() {
		values, err := flow.All(ctx, c.futures)
		got <- fmt.Sprint("all ", values, " ", place(err))
	}()
	go func() {
		results, err := flow.Settle(ctx, c.futures)
		ok := 0
		for i, r := range results {
			if r.Err == nil && r.Value == i+1 {
				ok++
			}
		}
		got <- fmt.Sprint("settle ", len(results), " ", ok, " ", err)
	}()
	go func() {
		i, _, err := flow.Race(ctx, c.futures)
		got <- fmt.Sprint("race ", i, " ", place(err))
	}()
	go func() {
		i, v, err := flow.Any(ctx, c.futures)
		got <- fmt.Sprint("any ", i, " ", v, " ", errors.Is(err, flow.ErrNone))
	}()
	synctest.Wait()
	for _, i := range order {
		var err error
		if fails&(1<<i) != 0 {
			err = errChild
		}
		c.end(i, err)
	}
	verdicts := make(map[string]bool)
	for range 4 {
		verdicts[<-got] = true
	}
	if diff := cmp.Diff(expected(n, fails, order), verdicts); diff != "" {
		t.Errorf("%d children end in the order %v, failing %b: (-want +got)\n%s", n, order, fails, diff)
	}
}

// place returns the place that an *Error names, or -1.
func place(err error) int {
	var e *flow.Error
	if !errors.As(err, &e) || !errors.Is(err, errChild) {
		return -1
	}
	return e.Index
}

func expected(n, fails int, order []int) map[string]bool {
	failed := func(i int) bool { return fails&(1<<i) != 0 }
	firstFailed, ok := -1, 0
	values := make([]int, 0, n)
	for i := range n {
		values = append(values, i+1)
		if !failed(i) {
			ok++
		} else if firstFailed < 0 {
			firstFailed = i
		}
	}
	if firstFailed >= 0 {
		values = nil
	}
	winner, value := -1, 0
	for _, i := range order {
		if !failed(i) {
			winner, value = i, i+1
			break
		}
	}
	race := -1
	if failed(order[0]) {
		race = order[0]
	}
	return map[string]bool{
		fmt.Sprint("all ", values, " ", firstFailed):            true,
		fmt.Sprint("settle ", n, " ", ok, " ", error(nil)):      true,
		fmt.Sprint("race ", order[0], " ", race):                true,
		fmt.Sprint("any ", winner, " ", value, " ", winner < 0): true,
	}
}

func TestFlow_E_FUT_14_EmptySet(t *testing.T) {
	ctx := t.Context()
	if values, err := flow.All[int](ctx, nil); len(values) != 0 || err != nil {
		t.Errorf("All: %v, %v", values, err)
	}
	if results, err := flow.Settle[int](ctx, nil); len(results) != 0 || err != nil {
		t.Errorf("Settle: %v, %v", results, err)
	}
	if i, _, err := flow.Any[int](ctx, nil); i != -1 || !errors.Is(err, flow.ErrNone) {
		t.Errorf("Any: %v, %v", i, err)
	}
	if i, _, err := flow.Race[int](ctx, nil); i != -1 || !errors.Is(err, flow.ErrNone) {
		t.Errorf("Race: %v, %v", i, err)
	}
}

// Siblings are cancelled if that was asked for, and left alone otherwise.
func TestFlow_E_FUT_14_Siblings(t *testing.T) {
	for _, cancel := range []bool{false, true} {
		for _, name := range []string{"All", "Any", "Race"} {
			synctest.Test(t, func(t *testing.T) {
				c := begin(t, 3)
				defer c.close(t)
				var options []flow.Option
				if cancel {
					options = append(options, flow.CancelRest(), nil)
				}
				if name == "All" {
					c.end(0, errChild)
					if _, err := flow.All(t.Context(), c.futures, options...); place(err) != 0 {
						t.Errorf("All: %v", err)
					}
				} else {
					c.end(0, nil)
					winner := flow.Any[int]
					if name == "Race" {
						winner = flow.Race[int]
					}
					if i, v, err := winner(t.Context(), c.futures, options...); i != 0 || v != 1 || err != nil {
						t.Errorf("%s: %v, %v, %v", name, i, v, err)
					}
				}
				synctest.Wait()
				for _, f := range c.futures[1:] {
					if f.IsDone() != cancel {
						t.Errorf("%s, cancel %v: done is %v", name, cancel, f.IsDone())
					}
					if cancel {
						if _, err := f.Get(); !errors.Is(err, flow.ErrLost) || !errors.Is(err, context.Canceled) {
							t.Errorf("%s: the error of a loser is %v", name, err)
						}
					}
				}
			})
		}
	}
}

// The end of the context ends the wait and no task.
func TestFlow_GivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, 2)
		defer c.close(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("why")
		cancel(why)
		_, all := flow.All(ctx, c.futures)
		_, settle := flow.Settle(ctx, c.futures)
		_, _, anyOf := flow.Any(ctx, c.futures)
		_, _, race := flow.Race(ctx, c.futures)
		for name, err := range map[string]error{"All": all, "Settle": settle, "Any": anyOf, "Race": race} {
			var wait *core.WaitError
			if !errors.As(err, &wait) || !errors.Is(err, why) || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		}
		synctest.Wait()
		if s := c.engine.Stats(); s.Running != 2 {
			t.Errorf("%d run, want 2", s.Running)
		}
	})
}

func TestFlow_BadInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, 1)
		defer c.close(t)
		var none context.Context
		for name, call := range map[string]func(context.Context, []*core.Future[int]) error{
			"All":    func(ctx context.Context, l []*core.Future[int]) error { _, err := flow.All(ctx, l); return err },
			"Settle": func(ctx context.Context, l []*core.Future[int]) error { _, err := flow.Settle(ctx, l); return err },
			"Any":    func(ctx context.Context, l []*core.Future[int]) error { _, _, err := flow.Any(ctx, l); return err },
			"Race":   func(ctx context.Context, l []*core.Future[int]) error { _, _, err := flow.Race(ctx, l); return err },
		} {
			if err := call(none, c.futures); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%s, nil context: %v", name, err)
			}
			if err := call(t.Context(), []*core.Future[int]{c.futures[0], nil}); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%s, nil future: %v", name, err)
			}
		}
	})
}

// Where there is no winner the place of the winner is none.
func TestFlow_NoWinnerHasNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := begin(t, 1)
		defer c.close(t)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		var none context.Context
		for name, call := range map[string]func(context.Context, ...*core.Future[int]) (int, error){
			"Any": func(ctx context.Context, l ...*core.Future[int]) (int, error) {
				i, _, err := flow.Any(ctx, l)
				return i, err
			},
			"Race": func(ctx context.Context, l ...*core.Future[int]) (int, error) {
				i, _, err := flow.Race(ctx, l)
				return i, err
			},
		} {
			if i, err := call(none, c.futures...); i != -1 || !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%s, nil context: %d, %v", name, i, err)
			}
			if i, err := call(ended, c.futures...); i != -1 || !errors.Is(err, context.Canceled) {
				t.Errorf("%s, ended context: %d, %v", name, i, err)
			}
			if i, err := call(t.Context()); i != -1 || err == nil {
				t.Errorf("%s, no futures: %d, %v", name, i, err)
			}
		}
	})
}

// Inside a task, with one worker, a race of its own children comes to an end: the
// waiting task holds nobody up.
func TestFlow_InsideATask(t *testing.T) {
	e, err := core.New(core.WithWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	got, err := core.Run(t.Context(), e, core.Func(func(ctx context.Context) (string, error) {
		futures, err := core.SubmitAll(ctx, e, []core.Task[int]{square(3), square(4), square(5)})
		if err != nil {
			return "", err
		}
		_, _, raced := flow.Race(ctx, futures)
		_, first, err := flow.Any(ctx, futures)
		if err != nil {
			return "", err
		}
		values, err := flow.All(ctx, futures)
		return fmt.Sprint(raced, first > 0, values), err
	}))
	if err != nil || got != "<nil> true [9 16 25]" {
		t.Errorf("%v, %v", got, err)
	}
	if err := e.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// lateCtx is a context that does something when it is asked why it has ended.
type lateCtx struct {
	context.Context
	err func() error
}

func (l lateCtx) Err() error { return l.err() }

// A task that ends just after the wait was given up: its result is its own, not the
// error of the wait.
func TestFlow_SettleGivesUpAtTheEnd(t *testing.T) {
	e, err := core.New(core.WithWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.Background())
	gate, inside := make(chan struct{}), make(chan struct{})
	f, err := core.Submit(context.Background(), e, core.Func(func(context.Context) (int, error) { close(inside); <-gate; return 7, nil }))
	if err != nil {
		t.Fatal(err)
	}
	<-inside
	base, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	open := false
	ctx := lateCtx{base, func() error {
		if base.Err() != nil && !open {
			open = true
			close(gate)
			_, _ = f.Get()
		}
		return base.Err()
	}}
	results, err := flow.Settle(ctx, []*core.Future[int]{f})
	if err == nil && (results[0].Err != nil || results[0].Value != 7) {
		t.Errorf("the task returned 7, nil; Settle says %v", results[0])
	}
}

// ErrLost is a cancellation by itself, not only in the error of the task that it ends.
func TestErrLost(t *testing.T) {
	if !errors.Is(flow.ErrLost, context.Canceled) || errors.Is(flow.ErrLost, context.DeadlineExceeded) {
		t.Errorf("%v", flow.ErrLost)
	}
}
