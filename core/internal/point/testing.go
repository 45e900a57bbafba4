//go:build goman_points

package point

import (
	"context"
	"fmt"
	"runtime"
)

// The controller as a testing.TB: failures are kept for the report, and cleanups
// run inside the bubble, as a part of the schedule.

// Error is [testing.T.Error].
func (c *Controller) Error(args ...any) { c.fail(fmt.Sprintln(args...)) }

// Errorf is [testing.T.Errorf].
func (c *Controller) Errorf(format string, args ...any) { c.fail(fmt.Sprintf(format, args...)) }

// Fatal is [testing.T.Fatal]: it ends the goroutine that calls it.
func (c *Controller) Fatal(args ...any) {
	c.Error(args...)
	runtime.Goexit()
}

// Fatalf is [testing.T.Fatalf].
func (c *Controller) Fatalf(format string, args ...any) {
	c.Errorf(format, args...)
	runtime.Goexit()
}

// Fail is [testing.T.Fail].
func (c *Controller) Fail() { c.fail("failed") }

// FailNow is [testing.T.FailNow].
func (c *Controller) FailNow() { c.Fatal("failed") }

// Skip and its like have no place in a schedule.
func (c *Controller) Skip(args ...any) { c.Fatal(args...) }

// Skipf is Skip.
func (c *Controller) Skipf(format string, args ...any) { c.Fatalf(format, args...) }

// SkipNow is Skip.
func (c *Controller) SkipNow() { c.Fatal("skipped") }

// Failed reports whether something has failed in this schedule.
func (c *Controller) Failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.failures) > 0
}

// Helper does nothing: a failure is told with the trace.
func (c *Controller) Helper() {}

// Cleanup calls fn after the body and all actors have ended, the last first.
func (c *Controller) Cleanup(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cleanups = append(c.cleanups, fn)
}

// Context returns a context of the bubble, which ends before the cleanups.
func (c *Controller) Context() context.Context { return c.ctx }

func (c *Controller) fail(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, text)
}

func (c *Controller) cleanUp() {
	c.end()
	c.mu.Lock()
	n := len(c.cleanups)
	var fn func()
	if n > 0 {
		fn = c.cleanups[n-1]
		c.cleanups = c.cleanups[:n-1]
	}
	c.mu.Unlock()
	if fn == nil {
		return
	}
	defer c.cleanUp() // also if it calls Fatal
	fn()
}
