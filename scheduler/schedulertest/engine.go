package schedulertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/uptutu/goman/core"
)

// engine makes an engine with a new scheduler, which is nil if the engine has it from
// the options.
func (s *Spec) engine(options ...core.Option) (*core.Engine, core.Scheduler, error) {
	all := append([]core.Option{core.WithLogger(slog.New(slog.DiscardHandler))}, s.Options...)
	all = append(all, options...)
	var made core.Scheduler
	if s.New != nil {
		var err error
		if made, err = s.New(); err != nil {
			return nil, nil, err
		}
		all = append(all, core.WithScheduler(made))
	}
	e, err := core.New(all...)
	return e, made, err
}

// shut ends an engine by force, whatever has failed. After Shutdown it does nothing.
func (s *Spec) shut(e *core.Engine) {
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	_ = e.Close(ctx) // what is left over has been judged by then
}

// ended returns what is wrong with an engine that has been shut down, and its scheduler.
func ended(e *core.Engine, s core.Scheduler) error {
	err := e.Stats().Check()
	if s != nil && s.Len() != 0 {
		err = errors.Join(err, fmt.Errorf("the engine has ended, but Len is %d", s.Len()))
	}
	return err
}

// context of a kind.
func (s *Spec) context(ctx context.Context, kind int) (context.Context, core.Attributes) {
	attributes, after := s.Kind(kind)
	if after <= 0 {
		return ctx, attributes
	}
	deadline := future.Add(after)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	context.AfterFunc(ctx, cancel) // it ends with its parent
	return ctx, attributes
}

// work is the tasks of a check, and how often each has run.
type work struct {
	spec   *Spec
	engine *core.Engine
	ran    []atomic.Int32
	parent context.Context // of all tasks; its end frees what their contexts need
}

// submit submits task i, which does what its number says.
func (w *work) submit(i, kind int) (*core.Future[int], error) {
	ctx, attributes := w.spec.context(w.parent, kind)
	return core.SubmitWith(ctx, w.engine, attributes, core.Func(func(ctx context.Context) (int, error) {
		w.ran[i].Add(1)
		switch {
		case i%11 == 0 && core.Attempt(ctx) == 0:
			w.ran[i].Add(-1)
			return 0, core.Again(0, nil)
		case i%7 == 0:
			_, attributes := w.spec.context(ctx, (kind+i)%w.spec.Kinds)
			_, err := core.RunWith(ctx, w.engine, attributes, core.Func(func(context.Context) (int, error) { return i, nil }))
			if err != nil && !errors.Is(err, core.ErrDeadlock) && ctx.Err() == nil {
				return 0, fmt.Errorf("a child: %w", err)
			}
		}
		return i, nil
	}))
}

// checkEngine runs everything at once.
func checkEngine(s *Spec, e effort) error {
	for round := range e.rounds(5) {
		if err := engineRound(s, rand.New(rand.NewPCG(e.seed, uint64(round)))); err != nil {
			return err
		}
	}
	return nil
}

func engineRound(s *Spec, random *rand.Rand) error {
	const producers, each = 4, 150
	engine, made, err := s.engine(core.WithWorkers(3), core.WithUnboundedQueue())
	if err != nil {
		return err
	}
	defer s.shut(engine)
	parent, free := context.WithCancel(context.Background())
	defer free()
	w := &work{spec: s, engine: engine, ran: make([]atomic.Int32, producers*each), parent: parent}
	var faults [producers]error
	seeds := [producers]uint64{}
	for p := range producers {
		seeds[p] = random.Uint64()
	}
	var all sync.WaitGroup
	for p := range producers {
		all.Go(func() { faults[p] = w.produce(p*each, each, rand.New(rand.NewPCG(seeds[p], 0))) })
	}
	for range 20 {
		_ = engine.Resize(1 + random.IntN(4)) // an error would be the engine's
		if random.IntN(4) == 0 {
			_ = engine.Pause()
			_ = engine.Resume()
		}
	}
	all.Wait()
	if err := errors.Join(faults[:]...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	if err := engine.Shutdown(ctx); err != nil {
		return err
	}
	return ended(engine, made)
}

// produce submits tasks and waits for them.
func (w *work) produce(from, n int, random *rand.Rand) error {
	futures := make([]*core.Future[int], n)
	for i := range n {
		f, err := w.submit(from+i, random.IntN(w.spec.Kinds))
		if err != nil {
			return fmt.Errorf("a submission: %w", err)
		}
		if futures[i] = f; random.IntN(5) == 0 {
			f.Cancel()
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), w.spec.patience)
	defer cancel()
	for i, f := range futures {
		value, err := f.Await(ctx)
		switch ran := w.ran[from+i].Load(); {
		case ctx.Err() != nil:
			return fmt.Errorf("task %d has not ended after %v", i, w.spec.patience)
		case err == nil && (value != from+i || ran != 1):
			return fmt.Errorf("task %d has run %d times, and returned %d", i, ran, value-from)
		case err != nil && !errors.Is(err, context.Canceled):
			return fmt.Errorf("task %d: %w", i, err)
		case ran > 1:
			return fmt.Errorf("task %d has run %d times", i, ran)
		}
	}
	return nil
}

// checkFull fills a small queue, with each policy.
func checkFull(s *Spec, e effort) error {
	for _, policy := range []core.RejectPolicy{core.RejectFail, core.RejectCallerRuns, core.RejectDiscardNewest,
		core.RejectDiscardOldest, core.RejectDisplaceLowest} {
		for round := range e.rounds(5) {
			if err := fullRound(s, policy, rand.New(rand.NewPCG(e.seed, uint64(round)))); err != nil {
				return fmt.Errorf("with %v: %w", policy, err)
			}
		}
	}
	return nil
}

func fullRound(s *Spec, policy core.RejectPolicy, random *rand.Rand) error {
	engine, made, err := s.engine(core.WithWorkers(1), core.WithQueueCapacity(4), core.WithReject(policy))
	if err != nil {
		return err
	}
	defer s.shut(engine)
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	started, released := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	defer release()
	first, err := core.Submit(ctx, engine, core.Func(func(context.Context) (int, error) {
		close(started)
		<-released
		return 0, nil
	}))
	if err != nil {
		return err
	}
	select {
	case <-started:
	case <-ctx.Done():
		return errors.New("the first task does not start")
	}
	var ran [20]atomic.Int32
	var futures [20]*core.Future[int]
	for i := range futures {
		kindly, attributes := s.context(ctx, random.IntN(s.Kinds))
		futures[i], err = core.SubmitWith(kindly, engine, attributes, core.Func(func(context.Context) (int, error) {
			ran[i].Add(1)
			return i, nil
		}))
		if err != nil && !errors.Is(err, core.ErrQueueFull) {
			return fmt.Errorf("submission %d: %w", i, err)
		}
		if err != nil && policy == core.RejectDiscardOldest && made != nil && sweeps(s) {
			return fmt.Errorf("submission %d is refused, and nobody is discarded for it", i)
		}
	}
	release()
	if _, err := first.Await(ctx); err != nil {
		return fmt.Errorf("the first task: %w", err)
	}
	for i, f := range futures {
		want := int32(0)
		if f != nil {
			_, err := f.Await(ctx)
			if err == nil {
				want = 1
			} else if !errors.Is(err, core.ErrDiscarded) {
				return fmt.Errorf("task %d: %w", i, err)
			}
		}
		if n := ran[i].Load(); n != want {
			return fmt.Errorf("task %d has run %d times, want %d", i, n, want)
		}
	}
	if err := engine.Shutdown(ctx); err != nil {
		return err
	}
	return ended(engine, made)
}

// checkClose ends an engine by force with its queue full.
func checkClose(s *Spec, e effort) error {
	random := rand.New(rand.NewPCG(e.seed, 0))
	engine, _, err := s.engine(core.WithWorkers(2), core.WithUnboundedQueue())
	if err != nil {
		return err
	}
	defer s.shut(engine)
	if err := engine.Pause(); err != nil {
		return err
	}
	parent, free := context.WithTimeout(context.Background(), s.patience)
	defer free()
	w := &work{spec: s, engine: engine, ran: make([]atomic.Int32, 50), parent: parent}
	var futures []*core.Future[int]
	for i := range w.ran {
		f, err := w.submit(i, random.IntN(s.Kinds))
		if err != nil {
			return fmt.Errorf("a submission: %w", err)
		}
		futures = append(futures, f)
	}
	report, _ := errors.AsType[*core.ShutdownError](engine.Close(parent))
	if report == nil || len(report.Undone) != len(futures) {
		return fmt.Errorf("a forced end does not hand back all %d tasks", len(futures))
	}
	for i, f := range futures {
		if _, err := f.Await(parent); !errors.Is(err, core.ErrUndone) {
			return fmt.Errorf("task %d: %w, want ErrUndone", i, err)
		}
	}
	return engine.Stats().Check()
}

// checkEngineOrder lets one worker run what was queued, and asks the model.
func checkEngineOrder(s *Spec, e effort) error {
	model := s.Model()
	var wrong error
	hooks := core.Hooks{
		Accepted: func(job core.Job) { model.Push(job) },
		Started: func(job core.Job) {
			if may := model.May(); !slices.Contains(may, job) && wrong == nil {
				wrong = errors.New("a task has started before its turn")
			}
			model.Started(job)
		},
		Ended: func(end core.EndInfo) { model.Completed(end.Job) },
	}
	engine, _, err := s.engine(core.WithWorkers(1), core.WithUnboundedQueue(), core.WithHooks(hooks))
	if err != nil {
		return err
	}
	defer s.shut(engine)
	if err := engine.Pause(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	random := rand.New(rand.NewPCG(e.seed, 0))
	for range 500 {
		kindly, attributes := s.context(ctx, random.IntN(s.Kinds))
		_, err := core.SubmitWith(kindly, engine, attributes, core.Func(func(context.Context) (int, error) { return 0, nil }))
		if err != nil {
			return err
		}
	}
	if err := engine.Resume(); err != nil {
		return err
	}
	if err := engine.Shutdown(ctx); err != nil {
		return err
	}
	return wrong
}
