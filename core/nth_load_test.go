package core_test

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/flow"
)

// nthRun is one run of the load: what each caller of an engine does, one call at a time,
// each on a goroutine that it may lose.
type nthRun struct {
	t       *testing.T
	c       *nthConfig
	b       *bomb
	e       *core.Engine
	open    atomic.Int32 // calls that have not returned
	last    chan struct{}
	endBase context.CancelFunc
	wrong   atomic.Bool
	told    struct{ accepted, ended, rejected atomic.Uint64 } // what the second set of hooks was told

	mu      sync.Mutex
	entries []*entry
	stopped bool
}

// act calls fn and waits until nothing moves any more: fn may have ended, have been
// ended, or wait.
func (r *nthRun) act(what string, fn func()) {
	r.open.Add(1)
	go func() {
		returned := false
		defer r.open.Add(-1)
		defer func() {
			if !returned {
				r.surfaced(what, recover())
			}
		}()
		fn()
		returned = true
	}()
	synctest.Wait()
}

// pass lets time pass.
func (r *nthRun) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// on does something with a future, if there is one.
func (r *nthRun) on(e *entry, what string, fn func(f *core.Future[int])) {
	if f := e.get(); f != nil {
		r.act(what, func() { fn(f) })
	}
}

// ctx is a context of the user's.
func (r *nthRun) ctx(parent context.Context) context.Context {
	c := nthContext{parent, r.b, "context's "}
	switch r.c.contexts {
	case "alien":
		return nthAlien{c}
	case "caller":
		return nthCaller{nthAlien{c}}
	}
	return c
}

func one(context.Context) (int, error) { return 1, nil }

func (r *nthRun) begin() bool {
	b := r.b
	r.last = make(chan struct{})
	options := append(slices.Clone(r.c.options), core.WithWorkers(r.c.workers), core.WithLogger(slog.New(nthLog{b})),
		r.option(nil))
	if !r.c.bare {
		options = append(options, core.WithHooks(b.hooks(), r.telling()), core.WithInterceptors(pass, b.intercept))
	}
	if r.c.scheduler {
		options = append(options, core.WithScheduler(newNthScheduler(b)))
	}
	if r.c.asks {
		options = append(options, core.WithOnFull(b.ask()))
	}
	if r.c.onPanic {
		options = append(options, core.WithOnPanic(func(p *core.PanicError) { _ = p.Error(); _ = b.call("OnPanic") }))
	}
	if r.c.base {
		var base context.Context
		base, r.endBase = context.WithCancel(context.Background())
		r.t.Cleanup(r.endBase)
		options = append(options, core.WithBaseContext(nthAlien{nthContext{base, b, "base "}}))
	}
	var err error
	r.act("New", func() { r.e, err = core.New(options...) })
	if err != nil && !r.explains(err) {
		r.t.Errorf("New: %v", err)
	}
	return r.e != nil
}

func (r *nthRun) telling() core.Hooks {
	return core.Hooks{
		Accepted: func(core.Job) { r.told.accepted.Add(1) },
		Ended:    func(core.EndInfo) { r.told.ended.Add(1) },
		Rejected: func(core.RejectInfo) { r.told.rejected.Add(1) },
	}
}

// option is an option that does what then does, or something wrong.
func (r *nthRun) option(then core.Option) core.Option {
	return func(c *core.Config) {
		if r.b.call("option") != nil {
			c.Workers = -1
		}
		if then != nil {
			then(c)
		}
	}
}

// submit submits a task of its own type from outside.
func (r *nthRun) submit(ctx context.Context, e *entry, attrs core.Attributes, body func(context.Context) (int, error)) *entry {
	r.act("SubmitWith "+e.name, func() { _, _ = e.answer(core.SubmitWith(ctx, r.e, attrs, core.Task[int](e.task(body)))) })
	return e
}

// plain hands a plain function to the engine.
func (r *nthRun) plain(name string, body func()) {
	e := r.add(name)
	r.act("Go "+name, func() { _, _ = e.answer(nil, r.e.Go(e.function(body))) })
}

func (r *nthRun) load() {
	r.fullHouse()
	if r.c.many {
		r.mass()
		return
	}
	r.inside()
	r.ends()
	r.settings()
}

// fullHouse: all workers are busy, the queue fills up, and the policy is applied.
func (r *nthRun) fullHouse() {
	background := context.Background()
	gate := make(chan struct{})
	for range r.c.workers {
		r.plain("occupy", func() { <-gate })
	}
	ending, cancel := context.WithCancelCause(background)
	known := r.add("known")
	r.act("Submit known", func() {
		_, _ = known.answer(core.Submit(r.ctx(background), r.e, core.Task[int](nthKnown{known.task(one)})))
	})
	watched := r.submit(r.ctx(ending), r.add("watched", nil, context.Canceled), core.Attributes{}, one)
	r.on(watched, "OnDone", func(f *core.Future[int]) {
		f.OnDone(func(int, error) { _ = r.b.call("OnDone") })
		f.OnDone(func(int, error) { _ = r.b.call("OnDone") })
	})
	r.on(watched, "Done", func(f *core.Future[int]) { <-f.Done() })
	r.on(watched, "Await", func(f *core.Future[int]) { _, _ = f.Await(r.ctx(background)) })
	canceled := r.submit(background, r.add("canceled", nil, context.Canceled), core.Attributes{}, one)
	r.on(canceled, "Cancel", func(f *core.Future[int]) { f.CancelCause(nthError{r.b}) })
	r.submit(r.ctx(background), r.add("expiring", nil, core.ErrQueueTimeout), core.Attributes{QueueLimit: time.Second, Priority: core.Low}, one)
	r.batch(r.ctx(background), 3)
	r.act("GoAll", func() {
		a, b := r.add("all"), r.add("all")
		n, err := r.e.GoAll(background, []func(){a.function(nil), b.function(nil)})
		answers([]*entry{a, b}, make([]*core.Future[int], n), err)
	})
	try := r.add("try")
	r.act("TrySubmit", func() { _, _ = try.answer(core.TrySubmit(r.ctx(background), r.e, core.Task[int](try.task(one)))) })
	goContext := r.add("context", nil, context.Canceled)
	r.act("GoContext", func() { _, _ = goContext.answer(nil, r.e.GoContext(r.ctx(ending), goContext.function(nil))) })
	r.submit(background, r.add("urgent"), core.Attributes{Priority: core.Critical}, one)
	r.submit(r.ctx(ending), r.add("waiting", nil, context.Canceled), core.Attributes{}, one)
	r.pass(2 * time.Second)
	cancel(nthError{r.b})
	synctest.Wait()
	close(gate)
	synctest.Wait()
}

// batch submits n tasks as one.
func (r *nthRun) batch(ctx context.Context, n int) (futures []*core.Future[int]) {
	r.act("SubmitAll", func() { futures, _ = r.all(ctx, n) })
	return futures
}

func (r *nthRun) all(ctx context.Context, n int) ([]*core.Future[int], error) {
	var entries []*entry
	var tasks []core.Task[int]
	for range n {
		e := r.add("batch", nil, context.Canceled)
		entries, tasks = append(entries, e), append(tasks, e.task(one))
	}
	futures, err := core.SubmitAll(ctx, r.e, tasks)
	answers(entries, futures, err)
	return futures, err
}

// child submits a task inside a task.
func (r *nthRun) child(ctx context.Context, e *entry, body func(context.Context) (int, error)) (*core.Future[int], error) {
	return e.answer(core.Submit(ctx, r.e, core.Task[int](e.task(body))))
}

// inside: tasks that submit tasks and wait for them, by each of the rules.
func (r *nthRun) inside() {
	r.submit(r.ctx(context.Background()), r.below("parent"), core.Attributes{}, func(ctx context.Context) (int, error) {
		f, err := r.child(ctx, r.below("inline"), func(ctx context.Context) (int, error) {
			g, err := r.child(ctx, r.add("deeper"), one)
			if err != nil {
				return 0, err
			}
			return g.Await(ctx)
		})
		if err != nil {
			return 0, err
		}
		if _, err := f.Await(ctx); err != nil {
			return 0, err
		}
		limited, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		derived := r.ctx(limited)
		if f, err = r.child(derived, r.add("handed over", nil, context.Canceled), one); err != nil {
			return 0, err
		}
		if _, err := f.Await(derived); err != nil {
			return 0, err
		}
		futures, err := r.all(derived, 2)
		if err != nil {
			return 0, err
		}
		if _, _, err := flow.Race(derived, futures); err != nil {
			return 0, err
		}
		if _, err := flow.All(derived, futures); err != nil {
			return 0, err
		}
		plain := r.add("plain child")
		_, err = plain.answer(nil, r.e.GoContext(ctx, plain.function(nil)))
		return 1, err
	})
	// Children that end badly, one inline and one elsewhere.
	bad := map[string]func(context.Context) (int, error){
		"panics":     func(context.Context) (int, error) { panic(nthPanicError{r.b}) },
		"exits":      func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
		"returns":    func(context.Context) (int, error) { return 0, nthError{r.b} },
		"runs again": again(0),
	}
	wants := map[string]error{"panics": core.ErrPanicked, "exits": core.ErrGoexit, "returns": errInner, "runs again": nil}
	for _, name := range []string{"panics", "exits", "returns", "runs again"} {
		for _, how := range []string{"inline", "elsewhere"} {
			r.submit(context.Background(), r.below(name+" below", wants[name]), core.Attributes{}, func(ctx context.Context) (int, error) {
				e := r.add(name, wants[name])
				e.most = 2
				f, err := r.child(ctx, e, bad[name])
				if err != nil {
					return 0, err
				}
				if how == "elsewhere" {
					derived, cancel := context.WithCancel(ctx)
					defer cancel()
					ctx = derived
				}
				return f.Await(ctx)
			})
		}
	}
}

// ends: each way in which a task ends.
func (r *nthRun) ends() {
	background := context.Background()
	ctx := r.ctx(background)
	obey := func(ctx context.Context) (int, error) {
		ctx.Deadline()
		ctx.Value(ctxKey("key"))
		<-ctx.Done()
		return 0, ctx.Err()
	}
	r.submit(ctx, r.add("value panics", core.ErrPanicked), core.Attributes{}, func(context.Context) (int, error) { panic(nthValue{r.b}) })
	r.submit(ctx, r.add("exits", core.ErrGoexit), core.Attributes{}, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
	r.submit(ctx, r.add("over time", core.ErrTaskTimeout), core.Attributes{RunLimit: time.Second}, obey)
	r.pass(2 * time.Second)
	// Its run limit counts if the submitter is lost, and nobody has its future.
	running := r.submit(ctx, r.add("canceled running", context.Canceled, core.ErrTaskTimeout), core.Attributes{RunLimit: 30 * time.Second}, obey)
	r.on(running, "GetWithTimeout", func(f *core.Future[int]) { _, _ = f.GetWithTimeout(time.Second) })
	r.pass(2 * time.Second)
	r.on(running, "Cancel running", func(f *core.Future[int]) { f.CancelCause(nthError{r.b}) })
	twice := r.add("twice")
	twice.most = 2
	r.submit(ctx, twice, core.Attributes{Key: "twice"}, one)
	delayed := r.add("delayed", nil)
	delayed.most = 2
	r.submit(ctx, delayed, core.Attributes{QueueLimit: time.Hour}, again(time.Second))
	canceled := r.add("canceled delayed", nil, context.Canceled)
	canceled.most = 2
	r.submit(ctx, canceled, core.Attributes{}, again(30*time.Second))
	r.on(canceled, "Cancel delayed", func(f *core.Future[int]) { f.Cancel() })
	r.plain("function panics", nil)
	run := r.add("run")
	r.act("Run", func() {
		_, err := core.RunWith(ctx, r.e, core.Attributes{}, core.Task[int](run.task(one)))
		_, _ = run.answer(nil, unlessRun(err))
	})
	r.pass(2 * time.Second)
}

// settings: what may be changed while an engine runs.
func (r *nthRun) settings() {
	n := r.c.workers
	r.act("Reconfigure", func() { _ = r.e.Reconfigure(r.option(core.WithWorkers(n + 1))) })
	r.act("SetQueueCapacity", func() { _ = r.e.SetQueueCapacity(10) })
	r.act("Pause", func() { _ = r.e.Pause() })
	r.batch(context.Background(), 2)
	r.act("AddHooks", func() {
		if remove, err := r.e.AddHooks(r.b.hooks()); err == nil {
			remove()
		}
	})
	r.act("Intercept", func() {
		if r.c.bare {
			return
		}
		if remove, err := r.e.Intercept(r.b.intercept); err == nil {
			remove()
		}
	})
	r.act("Resume", func() { _ = r.e.Resume() })
	r.act("Resume", func() { _ = r.e.Resume() }) // should the first have been lost
	r.act("Resize", func() { _ = r.e.Resize(n) })
	r.act("SetQueueCapacity", func() { _ = r.e.SetQueueCapacity(capacityOf(r.c)) })
}

// mass: so many cancelled tasks that their entries are swept.
func (r *nthRun) mass() {
	r.act("Pause", func() { _ = r.e.Pause() })
	var all []*entry
	for range 70 {
		all = append(all, r.submit(context.Background(), r.add("mass", nil, context.Canceled), core.Attributes{}, one))
	}
	for _, e := range all[:67] {
		r.on(e, "Cancel", func(f *core.Future[int]) { f.Cancel() })
	}
	r.act("Resume", func() { _ = r.e.Resume() })
}

// again returns a body that asks once to be run again.
func again(after time.Duration) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		if core.Attempt(ctx) == 0 {
			return 0, core.Again(after, nil)
		}
		return 1, nil
	}
}
