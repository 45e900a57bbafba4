package core_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
)

// TestModel_Concurrent runs random programs on several goroutines at a time. What
// must hold whatever the interleaving: each future has one verdict that fits what
// was done to it, each body ran as often as its verdict says, and the figures
// agree with both.
func TestModel_Concurrent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type command struct {
			Kind, Target int
			Policy       core.RejectPolicy
		}
		workers := rapid.IntRange(1, 3).Draw(t, "workers")
		commands := rapid.Custom(func(t *rapid.T) command {
			return command{rapid.IntRange(0, 9).Draw(t, "kind"), rapid.IntRange(0, 30).Draw(t, "target"),
				core.RejectPolicy(rapid.IntRange(int(core.RejectWait), int(core.RejectDisplaceLowest)).Draw(t, "policy"))}
		})
		programs := rapid.SliceOfN(rapid.SliceOfN(commands, 1, 30), 2, 4).Draw(t, "programs")
		e, err := core.New(core.WithWorkers(workers), core.WithQueueCapacity(rapid.IntRange(1, 4).Draw(t, "capacity")), quietly())
		if err != nil {
			t.Fatal(err)
		}
		var verdicts, accepted, refused, runs [8]atomic.Int64
		var goroutines sync.WaitGroup
		begin := make(chan struct{})
		for _, program := range programs {
			goroutines.Go(func() {
				<-begin
				var futures []*core.Future[int]
				for _, c := range program {
					switch {
					case c.Kind < 6:
						f, err := core.SubmitWith(context.Background(), e, core.Attributes{Priority: core.Priority(c.Target%4 + 1), Reject: c.Policy},
							core.Func(func(ctx context.Context) (int, error) {
								if c.Kind == 5 && core.Attempt(ctx) < 2 {
									return 0, core.Again(0, nil)
								}
								runs[0].Add(1)
								if c.Kind == 4 {
									panic("on purpose")
								}
								return c.Target, ctx.Err()
							}))
						if err != nil {
							refused[0].Add(1)
							continue
						}
						accepted[0].Add(1)
						futures = append(futures, f)
					case c.Kind < 8 && len(futures) > 0:
						futures[c.Target%len(futures)].Cancel()
					case c.Kind == 8 && len(futures) > 0:
						_, _ = futures[c.Target%len(futures)].Await(context.Background())
					case c.Kind == 9:
						if err := e.Stats().Check(); err != nil {
							t.Error(err)
						}
						_ = e.SetQueueCapacity(c.Target%5 + 1)
						_ = e.Resize(c.Target%3 + 1)
					}
				}
				for _, f := range futures {
					_, err := f.Get()
					switch {
					case err == nil:
						verdicts[core.OutcomeSucceeded].Add(1)
					case errors.Is(err, core.ErrPanicked):
						verdicts[core.OutcomePanicked].Add(1)
					case errors.Is(err, core.ErrDiscarded):
						verdicts[core.OutcomeDiscarded].Add(1)
					case errors.Is(err, context.Canceled):
						verdicts[core.OutcomeCanceled].Add(1)
					default:
						t.Errorf("verdict %v", err)
					}
				}
			})
		}
		close(begin)
		goroutines.Wait()
		if err := e.WaitIdle(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := e.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		s := e.Stats()
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		got := [4]uint64{s.Succeeded, s.Panicked, s.Discarded, s.Canceled}
		var want [4]uint64
		for i, o := range []core.Outcome{core.OutcomeSucceeded, core.OutcomePanicked, core.OutcomeDiscarded, core.OutcomeCanceled} {
			want[i] = uint64(verdicts[o].Load())
		}
		if got != want || s.Accepted != uint64(accepted[0].Load()) || s.Rejected.Full != uint64(refused[0].Load()) || s.Queued+s.Running != 0 {
			t.Fatalf("futures say %v, %d accepted, %d refused: %+v", want, accepted[0].Load(), refused[0].Load(), s)
		}
		if n := uint64(runs[0].Load()); n < s.Succeeded+s.Panicked || n > s.Succeeded+s.Panicked+s.Canceled {
			t.Fatalf("%d runs: %+v", n, s)
		}
	})
}
