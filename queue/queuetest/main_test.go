package queuetest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Many queues here are meant to fail.
	for name, value := range map[string]string{"rapid.nofailfile": "true", "rapid.shrinktime": "100ms"} {
		if err := flag.Set(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	// A fifth of what others get is enough with each change: .ci/run schedules does more.
	if os.Getenv(scaleEnv) == "" {
		if err := os.Setenv(scaleEnv, "0.2"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	goleak.VerifyTestMain(m)
}

// recorder is a harness that keeps what fails, by the name of the subtest.
type recorder struct {
	*testing.T // for bubbles
	path       string
	only       []string // the properties to run, empty for all
	root       *recorder

	mu     sync.Mutex
	failed map[string][]string
}

func newRecorder(t *testing.T) *recorder {
	r := &recorder{T: t, failed: map[string][]string{}}
	r.root = r
	return r
}

func (r *recorder) Run(name string, f func(harness)) bool {
	child := &recorder{T: r.T, path: name, only: r.only, root: r.root}
	if r.path != "" {
		child.path = r.path + "/" + name
	}
	within := func(property string) bool {
		return strings.HasPrefix(property+"/", child.path+"/") || strings.HasPrefix(child.path, property+"/")
	}
	if len(r.only) > 0 && !slices.ContainsFunc(r.only, within) {
		return true
	}
	var wait sync.WaitGroup
	wait.Go(func() { f(child) })
	wait.Wait()
	return !child.Failed()
}

func (r *recorder) Bubble(f func()) { tester{r.T}.Bubble(f) }

func (r *recorder) note(text string) {
	r.root.mu.Lock()
	defer r.root.mu.Unlock()
	r.root.failed[r.path] = append(r.root.failed[r.path], text)
}

func (r *recorder) Name() string                      { return r.T.Name() + "/" + r.path }
func (r *recorder) Log(...any)                        {}
func (r *recorder) Logf(string, ...any)               {}
func (r *recorder) Error(args ...any)                 { r.note(fmt.Sprintln(args...)) }
func (r *recorder) Errorf(format string, args ...any) { r.note(fmt.Sprintf(format, args...)) }
func (r *recorder) Fail()                             { r.note("failed") }
func (r *recorder) FailNow()                          { r.Fatal("failed") }

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Failed() bool {
	r.root.mu.Lock()
	defer r.root.mu.Unlock()
	return len(r.root.failed[r.path]) > 0
}

// names are those of the properties that have failed.
func (r *recorder) names() (all []string) {
	r.root.mu.Lock()
	defer r.root.mu.Unlock()
	for name := range r.root.failed {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// small is what the suite's own tests do with each queue.
func small(scale float64) effort {
	if raceEnabled {
		scale /= 5
	}
	if testing.Short() {
		scale /= 5
	}
	return effort{scale: scale, seed: 1, patience: 10 * time.Second}
}
