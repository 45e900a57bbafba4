package coretest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
)

// Patience is how long [New], [Verify] and [Seeded] let an engine take to come to
// rest before they call it hanging. Inside a bubble of testing/synctest that takes
// no time.
const Patience = 30 * time.Second

// New makes an engine as core.New does and checks its end at the end of the test,
// in a function given to t.Cleanup: what is queued runs, within [Patience]; nothing
// is handed back, nobody ignores the end, the figures add up, and no goroutine of
// the engine is left. Where it fails the message has the engine's Stats, and if it
// hangs the stacks of the tasks that ran. A test may end the engine itself, and
// look at the report; then only the figures and the goroutines are checked.
//
// The engine has the name of the test and logs to the test's output, unless options
// say otherwise. An error of core.New ends the test. New must be called on the
// goroutine of the test; inside a bubble, with the bubble's t. It costs nothing
// while the engine runs.
func New(t testing.TB, options ...core.Option) *core.Engine {
	t.Helper()
	engine, err := core.New(append(defaults(t), options...)...)
	if err != nil {
		t.Fatalf("coretest: %v", err)
	}
	t.Cleanup(func() { end(t, engine) })
	return engine
}

// defaults are the options that come before those of the user.
func defaults(t testing.TB) []core.Option {
	return []core.Option{
		core.WithName(t.Name()),
		core.WithLogger(slog.New(slog.NewTextHandler(t.Output(), nil))),
	}
}

// Verify waits until engine has come to rest, for at most [Patience], and reports by
// t.Errorf what is wrong with it: figures that do not add up (see core.Stats.Check);
// tasks that are still queued or running, or callers that wait for room; and, once
// Shutdown or Close has begun, goroutines of the engine that are left. If the
// engine hangs the message has the stacks of the tasks that run.
//
// It changes nothing, with one exception: where Shutdown has begun and not ended it
// waits by calling Shutdown, which ends the engine by force when that takes too long.
// A paused engine is not waited for.
//
// Verify may be called at any time, by any goroutine that may call t.Errorf, but not
// by a task of engine. It may be deferred; before "defer engine.Shutdown(ctx)" it
// sees the engine after its end:
//
//	defer coretest.Verify(t, engine)
//	defer engine.Shutdown(ctx)
func Verify(t testing.TB, engine *core.Engine) {
	t.Helper()
	switch {
	case engine.IsShutdown():
		if !shutdown(t, engine) {
			return
		}
	case !engine.IsPaused():
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := engine.WaitIdle(ctx); err != nil {
			t.Errorf("coretest: engine %s: not idle within %v: %v\n%s%s",
				engine.Name(), Patience, err, figures(engine.Stats()), stacks())
			return
		}
	}
	check(t, engine)
}

// end is what happens to an engine of New at the end of the test.
func end(t testing.TB, engine *core.Engine) {
	t.Helper()
	if err := engine.Stats().Check(); err != nil {
		t.Errorf("coretest: before the end: %v\n%s", err, figures(engine.Stats()))
	}
	if shutdown(t, engine) {
		check(t, engine)
	}
}

// shutdown ends engine and reports false if that did not end well. The stacks are
// taken when the time is over and before the engine knows: then those tasks are
// still there that obey as soon as their context ends.
func shutdown(t testing.TB, engine *core.Engine) bool {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	running := make(chan string, 1)
	timer := time.AfterFunc(Patience, func() {
		running <- figures(engine.Stats()) + stacks()
		cancel(fmt.Errorf("coretest: not ended within %v", Patience))
	})
	defer timer.Stop()
	err := engine.Shutdown(ctx)
	if err == nil {
		return true
	}
	text := &strings.Builder{}
	fmt.Fprintf(text, "coretest: the end of the engine: %v\n", err)
	if report, ok := errors.AsType[*core.ShutdownError](err); ok {
		for _, undone := range report.Undone {
			fmt.Fprintf(text, "not started, or not started again: %s\n", undone.Name())
		}
		for _, task := range report.Ignoring {
			fmt.Fprintf(text, "ignores the end of its context: %s\n%s\n", task.Name, task.Stack)
		}
	}
	select {
	case before := <-running:
		fmt.Fprintf(text, "when the time was over:\n%s", before)
	default:
	}
	t.Errorf("%safter the end:\n%s", text, figures(engine.Stats()))
	return false
}

// check looks at the figures of an engine at rest.
func check(t testing.TB, engine *core.Engine) {
	t.Helper()
	s := engine.Stats()
	if engine.IsShutdown() {
		s = withoutGoroutines(engine, s)
	}
	if err := faults(s, engine.IsShutdown()); err != nil {
		t.Errorf("coretest: engine %s: %v\n%s%s", s.Name, err, figures(s), stacks())
	}
}

// lateness is how long check waits for goroutines of an engine that has ended: those
// of tasks that were abandoned and have returned just now. No event tells that they
// are gone, so it looks again and again.
const lateness = time.Second

func withoutGoroutines(engine *core.Engine, s core.Stats) core.Stats {
	for end := time.Now().Add(lateness); s.Goroutines > 0 && time.Now().Before(end); s = engine.Stats() {
		time.Sleep(time.Millisecond)
	}
	return s
}

// faults says what is wrong with s, the figures of an engine that should be at rest.
func faults(s core.Stats, ended bool) error {
	errs := []error{s.Check()}
	for _, f := range []struct {
		n    int
		what string
	}{{s.Queued, "queued"}, {s.Running, "running"}, {s.Blocked, "callers that wait for room"}} {
		if f.n != 0 {
			errs = append(errs, fmt.Errorf("left at the end: %d %s", f.n, f.what))
		}
	}
	if ended && s.Goroutines != 0 {
		errs = append(errs, fmt.Errorf("left after its end: %d goroutines", s.Goroutines))
	}
	return errors.Join(errs...)
}

// figures shows s on one line.
func figures(s core.Stats) string { return fmt.Sprintf("%+v\n", s) }

// stacks returns the stacks of the goroutines that run tasks, of all engines of the
// process: a stack does not say whose it is.
func stacks() string {
	buffer := make([]byte, 1<<20)
	buffer = buffer[:runtime.Stack(buffer, true)]
	text := &strings.Builder{}
	for stack := range strings.SplitSeq(string(buffer), "\n\n") {
		if strings.Contains(stack, "goman/core.(*worker).run") || strings.Contains(stack, "goman/core.(*worker).execute") {
			fmt.Fprintf(text, "\n%s\n", stack)
		}
	}
	return text.String()
}
