package balance

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/uptutu/goman/core"
)

// room is where submissions wait for room in any engine of a group.
//
// The first of those who wait asks all engines, and sleeps if none has room. It is woken
// by whatever may have made room or changed the answer: a task started or ended, an
// engine was paused, resumed, reconfigured or shut down, one has joined or left. Nothing
// looks again by itself. Who stops waiting, served or not, wakes the next one, because
// there may be more room than one has used.
//
// # No wake-up is lost
//
// Who waits enters the list, has the hooks installed, and only then asks the engines. An
// engine makes room first and calls its hooks then; both the room and the hooks are found
// by looks that the engine's locks and Go's atomics order. So what the asking did not see
// the hooks tell. A wake-up that comes before the sleep is kept in the channel.
type room struct {
	waiting atomic.Int32

	mu          sync.Mutex
	first, last *waiter
}

// waiter is a submission that waits.
type waiter struct {
	prev, next *waiter       // guarded by room.mu
	wake       chan struct{} // a wake-up that has not been seen
}

// wait waits until an engine takes t, no engine is full any more and none takes it, or
// ctx ends.
func (g *Group) wait(ctx context.Context, t *submission) error {
	w := &waiter{wake: make(chan struct{}, 1)}
	g.enter(w)
	defer g.leave(w) // deferred, because a task's methods may panic
	for {
		if g.room.isFirst(w) {
			t.roster, t.first = g.roster.Load(), -1
			found := g.askAll(ctx, t)
			if found.taken {
				return nil
			}
			if found.full < 0 {
				return g.refuse(found.reasons...)
			}
		}
		if !w.sleep(ctx) {
			return g.refuse(contextEnded(ctx))
		}
	}
}

// enter puts w in the list and has the engines tell of room.
func (g *Group) enter(w *waiter) {
	r := &g.room
	r.mu.Lock()
	r.waiting.Add(1)
	if w.prev = r.last; w.prev != nil {
		w.prev.next = w
	} else {
		r.first = w
	}
	r.last = w
	r.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.watched {
		g.watched = true
		for _, s := range g.roster.Load().seats {
			g.watch(s)
		}
	}
}

// leave takes w out of the list and wakes the next one.
func (g *Group) leave(w *waiter) {
	r := &g.room
	r.mu.Lock()
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		r.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		r.last = w.prev
	}
	r.waiting.Add(-1)
	r.mu.Unlock()
	r.wake()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.watched && r.waiting.Load() == 0 {
		g.watched = false
		for _, s := range g.roster.Load().seats {
			s.unwatch()
			s.unwatch = nil
		}
	}
}

// watch has the engine of s tell of room. The caller holds g.mu.
func (g *Group) watch(s *seat) {
	wake := g.room.wake
	s.unwatch, _ = s.engine.AddHooks(core.Hooks{ // no error: New has made the engine
		Started: func(core.Job) { wake() },
		Ended:   func(core.EndInfo) { wake() },
		Changed: func(core.Change) { wake() },
	})
}

func (r *room) isFirst(w *waiter) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first == w
}

// wake lets the first of those who wait look again.
func (r *room) wake() {
	if r.waiting.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.first; w != nil {
		select {
		case w.wake <- struct{}{}:
		default: // it will look anyway
		}
	}
}

// sleep waits for a wake-up. It reports false if ctx has ended before. A task that waits
// gives its worker's slot to other work.
func (w *waiter) sleep(ctx context.Context) (woken bool) {
	core.Blocking(ctx, func() {
		select {
		case <-w.wake:
			woken = true
		case <-ctx.Done():
		}
	})
	return woken
}
