package core_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/uptutu/goman/core"
)

// leaving is a line that leaves, once, the goroutine on which it is told of a wait.
type leaving struct {
	line
	yields, resumes bool
}

func (s *leaving) Yielded(core.Job) {
	if s.yields {
		s.yields = false
		runtime.Goexit()
	}
}

func (s *leaving) Resumed(core.Job) {
	if s.resumes {
		s.resumes = false
		runtime.Goexit()
	}
}

// A scheduler whose Yielded or Resumed calls Goexit ends the task that waits, and costs
// no worker, however the task waits.
func TestScheduler_GoexitOfYielder(t *testing.T) {
	waits := map[string]func(ctx context.Context, e *core.Engine, f *core.Future[int]) error{
		"Await": func(ctx context.Context, _ *core.Engine, f *core.Future[int]) error {
			_, err := f.Await(ctx)
			return err
		},
		"AwaitAny": func(ctx context.Context, _ *core.Engine, f *core.Future[int]) error {
			_, err := core.AwaitAny(ctx, f)
			return err
		},
		"room": func(ctx context.Context, e *core.Engine, _ *core.Future[int]) error {
			for range 20 {
				if err := e.GoContext(ctx, func() {}); err != nil {
					return err
				}
			}
			return nil
		},
	}
	for name, wait := range waits {
		for _, yields := range []bool{true, false} {
			t.Run(name+map[bool]string{true: "/Yielded", false: "/Resumed"}[yields], func(t *testing.T) {
				s := &leaving{yields: yields, resumes: !yields}
				e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(2), core.WithScheduler(s), quietly())
				ctx := soon(t)
				_, err := core.Run(ctx, e, core.Func(func(ctx context.Context) (int, error) {
					f, err := core.Submit(ctx, e, core.Func(func(context.Context) (int, error) { return 1, nil }))
					if err != nil {
						return 0, err
					}
					watched, stop := context.WithCancel(ctx) // so that it is not run in place
					defer stop()
					return 0, wait(watched, e, f)
				}))
				if !errors.Is(err, core.ErrGoexit) {
					t.Errorf("the task that waits: %v", err)
				}
				// Nothing is held on to: tasks run, and those that wait too.
				for range 3 {
					n, err := core.Run(ctx, e, core.Func(func(ctx context.Context) (int, error) {
						return core.Run(ctx, e, value(3))
					}))
					if n != 3 || err != nil {
						t.Fatalf("%d, %v", n, err)
					}
				}
				if err := e.WaitIdle(ctx); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}
