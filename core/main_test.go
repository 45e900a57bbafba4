package core_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/uptutu/goman/core"
)

// crashEnv makes the test binary a child process that crashes on purpose.
const crashEnv = "GOMAN_CORE_CRASH"

func TestMain(m *testing.M) {
	if how := os.Getenv(crashEnv); how != "" {
		crash(how)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what should take no time.
const patience = 30 * time.Second

// soon returns a context that ends a hanging test instead of the whole run.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// quietly drops what the engine logs.
func quietly() core.Option { return core.WithLogger(slog.New(slog.DiscardHandler)) }

// engineFor makes an engine that is ended, and whose figures are checked, at
// the end of the test.
func engineFor(t testing.TB, options ...core.Option) *core.Engine {
	t.Helper()
	e, err := core.New(options...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { endEngine(t, e) })
	return e
}

// endEngine drains e and demands that nothing is left and everything adds up.
func endEngine(t testing.TB, e *core.Engine) {
	t.Helper()
	if err := e.Stats().Check(); err != nil {
		t.Errorf("before the end: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := e.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	s := e.Stats()
	if err := s.Check(); err != nil {
		t.Errorf("after the end: %v", err)
	}
	if s.Queued != 0 || s.Running != 0 || s.Blocked != 0 {
		t.Errorf("after the end %d are queued, %d run, %d are blocked", s.Queued, s.Running, s.Blocked)
	}
}

// idle waits until nothing is queued and nothing runs.
func idle(t testing.TB, e *core.Engine) {
	t.Helper()
	if err := e.WaitIdle(soon(t)); err != nil {
		t.Fatalf("WaitIdle: %v; %+v", err, e.Stats())
	}
}

// receive waits for ch.
func receive[T any](t testing.TB, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-soon(t).Done():
		t.Fatalf("no %s within %v", what, patience)
	}
	return v
}

// occupy makes n workers busy until release is called. Calling it again is
// allowed.
func occupy(t testing.TB, e *core.Engine, n int) (release func()) {
	t.Helper()
	started, gate := make(chan struct{}, n), make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	for range n {
		if err := e.Go(func() { started <- struct{}{}; <-gate }); err != nil {
			t.Fatalf("Go: %v", err)
		}
	}
	for range n {
		receive(t, started, "start")
	}
	return release
}

// fill puts n functions that do nothing into the queue.
func fill(t testing.TB, e *core.Engine, n int) {
	t.Helper()
	for range n {
		if err := e.TryGo(func() {}); err != nil {
			t.Fatalf("TryGo: %v", err)
		}
	}
}

// value is a task that returns v.
func value[T any](v T) core.Task[T] {
	return core.Func(func(context.Context) (T, error) { return v, nil })
}

// must submits a task that has to be accepted.
func must[T any](t testing.TB, e *core.Engine, task core.Task[T]) *core.Future[T] {
	t.Helper()
	f, err := core.Submit(context.Background(), e, task)
	if err != nil {
		t.Fatalf("Submit: %v", err)
	}
	return f
}

// sampler checks the figures of e all the time until stop is called.
func sampler(t testing.TB, e *core.Engine) (stop func()) {
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for {
			select {
			case <-quit:
				return
			default:
			}
			if err := e.Stats().Check(); err != nil {
				t.Errorf("sampler: %v", err)
				return
			}
			runtime.Gosched() // with one processor everybody else would wait for its time slice to end
		}
	}()
	return sync.OnceFunc(func() { close(quit); <-gone })
}

// logbook keeps what the engine logs.
type logbook struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

func (l *logbook) option() core.Option {
	return core.WithLogger(slog.New(slog.NewTextHandler(l, nil)))
}

// contains reports whether text contains all parts.
func contains(text string, parts ...string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
}

// addHooks adds hooks that have to be accepted.
func addHooks(t testing.TB, e *core.Engine, h core.Hooks) (remove func()) {
	t.Helper()
	remove, err := e.AddHooks(h)
	if err != nil {
		t.Errorf("AddHooks: %v", err)
		return func() {}
	}
	return remove
}

// panics calls fn and returns what it panicked with.
func panics(fn func()) (v any) {
	defer func() { v = recover() }()
	fn()
	return nil
}
