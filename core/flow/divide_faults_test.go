package flow_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/core/flow"
)

// script is a function to be divided, of which a test writes each call by its name.
type script map[string]func(b *flow.Branch[string, int]) (int, error)

func (s script) run(b *flow.Branch[string, int], name string) (int, error) { return s[name](b) }

// gates are channels that are closed once, by name.
type gates struct {
	mu   sync.Mutex
	made map[string]chan struct{}
}

func (g *gates) gate(name string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.made[name] == nil {
		if g.made == nil {
			g.made = make(map[string]chan struct{})
		}
		g.made[name] = make(chan struct{})
	}
	return g.made[name]
}

func (g *gates) open(name string) { close(g.gate(name)) }
func (g *gates) wait(name string) { <-g.gate(name) }

// A context that ends does not make Divide return before its calls do.
func TestDivide_ReturnsLast(t *testing.T) {
	for _, inside := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := coretest.New(t, core.WithWorkers(2))
			ctx, cancel := context.WithCancel(t.Context())
			var g gates
			var under atomic.Int64
			fn := func(b *flow.Branch[int, int], n int) (int, error) {
				under.Add(1)
				defer under.Add(-1)
				g.open("inside")
				cancel()
				g.wait("release")
				return n, nil
			}
			done := make(chan error, 1)
			go func() {
				var err error
				if inside {
					_, err = core.Run(t.Context(), e, core.Func(func(task context.Context) (int, error) {
						ctx, cancel := context.WithCancel(task)
						defer cancel()
						go func() { g.wait("inside"); cancel() }()
						n, err := flow.Divide(ctx, e, 1, fn)
						if under.Load() != 0 {
							t.Error("Divide returned inside a call of fn")
						}
						return n, err
					}))
				} else {
					_, err = flow.Divide(ctx, e, 1, fn)
				}
				if under.Load() != 0 {
					t.Error("Divide returned inside a call of fn")
				}
				done <- err
			}()
			synctest.Wait()
			g.open("release")
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			cancel()
		})
	}
}

// While the parts are dropped that a recovered panic has left, the goroutine takes a part
// that calls Goexit: who waits for the part that is about to end is told all the same.
func TestDivide_GoexitWhileDropping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(2), quietly())
		var g gates
		_, err := flow.Divide(t.Context(), e, "root", script{
			"root": func(b *flow.Branch[string, int]) (int, error) { _, _, err := b.Both("x", "y"); return 0, err },
			"x":    func(*flow.Branch[string, int]) (int, error) { g.wait("y"); return 0, nil },
			"y": func(b *flow.Branch[string, int]) (n int, err error) { // elsewhere
				g.open("y")
				defer func() { _ = recover() }()
				_, _, err = b.Both("yx", "yy")
				return 0, err
			},
			"yx": func(*flow.Branch[string, int]) (int, error) { g.wait("yy"); panic("recovered by y") },
			"yy": func(b *flow.Branch[string, int]) (int, error) { // here again
				g.open("yy")
				_, _, err := b.Both("yyx", "yyy")
				return 0, err
			},
			"yyx": func(*flow.Branch[string, int]) (int, error) { g.wait("yyy"); return 0, nil },
			"yyy": func(*flow.Branch[string, int]) (int, error) { g.open("yyy"); runtime.Goexit(); return 0, nil },
		}.run)
		if !errors.Is(err, core.ErrGoexit) {
			t.Error(err)
		}
	})
}

// The same for the whole: it does not end before all its calls.
func TestDivide_GoexitWhileEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(2), quietly())
		var g gates
		var under atomic.Int64
		go func() {
			synctest.Wait()
			g.open("release")
		}()
		_, err := flow.Divide(t.Context(), e, "root", script{
			"root": func(b *flow.Branch[string, int]) (int, error) { _, _, err := b.Both("x", "y"); return 0, err },
			"x":    func(*flow.Branch[string, int]) (int, error) { g.wait("y"); panic("x") },
			"y": func(b *flow.Branch[string, int]) (int, error) { // elsewhere
				g.open("y")
				_, _, err := b.Both("yx", "yy")
				return 0, err
			},
			"yx": func(*flow.Branch[string, int]) (int, error) {
				under.Add(1)
				defer under.Add(-1)
				g.wait("yy")
				g.wait("release")
				return 0, nil
			},
			"yy": func(*flow.Branch[string, int]) (int, error) { g.open("yy"); runtime.Goexit(); return 0, nil },
		}.run)
		if !errors.Is(err, core.ErrGoexit) && !errors.Is(err, core.ErrPanicked) || under.Load() != 0 {
			t.Errorf("%v, and %d calls are under way", err, under.Load())
		}
	})
}

// A nil *core.PanicError as the value of a panic is a panic.
func TestDivide_PanicWithNilPanicError(t *testing.T) {
	e := coretest.New(t, core.WithWorkers(2), quietly())
	_, err := taken(t, e, says("x"), func(*flow.Branch[string, string]) (string, error) { panic((*core.PanicError)(nil)) })
	if _, ok := errors.AsType[*core.PanicError](err); !ok {
		t.Error(err)
	}
}

// Who sleeps until a part has ended takes parts of it if there are some later.
func TestDivide_SleeperTakesPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(2))
		var g gates
		var both sync.WaitGroup
		both.Add(2)
		meet := func(*flow.Branch[string, int]) (int, error) { both.Done(); both.Wait(); return 1, nil }
		go func() {
			synctest.Wait() // until the one sleeps and the other waits for the gate
			g.open("asleep")
		}()
		n, err := flow.Divide(t.Context(), e, "root", script{
			"root": func(b *flow.Branch[string, int]) (int, error) { x, y, err := b.Both("x", "y"); return x + y, err },
			"x":    func(*flow.Branch[string, int]) (int, error) { g.wait("y"); return 0, nil },
			"y": func(b *flow.Branch[string, int]) (int, error) {
				g.open("y")
				g.wait("asleep")
				x, y, err := b.Both("meet", "meet")
				return x + y, err
			},
			"meet": meet,
		}.run)
		if n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// Helpers that have not begun when the whole ends do not stay in the queue.
func TestDivide_LeavesNoHelpers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(4), core.WithQueueCapacity(3))
		var g gates
		for range 3 {
			if err := e.Go(func() { g.wait("release") }); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		got, err := core.Run(t.Context(), e, core.Func(func(ctx context.Context) (int, error) {
			got, err := flow.Divide(ctx, e, 10, branchFib)
			if s := e.Stats(); s.Queued != 0 {
				t.Errorf("%d are in the queue", s.Queued)
			}
			return got, err
		}))
		if got != 55 || err != nil {
			t.Errorf("%d, %v", got, err)
		}
		g.open("release")
	})
}
