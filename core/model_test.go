package core_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
)

// modelTask is what the model knows of a queued task.
type modelTask struct {
	id       int
	priority core.Priority
}

// model is the queue of an engine whose only worker is busy: it predicts what
// every call does, and what runs, in which order, once the worker is free.
type model struct {
	engine   *core.Engine
	capacity int
	queue    []modelTask // the oldest first
	outcome  map[int]core.Outcome
	futures  map[int]*core.Future[int]
	started  chan struct{}
	gate     chan struct{}
	next     int
	ran      []int
	expect   []int

	refused, functions uint64
}

func (m *model) block(t *rapid.T) {
	m.gate = make(chan struct{})
	gate := m.gate
	if err := m.engine.Go(func() { m.started <- struct{}{}; <-gate }); err != nil {
		t.Fatal(err)
	}
	<-m.started
	m.functions++
}

// drain lets everything run, and compares.
func (m *model) drain(t *rapid.T) {
	close(m.gate)
	if err := m.engine.WaitIdle(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, task := range m.queue {
		m.expect = append(m.expect, task.id)
		m.outcome[task.id] = core.OutcomeSucceeded
	}
	m.queue = nil
	if diff := cmp.Diff(m.expect, m.ran); diff != "" {
		t.Fatalf("the order differs:\n%s", diff)
	}
}

func (m *model) body(id int) core.Task[int] {
	return core.Func(func(context.Context) (int, error) { m.ran = append(m.ran, id); return id, nil })
}

func (m *model) remove(t *rapid.T, at int, o core.Outcome) {
	m.outcome[m.queue[at].id] = o
	if !m.futures[m.queue[at].id].IsDone() {
		t.Fatalf("task %d should be %v", m.queue[at].id, o)
	}
	m.queue = slices.Delete(m.queue, at, at+1)
}

func (m *model) submit(t *rapid.T) {
	priority := core.Priority(rapid.IntRange(1, 4).Draw(t, "priority"))
	policy := rapid.SampledFrom([]core.RejectPolicy{core.RejectFail, core.RejectDiscardNewest, core.RejectDiscardOldest,
		core.RejectDisplaceLowest, core.RejectCallerRuns}).Draw(t, "policy")
	id := m.next
	m.next++
	f, err := core.SubmitWith(context.Background(), m.engine, core.Attributes{Priority: priority, Reject: policy}, m.body(id))
	task := modelTask{id, priority}
	if len(m.queue) < m.capacity {
		if err != nil {
			t.Fatalf("refused with room: %v", err)
		}
		m.futures[id], m.queue = f, append(m.queue, task)
		return
	}
	victim := -1
	switch policy {
	case core.RejectDiscardOldest:
		victim = 0
	case core.RejectDisplaceLowest:
		for i, q := range m.queue {
			if q.priority < priority && (victim < 0 || q.priority <= m.queue[victim].priority) {
				victim = i
			}
		}
	case core.RejectDiscardNewest, core.RejectCallerRuns:
		if err != nil || !f.IsDone() {
			t.Fatalf("%v, %v", f, err)
		}
		m.futures[id], m.outcome[id] = f, core.OutcomeDiscarded
		if policy == core.RejectCallerRuns {
			m.outcome[id] = core.OutcomeSucceeded
			m.expect = append(m.expect, id)
		}
		return
	}
	if victim < 0 {
		if !errors.Is(err, core.ErrQueueFull) {
			t.Fatalf("%v", err)
		}
		m.refused++
		return
	}
	if err != nil {
		t.Fatalf("%v for %v", err, policy)
	}
	m.remove(t, victim, core.OutcomeDiscarded)
	m.futures[id], m.queue = f, append(m.queue, task)
}

func (m *model) submitAll(t *rapid.T) {
	var tasks []core.Task[int]
	first := m.next
	for range rapid.IntRange(1, 5).Draw(t, "size") {
		tasks = append(tasks, m.body(m.next))
		m.next++
	}
	futures, err := core.TrySubmitAll(context.Background(), m.engine, tasks)
	fit := min(max(m.capacity-len(m.queue), 0), len(tasks))
	if len(futures) != fit || (err != nil) != (fit < len(tasks)) {
		t.Fatalf("%d of %d accepted, want %d: %v", len(futures), len(tasks), fit, err)
	}
	if err != nil {
		m.refused++
	}
	for i, f := range futures {
		m.futures[first+i] = f
		m.queue = append(m.queue, modelTask{first + i, core.Normal})
	}
}

func (m *model) cancel(t *rapid.T) {
	if m.next == 0 {
		return
	}
	id := rapid.IntRange(0, m.next-1).Draw(t, "id")
	f := m.futures[id]
	if f == nil {
		return
	}
	at := slices.IndexFunc(m.queue, func(q modelTask) bool { return q.id == id })
	if won := f.Cancel(); won != (at >= 0) {
		t.Fatalf("Cancel of %d: %v", id, won)
	}
	if at >= 0 {
		m.remove(t, at, core.OutcomeCanceled)
	}
}

// check compares the figures and all futures with the model.
func (m *model) check(t *rapid.T) {
	s := m.engine.Stats()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	count := map[core.Outcome]uint64{core.OutcomeSucceeded: m.functions - 1}
	for _, o := range m.outcome {
		count[o]++
	}
	if s.Queued != len(m.queue) || s.Running != 1 || s.Succeeded != count[core.OutcomeSucceeded] || s.Discarded != count[core.OutcomeDiscarded] ||
		s.Canceled != count[core.OutcomeCanceled] || s.Rejected.Full != m.refused || s.Capacity != m.capacity {
		t.Fatalf("%d queued, %v, %d refused: %+v", len(m.queue), count, m.refused, s)
	}
	for id, f := range m.futures {
		_, err := f.GetWithTimeout(0)
		o, over := m.outcome[id]
		want := map[core.Outcome]error{core.OutcomeDiscarded: core.ErrDiscarded, core.OutcomeCanceled: context.Canceled}[o]
		if !over {
			want = core.ErrWaitTimeout
		}
		if !errors.Is(err, want) || f.IsDone() != over {
			t.Fatalf("future %d, %v %v: %v", id, over, o, err)
		}
	}
}

// TestModel runs random programs of submissions, cancellations and changes of the
// capacity against the model.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 6).Draw(t, "capacity")
		options := []core.Option{core.WithWorkers(1), core.WithQueueCapacity(capacity)}
		if rapid.Bool().Draw(t, "scheduler") {
			options = append(options, core.WithScheduler(&counting{out: map[core.Job]int{}}))
		}
		e, err := core.New(options...)
		if err != nil {
			t.Fatal(err)
		}
		m := &model{engine: e, capacity: capacity, outcome: map[int]core.Outcome{}, futures: map[int]*core.Future[int]{}, started: make(chan struct{})}
		m.block(t)
		defer func() {
			m.drain(t)
			if err := e.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
			if s := e.Stats(); s.Check() != nil || s.Queued != 0 || s.Running != 0 {
				t.Fatalf("%+v", s)
			}
		}()
		t.Repeat(map[string]func(*rapid.T){
			"submit":    m.submit,
			"submitAll": m.submitAll,
			"cancel":    m.cancel,
			"capacity": func(t *rapid.T) {
				m.capacity = rapid.IntRange(max(len(m.queue), 1), 8).Draw(t, "capacity")
				if err := e.SetQueueCapacity(m.capacity); err != nil {
					t.Fatal(err)
				}
			},
			"drain": func(t *rapid.T) { m.drain(t); m.block(t) },
			"":      m.check,
		})
	})
}

// TestModel_Concurrent runs random programs on several goroutines at a time. What
// must hold whatever the interleaving: each future has one verdict that fits what
// was done to it, each body ran as often as its verdict says, and the figures
// agree with both.
func TestModel_Concurrent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type command struct {
			Kind, Target int
			Policy       core.RejectPolicy
		}
		workers := rapid.IntRange(1, 3).Draw(t, "workers")
		commands := rapid.Custom(func(t *rapid.T) command {
			return command{rapid.IntRange(0, 9).Draw(t, "kind"), rapid.IntRange(0, 30).Draw(t, "target"),
				core.RejectPolicy(rapid.IntRange(int(core.RejectWait), int(core.RejectDisplaceLowest)).Draw(t, "policy"))}
		})
		programs := rapid.SliceOfN(rapid.SliceOfN(commands, 1, 30), 2, 4).Draw(t, "programs")
		e, err := core.New(core.WithWorkers(workers), core.WithQueueCapacity(rapid.IntRange(1, 4).Draw(t, "capacity")), quietly())
		if err != nil {
			t.Fatal(err)
		}
		var verdicts, accepted, refused, runs [8]atomic.Int64
		var goroutines sync.WaitGroup
		begin := make(chan struct{})
		for _, program := range programs {
			goroutines.Go(func() {
				<-begin
				var futures []*core.Future[int]
				for _, c := range program {
					switch {
					case c.Kind < 6:
						f, err := core.SubmitWith(context.Background(), e, core.Attributes{Priority: core.Priority(c.Target%4 + 1), Reject: c.Policy},
							core.Func(func(ctx context.Context) (int, error) {
								if c.Kind == 5 && core.Attempt(ctx) < 2 {
									return 0, core.Again(0, nil)
								}
								runs[0].Add(1)
								if c.Kind == 4 {
									panic("on purpose")
								}
								return c.Target, ctx.Err()
							}))
						if err != nil {
							refused[0].Add(1)
							continue
						}
						accepted[0].Add(1)
						futures = append(futures, f)
					case c.Kind < 8 && len(futures) > 0:
						futures[c.Target%len(futures)].Cancel()
					case c.Kind == 8 && len(futures) > 0:
						_, _ = futures[c.Target%len(futures)].Await(context.Background())
					case c.Kind == 9:
						if err := e.Stats().Check(); err != nil {
							t.Error(err)
						}
						_ = e.SetQueueCapacity(c.Target%5 + 1)
						_ = e.Resize(c.Target%3 + 1)
					}
				}
				for _, f := range futures {
					_, err := f.Get()
					switch {
					case err == nil:
						verdicts[core.OutcomeSucceeded].Add(1)
					case errors.Is(err, core.ErrPanicked):
						verdicts[core.OutcomePanicked].Add(1)
					case errors.Is(err, core.ErrDiscarded):
						verdicts[core.OutcomeDiscarded].Add(1)
					case errors.Is(err, context.Canceled):
						verdicts[core.OutcomeCanceled].Add(1)
					default:
						t.Errorf("verdict %v", err)
					}
				}
			})
		}
		close(begin)
		goroutines.Wait()
		if err := e.WaitIdle(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := e.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		s := e.Stats()
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		got := [4]uint64{s.Succeeded, s.Panicked, s.Discarded, s.Canceled}
		var want [4]uint64
		for i, o := range []core.Outcome{core.OutcomeSucceeded, core.OutcomePanicked, core.OutcomeDiscarded, core.OutcomeCanceled} {
			want[i] = uint64(verdicts[o].Load())
		}
		if got != want || s.Accepted != uint64(accepted[0].Load()) || s.Rejected.Full != uint64(refused[0].Load()) || s.Queued+s.Running != 0 {
			t.Fatalf("futures say %v, %d accepted, %d refused: %+v", want, accepted[0].Load(), refused[0].Load(), s)
		}
		if n := uint64(runs[0].Load()); n < s.Succeeded+s.Panicked || n > s.Succeeded+s.Panicked+s.Canceled {
			t.Fatalf("%d runs: %+v", n, s)
		}
	})
}
