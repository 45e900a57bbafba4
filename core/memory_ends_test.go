package core_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/uptutu/goman/core"
)

// freight is a task with something large in it, which does what its body does.
type freight struct {
	*cargo
	body func(ctx context.Context) (int, error)
}

func (f *freight) Execute(ctx context.Context) (int, error) {
	f.bytes[0]++
	return f.body(ctx)
}

// tidy is a FIFO that forgets what it gives out.
type tidy struct{ line }

func (s *tidy) Pop(int) (job core.Job, ok bool) {
	if len(s.jobs) == 0 {
		return job, false
	}
	job = s.jobs[0]
	s.jobs = slices.Delete(s.jobs, 0, 1)
	return job, true
}

func (s *tidy) Sweep(drop func(core.Job) bool) { s.jobs = slices.DeleteFunc(s.jobs, drop) }

// Claim leaves the entry, which is dead from then on.
func (s *tidy) Claim(core.Job) (core.Job, bool) { return core.Job{}, true }

// ending is a way in which tasks end.
type ending struct {
	name    string
	body    func(ctx context.Context) (int, error) // nil: returns at once
	queued  bool                                   // the tasks are queued while it happens
	attrs   core.Attributes
	options []core.Option
	then    func(t *testing.T, e *core.Engine, futures []*core.Future[int])
	want    error
	future  bool // only tasks with a future end like this
}

func obeys(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }

func waysToEnd(never chan struct{}) []ending {
	cancel := func(_ *testing.T, _ *core.Engine, futures []*core.Future[int]) {
		for _, f := range futures {
			f.Cancel()
		}
	}
	fill := func(p core.Priority) func(*testing.T, *core.Engine, []*core.Future[int]) {
		return func(t *testing.T, e *core.Engine, _ []*core.Future[int]) {
			for range 2 {
				if _, err := core.SubmitWith(context.Background(), e, core.Attributes{Priority: p}, value(1)); err != nil {
					t.Error(err)
				}
			}
		}
	}
	end := func(t *testing.T, e *core.Engine, _ []*core.Future[int]) {
		if err := e.Close(endedContext()); err == nil {
			t.Error("there is nothing to report")
		}
	}
	later := func(*testing.T, *core.Engine, []*core.Future[int]) { time.Sleep(time.Minute) }
	return []ending{
		{name: "ok"},
		{name: "error", body: func(context.Context) (int, error) { return 0, io.EOF }, want: io.EOF, future: true},
		{name: "panic", body: func(context.Context) (int, error) { panic("x") }, want: core.ErrPanicked},
		{name: "goexit", body: func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }, want: core.ErrGoexit},
		{name: "again", body: again(time.Second)},
		{name: "canceled queued", queued: true, then: cancel, want: context.Canceled, future: true},
		{name: "canceled running", body: obeys, then: cancel, want: context.Canceled, future: true},
		{name: "queue limit", queued: true, options: []core.Option{core.WithQueueLimit(time.Second)}, then: later, want: core.ErrQueueTimeout},
		{name: "run limit", body: obeys, attrs: core.Attributes{RunLimit: time.Second}, then: later, want: core.ErrTaskTimeout, future: true},
		{name: "discarded", queued: true, options: []core.Option{core.WithReject(core.RejectDiscardOldest)},
			then: fill(core.Normal), want: core.ErrDiscarded},
		{name: "displaced", queued: true, attrs: core.Attributes{Priority: core.Low}, options: []core.Option{core.WithReject(core.RejectDisplaceLowest)},
			then: fill(core.Critical), want: core.ErrDiscarded},
		{name: "undone", queued: true, then: end, want: core.ErrUndone},
		{name: "abandoned", body: func(context.Context) (int, error) { <-never; return 1, nil }, then: end, want: core.ErrAbandoned},
	}
}

// pinned is what must not be kept.
type pinned struct {
	cargo   []weak.Pointer[cargo]
	futures []*core.Future[int]
	weak    []weak.Pointer[core.Future[int]]
}

func (p *pinned) load() *cargo {
	c := new(cargo)
	p.cargo = append(p.cargo, weak.Make(c))
	return c
}

// send hands two tasks to e, in one of the ways there are.
func (p *pinned) send(t *testing.T, e *core.Engine, way string, c ending) {
	body := c.body
	if body == nil {
		body = one
	}
	ctx := context.WithValue(context.Background(), cargoKey{}, p.load())
	task := func() core.Task[int] { return &freight{p.load(), body} }
	function := func() func() {
		load := p.load()
		return func() { load.bytes[0]++; _, _ = body(context.Background()) }
	}
	var err error
	switch way {
	case "Submit":
		for range 2 {
			f, failed := core.SubmitWith(ctx, e, c.attrs, task())
			p.futures, err = append(p.futures, f), errors.Join(err, failed)
		}
	case "SubmitAll":
		p.futures, err = core.SubmitAllWith(ctx, e, c.attrs, []core.Task[int]{task(), task()})
	case "RunWith":
		for range 2 {
			task := task()
			go func() {
				if _, err := core.RunWith(ctx, e, c.attrs, task); !errors.Is(err, c.want) {
					t.Errorf("RunWith: %v", err)
				}
			}()
		}
	case "Go":
		err = errors.Join(e.GoContext(ctx, function()), e.GoContext(ctx, function()))
	case "GoAll":
		_, err = e.GoAll(ctx, []func(){function(), function()})
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range p.futures {
		p.weak = append(p.weak, weak.Make(f))
	}
	synctest.Wait()
}

// kept returns how many of list are kept.
func kept[T any](list []weak.Pointer[T]) (n int) {
	for _, p := range list {
		if !gone(p) {
			n++
		}
	}
	return n
}

// P-C15: what has ended is not kept: by its future, by the engine, nor by an engine that
// has come to its end; and that is not kept either.
func TestMemory_E_END_NothingIsPinned(t *testing.T) {
	for _, scheduler := range []bool{false, true} {
		for _, c := range waysToEnd(nil) {
			for _, way := range []string{"Submit", "SubmitAll", "RunWith", "Go", "GoAll"} {
				if (way == "Go" || way == "GoAll") && (c.future || c.name == "again") || way == "RunWith" && c.name == "canceled queued" {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/scheduler %v", c.name, way, scheduler), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { pinsNothing(t, c.name, way, scheduler) })
				})
			}
		}
	}
}

func pinsNothing(t *testing.T, name, way string, scheduler bool) {
	never := make(chan struct{})
	var c ending
	for _, c = range waysToEnd(never) {
		if c.name == name {
			break
		}
	}
	options := append(c.options, core.WithWorkers(1), core.WithQueueCapacity(2), quietly())
	if scheduler {
		options = append(options, core.WithScheduler(new(tidy)))
	}
	if c.body != nil || !c.queued {
		options = append(options, core.WithWorkers(2)) // both run
	}
	e := freshEngine(t, options...)
	engine := weak.Make(e)
	gate := make(chan struct{})
	if c.queued {
		if err := e.Go(func() { <-gate }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
	}
	var p pinned
	p.send(t, e, way, c)
	if c.then != nil && (len(p.futures) > 0 || !c.future) {
		c.then(t, e, p.futures)
	} else if c.name == "canceled running" { // those of RunWith, by the end of the engine
		_ = e.Close(context.Background())
	}
	synctest.Wait()
	time.Sleep(time.Minute)
	for _, f := range p.futures {
		if _, err := f.GetWithTimeout(time.Minute); !errors.Is(err, c.want) {
			t.Errorf("%v", err)
		}
	}
	if c.name == "abandoned" { // until then it runs
		close(never)
		synctest.Wait()
	}
	if n := kept(p.cargo); n > 0 {
		t.Errorf("%d of %d tasks and contexts are kept", n, len(p.cargo))
	}
	runtime.KeepAlive(p.futures)
	p.futures = nil
	close(gate) // so that the entries of what did not run are popped: up to 64 of them may stay
	synctest.Wait()
	if n := kept(p.weak); n > 0 {
		t.Errorf("%d of %d futures are kept by the engine", n, len(p.weak))
	}
	if err := e.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	synctest.Wait()
	if n := kept(p.cargo) + kept(p.weak); n > 0 {
		t.Errorf("%d are kept by an engine that has ended", n)
	}
	runtime.KeepAlive(e)    // not used from here on
	time.Sleep(time.Minute) // a timer that was stopped is kept by the runtime until its time
	if !gone(engine) {
		t.Error("the engine is kept")
	}
}
