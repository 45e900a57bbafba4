package core_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
)

// life is a model of an engine that is driven from one goroutine: each task
// blocks until the model opens its gate, so that what is queued and what runs is
// known exactly.
type life struct {
	ctx               context.Context // ends a run that hangs
	engine            *core.Engine
	workers, capacity int
	paused, draining  bool
	queued, running   []*lifeTask
	ended, cancelled  int
	accepted          int
	starts            chan *lifeTask
	verdict           chan error
}

type lifeTask struct {
	future *core.Future[int]
	gate   chan struct{}
}

func (l *life) body(task *lifeTask) core.Task[int] {
	return core.Func(func(ctx context.Context) (int, error) {
		l.starts <- task
		select {
		case <-task.gate:
			return 1, nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	})
}

// settle waits until the engine has started what it may, and no more.
func (l *life) settle(t *rapid.T) {
	for !l.paused && len(l.running) < l.workers && len(l.queued) > 0 {
		select {
		case started := <-l.starts:
			i := slices.Index(l.queued, started)
			if i < 0 {
				t.Fatalf("a task started that was not queued")
			}
			l.queued = slices.Delete(l.queued, i, i+1)
			l.running = append(l.running, started)
		case <-l.ctx.Done():
			t.Fatalf("%d run on %d workers and nothing starts of %d queued: %+v", len(l.running), l.workers, len(l.queued), l.engine.Stats())
		}
	}
}

func (l *life) submit(t *rapid.T) {
	task := &lifeTask{gate: make(chan struct{})}
	f, err := core.TrySubmit(context.Background(), l.engine, l.body(task))
	switch {
	case l.draining:
		if !errors.Is(err, core.ErrClosed) {
			t.Fatalf("after Shutdown: %v", err)
		}
	case len(l.queued) >= l.capacity:
		if !errors.Is(err, core.ErrQueueFull) {
			t.Fatalf("%d queued, capacity %d: %v", len(l.queued), l.capacity, err)
		}
	case err != nil:
		t.Fatalf("%d queued, capacity %d: %v", len(l.queued), l.capacity, err)
	default:
		task.future = f
		l.accepted++
		l.queued = append(l.queued, task)
	}
	l.settle(t)
}

func (l *life) finish(t *rapid.T) {
	if len(l.running) == 0 {
		l.submit(t)
		return
	}
	i := rapid.IntRange(0, len(l.running)-1).Draw(t, "which")
	task := l.running[i]
	l.running = slices.Delete(l.running, i, i+1)
	close(task.gate)
	if n, err := task.future.Await(l.ctx); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	l.ended++
	l.settle(t)
}

func (l *life) cancel(t *rapid.T) {
	if len(l.queued) == 0 {
		l.submit(t)
		return
	}
	i := rapid.IntRange(0, len(l.queued)-1).Draw(t, "which")
	task := l.queued[i]
	if !task.future.Cancel() {
		t.Fatal("Cancel made no difference")
	}
	var c *core.CancelError
	if _, err := task.future.Get(); !errors.As(err, &c) || c.Started {
		t.Fatalf("%v", err)
	}
	l.queued = slices.Delete(l.queued, i, i+1)
	l.cancelled++
}

func (l *life) resize(t *rapid.T) {
	n := rapid.IntRange(1, 5).Draw(t, "workers")
	if err := l.engine.Resize(n); err != nil {
		t.Fatal(err)
	}
	l.workers = n
	l.settle(t)
}

func (l *life) setCapacity(t *rapid.T) {
	n := rapid.IntRange(1, 6).Draw(t, "capacity")
	if err := l.engine.SetQueueCapacity(n); err != nil {
		t.Fatal(err)
	}
	l.capacity = n
}

func (l *life) pause(t *rapid.T) {
	err := l.engine.Pause()
	if l.draining != errors.Is(err, core.ErrClosed) || !l.draining && err != nil {
		t.Fatalf("Pause, draining %v: %v", l.draining, err)
	}
	l.paused = !l.draining
}

func (l *life) resume(t *rapid.T) {
	if err := l.engine.Resume(); err != nil && !l.engine.IsClosed() {
		t.Fatal(err)
	}
	l.paused = false
	l.settle(t)
}

func (l *life) shutdown(t *rapid.T) {
	if l.draining {
		l.submit(t) // which is refused
		return
	}
	l.draining, l.paused = true, false
	l.verdict = make(chan error, 1)
	go func() { l.verdict <- l.engine.Shutdown(l.ctx) }()
	for !l.engine.IsShutdown() {
		l.engine.Stats()
	}
	l.settle(t)
}

// check compares the engine with the model after each step.
func (l *life) check(t *rapid.T) {
	s := l.engine.Stats()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	if s.Queued != len(l.queued) || s.Running != len(l.running) || s.Accepted != uint64(l.accepted) ||
		s.Succeeded != uint64(l.ended) || s.Canceled != uint64(l.cancelled) || s.Workers != l.workers || s.Capacity != l.capacity {
		t.Fatalf("the model has %d queued, %d running, %d ended, %d cancelled of %d; the engine %+v",
			len(l.queued), len(l.running), l.ended, l.cancelled, l.accepted, s)
	}
	if !l.draining && (l.engine.IsPaused() != l.paused || !l.engine.IsRunning() || l.engine.IsShutdown()) {
		t.Fatalf("paused %v, running %v, shutdown %v", l.engine.IsPaused(), l.engine.IsRunning(), l.engine.IsShutdown())
	}
	select {
	case task := <-l.starts:
		t.Fatalf("a task started that should not: queued still is %v", slices.Contains(l.queued, task))
	default:
	}
}

// Any sequence of submissions, ends, cancels and changes leaves the engine where
// the model is.
func TestLife_Model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		l := &life{
			ctx:      ctx,
			workers:  rapid.IntRange(1, 4).Draw(t, "workers"),
			capacity: rapid.IntRange(1, 6).Draw(t, "capacity"),
			starts:   make(chan *lifeTask, 100),
		}
		options := []core.Option{core.WithWorkers(l.workers), core.WithQueueCapacity(l.capacity)}
		if rapid.Bool().Draw(t, "custom") {
			options = append(options, core.WithScheduler(&line{}))
		}
		e, err := core.New(options...)
		if err != nil {
			t.Fatal(err)
		}
		l.engine = e
		defer func() {
			if err := e.Close(l.ctx); err != nil && !errors.Is(err, core.ErrShutdown) {
				t.Fatal(err)
			}
		}()
		live := func(step func(*rapid.T)) func(*rapid.T) {
			return func(t *rapid.T) {
				if l.draining {
					l.submit(t) // which is refused
					return
				}
				step(t)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"submit":   l.submit,
			"finish":   l.finish,
			"cancel":   l.cancel,
			"resize":   live(l.resize),
			"capacity": live(l.setCapacity),
			"pause":    l.pause,
			"resume":   l.resume,
			"shutdown": l.shutdown,
			"":         l.check,
		})
		// To the end: everything that was accepted runs.
		l.resume(t)
		for len(l.running) > 0 {
			l.finish(t)
		}
		if !l.draining {
			l.shutdown(t)
		}
		if err := <-l.verdict; err != nil {
			t.Fatal(err)
		}
		l.check(t)
		if !e.IsClosed() {
			t.Fatal("not closed")
		}
	})
}
