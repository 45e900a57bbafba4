package flow

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/uptutu/goman/core"
)

// What only the inside of a division shows.

func engineOf(t *testing.T, workers, capacity int) *core.Engine {
	t.Helper()
	e, err := core.New(core.WithWorkers(workers), core.WithQueueCapacity(capacity), core.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Shutdown(context.Background()) })
	return e
}

// Who waits for a part takes parts of the thief as long as that runs it, and no other: they
// might want a lock that the waiter holds.
func TestTake_NoStrangers(t *testing.T) {
	var ran *Branch[int, int]
	d := newDivision(t.Context(), engineOf(t, 1, 1), 1, func(b *Branch[int, int], n int) (int, error) { ran = b; return n, nil })
	var waiter, thief Branch[int, int]
	newBranch(d, &waiter)
	newBranch(d, &thief)
	offer := func(n int) int {
		i := thief.push(n)
		thief.expose(1)
		return i
	}
	awaited := new(part[int, int])
	i := offer(1)
	if !waiter.take(&thief, awaited) || ran != &waiter {
		t.Error("a part of what is awaited was not run")
	}
	if n, err := thief.join(i, 1); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}

	awaited.state.Store(partEnded)
	i, ran = offer(2), nil
	if waiter.take(&thief, awaited) || ran != nil {
		t.Error("a part of something else was run")
	}
	if n, err := thief.join(i, 2); n != 2 || err != nil || ran != &thief {
		t.Errorf("%d, %v; the owner should run what was returned", n, err)
	}
	i, ran = offer(3), nil
	if waiter.take(&thief, awaited); thief.drop(i) != nil || ran != nil || thief.top != i {
		t.Error("what was returned is not dropped")
	}
	if p := thief.at(i); p.state.Load() != partOpen || p.thief.Load() != nil {
		t.Error("a part that is removed remembers its thief: it might be asked before the next has taken it")
	}
}

// After a division everything is as before, however it ended.
func TestDivision_LeavesNothing(t *testing.T) {
	var turn atomic.Int64
	for name, leaf := range map[string]func(){
		"well": func() {}, "panic": func() { panic(1) }, "Goexit": runtime.Goexit,
		"mixed": func() {
			if turn.Add(1)%3 == 0 {
				runtime.Goexit()
			}
			panic(1)
		},
	} {
		e := engineOf(t, 4, 100)
		for range 50 {
			var d *division[int, int]
			_, _ = core.Run(context.Background(), e, core.Func(func(ctx context.Context) (int, error) {
				d = newDivision(ctx, e, 4, func(b *Branch[int, int], n int) (int, error) {
					switch {
					case n == 7:
						leaf()
					case n > 8:
						for range 100 {
							runtime.Gosched()
						}
					}
					if n < 2 {
						return n, nil
					}
					if n == 9 && name == "mixed" {
						defer func() { _ = recover() }() // and leaves parts behind
					}
					x, y, err := b.Both(n-1, n-2)
					return x + y, err
				})
				d.want.Add(1000) // everything is public
				defer d.want.Add(-1000)
				defer d.dismiss()
				return d.seats[0].branch.whole(ctx, 14)
			}))
			if err := e.WaitIdle(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := d.empty.Load(); got < 0 || got > 3 {
				t.Fatalf("%s: %d of 3 seats are empty", name, got)
			}
			if got := d.want.Load(); got != 3+3 {
				t.Fatalf("%s: %d parts are wanted, not 6", name, got)
			}
			for i := range d.seats {
				s := &d.seats[i]
				if v := s.branch.ends.load(); s.branch.top != 0 || s.branch.split != 0 || v != 0 || s.branch.inside != nil {
					t.Fatalf("%s: branch %d has parts up to %d, public ones up to %d, is inside %p", name, i, s.branch.top, s.branch.split, s.branch.inside)
				}
				if i > 0 && s.state.Load() == seatTaken {
					t.Fatalf("%s: seat %d is taken", name, i)
				}
			}
		}
	}
}

// A seat whose helper is refused, or never begins, is free for another.
func TestInvite_Again(t *testing.T) {
	e := engineOf(t, 2, 1)
	d := newDivision(t.Context(), e, 4, func(*Branch[int, int], int) (int, error) { return 0, nil })
	_ = e.Pause()
	if err := e.TryGo(func() {}); err != nil {
		t.Fatal(err)
	}
	b := &d.seats[0].branch
	again := func() *core.Future[struct{}] {
		for range inviteAgain {
			d.invite(b, 1)
		}
		return d.seats[1].helper.Load()
	}
	if f := again(); f != nil || d.seats[1].state.Load() != seatEmpty || d.empty.Load() != 1 {
		t.Error("a helper was let into a queue that is full")
	}
	if n := e.Stats().Rejected.Full; n > 2 {
		t.Errorf("%d helpers were refused, one after the other", n)
	}
	_ = e.SetQueueCapacity(2)
	first := again()
	if first == nil || d.empty.Load() != 0 {
		t.Fatal("no helper, and there is room")
	}
	if again() != first {
		t.Error("a second helper for one seat")
	}
	first.CancelCause(errors.New("somebody does"))
	if second := again(); second == nil || second == first {
		t.Error("no helper in the place of one that was cancelled")
	}
	d.dismiss()
	if !d.seats[1].helper.Load().IsDone() {
		t.Error("a helper of a division that is over stays in the queue")
	}
	_ = e.Resume()
}
