package balance

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

// A queued task that starts in the slot of one that waits makes room, and no task ends.
func TestRoom_StartAloneMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1))
		other := engineFor(t)
		g := groupOf(t, RoundRobin(), e)
		gate, wait := make(chan struct{}), make(chan struct{})
		far, err := core.Submit(t.Context(), other, core.Func(func(context.Context) (int, error) { <-gate; return 1, nil }))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Submit(t.Context(), g, core.Task[int](core.Func(func(ctx context.Context) (int, error) {
			<-wait
			return far.Await(ctx)
		}))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := g.Go(func() { <-gate }); err != nil {
			t.Fatal(err)
		}
		accepted := make(chan error, 1)
		go func() { accepted <- g.Go(func() {}) }()
		synctest.Wait()
		if len(accepted) != 0 {
			t.Fatal("there was room")
		}
		close(wait)
		synctest.Wait()
		if len(accepted) != 1 {
			t.Error("a start does not wake who waits")
		}
		close(gate)
		if err := <-accepted; err != nil {
			t.Error(err)
		}
	})
}

// Who does not wait does not overtake those who do, even if there is room at the moment.
func TestRoom_NobodyOvertakes(t *testing.T) {
	g := groupOf(t, RoundRobin(), engineFor(t))
	w := &waiter{wake: make(chan struct{}, 1)}
	g.enter(w)
	if err := g.TryGo(func() {}); !errors.Is(err, core.ErrQueueFull) {
		t.Error(err)
	}
	g.leave(w)
	if err := g.TryGo(func() {}); err != nil {
		t.Error(err)
	}
}

// A wake-up that comes before the sleep ends it at once, and one only.
func TestRoom_WokenBeforeTheSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := groupOf(t, RoundRobin(), engineFor(t))
		w := &waiter{wake: make(chan struct{}, 1)}
		g.enter(w)
		defer g.leave(w)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		g.room.wake()
		if !w.sleep(ctx) {
			t.Error("the wake-up was lost")
		}
		if w.sleep(ctx) {
			t.Error("it was seen twice")
		}
	})
}
