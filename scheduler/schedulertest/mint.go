package schedulertest

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/uptutu/goman/core"
)

// mint makes jobs without running them: an engine whose scheduler only keeps them.
type mint struct {
	engine *core.Engine
	jobs   []core.Job
	kinds  map[core.Job]int
	cancel []context.CancelFunc
	spec   *Spec
}

func newMint(s *Spec) (*mint, error) {
	m := &mint{spec: s, kinds: make(map[core.Job]int)}
	quiet := core.WithLogger(slog.New(slog.DiscardHandler))
	var err error
	m.engine, err = core.New(core.WithWorkers(1), core.WithUnboundedQueue(), core.WithScheduler(m), quiet)
	return m, err
}

// job makes a job of a kind.
func (m *mint) job(kind int) core.Job {
	attributes, after := m.spec.Kind(kind)
	ctx := context.Background()
	if after > 0 {
		// From one moment on, so that equal kinds have equal deadlines.
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, future.Add(after))
		m.cancel = append(m.cancel, cancel)
	}
	before := len(m.jobs)
	_, err := core.SubmitWith(ctx, m.engine, attributes, core.Func(func(context.Context) (int, error) { return 0, nil }))
	if err != nil || len(m.jobs) != before+1 {
		panic(fmt.Sprintf("schedulertest: kind %d: a job that no engine takes: %v", kind, err))
	}
	m.kinds[m.jobs[before]] = kind
	return m.jobs[before]
}

// future is far away: the jobs of a mint never expire.
var future = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

func (m *mint) close() {
	_ = m.engine.Close(context.Background()) // it reports the jobs as undone
	for _, cancel := range m.cancel {
		cancel()
	}
}

// Push implements core.Scheduler.
func (m *mint) Push(job core.Job) { m.jobs = append(m.jobs, job) }

// Pop implements core.Scheduler: nothing ever starts.
func (m *mint) Pop(int) (core.Job, bool) { return core.Job{}, false }

// Len implements core.Scheduler.
func (m *mint) Len() int { return len(m.jobs) }
