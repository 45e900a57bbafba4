package middleware_test

import (
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

// leaver is a line that leaves, once, the goroutine on which it is told that a wait is over.
type leaver struct {
	jobs []core.Job
	left bool
}

func (l *leaver) Push(job core.Job) { l.jobs = append(l.jobs, job) }

func (l *leaver) Pop(int) (job core.Job, ok bool) {
	if len(l.jobs) == 0 {
		return job, false
	}
	job, l.jobs = l.jobs[0], l.jobs[1:]
	return job, true
}

func (l *leaver) Len() int { return len(l.jobs) }

func (l *leaver) Yielded(core.Job) {}

func (l *leaver) Resumed(core.Job) {
	if !l.left {
		l.left = true
		runtime.Goexit()
	}
}

// A task that has been let in and ends before it runs, because the scheduler that is told of
// the end of its wait calls Goexit, gives its place back.
func TestWaiting_GoexitOfScheduler(t *testing.T) {
	bulkhead := must(middleware.NewBulkhead(middleware.BulkheadConfig{Tasks: 1, Wait: middleware.Waiting{Max: -1}}))
	adaptive := must(middleware.NewAdaptiveLimit(middleware.AdaptiveLimitConfig{Max: 1, Wait: middleware.Waiting{Max: -1}}))
	for name, c := range map[string]struct {
		layer  core.Interceptor
		inside func() int
	}{
		"Bulkhead":      {bulkhead.Intercept, func() int { return bulkhead.InFlight("") }},
		"AdaptiveLimit": {adaptive.Intercept, adaptive.InFlight},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := coretest.New(t, core.WithWorkers(2), core.WithScheduler(new(leaver)), core.WithInterceptors(c.layer), quietly())
				first := must(core.Submit(t.Context(), e, core.Task[int](nap(time.Minute))))
				synctest.Wait()
				second := must(core.Submit(t.Context(), e, core.Task[int](answer(1))))
				if _, err := second.Get(); !errors.Is(err, core.ErrGoexit) {
					t.Error(err)
				}
				must(first.Get())
				e.WaitIdle(t.Context()) //nolint:errcheck // the context does not end
				if n := c.inside(); n != 0 {
					t.Errorf("%d are within", n)
				}
			})
		})
	}
}
