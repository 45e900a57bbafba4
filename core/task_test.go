package core_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

// eager brings attributes of its own.
type eager struct {
	priority core.Priority
	limits   time.Duration
}

func (*eager) Execute(context.Context) (string, error) { return "eager", nil }
func (e *eager) Priority() core.Priority               { return e.priority }
func (*eager) Key() string                             { return "own key" }
func (*eager) Tenant() string                          { return "own tenant" }
func (*eager) Name() string                            { return "own name" }
func (*eager) Labels() map[string]string               { return map[string]string{"own": "label"} }
func (e *eager) Limits() (queue, run time.Duration)    { return e.limits, 2 * e.limits }

// attributesOf submits task and returns what the hooks see of it.
func attributesOf(t *testing.T, given *core.Attributes, task core.Task[string]) (core.Attributes, core.Job) {
	t.Helper()
	var seen atomic.Pointer[core.Job]
	e := engineFor(t, core.WithHooks(core.Hooks{Ended: func(end core.EndInfo) { seen.Store(&end.Job) }}))
	var err error
	if given == nil {
		_, err = core.Submit(context.Background(), e, task)
	} else {
		_, err = core.SubmitWith(context.Background(), e, *given, task)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Shutdown(soon(t)); err != nil {
		t.Fatal(err)
	}
	return seen.Load().Attributes(), *seen.Load()
}

func TestAttributes_CallerWins(t *testing.T) {
	own := core.Attributes{Name: "own name", Priority: core.High, Key: "own key", Tenant: "own tenant",
		Labels: map[string]string{"own": "label"}, QueueLimit: time.Hour, RunLimit: 2 * time.Hour}
	task := &eager{core.High, time.Hour}
	got, job := attributesOf(t, nil, task)
	if diff := cmp.Diff(own, got); diff != "" {
		t.Errorf("nothing given:\n%s", diff)
	}
	if job.Priority() != core.High || job.Key() != "own key" || job.Tenant() != "own tenant" || job.Name() != "own name" ||
		job.String() != "Job(own name)" || job.IsZero() || job.Attempt() != 0 {
		t.Errorf("the job says otherwise: %v", job)
	}
	got, _ = attributesOf(t, &core.Attributes{}, task)
	if diff := cmp.Diff(own, got); diff != "" {
		t.Errorf("zero given:\n%s", diff)
	}
	all := core.Attributes{Name: "n", Priority: core.Low, Key: "k", Tenant: "t", Labels: map[string]string{},
		QueueLimit: -1, RunLimit: time.Minute, Reject: core.RejectFail}
	got, _ = attributesOf(t, &all, task)
	if diff := cmp.Diff(all, got); diff != "" {
		t.Errorf("all given:\n%s", diff)
	}
	some := core.Attributes{Key: "k", QueueLimit: time.Second}
	want := own
	want.Key, want.QueueLimit = "k", time.Second
	got, _ = attributesOf(t, &some, task)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("some given:\n%s", diff)
	}
}

func TestAttributes_Defaults(t *testing.T) {
	got, job := attributesOf(t, nil, core.Func(func(context.Context) (string, error) { return "", nil }))
	if diff := cmp.Diff(core.Attributes{}, got); diff != "" {
		t.Error(diff)
	}
	if job.Priority() != core.Normal || job.Name() != "core.TaskFunc[string]" {
		t.Errorf("%v of %v", job, job.Priority())
	}
	if _, ok := job.Deadline(); ok {
		t.Error("it has a deadline")
	}
	if zero := (core.Job{}); !zero.IsZero() {
		t.Error("the zero job is a job")
	}
}

// A plain function is called the same, with and without the limits that make a
// record of it.
func TestAttributes_NameOfFunction(t *testing.T) {
	for name, options := range map[string][]core.Option{"plain": nil, "record": {core.WithRunLimit(time.Hour)}} {
		t.Run(name, func(t *testing.T) {
			names := make(chan string, 1)
			e := engineFor(t, append(options, core.WithHooks(core.Hooks{
				Started: func(job core.Job) { names <- job.Name() }}))...)
			if err := e.Go(func() {}); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, names, "name"); got != "func()" {
				t.Errorf("it is called %q", got)
			}
		})
	}
}

// A job's deadline is that of the context given to Submit.
func TestJob_Deadline(t *testing.T) {
	end := time.Now().Add(time.Hour)
	ctx, cancel := context.WithDeadline(context.Background(), end)
	defer cancel()
	got := make(chan time.Time, 1)
	e := engineFor(t, core.WithHooks(core.Hooks{Started: func(job core.Job) {
		d, _ := job.Deadline()
		got <- d
	}}))
	if _, err := core.Submit(ctx, e, value(1)); err != nil {
		t.Fatal(err)
	}
	if d := receive(t, got, "deadline"); !d.Equal(end) {
		t.Errorf("%v, want %v", d, end)
	}
}

func TestSubmitAll(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2), core.WithQueueCapacity(5))
	var tasks []core.Task[int]
	for i := range 1000 {
		tasks = append(tasks, value(i))
	}
	futures, err := core.SubmitAll(soon(t), e, tasks) // waits for room many times
	if err != nil || len(futures) != len(tasks) {
		t.Fatalf("%d futures, %v", len(futures), err)
	}
	for i, f := range futures {
		if v, err := f.Await(soon(t)); v != i || err != nil {
			t.Fatalf("future %d: %d, %v", i, v, err)
		}
	}
	for _, empty := range [][]core.Task[int]{nil, {}} {
		if futures, err := core.SubmitAll(soon(t), e, empty); futures != nil || err != nil {
			t.Errorf("no tasks: %v, %v", futures, err)
		}
	}
	if s := e.Stats(); s.Accepted != 1000 || s.Rejected.Total() != 0 {
		t.Errorf("%+v", s)
	}
}

// A batch that does not fit gives the futures of a prefix and says what stopped
// it; the others never run.
func TestSubmitAll_Prefix(t *testing.T) {
	mine := errors.New("mine")
	for name, c := range map[string]struct {
		submit   func(context.Context, *core.Engine, []core.Task[int]) ([]*core.Future[int], error)
		options  []core.Option
		accepted int
		want     error
	}{
		"try":    {core.TrySubmitAll[int], nil, 3, core.ErrQueueFull},
		"fail":   {core.SubmitAll[int], []core.Option{core.WithReject(core.RejectFail)}, 3, core.ErrQueueFull},
		"wait":   {core.SubmitAll[int], nil, 3, mine},
		"newest": {core.SubmitAll[int], []core.Option{core.WithReject(core.RejectDiscardNewest)}, 10, nil},
		"oldest": {core.SubmitAll[int], []core.Option{core.WithReject(core.RejectDiscardOldest)}, 10, nil},
		"caller": {core.SubmitAll[int], []core.Option{core.WithReject(core.RejectCallerRuns)}, 10, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := engineFor(t, append(c.options, core.WithWorkers(1), core.WithQueueCapacity(3))...)
			release := occupy(t, e, 1)
			var ran [10]atomic.Bool
			var tasks []core.Task[int]
			for i := range ran {
				tasks = append(tasks, core.Func(func(context.Context) (int, error) { ran[i].Store(true); return i, nil }))
			}
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			if name == "wait" {
				go func() {
					for e.Stats().Blocked == 0 {
					}
					cancel(mine)
				}()
			}
			futures, err := c.submit(context.WithoutCancel(ctx), e, tasks[:0])
			if futures != nil || err != nil {
				t.Errorf("%v, %v", futures, err)
			}
			futures, err = c.submit(ctx, e, tasks)
			if len(futures) != c.accepted || !errors.Is(err, c.want) {
				t.Errorf("%d futures, %v", len(futures), err)
			}
			release()
			idle(t, e)
			var kept []int
			for i, f := range futures {
				_, err := f.Await(soon(t))
				switch {
				case err == nil && ran[i].Load():
					kept = append(kept, i)
				case ran[i].Load() || name != "wait" && !errors.Is(err, core.ErrDiscarded):
					t.Errorf("task %d: ran %v, %v", i, ran[i].Load(), err)
				}
			}
			for i := len(futures); i < len(ran); i++ {
				if ran[i].Load() {
					t.Errorf("task %d ran", i)
				}
			}
			want := map[string][]int{"try": {0, 1, 2}, "fail": {0, 1, 2}, "newest": {0, 1, 2}, "oldest": {7, 8, 9},
				"caller": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}[name]
			if diff := cmp.Diff(want, kept); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Bad attributes of one task refuse the whole batch, counted once.
func TestSubmitAll_BadAttributes(t *testing.T) {
	e := engineFor(t)
	_, err := core.SubmitAll(soon(t), e, []core.Task[string]{&eager{priority: core.Low}, &eager{priority: 50}})
	if s := e.Stats(); !errors.Is(err, core.ErrInvalid) || s.Accepted != 0 || s.Rejected.Invalid != 1 {
		t.Errorf("%v; %+v", err, s)
	}
}

func TestPriority_String(t *testing.T) {
	got := map[core.Priority]string{}
	for _, p := range []core.Priority{0, core.Low, core.Normal, core.High, core.Critical, 200} {
		got[p] = p.String()
	}
	want := map[core.Priority]string{0: "normal", 1: "low", 2: "normal", 3: "high", 4: "critical", 200: "priority(200)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
