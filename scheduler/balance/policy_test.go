package balance

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/uptutu/goman/core"
)

// The policies other than to wait are carried out by the engine that was asked first.
func TestGroup_Policies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, release := fullGroup(t, ByFunc(func([]*core.Engine, core.Attributes) int { return 1 }), 2)
		ctx := t.Context()
		if n, err := RunWith(ctx, g, core.Attributes{Reject: core.RejectCallerRuns}, answer(3)); n != 3 || err != nil {
			t.Error(n, err)
		}
		newest, err := SubmitWith(ctx, g, core.Attributes{Reject: core.RejectDiscardNewest}, answer(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newest.Await(ctx); !errors.Is(err, core.ErrDiscarded) {
			t.Error(err)
		}
		before := g.Stats().Engines
		if _, err := SubmitWith(ctx, g, core.Attributes{Reject: core.RejectDiscardOldest}, answer(1)); err != nil {
			t.Fatal(err)
		}
		after := g.Stats().Engines
		if after[1].Discarded != before[1].Discarded+1 || after[0].Discarded != 0 {
			t.Errorf("discarded: %d and %d", after[0].Discarded, after[1].Discarded)
		}
		// Nobody to ask, and nobody of lower priority.
		for _, policy := range []core.RejectPolicy{core.RejectAsk, core.RejectDisplaceLowest, core.RejectFail} {
			_, err := SubmitWith(ctx, g, core.Attributes{Reject: policy, Priority: core.Low}, answer(1))
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("%v: %v", policy, err)
			}
		}
		// The engine's own policy counts where the task has none.
		if err := g.Engines()[1].Reconfigure(core.WithReject(core.RejectFail)); err != nil {
			t.Fatal(err)
		}
		if _, err := Submit(ctx, g, answer(1)); !errors.Is(err, core.ErrQueueFull) {
			t.Error(err)
		}
		if err := g.Go(func() {}); !errors.Is(err, core.ErrQueueFull) {
			t.Error(err)
		}
		for _, f := range release {
			f()
		}
	})
}

// While others wait, who would not wait does what the policy says, and a group in which no
// engine runs any more says so.
func TestGroup_PoliciesWhileOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, release := fullGroup(t, RoundRobin(), 2)
		waits := make(chan error, 1)
		go func() { waits <- g.Go(func() {}) }()
		synctest.Wait()
		if n, err := RunWith(t.Context(), g, core.Attributes{Reject: core.RejectCallerRuns}, answer(3)); n != 3 || err != nil {
			t.Error(n, err)
		}
		if _, err := SubmitAll(t.Context(), g, []core.Task[int]{nil}); !errors.Is(err, core.ErrInvalid) {
			t.Error(err)
		}
		var nobody context.Context
		if _, err := Submit(nobody, g, answer(1)); !errors.Is(err, core.ErrInvalid) {
			t.Error(err)
		}
		for _, e := range g.Engines() {
			if err := e.Pause(); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if err := g.TryGo(func() {}); !errors.Is(err, core.ErrQueueFull) {
			t.Error(err)
		}
		for i, e := range g.Engines() {
			if err := e.Resume(); err != nil {
				t.Error(err)
			}
			release[i]()
		}
		if err := <-waits; err != nil {
			t.Error(err)
		}
	})
}
