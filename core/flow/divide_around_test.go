package flow_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/core/flow"
)

// newestFirst is a user's scheduler that fails at each third Push.
type newestFirst struct {
	jobs   []core.Job
	pushes int
}

func (s *newestFirst) Push(job core.Job) {
	if s.pushes++; s.pushes%3 == 0 {
		panic("Push")
	}
	s.jobs = append(s.jobs, job)
}

func (s *newestFirst) Pop(int) (job core.Job, ok bool) {
	if len(s.jobs) == 0 {
		return job, false
	}
	job = s.jobs[len(s.jobs)-1]
	s.jobs = s.jobs[:len(s.jobs)-1]
	return job, true
}

func (s *newestFirst) Len() int { return len(s.jobs) }

// foreign is a context of a type that the standard library does not know.
type foreign struct{ context.Context }

// TestDivide_Around: what users put around an engine takes helpers away, and changes no
// result.
func TestDivide_Around(t *testing.T) {
	no := errors.New("no helpers")
	var tasks atomic.Int64
	for name, options := range map[string][]core.Option{
		"a scheduler that fails": {core.WithScheduler(&newestFirst{pushes: -1})},
		"an interceptor that refuses helpers": {core.WithInterceptors(func(next core.Handler) core.Handler {
			return func(ctx context.Context, job core.Job) error {
				if tasks.Add(1) > 1 {
					return no
				}
				return next(ctx, job)
			}
		})},
		"hooks that panic":    {core.WithHooks(core.Hooks{Accepted: func(core.Job) { panic("hook") }, Started: func(core.Job) { panic("hook") }})},
		"limits":              {core.WithRunLimit(time.Hour), core.WithQueueLimit(time.Nanosecond)},
		"one place in a line": {core.WithQueueCapacity(1), core.WithReject(core.RejectDiscardOldest)},
	} {
		t.Run(name, func(t *testing.T) {
			e := coretest.New(t, append(options, core.WithWorkers(4), quietly())...)
			ctx, cancel := context.WithTimeout(foreign{t.Context()}, time.Hour)
			defer cancel()
			for range 20 {
				tasks.Store(0)
				got, err := flow.Divide[int, int](foreign{ctx}, e, 15, branchFib)
				var timeout *core.TimeoutError
				if errors.Is(err, core.ErrPanicked) || errors.As(err, &timeout) && !timeout.Started {
					continue // the whole was refused, or did not begin
				}
				if got != 610 || err != nil {
					t.Fatalf("%d, %v", got, err)
				}
			}
		})
	}
}

// TestDivide_Forced: a forced stop gives a division up like any task, and its calls go on
// to their end.
func TestDivide_Forced(t *testing.T) {
	for range 50 {
		e, err := core.New(core.WithWorkers(3), quietly())
		if err != nil {
			t.Fatal(err)
		}
		var calls sync.WaitGroup
		begun := make(chan struct{})
		var once sync.Once
		done := make(chan error, 1)
		go func() {
			_, err := flow.Divide(context.Background(), e, 12, func(b *flow.Branch[int, int], n int) (int, error) {
				calls.Add(1)
				defer calls.Done()
				once.Do(func() { close(begun) })
				runtime.Gosched()
				if b.Context().Err() != nil {
					return 0, context.Cause(b.Context())
				}
				return branchFib(b, n)
			})
			done <- err
		}()
		<-begun
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = e.Close(ctx)
		if err := <-done; err != nil && !errors.Is(err, core.ErrAbandoned) && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		calls.Wait()
		if err := e.Close(context.Background()); err != nil && !errors.Is(err, core.ErrShutdown) {
			t.Error(err)
		}
	}
}
