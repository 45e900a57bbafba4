package core_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

// full is an engine with one busy worker and a full queue of k tasks, whose
// futures are returned. ran gets the values of the tasks that run.
func full(t *testing.T, k int, priority core.Priority, options ...core.Option) (e *core.Engine, queued []*core.Future[int], ran *[]int, release func()) {
	t.Helper()
	e = engineFor(t, append([]core.Option{core.WithName("full"), core.WithWorkers(1), core.WithQueueCapacity(k)}, options...)...)
	release = occupy(t, e, 1)
	ran = new([]int)
	for i := range k {
		f, err := core.SubmitWith(context.Background(), e, core.Attributes{Priority: priority}, noted(ran, i))
		if err != nil {
			t.Fatal(err)
		}
		queued = append(queued, f)
	}
	return e, queued, ran, release
}

// noted is a task that appends i to ran; with one worker that needs no lock.
func noted(ran *[]int, i int) core.Task[int] {
	return core.Func(func(context.Context) (int, error) { *ran = append(*ran, i); return i, nil })
}

// E-POL-01: fail names the engine and its bound.
func TestPolicy_E_POL_01_Fail(t *testing.T) {
	e, _, ran, release := full(t, 3, 0, core.WithReject(core.RejectFail))
	for range 10 {
		f, err := core.Submit(context.Background(), e, noted(ran, -1))
		var refused *core.RefusedError
		if f != nil || !errors.Is(err, core.ErrQueueFull) || !errors.As(err, &refused) || refused.Engine != "full" || refused.Capacity != 3 {
			t.Errorf("%v, %v", f, err)
		}
		if err := e.Go(func() { t.Error("it ran") }); !errors.Is(err, core.ErrQueueFull) {
			t.Errorf("Go: %v", err)
		}
	}
	if s := e.Stats(); s.Rejected.Full != 20 || s.Accepted != 4 || s.Queued != 3 {
		t.Errorf("%+v", s)
	}
	release()
	idle(t, e)
	if diff := cmp.Diff([]int{0, 1, 2}, *ran); diff != "" {
		t.Error(diff)
	}
}

// E-POL-03: discard-oldest on a full queue of k: k more make the first k fail in
// order, and the last k run in order.
func TestPolicy_E_POL_03_DiscardOldest(t *testing.T) {
	const k = 50
	var order []int
	var mu sync.Mutex
	e, queued, ran, release := full(t, k, 0, core.WithReject(core.RejectDiscardOldest))
	remove := e.AddHooks(core.Hooks{Ended: func(_ core.Job, o core.Outcome, err error) {
		mu.Lock()
		defer mu.Unlock()
		if o == core.OutcomeDiscarded && errors.Is(err, core.ErrDiscarded) {
			order = append(order, len(order))
			if !queued[len(order)-1].IsDone() {
				t.Errorf("future %d is not done", len(order)-1)
			}
		}
	}})
	defer remove()
	for i := range k {
		if _, err := core.Submit(context.Background(), e, noted(ran, k+i)); err != nil {
			t.Fatal(err)
		}
		if len(order) != i+1 || i+1 < k && queued[i+1].IsDone() {
			t.Fatalf("after %d more, %d are discarded", i+1, len(order))
		}
	}
	for i, f := range queued {
		if _, err := f.Get(); !errors.Is(err, core.ErrDiscarded) {
			t.Errorf("future %d: %v", i, err)
		}
	}
	release()
	idle(t, e)
	want := make([]int, k)
	for i := range want {
		want[i] = k + i
	}
	if diff := cmp.Diff(want, *ran); diff != "" {
		t.Error(diff)
	}
	if s := e.Stats(); s.Discarded != k || s.Succeeded != k+1 || s.Accepted != 2*k+1 || s.Rejected.Total() != 0 {
		t.Errorf("%+v", s)
	}
}

// Plain functions can be the victims too.
func TestPolicy_E_POL_03_DiscardOldestFunctions(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(2), core.WithReject(core.RejectDiscardOldest))
	release := occupy(t, e, 1)
	var ran []int
	for i := range 6 {
		if err := e.Go(func() { ran = append(ran, i) }); err != nil {
			t.Fatal(err)
		}
	}
	release()
	idle(t, e)
	if diff := cmp.Diff([]int{4, 5}, ran); diff != "" || e.Stats().Discarded != 4 {
		t.Errorf("%+v %s", e.Stats(), diff)
	}
}

// E-POL-05: discard-newest returns a future that has failed; Go, which has none
// to return, an error.
func TestPolicy_E_POL_05_DiscardNewest(t *testing.T) {
	e, queued, ran, release := full(t, 2, 0, core.WithReject(core.RejectDiscardNewest))
	f, err := core.Submit(context.Background(), e, noted(ran, 9))
	if err != nil || f == nil || !f.IsDone() {
		t.Fatalf("%v, %v", f, err)
	}
	if _, err := f.Get(); !errors.Is(err, core.ErrDiscarded) {
		t.Error(err)
	}
	if f.Cancel() {
		t.Error("it could be cancelled")
	}
	if err := e.Go(func() { t.Error("it ran") }); !errors.Is(err, core.ErrDiscarded) {
		t.Error(err)
	}
	if s := e.Stats(); s.Discarded != 1 || s.Accepted != 4 || s.Rejected.Discard != 1 || queued[0].IsDone() {
		t.Errorf("%+v", s)
	}
	release()
	idle(t, e)
	if diff := cmp.Diff([]int{0, 1}, *ran); diff != "" {
		t.Error(diff)
	}
}

// Caller-runs runs the task before Submit returns, on the caller's goroutine.
func TestPolicy_CallerRuns(t *testing.T) {
	e, _, _, release := full(t, 1, 0, core.WithReject(core.RejectCallerRuns), quietly())
	here := 0 // of this goroutine alone: the race detector would tell
	f, err := core.Submit(context.Background(), e, core.Func(func(ctx context.Context) (int, error) {
		here++
		return here, ctx.Err()
	}))
	if err != nil || !f.IsDone() || here != 1 {
		t.Fatalf("%v, here %d", err, here)
	}
	if err := e.Go(func() { here++ }); err != nil || here != 2 {
		t.Errorf("Go: %v, here %d", err, here)
	}
	f, err = core.Submit(context.Background(), e, core.Func(func(context.Context) (int, error) { panic("x") }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Get(); !errors.Is(err, core.ErrPanicked) {
		t.Error(err)
	}
	if err := e.Go(func() { panic("y") }); err != nil {
		t.Error(err)
	}
	if s := e.Stats(); s.Running != 1 || s.Queued != 1 || s.Succeeded != 2 || s.Panicked != 2 {
		t.Errorf("%+v", s)
	}
	release()
}

// counting is a scheduler that checks that it is told of the end of exactly what
// it gave out.
type counting struct {
	jobs      []core.Job
	out       map[core.Job]int
	strangers int
}

func (c *counting) Push(job core.Job) { c.jobs = append(c.jobs, job) }
func (c *counting) Len() int          { return len(c.jobs) }

func (c *counting) Pop(int) (job core.Job, ok bool) {
	if len(c.jobs) == 0 {
		return job, false
	}
	job, c.jobs = c.jobs[0], c.jobs[1:]
	c.out[job]++
	return job, true
}

func (c *counting) Sweep(drop func(core.Job) bool) { c.jobs = slices.DeleteFunc(c.jobs, drop) }

func (c *counting) Completed(job core.Job) {
	if c.out[job]--; c.out[job] < 0 {
		c.strangers++
	}
}

// A scheduler is not told of the end of a task that its submitter ran: it never
// had it.
func TestPolicy_CallerRunsBesideScheduler(t *testing.T) {
	c := &counting{out: map[core.Job]int{}}
	e, _, ran, release := full(t, 1, 0, core.WithReject(core.RejectCallerRuns), core.WithScheduler(c))
	attempts := 0
	f, err := core.Submit(context.Background(), e, core.Func(func(context.Context) (int, error) {
		if attempts++; attempts < 3 {
			return 0, core.Again(0, nil) // the second and third run go through the scheduler
		}
		return attempts, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Go(func() {}); err != nil {
		t.Error(err)
	}
	release()
	if v, err := f.Await(soon(t)); v != 3 || err != nil {
		t.Errorf("%d, %v", v, err)
	}
	parent := must(t, e, core.Func(func(ctx context.Context) (int, error) {
		for i := range 4 { // the queue holds one: the others run inside
			if _, err := core.Submit(ctx, e, noted(ran, 10+i)); err != nil {
				t.Error(err)
			}
		}
		return 0, nil
	}))
	_, _ = parent.Await(soon(t))
	endEngine(t, e)
	for job, n := range c.out {
		if n != 0 {
			c.strangers++
		}
		_ = job
	}
	if c.strangers != 0 {
		t.Errorf("%d jobs were not completed once for each time they were given out", c.strangers)
	}
}

// E-POL-07: once Shutdown has begun every policy refuses with ErrClosed, and none
// is applied.
func TestPolicy_E_POL_07_AfterShutdown(t *testing.T) {
	for policy := core.RejectWait; policy <= core.RejectAsk; policy++ {
		t.Run(policy.String(), func(t *testing.T) {
			asked := false
			e, queued, ran, release := full(t, 2, core.Low, core.WithReject(policy), func(c *core.Config) {
				c.OnFull = func(context.Context, core.Job) core.RejectPolicy { asked = true; return core.RejectCallerRuns }
			})
			ended := make(chan error, 1)
			go func() { ended <- e.Shutdown(soon(t)) }()
			for e.IsRunning() {
			}
			body := core.Func(func(context.Context) (int, error) { t.Error("it ran"); return 0, nil })
			check := func(what string, err error) {
				if !errors.Is(err, core.ErrClosed) || errors.Is(err, core.ErrQueueFull) {
					t.Errorf("%s: %v", what, err)
				}
			}
			f, err := core.Submit(context.Background(), e, body)
			check("Submit", err)
			if f != nil {
				t.Error("a future")
			}
			_, err = core.SubmitWith(context.Background(), e, core.Attributes{Reject: policy, Priority: core.Critical}, body)
			check("SubmitWith", err)
			_, err = core.TrySubmit(context.Background(), e, body)
			check("TrySubmit", err)
			fs, err := core.SubmitAll(context.Background(), e, []core.Task[int]{body, body})
			check("SubmitAll", err)
			if len(fs) != 0 {
				t.Error("futures")
			}
			check("Go", e.Go(func() { t.Error("it ran") }))
			check("TryGo", e.TryGo(func() { t.Error("it ran") }))
			check("GoContext", e.GoContext(context.Background(), func() { t.Error("it ran") }))
			if asked || queued[0].IsDone() {
				t.Error("the policy was applied")
			}
			if s := e.Stats(); s.Rejected.Closed != 7 || s.Discarded != 0 {
				t.Errorf("%+v", s)
			}
			release()
			if err := receive(t, ended, "end"); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff([]int{0, 1}, *ran); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// E-POL-08: displace-lowest takes the newest of the lowest priority, if that is
// lower than the newcomer's; among equals and betters the newcomer is refused.
func TestPolicy_E_POL_08_DisplaceLowest(t *testing.T) {
	submit := func(e *core.Engine, ran *[]int, p core.Priority, i int) error {
		_, err := core.SubmitWith(context.Background(), e, core.Attributes{Priority: p}, noted(ran, i))
		return err
	}
	for _, queuedAt := range []core.Priority{core.Low, core.Normal, core.High, core.Critical, 0} {
		e, queued, ran, release := full(t, 3, queuedAt, core.WithReject(core.RejectDisplaceLowest))
		equal := queuedAt
		for p := core.Priority(0); p <= core.Critical; p++ {
			higher := max(p, 1) > max(equal, 1)
			if p == 0 {
				higher = core.Normal > equal && equal != 0
			} else if equal == 0 {
				higher = p > core.Normal
			}
			if higher {
				continue
			}
			if err := submit(e, ran, p, -1); !errors.Is(err, core.ErrQueueFull) {
				t.Errorf("%v against %v: %v", p, equal, err)
			}
		}
		if queued[0].IsDone() || queued[1].IsDone() || queued[2].IsDone() {
			t.Error("an equal was displaced")
		}
		if equal != core.Critical {
			for i := range 3 { // the newest go first
				if err := submit(e, ran, core.Critical, 10+i); err != nil {
					t.Error(err)
				}
				if _, err := queued[2-i].GetWithTimeout(0); !errors.Is(err, core.ErrDiscarded) {
					t.Errorf("future %d: %v", 2-i, err)
				}
			}
			if err := submit(e, ran, core.Critical, 13); !errors.Is(err, core.ErrQueueFull) {
				t.Error(err)
			}
		}
		release()
		idle(t, e)
		want := []int{10, 11, 12}
		if equal == core.Critical {
			want = []int{0, 1, 2}
		}
		if diff := cmp.Diff(want, *ran); diff != "" {
			t.Error(diff)
		}
		endEngine(t, e)
	}
}

func TestPolicy_E_POL_08_LowestOfMixed(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(5), core.WithReject(core.RejectDisplaceLowest))
	release := occupy(t, e, 1)
	var ran []int
	for i, p := range []core.Priority{core.High, core.Low, core.Normal, core.Low, core.Critical} {
		if _, err := core.SubmitWith(context.Background(), e, core.Attributes{Priority: p}, noted(&ran, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 { // displaces 3, 1 and 2 in this order
		if _, err := core.SubmitWith(context.Background(), e, core.Attributes{Priority: core.High}, noted(&ran, 10+i)); err != nil {
			t.Fatal(err)
		}
	}
	release()
	idle(t, e)
	if diff := cmp.Diff([]int{0, 4, 10, 11, 12}, ran); diff != "" {
		t.Error(diff)
	}
}

// E-POL-09: a function that returns no policy, or panics, refuses with a typed
// error.
func TestPolicy_E_POL_09_AskForGarbage(t *testing.T) {
	for name, fn := range map[string]func() core.RejectPolicy{
		"zero":    func() core.RejectPolicy { return 0 },
		"unknown": func() core.RejectPolicy { return 200 },
		"itself":  func() core.RejectPolicy { return core.RejectAsk },
		"panic":   func() core.RejectPolicy { panic("on full") },
	} {
		t.Run(name, func(t *testing.T) {
			log := new(logbook)
			e, _, ran, release := full(t, 1, 0, log.option(), core.WithOnFull(func(context.Context, core.Job) core.RejectPolicy { return fn() }))
			f, err := core.Submit(context.Background(), e, noted(ran, -1))
			var refused *core.RefusedError
			if f != nil || !errors.Is(err, core.ErrInvalid) || !errors.As(err, &refused) {
				t.Errorf("%v, %v", f, err)
			}
			if err := e.Go(func() { t.Error("it ran") }); !errors.Is(err, core.ErrInvalid) {
				t.Error(err)
			}
			if s := e.Stats(); s.Rejected.Internal != 2 || s.Accepted != 2 {
				t.Errorf("%+v", s)
			}
			if name == "panic" && !contains(log.String(), "OnFull", "on full") {
				t.Errorf("the log says %q", log)
			}
			release()
		})
	}
}

// The function sees the job and the context, may ask the engine whatever it
// wants, and is asked only when the queue is full.
func TestPolicy_Ask(t *testing.T) {
	type key struct{}
	var asked atomic.Int64
	var e *core.Engine
	e, _, ran, release := full(t, 2, core.Low, core.WithOnFull(func(ctx context.Context, job core.Job) core.RejectPolicy {
		asked.Add(1)
		if s := e.Stats(); s.Queued != 2 || e.TryGo(func() {}) == nil {
			t.Errorf("%+v", s)
		}
		switch job.Key() {
		case "caller":
			if ctx.Value(key{}) != "value" {
				t.Error("the context has no value")
			}
			return core.RejectCallerRuns
		case "oldest":
			return core.RejectDiscardOldest
		case "lowest":
			return core.RejectDisplaceLowest
		case "newest":
			return core.RejectDiscardNewest
		}
		return core.RejectFail
	}))
	if asked.Load() != 0 {
		t.Error("asked without need")
	}
	ctx := context.WithValue(context.Background(), key{}, "value")
	for i, name := range []string{"caller", "oldest", "lowest", "newest", "fail"} {
		_, err := core.SubmitWith(ctx, e, core.Attributes{Key: name, Priority: core.High}, noted(ran, 10+i))
		if (err != nil) != (name == "fail") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff([]int{10}, *ran); diff != "" {
		t.Error(diff)
	}
	release()
	idle(t, e)
	if diff := cmp.Diff([]int{10, 11, 12}, *ran); diff != "" || asked.Load() != 5 {
		t.Errorf("asked %d times; %s", asked.Load(), diff)
	}
}

// What the caller gives for one task wins over the engine's policy.
func TestPolicy_OfOneTask(t *testing.T) {
	e, queued, ran, release := full(t, 1, 0) // RejectWait
	if _, err := core.SubmitWith(context.Background(), e, core.Attributes{Reject: core.RejectFail}, noted(ran, 1)); !errors.Is(err, core.ErrQueueFull) {
		t.Error(err)
	}
	if _, err := core.SubmitWith(context.Background(), e, core.Attributes{Reject: core.RejectAsk}, noted(ran, 1)); !errors.Is(err, core.ErrInvalid) {
		t.Error(err)
	}
	if _, err := core.TrySubmitWith(context.Background(), e, core.Attributes{Reject: core.RejectDiscardOldest}, noted(ran, 1)); !errors.Is(err, core.ErrQueueFull) {
		t.Error(err)
	}
	if _, err := core.SubmitWith(context.Background(), e, core.Attributes{Reject: core.RejectDiscardOldest}, noted(ran, 1)); err != nil || !queued[0].IsDone() {
		t.Error(err)
	}
	release()
}

// P-C16: whatever the policy, under load from many goroutines each task either
// ran, was refused or was discarded, and the figures agree with what the
// futures say.
func TestPolicy_Chaos(t *testing.T) {
	for policy := core.RejectWait; policy < core.RejectAsk; policy++ {
		t.Run(policy.String(), func(t *testing.T) {
			e := engineFor(t, core.WithWorkers(2), core.WithQueueCapacity(3), core.WithReject(policy))
			stop := sampler(t, e)
			var ran, ok, refused, discarded atomic.Int64
			var submitters sync.WaitGroup
			for g := range 4 {
				submitters.Go(func() {
					var futures []*core.Future[int]
					for i := range 500 {
						priority := core.Priority((i+g)%4 + 1)
						f, err := core.SubmitWith(context.Background(), e, core.Attributes{Priority: priority},
							core.Func(func(context.Context) (int, error) { ran.Add(1); return i, nil }))
						switch {
						case err == nil:
							futures = append(futures, f)
						case errors.Is(err, core.ErrQueueFull):
							refused.Add(1)
						default:
							t.Error(err)
						}
					}
					for _, f := range futures {
						if _, err := f.Await(soon(t)); err == nil {
							ok.Add(1)
						} else if errors.Is(err, core.ErrDiscarded) {
							discarded.Add(1)
						} else {
							t.Error(err)
						}
					}
				})
			}
			submitters.Wait()
			idle(t, e)
			stop()
			s := e.Stats()
			if ran.Load() != ok.Load() || uint64(ok.Load()) != s.Succeeded || uint64(discarded.Load()) != s.Discarded ||
				uint64(refused.Load()) != s.Rejected.Full || ok.Load()+discarded.Load()+refused.Load() != 2000 {
				t.Errorf("ran %d, ok %d, discarded %d, refused %d: %+v", ran.Load(), ok.Load(), discarded.Load(), refused.Load(), s)
			}
			if policy == core.RejectWait && ok.Load() != 2000 || policy == core.RejectCallerRuns && ok.Load() != 2000 {
				t.Errorf("only %d ran", ok.Load())
			}
		})
	}
}

func TestPolicy_Strings(t *testing.T) {
	var got []string
	for p := core.RejectPolicy(0); p <= 8; p++ {
		got = append(got, p.String())
	}
	for p := core.PanicPolicy(0); p <= 2; p++ {
		got = append(got, p.String())
	}
	want := []string{"default", "wait", "fail", "caller-runs", "discard-newest", "discard-oldest", "displace-lowest", "ask",
		"reject-policy(8)", "contain", "crash", "panic-policy(2)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
