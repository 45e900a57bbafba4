package core_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/uptutu/goman/core"
)

// The load of a round of the soak: who submits, what the tasks do, who disturbs.

// load starts the actors. They go on until the chaos is over.
func (r *soakRound) load(random *rand.Rand) {
	for p := range uint64(2 + random.IntN(6)) {
		r.keep(100+p, r.submitter)
	}
	r.keep(1, r.canceller)
	r.actors.Go(func() { r.flip(r.random(2)) })
}

// keep runs actor until the chaos is over, on a new goroutine if a task has ended that
// of the actor: one that runs in the caller may call Goexit.
func (r *soakRound) keep(stream uint64, actor func(*rand.Rand)) {
	random := r.random(stream)
	r.actors.Go(func() {
		for r.chaos.Err() == nil {
			over, left := make(chan struct{}), false
			go func() {
				defer close(over)
				actor(random)
				left = true
			}()
			<-over
			if left {
				return
			}
		}
	})
}

// submitter submits, awaits and cancels.
func (r *soakRound) submitter(random *rand.Rand) {
	for r.chaos.Err() == nil && !r.engine.IsShutdown() && r.ids.Load() < soakTasks {
		ctx, cancel := r.outside(random)
		r.deal(ctx, random, 0)
		cancel()
	}
}

// outside draws a context for those who are not tasks.
func (r *soakRound) outside(random *rand.Rand) (context.Context, context.CancelFunc) {
	switch random.IntN(12) {
	case 0:
		return context.WithTimeout(context.Background(), time.Duration(random.IntN(1000))*time.Microsecond)
	case 1:
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(time.Duration(random.IntN(1000))*time.Microsecond, func() { cancel(errGone) })
		return ctx, func() {} // it ends when nobody looks
	case 2:
		return context.WithValue(context.Background(), ctxKey("soak"), r), func() {}
	}
	return context.Background(), func() {}
}

// deal submits in some way, and then looks at a task or two.
func (r *soakRound) deal(ctx context.Context, random *rand.Rand, depth int) {
	switch way := random.IntN(20); {
	case way < 10:
		if f := r.submit(ctx, random, depth); f != nil {
			r.look(ctx, random, f)
		}
	case way < 12:
		r.batch(ctx, random, depth)
	case way < 14:
		r.runOne(ctx, random, depth)
	case way < 18:
		r.plain(ctx, random, depth > 0)
	default:
		r.plainBatch(ctx, random)
	}
}

// call makes a submission of n tasks, counts its answer, and reports how many were
// accepted. Where the task has ended the goroutine there is no answer, but then it
// was accepted; of a batch nobody knows how much.
func (r *soakRound) call(n int, held bool, submit func() (int, error)) (accepted int) {
	answered := false
	defer func() {
		switch {
		case answered:
		case n > 1:
			r.doubtful.Add(uint64(n))
		default:
			r.accepted.Add(1)
			r.unseen.Add(1)
			if held {
				r.lost.Add(1)
			}
		}
	}()
	accepted, err := submit()
	answered = true
	r.accepted.Add(uint64(accepted))
	if err != nil {
		r.refused.Add(1)
	}
	if _, refused := err.(*core.RefusedError); accepted < n && !refused {
		r.faultf("%d of %d accepted, %v", accepted, n, err)
	}
	if !held {
		r.unseen.Add(uint64(accepted))
	}
	return accepted
}

// reserve takes n ids, or none if there are not so many.
func (r *soakRound) reserve(n int) (first int, ok bool) {
	after := int(r.ids.Add(int64(n)))
	return after - n, after <= soakTasks
}

func (r *soakRound) hold(first int, futures ...*core.Future[int]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, f := range futures {
		r.tasks = append(r.tasks, soakTask{first + i, f})
	}
}

// earlier is any task that was accepted, of this round or the one before it.
func (r *soakRound) earlier(random *rand.Rand) *core.Future[int] {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.tasks) == 0 {
		return nil
	}
	return r.tasks[max(0, len(r.tasks)-1-random.IntN(64))].future
}

// attributes draws attributes. With lanes nobody may wait for room.
func (r *soakRound) attributes(random *rand.Rand) core.Attributes {
	a := core.Attributes{Key: string(rune('a' + random.IntN(4))), Priority: core.Priority(1 + random.IntN(4))}
	switch random.IntN(8) {
	case 0:
		a.Reject = r.policies[random.IntN(len(r.policies))]
	case 1:
		a.QueueLimit = time.Duration(1+random.IntN(2000)) * time.Microsecond
	case 2:
		a.RunLimit = time.Duration(1+random.IntN(2000)) * time.Microsecond
	}
	return a
}

// submit submits one task and returns its future, or nil.
func (r *soakRound) submit(ctx context.Context, random *rand.Rand, depth int) (f *core.Future[int]) {
	id, ok := r.reserve(1)
	if !ok {
		return nil
	}
	task := r.task(id, random.Uint64(), depth)
	way, attributes := random.IntN(4), r.attributes(random)
	r.call(1, true, func() (n int, err error) {
		switch way {
		case 0:
			f, err = core.Submit(ctx, r.engine, task)
		case 1:
			f, err = core.TrySubmit(ctx, r.engine, task)
		case 2:
			f, err = core.TrySubmitWith(ctx, r.engine, attributes, task)
		default:
			f, err = core.SubmitWith(ctx, r.engine, attributes, task)
		}
		if (f != nil) == (err != nil) {
			r.faultf("a submission returned %v, %v", f, err)
		}
		if f == nil {
			return 0, err
		}
		return 1, err
	})
	if f != nil {
		r.hold(id, f)
	}
	return f
}

func (r *soakRound) batch(ctx context.Context, random *rand.Rand, depth int) {
	size := 2 + random.IntN(12)
	first, ok := r.reserve(size)
	if !ok {
		return
	}
	tasks := make([]core.Task[int], size)
	for i := range tasks {
		tasks[i] = r.task(first+i, random.Uint64(), depth)
	}
	way, attributes := random.IntN(3), r.attributes(random)
	r.call(size, true, func() (int, error) {
		var futures []*core.Future[int]
		var err error
		switch way {
		case 0:
			futures, err = core.SubmitAll(ctx, r.engine, tasks)
		case 1:
			futures, err = core.TrySubmitAll(ctx, r.engine, tasks)
		default:
			futures, err = core.SubmitAllWith(ctx, r.engine, attributes, tasks)
		}
		r.hold(first, futures...)
		return len(futures), err
	})
}

// runOne submits and awaits in one call, which says what became of the task unless
// the wait was given up.
func (r *soakRound) runOne(ctx context.Context, random *rand.Rand, depth int) {
	id, ok := r.reserve(1)
	if !ok {
		return
	}
	task := r.task(id, random.Uint64(), depth)
	attributed, attributes := random.IntN(2) == 0, r.attributes(random)
	r.call(1, true, func() (int, error) {
		var err error
		if attributed {
			_, err = core.RunWith(ctx, r.engine, attributes, task)
		} else {
			_, err = core.Run(ctx, r.engine, task)
		}
		_, refused := err.(*core.RefusedError) // those of children are never passed on
		_, gaveUp := err.(*core.WaitError)
		_, deadlock := err.(*core.DeadlockError)
		switch {
		case refused && !errors.Is(err, core.ErrDiscarded):
			return 0, err
		case gaveUp, deadlock:
			r.vague.Store(true)
			r.unseen.Add(1)
		default:
			r.settle(id, err)
		}
		return 1, nil
	})
}

// plain submits a function. Inside a task it must not wait in Go.
func (r *soakRound) plain(ctx context.Context, random *rand.Rand, inside bool) {
	id, ok := r.reserve(1)
	if !ok {
		return
	}
	fn, way := r.function(id, random.Uint64()), random.IntN(3)
	r.call(1, false, func() (int, error) {
		var err error
		switch {
		case way == 0:
			err = r.engine.TryGo(fn)
		case way == 1 || inside:
			err = r.engine.GoContext(ctx, fn)
		default:
			err = r.engine.Go(fn)
		}
		if err != nil {
			return 0, err
		}
		return 1, nil
	})
}

func (r *soakRound) plainBatch(ctx context.Context, random *rand.Rand) {
	size := 2 + random.IntN(12)
	first, ok := r.reserve(size)
	if !ok {
		return
	}
	fns := make([]func(), size)
	for i := range fns {
		fns[i] = r.function(first+i, random.Uint64())
	}
	r.call(size, false, func() (int, error) { return r.engine.GoAll(ctx, fns) })
}

// look uses a future in some way, or does not.
func (r *soakRound) look(ctx context.Context, random *rand.Rand, f *core.Future[int]) {
	switch random.IntN(16) {
	case 0, 1:
		_, _ = f.Await(ctx)
	case 2:
		f.Cancel()
	case 3:
		f.CancelCause(errGone)
	case 4:
		r.pending.Add(1)
		f.OnDone(func(int, error) { r.pending.Add(-1) })
	case 5:
		_, _ = f.GetWithTimeout(time.Duration(random.IntN(200)) * time.Microsecond)
	case 6:
		select {
		case <-f.Done():
		default:
		}
	case 7: // not for long, because it does not find a ring out
		if other := r.earlier(random); other != nil {
			short, cancel := context.WithTimeout(ctx, time.Duration(random.IntN(500))*time.Microsecond)
			_, _ = core.AwaitAny(short, f, other)
			cancel()
		}
	case 8:
		short, cancel := context.WithTimeout(ctx, time.Duration(random.IntN(500))*time.Microsecond)
		_, _ = f.Await(short)
		cancel()
	case 9:
		if other := r.earlier(random); other != nil {
			_, _ = other.Await(ctx)
		}
	}
}

// canceller cancels any task now and then, and waits for idleness in vain.
func (r *soakRound) canceller(random *rand.Rand) {
	tick := time.NewTicker(300 * time.Microsecond)
	defer tick.Stop()
	for r.chaos.Err() == nil {
		<-tick.C
		if f := r.earlier(random); f != nil {
			f.Cancel()
		}
		if random.IntN(50) == 0 {
			short, cancel := context.WithTimeout(r.chaos, time.Millisecond)
			_ = r.engine.WaitIdle(short)
			cancel()
		}
	}
}

// flip changes the engine about a thousand times a second, and leaves it running.
func (r *soakRound) flip(random *rand.Rand) {
	e := r.engine
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for r.chaos.Err() == nil {
		<-tick.C
		var err error
		switch random.IntN(8) {
		case 0, 1:
			err = e.Resize(1 + random.IntN(8))
		case 2:
			err = e.Pause()
		case 3:
			err = errors.Join(e.Pause(), e.Resume())
		case 4:
			err = e.SetQueueCapacity(1 + random.IntN(64))
		case 5:
			err = e.Reconfigure(core.WithWorkers(1+random.IntN(8)), core.WithQueueCapacity(1+random.IntN(64)),
				core.WithReject(r.policies[random.IntN(len(r.policies))]), core.WithIdleTimeout(time.Millisecond<<random.IntN(8), random.IntN(3)))
		case 6:
			if err := e.Reconfigure(core.WithWorkers(1), core.WithQueueCapacity(-7)); !errors.Is(err, core.ErrConfig) {
				r.faultf("a wrong setting was answered with %v", err)
			}
		case 7:
			err = r.visit()
		}
		r.flips.Add(1)
		if err == nil && random.IntN(2) == 0 {
			err = e.Resume()
		}
		if err != nil && !errors.Is(err, core.ErrClosed) {
			r.faultf("a change was answered with %v", err)
		}
	}
	if err := e.Resume(); err != nil && !errors.Is(err, core.ErrClosed) {
		r.faultf("Resume: %v", err)
	}
}

// visit adds an interceptor and hooks and takes them away.
func (r *soakRound) visit() error {
	undo, err := r.engine.Intercept(pass)
	if err != nil {
		return err
	}
	remove, err := r.engine.AddHooks(core.Hooks{Started: func(core.Job) {}, Ended: func(core.EndInfo) {}})
	if err != nil {
		return err
	}
	runtime.Gosched()
	remove()
	undo()
	return nil
}

// badHooks are hooks that panic now and then, and end the goroutine of a worker.
func (r *soakRound) badHooks() core.Hooks {
	bad := func() {
		if rand.IntN(500) == 0 {
			panic("hook")
		}
	}
	return core.Hooks{
		Accepted: func(core.Job) { bad() },
		Rejected: func(core.RejectInfo) { bad() },
		Started: func(core.Job) {
			if bad(); r.goexits && rand.IntN(500) == 0 {
				runtime.Goexit()
			}
		},
		Ended:    func(core.EndInfo) { bad() },
		Retried:  func(core.RetryInfo) { bad() },
		Panicked: func(core.Job, *core.PanicError) { bad() },
		Worker:   func(int, bool) { bad() },
		Changed:  func(core.Change) { bad() },
	}
}

// meddler is an interceptor that does now and then what it may.
func (r *soakRound) meddler(next core.Handler) core.Handler {
	return func(ctx context.Context, job core.Job) error {
		switch rand.IntN(64) {
		case 0:
			panic("interceptor")
		case 1:
			return nil // which skips the task
		case 2:
			if core.Attempt(ctx) == 0 {
				return core.Again(0, errFailed)
			}
		case 3:
			ctx = context.WithValue(ctx, ctxKey("soak"), r)
		case 4:
			if err := next(ctx, job); err != nil {
				return err
			}
			panic("interceptor, afterwards")
		}
		return next(ctx, job)
	}
}
