package core_test

import (
	"context"
	"errors"
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
	remove := addHooks(t, e, core.Hooks{Ended: func(end core.EndInfo) {
		mu.Lock()
		defer mu.Unlock()
		if end.Outcome == core.OutcomeDiscarded && errors.Is(end.Err, core.ErrDiscarded) {
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
