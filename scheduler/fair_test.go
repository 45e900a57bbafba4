package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/queue"
	"github.com/uptutu/goman/scheduler"
	"github.com/uptutu/goman/scheduler/schedulertest"
)

// By count, and one at a time, the order is that of queue.Fair, which is tested against
// the paper.
func TestFair_IsDeficitRoundRobin(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		weights := map[string]int{"": 1, "a": 2, "b": 3, "c": 7}
		weight := func(tenant string) int { return weights[tenant] }
		reference := must(queue.NewFair(queue.FairConfig[string, int]{
			Key:    func(item int) string { return [...]string{"", "a", "b", "c"}[item%4] },
			Weight: weight,
		}))
		s := must(scheduler.NewFairWith(scheduler.FairConfig{Weight: weight}, scheduler.NewFIFO))
		var want []string
		order := queued(t, s, func(e *core.Engine, l *runs) {
			for range 500 {
				i := random.IntN(4000)
				if !reference.TryPush(i) {
					t.Fatal("the queue is full")
				}
				tenant := [...]string{"", "a", "b", "c"}[i%4]
				must(core.SubmitWith(t.Context(), e, core.Attributes{Tenant: tenant}, l.task(fmt.Sprint(i))))
			}
			for {
				i, ok := reference.TryPop()
				if !ok {
					break
				}
				want = append(want, fmt.Sprint(i))
			}
		})
		if !slices.Equal(order, want) {
			t.Fatalf("seed %d: ran %v\nwant %v", seed, order, want)
		}
	}
}

// A newcomer's first job waits for one turn of each other tenant.
func TestFair_Bound(t *testing.T) {
	schedulertest.Run(t, schedulertest.Spec{
		New: func() (core.Scheduler, error) {
			return scheduler.NewFairWith(scheduler.FairConfig{Weight: func(tenant string) int { return len(tenant) }}, scheduler.NewFIFO)
		},
		Kinds: 3, // tenants of weights 1, 2 and 3
		Kind: func(i int) (core.Attributes, time.Duration) {
			return core.Attributes{Tenant: [...]string{"a", "bb", "ccc"}[i]}, 0
		},
		// queued jobs of its own tenant take a turn of 5 others each, who have saved four.
		Bound: func(queued int) int { return queued + (queued+1)*5 + 4*5 },
	})
}

// ByTime two tenants share running time by weight, whatever their tasks take.
func TestFair_ByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := must(scheduler.NewFairWith(scheduler.FairConfig{ByTime: true, Weight: func(tenant string) int {
			return map[string]int{"short": 1, "long": 1, "double": 2}[tenant]
		}}, scheduler.NewFIFO))
		e := coretest.New(t, core.WithWorkers(1), core.WithUnboundedQueue(), core.WithScheduler(s))
		if err := e.Pause(); err != nil {
			t.Fatal(err)
		}
		var spent [3]atomic.Int64
		for i, kind := range []struct {
			tenant string
			takes  time.Duration
		}{{"short", time.Millisecond}, {"long", 20 * time.Millisecond}, {"double", 3 * time.Millisecond}} {
			for range 4000 {
				must(core.SubmitWith(t.Context(), e, core.Attributes{Tenant: kind.tenant}, core.Func(func(context.Context) (int, error) {
					time.Sleep(kind.takes)
					spent[i].Add(int64(kind.takes))
					return 0, nil
				})))
			}
		}
		if err := e.Resume(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		_ = e.Close(context.Background()) // hands the rest back
		short, long, double := spent[0].Load(), spent[1].Load(), spent[2].Load()
		if d := time.Duration(long - short); d < -60*time.Millisecond || d > 60*time.Millisecond {
			t.Errorf("short tasks ran %v, long ones %v", time.Duration(short), time.Duration(long))
		}
		if d := time.Duration(double - 2*short); d < -120*time.Millisecond || d > 120*time.Millisecond {
			t.Errorf("weight 1 ran %v, weight 2 %v", time.Duration(short), time.Duration(double))
		}
	})
}

// No tenant occupies more workers than it may, and the others get the rest.
func TestFair_InFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := must(scheduler.NewFairWith(scheduler.FairConfig{InFlight: 2}, scheduler.NewFIFO))
		e := coretest.New(t, core.WithWorkers(8), core.WithUnboundedQueue(), core.WithScheduler(s))
		var running, most [2]atomic.Int32
		for i := range 100 {
			tenant := i % 2
			must(core.SubmitWith(t.Context(), e, core.Attributes{Tenant: fmt.Sprint(tenant)}, core.Func(func(context.Context) (int, error) {
				if n := running[tenant].Add(1); n > most[tenant].Load() {
					most[tenant].Store(n)
				}
				time.Sleep(time.Second)
				running[tenant].Add(-1)
				return 0, nil
			})))
		}
		began := time.Now()
		if err := e.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); most[0].Load() != 2 || most[1].Load() != 2 || took != 25*time.Second {
			t.Errorf("at most %d and %d ran, in %v; want 2, 2, 25s", most[0].Load(), most[1].Load(), took)
		}
	})
}

// A task may wait for others of its tenant, however few may run at a time.
func TestFair_InFlightOfWaiters(t *testing.T) {
	s := must(scheduler.NewFairWith(scheduler.FairConfig{InFlight: 1}, scheduler.NewFIFO))
	e := coretest.New(t, core.WithWorkers(3), core.WithQueueCapacity(3), core.WithScheduler(s))
	ctx := soon(t)
	var tree func(depth int) core.TaskFunc[int]
	tree = func(depth int) core.TaskFunc[int] {
		return core.Func(func(ctx context.Context) (int, error) {
			sum := 1
			for range depth {
				n, err := core.RunWith(ctx, e, core.Attributes{Tenant: "t"}, tree(depth-1))
				if err != nil {
					return 0, err
				}
				sum += n
			}
			return sum, nil
		})
	}
	var futures []*core.Future[int]
	for range 20 {
		futures = append(futures, must(core.SubmitWith(ctx, e, core.Attributes{Tenant: "t"}, tree(3))))
	}
	for _, f := range futures {
		if n, err := f.Await(ctx); n != 16 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
}

// A tenant whose scheduler cannot be made costs its own tasks only.
func TestFair_InnerFailsLater(t *testing.T) {
	made, noMore := 0, errors.New("no more tenants")
	s := must(scheduler.NewFairWith(scheduler.FairConfig{}, func() (*scheduler.FIFO, error) {
		if made++; made > 2 {
			return nil, noMore
		}
		return scheduler.NewFIFO()
	}))
	e := coretest.New(t, core.WithWorkers(1), core.WithScheduler(s))
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		_, err := core.SubmitWith(t.Context(), e, core.Attributes{Tenant: fmt.Sprint(i)}, core.Func(func(context.Context) (int, error) { return 0, nil }))
		if refused := errors.Is(err, noMore); refused != (i >= 2) {
			t.Errorf("tenant %d: %v", i, err)
		}
	}
}

// Who submits little is ahead of who has a backlog, four times in a row.
func TestFair_SmallBurstIsAhead(t *testing.T) {
	order := queued(t, must(scheduler.NewFair()), func(e *core.Engine, l *runs) {
		submit := func(tenant string, n int) {
			for range n {
				must(core.SubmitWith(t.Context(), e, core.Attributes{Tenant: tenant}, l.task(tenant)))
			}
		}
		submit("a", 100)
		submit("b", 100)
		submit("c", 1)
	})
	if got, want := strings.Join(order[:4], ""), "abca"; got != want {
		t.Errorf("began with %s, want %s", got, want)
	}

	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(1), core.WithUnboundedQueue(), core.WithScheduler(scheduler.NewFair()))
		var mu sync.Mutex
		var ran []string
		task := func(tenant string) core.Task[int] {
			return core.Func(func(context.Context) (int, error) {
				time.Sleep(time.Second)
				mu.Lock()
				ran = append(ran, tenant)
				mu.Unlock()
				return 0, nil
			})
		}
		for i := range 300 {
			tenant := [...]string{"a", "b", "c"}[i%3]
			must(core.SubmitWith(t.Context(), e, core.Attributes{Tenant: tenant}, task(tenant)))
		}
		time.Sleep(20*time.Second + time.Millisecond)
		for range 6 { // one after the other, each as the one before has ended
			must(core.RunWith(t.Context(), e, core.Attributes{Tenant: "z"}, task("z")))
		}
		// The next task has started by the time z comes again. Its four saved turns are
		// ahead, and one more that it has saved meanwhile; the sixth waits for a round.
		mu.Lock()
		got := strings.Join(ran[20:], "")
		mu.Unlock()
		if got != "czazbzczazbcabz" {
			t.Errorf("ran %s", got)
		}
		_ = e.Close(context.Background())
	})
}

// Tenants that submit one task after the other, each ahead, take no more than their share
// from one with a backlog.
func TestFair_OneAfterTheOtherTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(2), core.WithUnboundedQueue(), core.WithScheduler(scheduler.NewFair()))
		var flood, others atomic.Int64
		ctx, stop := context.WithCancel(t.Context())
		task := func(n *atomic.Int64) core.Task[int] {
			return core.Func(func(context.Context) (int, error) {
				time.Sleep(time.Millisecond)
				n.Add(1)
				return 0, nil
			})
		}
		for range 20_000 {
			must(core.SubmitWith(t.Context(), e, core.Attributes{Tenant: "flood"}, task(&flood)))
		}
		var clients sync.WaitGroup
		for i := range 4 {
			clients.Go(func() {
				for ctx.Err() == nil {
					_, _ = core.RunWith(ctx, e, core.Attributes{Tenant: fmt.Sprint("client ", i)}, task(&others))
				}
			})
		}
		time.Sleep(2 * time.Second) // 4,000 tasks
		stop()
		if f, o := flood.Load(), others.Load(); f < 700 || f > 1000 {
			t.Errorf("the backlog has had %d of %d, want a fifth", f, f+o)
		}
		clients.Wait()
		_ = e.Close(context.Background())
	})
}

// Tenants that are made up, one for each task, leave every seventeenth turn to the others,
// and no trace.
func TestFair_MadeUpTenants(t *testing.T) {
	s := must(scheduler.NewFair())
	order := queued(t, s, func(e *core.Engine, l *runs) {
		submit := func(tenant string) {
			must(core.SubmitWith(t.Context(), e, core.Attributes{Tenant: tenant}, l.task(tenant[:1])))
		}
		for range 100 {
			submit("old")
		}
		for i := range 3000 {
			submit(fmt.Sprint("new ", i))
		}
	})
	turn := 0
	for i, tenant := range order[:17*100] {
		if tenant == "o" {
			turn++
		}
		if turn < i/17 {
			t.Fatalf("%d of the first %d are of the old tenant", turn, i+1)
		}
	}
	if s.Tenants() != 0 {
		t.Errorf("%d tenants are left", s.Tenants())
	}
}
