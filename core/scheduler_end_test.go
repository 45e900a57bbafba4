package core_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/uptutu/goman/core"
)

// A task that has ended may have left a goroutine behind, in a call that uses its
// worker: the scheduler is told of the end before that call is over, and of the end of
// what the call has run as well.
func TestScheduler_ToldOfAnEndWithACallLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lanes := audited(t, newLanes())
		e := engineFor(t, core.WithWorkers(2), core.WithScheduler(claimingAuditor{lanes}))
		ctx := t.Context()
		began, next, busy := make(chan struct{}), make(chan struct{}), make(chan struct{})
		if err := e.Go(func() { <-busy }); err != nil { // so that the child is run by who awaits it
			t.Fatal(err)
		}
		synctest.Wait()
		first, err := core.SubmitWith(ctx, e, core.Attributes{Key: "lane"}, core.Func(func(ctx context.Context) (int, error) {
			child, err := core.SubmitWith(context.WithoutCancel(ctx), e, core.Attributes{Key: "other"}, core.Func(func(context.Context) (int, error) {
				close(began)
				<-next // the second of the lane has started
				return 1, nil
			}))
			if err != nil {
				return 0, err
			}
			go child.Await(ctx) //nolint:errcheck // it is left behind
			<-began
			close(busy)
			return 1, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		second, err := core.SubmitWith(ctx, e, core.Attributes{Key: "lane"}, core.Func(func(context.Context) (int, error) {
			close(next)
			return 2, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []*core.Future[int]{first, second} {
			if _, err := f.Await(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		lanes.balanced()
	})
}

// releasing holds what is pushed back until a job ends, and then lets all go.
type releasing struct {
	line
	held []core.Job
}

func (s *releasing) Push(job core.Job) {
	if job.Key() == "" {
		s.line.Push(job)
		return
	}
	s.held = append(s.held, job)
}

func (s *releasing) Completed(core.Job) {
	for _, job := range s.held {
		s.line.Push(job)
	}
	s.held = nil
}

func (s *releasing) Len() int { return s.line.Len() + len(s.held) }

// An end that lets several jobs go wakes as many workers.
func TestScheduler_AnEndReleasesSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(3), core.WithScheduler(new(releasing)))
		release := occupy(t, e, 1)
		all := make(chan struct{})
		for range 3 {
			task := core.Func(func(context.Context) (int, error) { <-all; return 1, nil })
			if _, err := core.SubmitWith(t.Context(), e, core.Attributes{Key: "held"}, task); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // the other workers have found nothing, and sleep
		release()
		synctest.Wait()
		if running := e.Stats().Running; running != 3 {
			t.Errorf("%d of 3 tasks run", running)
		}
		close(all)
		if err := e.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
