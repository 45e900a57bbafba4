package core_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
)

// A task that is run again is pushed again, and may come to stand in its lane behind a
// task that waits for it: that is a ring which no call of Await has closed, and its
// tasks slept for ever. The soak has found it (rounds of seed 17199453123483111302 and
// 426832367367748962).
func TestRing_ClosedByRunningAgain(t *testing.T) {
	for name, want := range map[string][]string{
		"of two":   {"waiter", "again"},
		"of three": {"between", "again", "waiter"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sweepingAuditor{claimingAuditor{audited(t, newLanes())}}
				e := engineFor(t, core.WithWorkers(3), core.WithScheduler(s))
				submit := func(name, key string, body func(context.Context) (int, error)) *core.Future[int] {
					f, err := core.SubmitWith(t.Context(), e, core.Attributes{Name: name, Key: key}, core.Func(body))
					if err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					return f
				}
				again := submit("again", "lane", func(ctx context.Context) (int, error) {
					if core.Attempt(ctx) == 0 {
						return 0, core.Again(time.Second, nil)
					}
					return 1, nil
				})
				waiting := []*core.Future[int]{again}
				if len(want) == 3 {
					waiting = append(waiting, submit("between", "other", again.Await))
				}
				waiting = append(waiting, submit("waiter", "lane", waiting[len(waiting)-1].Await))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var rings [][]string
				for _, f := range waiting[1:] {
					_, err := f.Await(ctx)
					if own, deadlock := err.(*core.DeadlockError); deadlock {
						rings = append(rings, own.Tasks)
					} else if !errors.Is(err, core.ErrDeadlock) {
						t.Errorf("%v; %+v", err, e.Stats())
					}
				}
				if len(rings) == 0 || cmp.Diff(want, rings[0]) != "" {
					t.Errorf("%v, want %v", rings, want)
				}
				if n, err := again.Await(ctx); n != 1 || err != nil {
					t.Errorf("%d, %v", n, err)
				}
				if err := e.WaitIdle(ctx); err != nil {
					t.Error(err)
				}
				s.balanced()
			})
		})
	}
}
