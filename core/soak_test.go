package core_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
)

// The soak: rounds of chaos for as long as GOMAN_SOAK says. Each round draws an
// engine (workers, capacity, policy, scheduler, limits, hooks, interceptors) and the
// load upon it (soak_load_test.go). Then the faults stop, and the engine has to come
// to rest, or it is ended under load. After each round each task has started once
// for each attempt, each future is resolved, the figures are those that the round
// has counted by itself, and no goroutine is left. At the end the heap is as it was.

// soakTasks is the most tasks of a round, and soakChaos the longest that its chaos
// takes.
const (
	soakTasks = 1 << 17
	soakChaos = time.Second
)

func TestSoak(t *testing.T) {
	text := os.Getenv("GOMAN_SOAK")
	if text == "" {
		t.Skip("it runs for as long as it is told: GOMAN_SOAK=60s go test -race -run TestSoak -v -timeout 0 ./core")
	}
	length, err := time.ParseDuration(text)
	if err != nil || length <= 0 {
		t.Fatalf("GOMAN_SOAK is %q: allowed is a duration such as 60s", text)
	}
	seed := coretest.Seed(t)
	t.Logf("soak of %v, the seed of its first round is %d", length, seed)
	known := goleak.IgnoreCurrent()
	var sum soakSum
	starts := make([]atomic.Uint32, soakTasks)
	var heaps []int64
	began, said := time.Now(), time.Now()
	for n := uint64(0); time.Since(began) < length; n++ {
		clear(starts)
		watched(t, 1, func(_ int, soon context.Context, watch func(*core.Engine)) {
			newSoakRound(t, seed+n, starts, &sum).run(soon, watch)
		})
		if err := goleak.Find(known); err != nil {
			t.Fatalf("after the round of seed %d: %v", seed+n, err)
		}
		heaps = append(heaps, heap())
		if time.Since(said) >= time.Minute {
			said = time.Now()
			t.Logf("%v: %v; heap %d KiB", time.Since(began).Round(time.Second), &sum, heaps[len(heaps)-1]>>10)
		}
	}
	first, last := heapAtEnds(heaps)
	t.Logf("%v in all: %v; heap %d KiB in the first quarter of the rounds, %d KiB in the last",
		time.Since(began).Round(time.Second), &sum, first>>10, last>>10)
	if len(heaps) >= 16 && last-first > 1<<20 {
		t.Errorf("the heap has grown: %v", heaps)
	}
}

// heapAtEnds returns the median of the first and of the last quarter.
func heapAtEnds(heaps []int64) (first, last int64) {
	median := func(part []int64) int64 {
		part = slices.Sorted(slices.Values(part))
		return part[len(part)/2]
	}
	quarter := max(len(heaps)/4, 1)
	return median(heaps[:quarter]), median(heaps[len(heaps)-quarter:])
}

// soakSum is what all rounds together have come to.
type soakSum struct {
	rounds, tasks, refused, panics, goexits, retried, discarded, undone, abandoned uint64
	flips, samples                                                                 uint64
}

func (s *soakSum) String() string {
	return fmt.Sprintf("%d rounds, %d tasks, %d refused, %d panics, %d Goexits, %d run again, %d discarded, "+
		"%d undone, %d abandoned, %d flips, %d samples", s.rounds, s.tasks, s.refused, s.panics, s.goexits, s.retried,
		s.discarded, s.undone, s.abandoned, s.flips, s.samples)
}

// soakRound is one round.
type soakRound struct {
	t       *testing.T
	seed    uint64
	starts  []atomic.Uint32 // by task: which attempts have started
	sum     *soakSum
	engine  *core.Engine
	auditor *auditor
	name    string // what was drawn, in words

	// What was drawn.
	lanes, meddles, limited, hooked bool
	goexits                         bool // tasks may call Goexit
	policies                        []core.RejectPolicy

	chaos  context.Context // ends with the faults
	actors sync.WaitGroup  // all who load and disturb

	ids       atomic.Int64
	accepted  atomic.Uint64
	refused   atomic.Uint64
	doubtful  atomic.Uint64 // of batches whose call was ended by a Goexit
	unseen    atomic.Uint64 // accepted, and nobody holds the future
	plainRan  atomic.Uint64
	plainFell atomic.Uint64 // functions that panicked or called Goexit
	lost      atomic.Uint64 // tasks whose Goexit has ended their submission
	vague     atomic.Bool   // some task's outcome is known to nobody
	pending   atomic.Int64  // callbacks, and goroutines of tasks
	endHooks  atomic.Uint64
	panics    atomic.Uint64
	exits     atomic.Uint64
	flips     atomic.Uint64
	samples   atomic.Uint64

	outcomes [8]atomic.Uint64 // as the futures say, in the order of Stats

	mu    sync.Mutex
	tasks []soakTask
}

// soakTask is a task whose future somebody holds.
type soakTask struct {
	id     int
	future *core.Future[int]
}

func newSoakRound(t *testing.T, seed uint64, starts []atomic.Uint32, sum *soakSum) *soakRound {
	return &soakRound{t: t, seed: seed, starts: starts, sum: sum}
}

func (r *soakRound) random(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(r.seed, stream)) }

// faultf fails the test with the seed of the round.
func (r *soakRound) faultf(format string, args ...any) {
	r.t.Errorf("round of seed %d (%s=%d repeats what is drawn), %s:\n%s",
		r.seed, coretest.SeedVariable, r.seed, r.name, fmt.Sprintf(format, args...))
}

// draw makes the engine.
func (r *soakRound) draw(random *rand.Rand) {
	names := []string{}
	c := core.Config{
		Name: fmt.Sprint("soak seed ", r.seed), Logger: slog.New(slog.DiscardHandler), Workers: 1 + random.IntN(8),
		QueueCapacity: 1 + random.IntN(64), CancelGrace: patience, AcceptChildren: random.IntN(3) == 0,
		IdleTimeout: []time.Duration{-1, time.Millisecond, time.Minute}[random.IntN(3)], Prealloc: random.IntN(4) == 0,
	}
	r.policies = []core.RejectPolicy{core.RejectFail, core.RejectDiscardNewest, core.RejectDiscardOldest, core.RejectDisplaceLowest}
	if r.lanes = random.IntN(5) == 0; r.lanes {
		r.auditor = audited(r.t, newLanes())
		c.Scheduler = sweepingAuditor{claimingAuditor{r.auditor}}
		names = append(names, "lanes")
	} else {
		// With lanes, tasks that wait for room may wait for each other: see doc.go.
		r.policies = append(r.policies, core.RejectWait, core.RejectWait, core.RejectCallerRuns)
		if random.IntN(3) == 0 {
			r.auditor = audited(r.t, &line{newest: random.IntN(2) == 0})
			c.Scheduler = []core.Scheduler{r.auditor, claimingAuditor{r.auditor}, sweepingAuditor{claimingAuditor{r.auditor}}}[random.IntN(3)]
			names = append(names, fmt.Sprintf("%T", c.Scheduler))
		}
		if random.IntN(6) == 0 {
			c.QueueCapacity = core.Unbounded
		}
	}
	c.Reject = r.policies[random.IntN(len(r.policies))]
	if random.IntN(6) == 0 {
		c.Reject = core.RejectAsk
	}
	c.OnFull = func(context.Context, core.Job) core.RejectPolicy {
		if rand.IntN(100) == 0 {
			panic("OnFull")
		}
		return r.policies[rand.IntN(len(r.policies))]
	}
	if r.limited = random.IntN(4) == 0; r.limited {
		c.QueueLimit, c.RunLimit = time.Millisecond<<random.IntN(6), time.Millisecond<<random.IntN(6)
	}
	if r.hooked = random.IntN(2) == 0; r.hooked {
		c.Hooks = append(c.Hooks, core.Hooks{Ended: func(core.EndInfo) { r.endHooks.Add(1) }}, r.badHooks())
	}
	if r.meddles = random.IntN(3) == 0; r.meddles {
		c.Interceptors = append(c.Interceptors, r.meddler)
	}
	if random.IntN(3) == 0 {
		c.BaseContext = context.WithValue(context.Background(), ctxKey("base"), r)
	}
	if random.IntN(8) == 0 {
		c.CancelGrace = []time.Duration{-1, time.Millisecond}[random.IntN(2)]
	}
	r.goexits = random.IntN(2) == 0
	r.name = fmt.Sprintf("workers %d, capacity %d, %v, idle %v, grace %v, children %v, limits %v, hooks %v, interceptors %v, Goexit %v, %s",
		c.Workers, c.QueueCapacity, c.Reject, c.IdleTimeout, c.CancelGrace, c.AcceptChildren, r.limited, r.hooked, r.meddles, r.goexits,
		strings.Join(names, " "))
	r.engine = freshEngine(r.t, core.WithConfig(c))
}

// run is the round.
func (r *soakRound) run(soon context.Context, watch func(*core.Engine)) {
	random := r.random(0)
	r.draw(random)
	e := r.engine
	watch(e)
	var stopChaos context.CancelFunc
	r.chaos, stopChaos = context.WithCancel(soon)
	defer stopChaos()
	quit := make(chan struct{})
	var watchers sync.WaitGroup
	watchers.Go(func() { r.sample(quit) })
	r.load(random)

	end := random.IntN(4)
	healed := end < 2
	<-time.After(soakChaos/20 + time.Duration(random.Int64N(int64(soakChaos*19/20))))
	if healed {
		stopChaos()
		r.heal(soon)
	}
	var err error
	switch end {
	case 0, 2:
		err = e.Shutdown(soon)
	case 1:
		err = e.Close(soon)
	case 3:
		if random.IntN(2) == 0 {
			err = e.Close(soon)
		} else {
			err = e.Shutdown(ended())
		}
	}
	stopChaos()
	r.actors.Wait()
	close(quit)
	watchers.Wait()
	r.check(soon, err, healed)
}

// heal demands that everything comes to rest once the faults have stopped: those who
// wait for room get in, what is queued runs, and no further event is needed for it.
func (r *soakRound) heal(soon context.Context) {
	e := r.engine
	r.actors.Wait()
	if err := errors.Join(e.Resume(), e.WaitIdle(soon)); err != nil {
		r.faultf("the engine does not come to rest: %v; %+v", err, e.Stats())
	}
	s := e.Stats()
	if err := s.Check(); err != nil || s.Queued+s.Running+s.Blocked+s.Delayed != 0 {
		r.faultf("not at rest: %v, %+v", err, s)
	}
	if r.auditor != nil && !r.t.Failed() {
		r.auditor.balanced()
	}
}

// sample looks at the figures until quit: they add up, and what has ended stays so.
func (r *soakRound) sample(quit <-chan struct{}) {
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	var before core.Stats
	for {
		select {
		case <-quit:
			return
		case <-tick.C:
		}
		s := r.engine.Stats()
		r.samples.Add(1)
		if err := s.Check(); err != nil {
			r.faultf("%v", err)
			return
		}
		if s.Accepted < before.Accepted || s.Ended() < before.Ended() || s.Succeeded < before.Succeeded || s.Panicked < before.Panicked ||
			s.Canceled < before.Canceled || s.Retried < before.Retried || s.Rejected.Total() < before.Rejected.Total() {
			r.faultf("a figure went down:\n%+v\n%+v", before, s)
			return
		}
		before = s
	}
}

// check compares the engine with what the round has counted, when all is over.
func (r *soakRound) check(soon context.Context, err error, healed bool) {
	e := r.engine
	for (e.Stats().Goroutines > 0 || r.pending.Load() > 0) && soon.Err() == nil {
		runtime.Gosched() // those that were abandoned return, and the callbacks are called
	}
	s := e.Stats()
	report, _ := errors.AsType[*core.ShutdownError](err)
	switch {
	case healed && err != nil, err != nil && report == nil:
		r.faultf("the end of the engine: %v", err)
	case report != nil && uint64(len(report.Undone)) != s.Undone:
		r.faultf("%d tasks were handed back: %+v", len(report.Undone), s)
	}
	if err := s.Check(); err != nil || s.Queued+s.Running+s.Blocked+s.Goroutines != 0 || !e.IsClosed() {
		r.faultf("not at its end: %v, %+v", err, s)
	}
	if n := r.pending.Load(); n != 0 {
		r.faultf("%d callbacks or goroutines of tasks have not returned: %+v", n, s)
	}
	accepted, doubtful := r.accepted.Load(), r.doubtful.Load()
	if s.Accepted < accepted || s.Accepted > accepted+doubtful {
		r.faultf("%d submissions were accepted, and perhaps %d more: %+v", accepted, doubtful, s)
	}
	if doubtful == 0 && s.Rejected.Total() != r.refused.Load() {
		r.faultf("%d submissions were refused: %+v", r.refused.Load(), s)
	}
	if n := r.endHooks.Load(); r.hooked && n != s.Accepted {
		r.faultf("the hook was told of %d ends: %+v", n, s)
	}
	r.compare(s, doubtful)
	r.sum.rounds++
	r.sum.tasks += s.Accepted
	r.sum.refused += s.Rejected.Total()
	r.sum.panics += r.panics.Load()
	r.sum.goexits += r.exits.Load()
	r.sum.retried += s.Retried
	r.sum.discarded += s.Discarded
	r.sum.undone += s.Undone
	r.sum.abandoned += s.Abandoned
	r.sum.flips += r.flips.Load()
	r.sum.samples += r.samples.Load()
}

// compare holds the outcomes that the futures tell against those that the engine has
// counted. What is left over are the tasks whose futures nobody holds.
func (r *soakRound) compare(s core.Stats, doubtful uint64) {
	for _, task := range r.tasks {
		_, err := task.future.GetWithTimeout(0)
		if errors.Is(err, core.ErrWaitTimeout) && !task.future.IsDone() {
			r.faultf("task %d is not resolved: %+v", task.id, s)
			return
		}
		r.settle(task.id, err)
	}
	engine := [...]uint64{s.Succeeded, s.Failed, s.Panicked, s.Canceled, s.TimedOut, s.Discarded, s.Undone, s.Abandoned}
	var seen [len(engine)]uint64
	for i := range seen {
		seen[i] = r.outcomes[i].Load()
	}
	rest := uint64(0)
	for i := range engine {
		if engine[i] < seen[i] {
			r.faultf("the futures say %v, the engine counts %v", seen, engine)
		}
		rest += engine[i] - seen[i]
	}
	if unseen := r.unseen.Load(); rest < unseen || rest > unseen+doubtful {
		r.faultf("%d tasks without a future, and perhaps %d more; the futures say %v, the engine counts %v", unseen, doubtful, seen, engine)
	}
	// Where nothing but the function decides how it ends that is known exactly.
	if !r.meddles && !r.limited && !r.hooked && !r.vague.Load() && doubtful == 0 && s.Abandoned == 0 {
		ran, fell := r.plainRan.Load(), r.plainFell.Load()+r.lost.Load()
		if engine[0]-seen[0] != ran || engine[2]-seen[2] != fell {
			r.faultf("%d functions returned and %d did not; the futures say %v, the engine counts %v", ran, fell, seen, engine)
		}
	}
}

// settle counts how a task has ended, by what its future says, and holds that against
// whether it has started.
func (r *soakRound) settle(id int, err error) {
	started := r.starts[id].Load() != 0
	var i int
	switch e := err.(type) {
	case nil:
		if i = 0; !started {
			r.faultf("task %d has a result and was not started", id)
		}
	case *core.CancelError:
		if i = 3; e.Started != started && !r.meddles {
			r.faultf("task %d, started %v: %v", id, started, err)
		}
	case *core.TimeoutError:
		if i = 4; e.Started && !started && !r.meddles {
			r.faultf("task %d, started %v: %v", id, started, err)
		}
	default:
		switch {
		case errors.Is(err, core.ErrPanicked), errors.Is(err, core.ErrGoexit):
			i = 2
		case errors.Is(err, core.ErrDiscarded):
			i = 5
		case errors.Is(err, core.ErrUndone):
			i = 6
		case errors.Is(err, core.ErrAbandoned):
			i = 7
		default:
			i = 1
		}
	}
	r.outcomes[i].Add(1)
}
