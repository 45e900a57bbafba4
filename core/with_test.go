package core_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

// RunWith gives its attributes to the task, and awaits it.
func TestRunWith(t *testing.T) {
	var job core.Job
	e := engineFor(t, core.WithHooks(core.Hooks{Started: func(j core.Job) { job = j }}))
	given := core.Attributes{Name: "n", Key: "k", Priority: core.Low}
	if v, err := core.RunWith(soon(t), e, given, value(7)); v != 7 || err != nil {
		t.Errorf("%d, %v", v, err)
	}
	if diff := cmp.Diff(given, job.Attributes()); diff != "" {
		t.Error(diff)
	}
	if text, err := core.RunWith(soon(t), e, core.Attributes{Key: "k"}, monthly{7}); text != "month 7" || err != nil {
		t.Errorf("%s, %v", text, err)
	}
	if diff := cmp.Diff(core.Attributes{Name: "report-07", Key: "k", Priority: core.High}, job.Attributes()); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct {
		e    *core.Engine
		with core.Attributes
		task core.Task[int]
	}{
		"nil engine": {nil, given, value(1)}, "zero engine": {new(core.Engine), core.Attributes{Reject: 99}, value(1)},
		"policy": {e, core.Attributes{Reject: 99}, value(1)}, "nil task": {e, given, nil},
	} {
		if v, err := core.RunWith(soon(t), c.e, c.with, c.task); v != 0 || !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %d, %v", name, v, err)
		}
		if futures, err := core.SubmitAllWith(soon(t), c.e, c.with, []core.Task[int]{c.task}); futures != nil || !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: a batch: %v, %v", name, futures, err)
		}
	}
}

// SubmitAllWith gives its attributes to each task, completed by what that brings.
func TestSubmitAllWith(t *testing.T) {
	const n = 300 // more than one slab
	var mu sync.Mutex
	type brief struct {
		Name, Key string
		Priority  core.Priority
	}
	seen := map[brief]int{}
	e := engineFor(t, core.WithWorkers(2), core.WithHooks(core.Hooks{Started: func(job core.Job) {
		mu.Lock()
		defer mu.Unlock()
		seen[brief{job.Attributes().Name, job.Key(), job.Priority()}]++
	}}))
	given := core.Attributes{Key: "k", Priority: core.Low}
	var tasks []core.Task[string]
	for i := range n {
		if i%3 == 0 {
			tasks = append(tasks, monthly{7})
		} else {
			tasks = append(tasks, value("x"))
		}
	}
	futures, err := core.SubmitAllWith(context.Background(), e, given, tasks)
	if len(futures) != n || err != nil {
		t.Fatalf("%d, %v", len(futures), err)
	}
	for i, f := range futures {
		want := "x"
		if i%3 == 0 {
			want = "month 7"
		}
		if got, err := f.Await(soon(t)); got != want || err != nil {
			t.Fatalf("%d: %q, %v", i, got, err)
		}
	}
	idle(t, e)
	mu.Lock()
	defer mu.Unlock()
	want := map[brief]int{
		{"", "k", core.Low}:          200,
		{"report-07", "k", core.Low}: 100, // what the caller gives wins
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

// The policy of the attributes is that of each task for which there is no room.
func TestSubmitAllWith_Policy(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(3))
	release := occupy(t, e, 1)
	defer release()
	tasks := make([]core.Task[int], 5)
	for i := range tasks {
		tasks[i] = value(i)
	}
	futures, err := core.SubmitAllWith(context.Background(), e, core.Attributes{Reject: core.RejectFail}, tasks)
	if len(futures) != 3 || !errors.Is(err, core.ErrQueueFull) {
		t.Errorf("%d, %v", len(futures), err)
	}
	futures, err = core.SubmitAllWith(context.Background(), e, core.Attributes{Reject: core.RejectDiscardNewest}, tasks)
	if len(futures) != 5 || err != nil {
		t.Fatalf("%d, %v", len(futures), err)
	}
	for _, f := range futures {
		if _, err := f.Await(soon(t)); !errors.Is(err, core.ErrDiscarded) {
			t.Error(err)
		}
	}
}
