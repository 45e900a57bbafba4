package flow_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/core/flow"
)

// The races of a division, over and over, with pauses of random length about where a
// goroutine stops looking for parts. In a bubble a lost wake-up is a hang, and a hang is
// found at once. TestSchedule_Divide… of package core runs them step by step.

// rounds is how often a race is run.
func rounds(n int) int {
	if testing.Short() || raceEnabled {
		return n / 10
	}
	return n
}

// pause lets others run, 0 to n times.
func pause(random *rand.Rand, n int) {
	for range random.IntN(n + 1) {
		runtime.Gosched()
	}
}

// TestDivide_Meet: helpers that leave their seats against parts that need them all.
func TestDivide_Meet(t *testing.T) {
	for _, workers := range []int{2, 4} {
		synctest.Test(t, func(t *testing.T) {
			e := coretest.New(t, core.WithWorkers(workers))
			random := rand.New(rand.NewPCG(1, uint64(workers)))
			var meeting sync.WaitGroup
			_, err := flow.Divide(t.Context(), e, true, func(b *flow.Branch[bool, int], root bool) (int, error) {
				if !root {
					meeting.Done()
					meeting.Wait() // nobody is called twice meanwhile, and nobody leaves before
					return 0, nil
				}
				for range rounds(20_000) {
					pause(random, 150)
					meeting.Add(workers)
					if _, err := b.Each(make([]bool, workers)...); err != nil {
						return 0, err
					}
				}
				return 0, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDivide_MeetSleeper: who falls asleep for a part against that part's parts, which
// need it.
func TestDivide_MeetSleeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(2))
		random := rand.New(rand.NewPCG(2, 0))
		var meeting sync.WaitGroup
		var began atomic.Bool
		_, err := flow.Divide(t.Context(), e, "root", func(b *flow.Branch[string, int], name string) (_ int, err error) {
			switch name {
			case "root":
				for range rounds(20_000) {
					began.Store(false)
					meeting.Add(2)
					if _, _, err = b.Both("wait", "parts"); err != nil {
						return 0, err
					}
				}
			case "wait":
				for !began.Load() {
					runtime.Gosched()
				}
			case "parts": // elsewhere
				began.Store(true)
				pause(random, 150)
				_, _, err = b.Both("meet", "meet")
			case "meet":
				meeting.Done()
				meeting.Wait()
			}
			return 0, err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestDivide_Once: whoever takes which part, each is called once.
func TestDivide_Once(t *testing.T) {
	for _, workers := range []int{2, 4} {
		synctest.Test(t, func(t *testing.T) {
			e := coretest.New(t, core.WithWorkers(workers))
			const parts = 6
			var calls [parts]atomic.Int32
			_, err := flow.Divide(t.Context(), e, -1, func(b *flow.Branch[int, int], i int) (int, error) {
				if i >= 0 {
					calls[i].Add(1)
					for range rand.IntN(100) {
						_ = calls[i].Load()
					}
					return i, nil
				}
				for round := range rounds(100_000) {
					results, err := b.Each(0, 1, 2)
					if err != nil {
						return 0, err
					}
					x, y, err := b.Both(3, 4)
					if err != nil {
						return 0, err
					}
					for i, got := range append(results, x, y) {
						if n := calls[i].Swap(0); n != 1 || got != i {
							return 0, fmt.Errorf("round %d: part %d was called %d times, its result is %d", round, i, n, got)
						}
					}
				}
				return 0, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// chaos is a tree of calls that end in all ways there are, on an engine that others use,
// pause and resize.
type chaos struct {
	calls   atomic.Int64
	under   atomic.Int64
	engine  *core.Engine
	harmful int // one call of so many panics, one calls Goexit, one fails; 0 for none
}

type call struct{ depth, seed int }

func (c *chaos) run(b *flow.Branch[call, int], at call) (sum int, err error) {
	c.calls.Add(1)
	c.under.Add(1)
	defer c.under.Add(-1)
	random := rand.New(rand.NewPCG(uint64(at.seed), 3))
	if c.harmful > 0 {
		switch random.IntN(c.harmful) {
		case 0:
			panic(at)
		case 1:
			runtime.Goexit()
		case 2:
			return 0, fmt.Errorf("%v", at)
		case 3, 4, 5:
			defer func() {
				if recover() != nil {
					sum, err = 1, nil
				}
			}()
		}
	}
	switch random.IntN(40) {
	case 0:
		pause(random, 100)
	case 1:
		core.Blocking(b.Context(), runtime.Gosched)
	case 2:
		n, err := core.Run(b.Context(), c.engine, core.Func(func(context.Context) (int, error) { return 0, nil }))
		if n != 0 || err != nil {
			return 0, err
		}
	case 3:
		if n, err := flow.Divide(b.Context(), c.engine, 5, branchFib); n != 5 && err == nil {
			return 0, fmt.Errorf("within: %d", n)
		}
	}
	if at.depth == 0 {
		return 1, nil
	}
	part := func(i int) call { return call{at.depth - 1, at.seed*4 + i} }
	if random.IntN(2) == 0 {
		x, y, err := b.Both(part(1), part(2))
		return x + y, err
	}
	list, err := b.Each(part(1), part(2), part(3))
	for _, n := range list {
		sum += n
	}
	return sum, err
}

// plain is what c computes if nothing fails.
func (c *chaos) plain(at call) int {
	if at.depth == 0 {
		return 1
	}
	random := rand.New(rand.NewPCG(uint64(at.seed), 3))
	if random.IntN(40) == 0 {
		random.IntN(100 + 1) // as pause does
	}
	sum := 0
	for i := range 2 + random.IntN(2) {
		sum += c.plain(call{at.depth - 1, at.seed*4 + i + 1})
	}
	return sum
}

// TestDivide_Chaos: no call is lost or under way in the end, and the engine's figures add
// up, which coretest looks after.
func TestDivide_Chaos(t *testing.T) {
	for seed := range rounds(200) {
		random := rand.New(rand.NewPCG(uint64(seed), 4))
		workers := 1 + random.IntN(4)
		e := coretest.New(t, core.WithWorkers(workers), core.WithQueueCapacity(1+random.IntN(8)), quietly())
		stop := make(chan struct{})
		var others sync.WaitGroup
		others.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					_ = e.Resume()
					return
				default:
				}
				switch i % 5 {
				case 0:
					_ = e.Resize(1 + i%7)
				case 1:
					_ = e.Pause()
				case 2:
					_ = e.Resume()
				default:
					if f, err := core.TrySubmit(context.Background(), e, core.Func(func(context.Context) (int, error) { return 0, nil })); err == nil {
						f.Cancel()
					}
				}
				runtime.Gosched()
			}
		})
		for i := range 4 {
			c := &chaos{engine: e}
			if i%2 == 1 {
				c.harmful = 50 << random.IntN(6)
			}
			at := call{5, seed*10 + i}
			got, err := flow.Divide(context.Background(), e, at, c.run)
			if n := c.under.Load(); n != 0 {
				t.Errorf("seed %d, %d: %d calls are under way", seed, i, n)
			}
			if want := c.plain(at); c.harmful == 0 && (got != want || err != nil) {
				t.Errorf("seed %d, %d: %d, %v; want %d", seed, i, got, err, want)
			}
		}
		close(stop)
		others.Wait()
	}
}
