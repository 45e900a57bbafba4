package core_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/uptutu/goman/core"
)

// rude panics when it is asked what it says.
type rude struct{}

func (rude) Error() string  { panic("Error panics") }
func (rude) String() string { panic("String panics") }

// hollow is an error whose methods need a receiver; a nil *hollow is a common
// mistake.
type hollow struct{ inner error }

func (h *hollow) Error() string { return h.inner.Error() }
func (h *hollow) Unwrap() error { return h.inner }

func explode(v any) { panic(v) }

// E-CORE-10: whatever a task panics with, its future has a *PanicError with the
// value and the stack, which can always be printed.
func TestPanic_E_CORE_10_Values(t *testing.T) {
	log := new(logbook)
	e := engineFor(t, core.WithName("fragile"), core.WithWorkers(1), log.option())
	var noMap map[string]int
	var nilError *runtime.PanicNilError
	for name, c := range map[string]struct {
		body func()
		ok   func(p *core.PanicError) bool
		text string
	}{
		"nil":     {func() { explode(nil) }, func(p *core.PanicError) bool { return errors.As(p, &nilError) }, "nil"},
		"error":   {func() { explode(io.EOF) }, func(p *core.PanicError) bool { return errors.Is(p, io.EOF) && p.Value == io.EOF }, "EOF"},
		"wrapped": {func() { explode(fmt.Errorf("x: %w", io.EOF)) }, func(p *core.PanicError) bool { return errors.Is(p, io.EOF) }, "x: EOF"},
		"string":  {func() { explode("text") }, func(p *core.PanicError) bool { return p.Value == "text" && p.Unwrap() == nil }, "text"},
		"map":     {func() { noMap["a"] = 1 }, func(p *core.PanicError) bool { var r runtime.Error; return errors.As(p, &r) }, "nil map"},
		"index":   {func() { s := []int{}; _ = s[len(log.String())] }, func(p *core.PanicError) bool { var r runtime.Error; return errors.As(p, &r) }, "out of range"},
		"rude":    {func() { explode(rude{}) }, func(p *core.PanicError) bool { return p.Value == rude{} }, "PANIC"},
		"hollow":  {func() { explode((*hollow)(nil)) }, func(p *core.PanicError) bool { return p.Value == (*hollow)(nil) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := core.SubmitWith(context.Background(), e, core.Attributes{Name: "job-" + name},
				core.Func(func(context.Context) (int, error) { c.body(); return 1, nil }))
			if err != nil {
				t.Fatal(err)
			}
			v, err := f.Await(soon(t))
			var p *core.PanicError
			if v != 0 || !errors.As(err, &p) || !errors.Is(err, core.ErrPanicked) {
				t.Fatalf("%d, %v", v, err)
			}
			if !c.ok(p) || p.Engine != "fragile" || p.Task != "job-"+name {
				t.Errorf("%#v", p)
			}
			if !strings.Contains(string(p.Stack), "panic_test.go") {
				t.Errorf("the stack does not show the panic:\n%s", p.Stack)
			}
			if text := p.Error(); !contains(text, "engine fragile", "task job-"+name, c.text) {
				t.Errorf("it says %q", text)
			}
		})
	}
	idle(t, e)
	if text := log.String(); strings.Count(text, "core: task panicked") != 8 || !contains(text, "job-rude", "engine=fragile") {
		t.Errorf("the log says %s", text)
	}
	if s := e.Stats(); s.Panicked != 8 {
		t.Errorf("%+v", s)
	}
}

// A panicking plain function is reported too, and costs no worker.
func TestPanic_PlainFunction(t *testing.T) {
	log := new(logbook)
	var told atomic.Int64
	e := engineFor(t, core.WithWorkers(1), log.option(), core.WithHooks(core.Hooks{
		Panicked: func(job core.Job, err *core.PanicError) {
			if job.Name() == "func()" && err.Value == "plain" {
				told.Add(1)
			}
		}}))
	for range 100 {
		if err := e.Go(func() { panic("plain") }); err != nil {
			t.Fatal(err)
		}
		if err := e.Go(runtime.Goexit); err != nil {
			t.Fatal(err)
		}
	}
	idle(t, e)
	if s := e.Stats(); told.Load() != 100 || s.Panicked != 200 || s.Running != 0 {
		t.Errorf("%d told, %+v", told.Load(), s)
	}
	if n := strings.Count(log.String(), "runtime.Goexit"); n != 100 {
		t.Errorf("%d of 100 Goexits are in the log", n)
	}
}

// runtime.Goexit resolves the future with ErrGoexit and costs no worker.
func TestGoexit(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2), quietly())
	for range 200 {
		f := must(t, e, core.Func(func(context.Context) (int, error) { runtime.Goexit(); return 1, nil }))
		ctx, cancel := context.WithCancel(context.Background())
		if v, err := f.Await(ctx); v != 0 || !errors.Is(err, core.ErrGoexit) || errors.Is(err, core.ErrPanicked) {
			t.Errorf("%d, %v", v, err)
		}
		cancel()
	}
	release := occupy(t, e, 2) // both workers are there
	release()
}

// After any mix of panics and Goexits the engine has all its workers, and each
// future has its error.
func TestPanic_Capacity(t *testing.T) {
	const workers = 4
	e := engineFor(t, core.WithWorkers(workers), quietly())
	stop := sampler(t, e)
	defer stop()
	var futures []*core.Future[int]
	for i := range 4000 {
		futures = append(futures, must(t, e, core.Func(func(context.Context) (int, error) {
			switch i % 4 {
			case 0:
				panic(i)
			case 1:
				runtime.Goexit()
			case 2:
				return 0, io.EOF
			}
			return i, nil
		})))
	}
	for i, f := range futures {
		_, err := f.Await(soon(t))
		if want := []error{core.ErrPanicked, core.ErrGoexit, io.EOF, nil}[i%4]; !errors.Is(err, want) {
			t.Errorf("future %d: %v, want %v", i, err, want)
		}
	}
	occupy(t, e, workers)()
	idle(t, e)
	if s := e.Stats(); s.Panicked != 2000 || s.Failed != 1000 || s.Workers != workers {
		t.Errorf("%+v", s)
	}
}

// E-CORE-11: hooks, handlers and loggers that panic or exit are contained and
// reported, and later tasks run.
func TestPanic_E_CORE_11_HandlersPanic(t *testing.T) {
	for how, boom := range map[string]func(){"panic": func() { panic("in handler") }, "goexit": runtime.Goexit} {
		t.Run(how, func(t *testing.T) {
			log := new(logbook)
			var ended atomic.Int64
			e := engineFor(t, core.WithWorkers(2), log.option(),
				core.WithOnPanic(func(*core.PanicError) { boom() }),
				core.WithHooks(core.Hooks{
					Started: func(job core.Job) { // a Goexit here would end the task itself
						if how == "panic" {
							boom()
						}
					},
					Panicked: func(core.Job, *core.PanicError) { boom() },
					Ended:    func(core.EndInfo) { ended.Add(1); boom() },
					Retried:  func(core.RetryInfo) { boom() },
					Worker:   func(int, bool) { boom() },
				}))
			for i := range 50 {
				f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
					if i == 25 && core.Attempt(ctx) == 0 {
						return 0, core.Again(0, nil)
					}
					if i%2 == 0 {
						panic("task")
					}
					return i, nil
				}))
				v, err := f.Await(withCancel(t))
				if i%2 == 0 && !errors.Is(err, core.ErrPanicked) || i%2 == 1 && (v != i || err != nil) {
					t.Errorf("task %d: %d, %v", i, v, err)
				}
			}
			idle(t, e)
			occupy(t, e, 2)()
			endEngine(t, e)
			if how == "panic" {
				text := log.String()
				if !contains(text, "OnPanic function", "Ended hook", "Started hook", "Panicked hook", "Worker hook", "Retried hook", "in handler") {
					t.Errorf("the log says %s", text)
				}
			}
			if how == "panic" && ended.Load() != 52 { // 50, and those of occupy
				t.Errorf("%d ends were told", ended.Load())
			}
		})
	}
}

// withCancel returns a context that can end, so that no task runs on the
// goroutine that awaits with it.
func withCancel(t testing.TB) context.Context { return soon(t) }

// A set of hooks that panics does not keep the next set from being told.
func TestPanic_HookByHook(t *testing.T) {
	var told atomic.Int64
	e := engineFor(t, quietly(), core.WithHooks(
		core.Hooks{Ended: func(core.EndInfo) { panic("first") }},
		core.Hooks{Ended: func(core.EndInfo) { told.Add(1) }}))
	must(t, e, value(1))
	idle(t, e)
	endEngine(t, e)
	if told.Load() != 1 {
		t.Error("the second was not told")
	}
}

// The handler of panics takes the place of the logger, and gets each one.
func TestPanic_Handler(t *testing.T) {
	log := new(logbook)
	got := make(chan *core.PanicError, 1)
	e := engineFor(t, core.WithName("handled"), log.option(), core.WithOnPanic(func(p *core.PanicError) { got <- p }))
	f := must(t, e, core.Func(func(context.Context) (int, error) { panic(42) }))
	if p := receive(t, got, "panic"); p.Value != 42 || p.Engine != "handled" || !f.IsDone() {
		t.Errorf("%#v, done %v", p, f.IsDone())
	}
	idle(t, e)
	if text := log.String(); text != "" {
		t.Errorf("the log says %s", text)
	}
}

// A task that passes the panic of a child on has failed, not panicked: one panic
// is counted and reported once.
func TestPanic_ErrorOfChild(t *testing.T) {
	for name, boom := range map[string]func(){"panic": func() { panic("child") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var told atomic.Int64
			e := engineFor(t, core.WithWorkers(2), quietly(), core.WithHooks(core.Hooks{
				Panicked: func(core.Job, *core.PanicError) { told.Add(1) }}))
			started := make(chan struct{})
			child := must(t, e, core.Func(func(context.Context) (int, error) { close(started); boom(); return 0, nil }))
			receive(t, started, "start")
			parent := must(t, e, core.Func(func(ctx context.Context) (int, error) { return child.Await(ctx) }))
			_, err := parent.Await(soon(t))
			if want := map[string]error{"panic": core.ErrPanicked, "goexit": core.ErrGoexit}[name]; !errors.Is(err, want) {
				t.Error(err)
			}
			idle(t, e)
			if s := e.Stats(); s.Panicked != 1 || s.Failed != 1 {
				t.Errorf("%+v", s)
			}
			if n := told.Load(); name == "panic" && n != 1 {
				t.Errorf("told %d times", n)
			}
		})
	}
}

// An error whose methods panic must not take the program down: the classic is a
// typed nil pointer returned as an error.
func TestPanic_HostileErrors(t *testing.T) {
	for name, bad := range map[string]error{"typed nil": (*hollow)(nil), "rude": rudeError{}} {
		for _, limited := range []bool{false, true} {
			t.Run(fmt.Sprint(name, limited), func(t *testing.T) {
				e := engineFor(t, core.WithWorkers(1), quietly(), core.WithInterceptors(pass))
				f := must(t, e, core.Func(func(context.Context) (int, error) { return 1, bad }))
				if _, err := f.Await(soon(t)); err == nil {
					t.Error("no error")
				}
				f = must(t, e, core.Func(func(ctx context.Context) (int, error) { return 2, bad }))
				if _, err := core.Run(context.Background(), e, core.Func(func(context.Context) (int, error) { return 3, bad })); err == nil {
					t.Error("no error")
				}
				_, _ = f.Get()
				idle(t, e)
				if s := e.Stats(); s.Ended() != 3 || s.Succeeded != 0 {
					t.Errorf("%+v", s)
				}
				occupy(t, e, 1)()
			})
		}
	}
}

// rudeError panics whatever it is asked.
type rudeError struct{}

func (rudeError) Error() string   { panic("Error panics") }
func (rudeError) Is(error) bool   { panic("Is panics") }
func (rudeError) As(any) bool     { panic("As panics") }
func (rudeError) Unwrap() []error { panic("Unwrap panics") }

func pass(next core.Handler) core.Handler {
	return func(ctx context.Context, job core.Job) error { return next(ctx, job) }
}

// crash is what the child process of TestPanic_Crash does.
func crash(how string) {
	options := []core.Option{core.WithPanics(core.PanicCrash), core.WithWorkers(1), core.WithQueueCapacity(1)}
	if strings.HasPrefix(how, "intercepted") {
		options = append(options, core.WithInterceptors(pass, pass))
	}
	if how == "caller" {
		options = append(options, core.WithReject(core.RejectCallerRuns))
	}
	e, err := core.New(options...)
	if err != nil {
		return
	}
	boom := core.Func(func(context.Context) (int, error) { panic("crash on purpose") })
	defer func() { _ = recover() }() // a caller that recovers changes nothing
	switch how {
	case "go":
		_ = e.Go(func() { panic("crash on purpose") })
	case "run":
		_, _ = core.Run(context.Background(), e, boom)
	case "inline":
		_, _ = core.Run(context.Background(), e, core.Func(func(ctx context.Context) (int, error) {
			defer func() { _ = recover() }()
			return core.Run(ctx, e, boom)
		}))
	case "caller":
		gate := make(chan struct{})
		started := make(chan struct{})
		_ = e.Go(func() { close(started); <-gate })
		<-started
		_ = e.Go(func() {})
		_, _ = core.Submit(context.Background(), e, boom)
	default:
		f, err := core.Submit(context.Background(), e, boom)
		if err == nil {
			<-f.Done()
		}
	}
	_ = e.WaitIdle(context.Background())
}

// PanicCrash ends the process, as a panic of a plain goroutine would.
func TestPanic_Crash(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts processes: run it without -short, go test -run TestPanic ./core")
	}
	for _, how := range []string{"submit", "go", "run", "inline", "caller", "intercepted"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			child := exec.CommandContext(soon(t), os.Args[0], "-test.run=^$")
			child.Env = append(os.Environ(), crashEnv+"="+how)
			out, err := child.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 || !contains(string(out), "panic: ", "crash on purpose", "goroutine ") {
				t.Errorf("%v:\n%s", err, out)
			}
		})
	}
}

// An error that is passed on stays an error, even if the memory of the task that
// panicked has become that of the task that passes it on.
func TestPanic_PassedOnErrorIsNoPanic(t *testing.T) {
	e := engineFor(t, quietly(), core.WithWorkers(2))
	var old *core.PanicError
	if _, err := core.Run(t.Context(), e, core.Func(func(context.Context) (int, error) { panic("first") })); !errors.As(err, &old) {
		t.Fatal(err)
	}
	before := e.Stats().Panicked
	n := rounds(20_000)
	for range n {
		if _, err := core.Run(t.Context(), e, core.Func(func(context.Context) (int, error) { return 0, old })); !errors.Is(err, core.ErrPanicked) {
			t.Fatal(err)
		}
	}
	if s := e.Stats(); s.Panicked != before || s.Failed != uint64(n) {
		t.Errorf("%d of %d tasks that returned the error of another count as panicked", s.Panicked-before, n)
	}
}

// A panic with a nil *PanicError is one like any other, and its error can be asked.
func TestPanic_WithNilPanicError(t *testing.T) {
	e := engineFor(t)
	_, err := core.Run(soon(t), e, core.Func(func(context.Context) (int, error) {
		panic((*core.PanicError)(nil))
	}))
	if !errors.Is(err, core.ErrPanicked) || errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
