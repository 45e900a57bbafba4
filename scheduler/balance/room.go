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
// the hooks tell. A wake-up that comes before the sleep is kept in woken.
//
// # How to sleep
//
// A task that waits has to give its worker's slot to other work, and only core can do
// that: in a wait for a future. So the one that sleeps submits a task to an engine that
// is paused, the gate, which never runs it and has no goroutine, and awaits its future.
// Who wakes it cancels the task.
type room struct {
	waiting atomic.Int32

	mu          sync.Mutex
	first, last *waiter
	made        sync.Once
	gate        *core.Engine
}

// waiter is a submission that waits.
type waiter struct {
	// Guarded by room.mu.
	prev, next *waiter
	woken      bool
	asleep     *core.Future[struct{}]
}

// rest is the task that is never run.
type rest struct{}

func (rest) Execute(context.Context) (struct{}, error) { return struct{}{}, nil }

// wait waits until an engine takes t, no engine is full any more and none takes it, or
// ctx ends.
func (g *Group) wait(ctx context.Context, t *submission) error {
	w := &waiter{}
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
		if err := g.room.sleep(ctx, w, g.name); err != nil {
			return g.refuse(err)
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
	var asleep *core.Future[struct{}]
	if w := r.first; w != nil {
		w.woken = true
		asleep, w.asleep = w.asleep, nil
	}
	r.mu.Unlock()
	if asleep != nil {
		asleep.Cancel()
	}
}

// sleep returns nil once w is woken, or the reason if ctx ended before.
func (r *room) sleep(ctx context.Context, w *waiter, name string) error {
	r.made.Do(func() { r.open(name) })
	if r.wasWoken(w, nil) {
		return nil
	}
	asleep, err := core.Submit(context.Background(), r.gate, rest{})
	if err != nil {
		return err
	}
	if r.wasWoken(w, asleep) {
		asleep.Cancel()
		return nil
	}
	_, err = core.AwaitAny(ctx, asleep)
	r.wasWoken(w, nil)
	if err != nil {
		asleep.Cancel()
		return contextEnded(ctx)
	}
	return nil
}

// wasWoken reports whether w was woken since the last call, and if not, notes what it is
// about to await.
func (r *room) wasWoken(w *waiter, asleep *core.Future[struct{}]) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	woken := w.woken
	w.woken, w.asleep = false, nil
	if !woken {
		w.asleep = asleep
	}
	return woken
}

// open makes the gate.
func (r *room) open(name string) {
	gate, err := core.New(core.WithName(name+"'s waiting room"), core.WithWorkers(1), core.WithUnboundedQueue())
	if err == nil {
		err = gate.Pause()
	}
	if err != nil {
		panic(err) // these options are valid
	}
	r.gate = gate
}
