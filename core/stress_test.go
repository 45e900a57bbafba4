package core_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
)

// rounds returns how often a race is run: fewer under the race detector, GOMAN_ROUNDS
// times as often in the step of the checks that is named so.
func rounds(n int) int {
	if times, err := strconv.Atoi(os.Getenv("GOMAN_ROUNDS")); err == nil && times > 0 {
		n *= times
	}
	switch {
	case testing.Short():
		return n / 20
	case raceEnabled && runtime.GOMAXPROCS(0) == 1: // who yields to a loop waits for 10 ms
		return max(n/50, 1)
	case raceEnabled:
		return n / 5
	}
	return n
}

// watched runs round again and again and, if one of them hangs, shows the figures
// of its engine and all stacks. soon ends after patience, and the round is taken to
// hang after twice that: of the time in which this process has run, as ticks of its own
// tell, because a machine that stands still for a minute would look like a hang.
func watched(t *testing.T, n int, round func(i int, soon context.Context, watch func(*core.Engine))) {
	t.Helper()
	const ticks = 100
	var engine atomic.Pointer[core.Engine]
	var cancel atomic.Pointer[context.CancelFunc]
	var at, ticked atomic.Int64
	quit, gone := make(chan struct{}), make(chan struct{})
	defer func() { close(quit); <-gone }()
	go func() {
		defer close(gone)
		tick := time.NewTicker(patience / ticks)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			switch ticked.Add(1) {
			case ticks:
				(*cancel.Load())()
			case 2 * ticks:
				fmt.Fprintf(os.Stderr, "%s hangs in round %d: %+v\n", t.Name(), at.Load(), engine.Load().Stats())
				_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
				panic(t.Name() + " hangs")
			}
		}
	}()
	for i := range n {
		at.Store(int64(i))
		ctx, end := context.WithCancel(context.Background())
		cancel.Store(&end)
		ticked.Store(0)
		round(i, ctx, func(e *core.Engine) { engine.Store(e) })
		end()
		if t.Failed() {
			t.Fatalf("in round %d", i)
		}
	}
}

// tally counts how often each allowed outcome of a race occurred.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (o *tally) add(outcome string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.counts == nil {
		o.counts = map[string]int{}
	}
	o.counts[outcome]++
}

// want fails the test if an allowed outcome never occurred.
func (o *tally) want(t *testing.T, outcomes ...string) {
	t.Helper()
	for _, outcome := range outcomes {
		if o.counts[outcome] == 0 {
			unseen(t, "%q never occurred: %v", outcome, o.counts)
		}
	}
	if len(o.counts) > len(outcomes) {
		t.Errorf("unexpected outcomes: %v", o.counts)
	}
}

// Submit against Shutdown and Close, for each policy: an accepted task is
// resolved, a refused one never runs. (P-C3)
func TestStress_SubmitAgainstShutdown(t *testing.T) {
	for policy := core.RejectWait; policy <= core.RejectDisplaceLowest; policy++ {
		for _, force := range []bool{false, true} {
			t.Run(fmt.Sprint(policy, force), func(t *testing.T) {
				var seen tally
				watched(t, rounds(4000), func(i int, soon context.Context, watch func(*core.Engine)) {
					e := freshEngine(t, core.WithWorkers(1+i%3), core.WithQueueCapacity(1+i%5), core.WithReject(policy))
					watch(e)
					start := make(chan struct{})
					var wg sync.WaitGroup
					var mu sync.Mutex
					var futures []*core.Future[int]
					var starts, plain, accepted atomic.Int64
					for p := range 2 {
						wg.Go(func() {
							<-start
							for k := range 4 {
								if (p+k)%3 == 0 {
									if err := e.Go(func() { plain.Add(1) }); err == nil {
										accepted.Add(1)
									}
									continue
								}
								f, err := core.Submit(context.Background(), e, core.Func(func(context.Context) (int, error) {
									starts.Add(1)
									return 1, nil
								}))
								if errors.Is(err, core.ErrClosed) {
									seen.add("closed")
									continue
								}
								if err != nil && !errors.Is(err, core.ErrQueueFull) {
									t.Error(err)
								}
								if err == nil {
									mu.Lock()
									futures = append(futures, f)
									mu.Unlock()
								}
							}
						})
					}
					wg.Go(func() {
						<-start
						for range i % 40 {
							runtime.Gosched()
						}
						var err error
						if force {
							err = e.Close(soon)
						} else {
							err = e.Shutdown(soon)
						}
						if err != nil && (!force || !errors.Is(err, core.ErrShutdown)) {
							t.Error(err)
						}
					})
					close(start)
					wg.Wait()
					ran := int64(0)
					for _, f := range futures {
						n, err := f.GetWithTimeout(0)
						switch {
						case errors.Is(err, core.ErrWaitTimeout):
							t.Errorf("an accepted task is not resolved: %+v", e.Stats())
						case err == nil && n == 1:
							ran++
							seen.add("ran")
						case errors.Is(err, core.ErrUndone) && force:
						case errors.Is(err, core.ErrDiscarded):
						default:
							t.Error(err)
						}
					}
					if ran != starts.Load() {
						t.Errorf("%d tasks succeeded, %d started", ran, starts.Load())
					}
					s := over(t, e)
					if s.Succeeded != uint64(ran+plain.Load()) || s.Accepted != s.Succeeded+s.Discarded+s.Undone {
						t.Errorf("%d futures and %d functions ran: %+v", ran, plain.Load(), s)
					}
				})
				seen.want(t, "closed", "ran")
			})
		}
	}
}

// Cancel against start: exactly one of the two wins. (P-C6)
func TestStress_CancelAgainstRun(t *testing.T) {
	var seen tally
	watched(t, rounds(20_000), func(i int, soon context.Context, watch func(*core.Engine)) {
		e := freshEngine(t, core.WithWorkers(1+i%2))
		watch(e)
		var started atomic.Bool
		ctx, cancel := context.WithCancel(context.Background())
		f, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
			started.Store(true)
			return 1, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		for range i % 20 {
			runtime.Gosched()
		}
		if i%2 == 0 {
			f.Cancel()
		} else {
			cancel()
		}
		n, err := f.Await(soon)
		cancel()
		var c *core.CancelError
		switch {
		case n == 1 && err == nil && started.Load():
			seen.add("ran")
		case errors.As(err, &c) && !c.Started:
			if err := e.Shutdown(soon); err != nil || started.Load() {
				t.Errorf("%v; started after all: %v", err, started.Load())
			}
			seen.add("cancelled")
		default:
			t.Errorf("%d, %v, started %v", n, err, started.Load())
		}
		endEngine(t, e)
	})
	seen.want(t, "ran", "cancelled")
}

// Await, inside and outside, against Shutdown and Close: every waiter returns.
func TestStress_AwaitAgainstShutdown(t *testing.T) {
	var seen tally
	watched(t, rounds(5000), func(i int, soon context.Context, watch func(*core.Engine)) {
		e := freshEngine(t, core.WithWorkers(1+i%3), core.WithCancelGrace(patience))
		watch(e)
		f := must(t, e, tree(e, new(gauge), 5))
		start := make(chan struct{})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				<-start
				n, err := f.Await(soon)
				switch {
				case n == 31 && err == nil:
					seen.add("value")
				case errors.Is(err, core.ErrClosed), errors.Is(err, core.ErrUndone), errors.Is(err, core.ErrShutdown):
					seen.add("stopped")
				default:
					t.Errorf("%d, %v", n, err)
				}
			})
		}
		wg.Go(func() {
			<-start
			for range i % 50 {
				runtime.Gosched()
			}
			ctx := soon
			if i%2 == 0 {
				ctx = ended()
			}
			if err := e.Shutdown(ctx); err != nil && !errors.Is(err, core.ErrShutdown) {
				t.Error(err)
			}
		})
		close(start)
		wg.Wait()
		over(t, e)
	})
	seen.want(t, "value", "stopped")
}

// Shutdown and Close at the same time, with a submitter in between: nothing that
// was accepted stays behind.
func TestStress_ShutdownAgainstClose(t *testing.T) {
	var seen tally
	watched(t, rounds(10_000), func(i int, soon context.Context, watch func(*core.Engine)) {
		e := freshEngine(t, core.WithWorkers(2))
		watch(e)
		start := make(chan struct{})
		var wg sync.WaitGroup
		var futures [4]*core.Future[int]
		wg.Go(func() {
			<-start
			for k := range futures {
				if f, err := core.Submit(context.Background(), e, value(k)); err == nil {
					futures[k] = f
				}
			}
		})
		wg.Go(func() {
			<-start
			for range i % 60 {
				runtime.Gosched()
			}
			if err := e.Shutdown(soon); err != nil && !errors.Is(err, core.ErrShutdown) {
				t.Error(err)
			}
		})
		wg.Go(func() {
			<-start
			for range i % 50 {
				runtime.Gosched()
			}
			if err := e.Close(soon); err != nil && !errors.Is(err, core.ErrShutdown) {
				t.Error(err)
			}
		})
		close(start)
		wg.Wait()
		for k, f := range futures {
			if f == nil {
				seen.add("refused")
				continue
			}
			switch n, err := f.GetWithTimeout(0); {
			case n == k && err == nil:
				seen.add("ran")
			case errors.Is(err, core.ErrUndone):
				seen.add("undone")
			default:
				t.Errorf("%d, %v; %+v", n, err, e.Stats())
			}
		}
		over(t, e)
	})
	seen.want(t, "refused", "ran", "undone")
}
