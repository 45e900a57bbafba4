package coretest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeTB is a test that may fail without failing the test that looks at it.
type fakeTB struct {
	testing.TB // nil: what is not below is not called

	mu       sync.Mutex
	output   bytes.Buffer
	failed   bool
	cleanups []func()
}

func (f *fakeTB) Helper()           {}
func (f *fakeTB) Name() string      { return "fake" }
func (f *fakeTB) Output() io.Writer { return f }

func (f *fakeTB) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.output.Write(p)
}

func (f *fakeTB) Logf(format string, args ...any) { fmt.Fprintf(f, format+"\n", args...) }

func (f *fakeTB) Errorf(format string, args ...any) {
	f.Logf(format, args...)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = true
}

// stopped is what Fatalf panics with.
type stopped struct{}

func (f *fakeTB) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	panic(stopped{})
}

func (f *fakeTB) Failed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

func (f *fakeTB) Cleanup(fn func()) { f.cleanups = append(f.cleanups, fn) }

// run runs fn as a test with its cleanups, and returns what it has said.
func (f *fakeTB) run(fn func()) string {
	catch := func(fn func()) {
		defer func() {
			if v := recover(); v != nil && v != (stopped{}) {
				panic(v)
			}
		}()
		fn()
	}
	catch(fn)
	for len(f.cleanups) > 0 {
		last := f.cleanups[len(f.cleanups)-1]
		f.cleanups = f.cleanups[:len(f.cleanups)-1]
		catch(last)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.output.String()
}

// want fails the test unless f has failed as told, with a text that has all parts.
func (f *fakeTB) want(t *testing.T, failed bool, text string, parts ...string) {
	t.Helper()
	if f.Failed() != failed {
		t.Errorf("failed is %t, want %t: %s", f.Failed(), failed, text)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

// quiet drops what is logged.
var quiet = slog.New(slog.DiscardHandler)

// soon returns a context that ends a hanging test.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), coretest.Patience)
	t.Cleanup(cancel)
	return ctx
}

func named(name string) core.Attributes { return core.Attributes{Name: name} }

// submit submits fn under a name.
func submit(t testing.TB, e *core.Engine, name string, fn func(ctx context.Context) error) *core.Future[int] {
	t.Helper()
	f, err := core.SubmitWith(context.Background(), e, named(name), core.Func(func(ctx context.Context) (int, error) {
		return 0, fn(ctx)
	}))
	if err != nil {
		t.Errorf("SubmitWith: %v", err)
	}
	return f
}

func nothing(context.Context) error { return nil }

func TestNew_Passes(t *testing.T) {
	f := &fakeTB{}
	ran := 0
	var engine *core.Engine
	text := f.run(func() {
		engine = coretest.New(f, core.WithWorkers(1))
		for range 100 {
			submit(t, engine, "a", func(context.Context) error { ran++; return nil })
		}
	})
	f.want(t, false, text)
	if text != "" || ran != 100 || !engine.IsClosed() || engine.Name() != "fake" {
		t.Errorf("after the test: %q, %d have run, closed is %t, the name %q", text, ran, engine.IsClosed(), engine.Name())
	}
}

func TestNew_BadOption(t *testing.T) {
	f := &fakeTB{}
	f.want(t, true, f.run(func() { coretest.New(f, core.WithWorkers(-1)) }), "Workers")
}

func TestNew_LogsToTheTest(t *testing.T) {
	f := &fakeTB{}
	text := f.run(func() {
		submit(t, coretest.New(f), "bad", func(context.Context) error { panic("ouch") })
	})
	f.want(t, false, text, "ouch", "bad")
}

// A test that ends its engine itself may look at the report; nothing is said again.
func TestNew_EndedByTheTest(t *testing.T) {
	f := &fakeTB{}
	text := f.run(func() {
		engine := coretest.New(f, core.WithWorkers(1))
		submit(t, engine, "obeys", func(ctx context.Context) error { return hangHere(ctx, nil, true) })
		submit(t, engine, "behind", nothing)
		if err := engine.Close(soon(t)); err == nil {
			t.Error("nothing was handed back")
		}
	})
	f.want(t, false, text)
}

func TestNew_HangingTask(t *testing.T) {
	for _, obeys := range []bool{true, false} {
		t.Run(fmt.Sprintf("obeys=%t", obeys), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeTB{}
				gate := make(chan struct{})
				text := f.run(func() {
					submit(t, coretest.New(f), "stuck", func(ctx context.Context) error {
						return hangHere(ctx, gate, obeys)
					})
				})
				f.want(t, true, text, "not ended within 30s", "hangHere", "Running:1")
				if !obeys {
					f.want(t, true, text, "ignores the end of its context: stuck", "Abandoned:1")
				}
				close(gate)
			})
		})
	}
}

func hangHere(ctx context.Context, gate <-chan struct{}, obeys bool) error {
	if obeys {
		<-ctx.Done()
		return ctx.Err()
	}
	<-gate
	return nil
}

func TestNew_DelayedTaskIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTB{}
		text := f.run(func() {
			submit(t, coretest.New(f), "again", func(context.Context) error { return core.Again(time.Hour, nil) })
			synctest.Wait()
		})
		f.want(t, true, text, "not started, or not started again: again", "Undone:1")
	})
}

func TestVerify(t *testing.T) {
	t.Run("at rest", func(t *testing.T) {
		engine, err := core.New()
		if err != nil {
			t.Fatal(err)
		}
		f := &fakeTB{}
		for range 100 {
			if err := engine.Go(func() {}); err != nil {
				t.Fatal(err)
			}
		}
		coretest.Verify(f, engine) // waits for the functions
		if s := engine.Stats(); s.Succeeded != 100 {
			t.Errorf("Verify returned early: %+v", s)
		}
		if err := engine.Shutdown(soon(t)); err != nil {
			t.Fatal(err)
		}
		coretest.Verify(f, engine)
		f.want(t, false, f.run(func() {}))
	})
	t.Run("hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			engine, err := core.New(core.WithWorkers(1))
			if err != nil {
				t.Fatal(err)
			}
			gate := make(chan struct{})
			submit(t, engine, "stuck", func(ctx context.Context) error { return hangHere(ctx, gate, false) })
			submit(t, engine, "behind", nothing)
			f := &fakeTB{}
			f.want(t, true, f.run(func() { coretest.Verify(f, engine) }), "not idle within 30s", "hangHere", "Running:1", "Queued:1")
			close(gate)
			_ = engine.Shutdown(t.Context())
		})
	})
	t.Run("paused", func(t *testing.T) {
		engine, err := core.New()
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Shutdown(soon(t))
		_ = engine.Pause()
		submit(t, engine, "a", nothing)
		f := &fakeTB{}
		f.want(t, true, f.run(func() { coretest.Verify(f, engine) }), "left at the end: 1 queued")
	})
	t.Run("abandoned", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			engine, err := core.New()
			if err != nil {
				t.Fatal(err)
			}
			gate := make(chan struct{})
			submit(t, engine, "stuck", func(ctx context.Context) error { return hangHere(ctx, gate, false) })
			synctest.Wait()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_ = engine.Shutdown(ctx)
			f := &fakeTB{}
			f.want(t, true, f.run(func() { coretest.Verify(f, engine) }), "left after its end: 1 goroutines", "hangHere")
			close(gate)
			f = &fakeTB{} // those that are about to end are not held against it
			f.want(t, false, f.run(func() { coretest.Verify(f, engine) }))
		})
	})
	t.Run("during shutdown", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			engine, err := core.New()
			if err != nil {
				t.Fatal(err)
			}
			submit(t, engine, "slow", func(context.Context) error { time.Sleep(coretest.Patience / 2); return nil })
			synctest.Wait()
			go func() { _ = engine.Shutdown(context.Background()) }()
			synctest.Wait()
			f := &fakeTB{}
			f.want(t, false, f.run(func() { coretest.Verify(f, engine) }))
			if !engine.IsClosed() {
				t.Error("Verify returned before the end")
			}
		})
	})
	t.Run("not made by New", func(t *testing.T) {
		f := &fakeTB{}
		f.want(t, true, f.run(func() { coretest.Verify(f, new(core.Engine)) }), "core: invalid argument")
	})
}
