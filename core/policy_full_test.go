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
	idle(t, e)
	if err := e.Reconfigure(core.WithReject(core.RejectFail)); err != nil {
		t.Fatal(err)
	}
	capacityIs(t, e, 1) // the tasks that were run here took no room, and gave none
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
