package core_test

import (
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The n-th call fails, after SQLite's tests of memory and I/O: whatever an engine calls
// that is its user's panics, calls runtime.Goexit or returns an error in the n-th call,
// for n = 1, 2, 3, ... until a whole run has passed without an n-th call. A run is a
// small engine and a load (nth_load_test.go) in a bubble of its own. After each: nothing
// is lost, the figures add up, as many tasks run and fit into the queue as before, the
// engine comes to its end, and leaves no goroutine (nth_check_test.go).

// how is the kind of a fault.
type how string

const (
	panicking how = "panic"
	exiting   how = "Goexit"
	failing   how = "error"
)

// site is a function of the user's that the engine calls.
type site struct {
	name string
	// fails: it can return an error, or something else that is wrong.
	fails bool
	// task: its fault may be the end of a task or the reason of a refusal. All others
	// must change no result, but for a Goexit, which ends what runs on the goroutine.
	task bool
	// caller: its panic may reach whoever called the engine.
	caller bool
	// loses: the scheduler has forgotten a job by then. Only a forced stop resolves it.
	loses bool
}

var sites = []site{
	{name: "Execute", fails: true, task: true},
	{name: "function", task: true},
	// Attributes that a task brings: on the goroutine of the caller.
	{name: "Priority", fails: true, task: true, caller: true},
	{name: "Key", task: true, caller: true},
	{name: "Tenant", task: true, caller: true},
	{name: "Name", task: true, caller: true},
	{name: "Labels", task: true, caller: true},
	{name: "Limits", task: true, caller: true},
	// Methods of an error that a task returns, or that is the cause of a cancellation.
	{name: "Is", task: true},
	{name: "As", task: true},
	{name: "Unwrap", task: true},
	// Methods of what a task panics with.
	{name: "value's String"},
	{name: "value's Error"},
	{name: "value's Is", task: true},
	{name: "value's Unwrap", task: true},

	{name: "interceptor", fails: true, task: true},
	{name: "before next", fails: true, task: true},
	{name: "between two calls of next", fails: true, task: true},
	{name: "after next", fails: true, task: true},

	{name: "hook Accepted"},
	{name: "hook Rejected"},
	{name: "hook Started"},
	{name: "hook Ended"},
	{name: "hook Retried"},
	{name: "hook Panicked"},
	{name: "hook Worker"},
	{name: "hook Changed"},
	{name: "OnDone"},
	{name: "OnPanic"},
	{name: "OnFull", fails: true, task: true},
	{name: "option", fails: true, caller: true},
	{name: "logger's Enabled", fails: true},
	{name: "logger's Handle", fails: true},

	{name: "Push", task: true},
	{name: "Push, stored", task: true},
	{name: "Pop"},
	{name: "Pop, taken", task: true, loses: true},
	{name: "Len"},
	{name: "Completed"},
	{name: "Claim"},
	{name: "Claim, taken", task: true, loses: true},
	{name: "Sweep"},
	{name: "Sweep, half"},
	{name: "Sweep, done"},
	{name: "Resized"},
	{name: "SetWaker", task: true},

	// The context given to Submit, Await and so on, and that of the engine.
	{name: "context's Value", task: true, caller: true},
	{name: "context's Err", fails: true, task: true, caller: true},
	{name: "context's Done", task: true, caller: true},
	{name: "context's Deadline", task: true, caller: true},
	{name: "context's AfterFunc", task: true, caller: true},
	{name: "context's stop", task: true, caller: true},
	{name: "base Value", task: true, caller: true},
	{name: "base Err", fails: true, task: true, caller: true},
	{name: "base Done", task: true, caller: true},
	{name: "base Deadline", task: true, caller: true},
}

// bomb goes off in the n-th call of one function.
type bomb struct {
	site  site
	how   how
	n     int64
	calls atomic.Int64
	safe  atomic.Bool // neither counts nor goes off
	fired atomic.Bool
}

// boom is what it panics with, and the error it returns.
type boom struct{ b *bomb }

func (b boom) Error() string { return "boom: " + b.b.String() }

func (b *bomb) String() string { return fmt.Sprintf("%s in call %d of %s", b.how, b.n, b.site.name) }

// call is called by each function of the user's.
func (b *bomb) call(name string) error {
	if name != b.site.name || b.safe.Load() || b.calls.Add(1) != b.n {
		return nil
	}
	b.fired.Store(true)
	switch b.how {
	case panicking:
		panic(boom{b})
	case exiting:
		runtime.Goexit()
	}
	return boom{b}
}

// TestNth is the loop, over kinds of engines, functions, and faults.
func TestNth(t *testing.T) {
	var mu sync.Mutex
	runs, total := 0, 0
	hit := make(map[string]int)
	t.Cleanup(func() { // when all loops are through
		for _, s := range sites {
			for _, how := range s.faults() {
				name := fmt.Sprint(s.name, ": ", how)
				if total += hit[name]; hit[name] == 0 && !raceEnabled && !t.Failed() && flag.Lookup("test.run").Value.String() == "" {
					t.Errorf("no load has come to %s", name)
				}
				t.Logf("%4d  %s", hit[name], name)
			}
		}
		t.Logf("%d runs, %d faults", runs, total)
	})
	for _, c := range nthConfigs {
		t.Run(c.name, func(t *testing.T) {
			if raceEnabled && (c.workers == 1 || runtime.GOMAXPROCS(0) != 2) {
				t.Skip("the race detector makes a run ten times as dear, so it looks at several workers on two processors: run it without -race, or with -cpu=2")
			}
			t.Parallel()
			for _, s := range sites {
				if len(c.only) > 0 && !slices.Contains(c.only, s.name) {
					continue
				}
				t.Run(s.name, func(t *testing.T) {
					for _, how := range s.faults() {
						for n := int64(1); !t.Failed(); n = following(n) {
							b := &bomb{site: s, how: how, n: n}
							nth(t, c, b)
							mu.Lock()
							runs++
							if b.fired.Load() {
								hit[fmt.Sprint(s.name, ": ", how)]++
							}
							mu.Unlock()
							if !b.fired.Load() {
								break
							}
						}
					}
				})
			}
		})
	}
}

// following is the n that is tried after n: all of them where that is quick, which is
// neither with the race detector nor with coverage nor with words of 32 bits.
func following(n int64) int64 {
	if raceEnabled {
		return n + 1 + n/2
	}
	if testing.CoverMode() != "" || strconv.IntSize == 32 {
		return n + 1 + n/4
	}
	return n + 1
}

func (s site) faults() []how {
	if s.fails {
		return []how{panicking, exiting, failing}
	}
	return []how{panicking, exiting}
}

// nth runs the load once. A run that hangs ends the process, and shows where.
func nth(t *testing.T, c *nthConfig, b *bomb) {
	t.Helper()
	watch := time.AfterFunc(10*patience, func() { // the machine may be busy with something else
		debug.SetTraceback("all")
		panic(fmt.Sprintf("%s: %v: hangs", c.name, b))
	})
	defer watch.Stop()
	defer func() {
		if v := recover(); v != nil {
			t.Errorf("%s, %v: goroutines are left, or all sleep: %v", c.name, b, v)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		r := &nthRun{t: t, c: c, b: b}
		if r.begin() {
			r.load()
			r.settle()
			r.probe()
			r.stop()
		}
		r.end()
	})
}
