package queue

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uptutu/goman/queue/internal/point"
)

// line is where goroutines sleep until a queue has changed: those that wait for an
// item in one, those that wait for room in another. It is the only place of the
// package that sleeps and wakes.
//
// # The protocol
//
// Who waits announces it (join), looks at the queue again, and only then sleeps. Who
// has changed the queue looks at call after that. Both are sequentially consistent,
// so either the one sees the change or the other sees the call: no wake-up is lost.
//
// At most one of those that were woken is on its way (woken): more would only fight
// for one item. It clears the mark before it looks. If it gets an item and there are
// more, it wakes the next. So this holds at each moment at which nobody is inside a
// call: if there is something to get, nobody sleeps who could get it. In detail:
//
//   - A change that nobody was woken for, because somebody was on its way, was made
//     before that one cleared the mark, so it sees the change.
//   - A look can fail although a change is complete, because another one before it
//     is not (see MPMC). Who makes that other one sees the call when it is done, and
//     wakes one for both; that one wakes the next.
//   - Who leaves without having got anything (its context has ended, the queue has
//     panicked) wakes the next in its place.
//
// What breaks: if the look comes before join, a change between the two is missed. If
// the mark is cleared after the look, a change between the two wakes nobody.
type line struct {
	call atomic.Bool // somebody sleeps and nobody is on its way, or always is set

	mu          sync.Mutex
	first, last *waiter // those that sleep or are about to, the longest waiting first
	woken       bool    // one was taken out of the line and has not looked yet
	always      bool    // each change is to be followed by a call of wake
	spare       *waiter // linked by next
}

type waiter struct {
	ready      chan struct{} // one signal for each time it is taken out of the line
	prev, next *waiter
	inLine     bool        // guarded by the line's mu
	timer      *time.Timer // the waiter's own; nil until it is needed
}

// wait calls try until it reports true, and sleeps in between. It returns the error
// of the context if that ends first. If due is not nil it says, after a try in vain,
// at what time another one is worth while although nobody has changed anything.
func (l *line) wait(ctx context.Context, try func() bool, due func() (time.Time, bool)) error {
	w := l.join()
	got := false
	defer func() { l.leave(w, got) }() // try may panic
	for {
		point.At()
		if got = try(); got {
			return nil
		}
		var alarm <-chan time.Time
		if due != nil {
			alarm = w.alarm(due())
		}
		point.At()
		select {
		case <-w.ready:
			point.At()
			l.rejoin(w)
		case <-alarm:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// alarm returns a channel that is sent to at the time given, if there is one.
func (w *waiter) alarm(at time.Time, ok bool) <-chan time.Time {
	if !ok {
		return nil
	}
	// Not at once, even if it is due: a queue that then says that it is not would be
	// asked without a pause.
	wait := max(time.Until(at), 10*time.Microsecond)
	if w.timer == nil {
		w.timer = time.NewTimer(wait)
	} else {
		w.timer.Reset(wait)
	}
	return w.timer.C
}

// join announces a goroutine that is about to sleep.
func (l *line) join() *waiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.spare
	if w == nil {
		w = &waiter{ready: make(chan struct{}, 1)}
	} else {
		l.spare, w.next = w.next, nil
	}
	w.prev = l.last
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last, w.inLine = w, true
	l.setCall()
	return w
}

// rejoin announces again, as the first in the line, a goroutine that was woken and
// is going to look.
func (l *line) rejoin(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.woken = false
	w.next = l.first
	if l.first == nil {
		l.last = w
	} else {
		l.first.prev = w
	}
	l.first, w.inLine = w, true
	l.setCall()
}

// leave takes back what join announced. Who was woken in the meantime, or has got
// nothing, wakes the next.
func (l *line) leave(w *waiter, got bool) {
	point.At()
	if w.timer != nil {
		w.timer.Stop()
	}
	l.mu.Lock()
	called := !w.inLine
	if called {
		l.mu.Unlock()
		<-w.ready // it is on its way; the waiter cannot be used again before
		l.mu.Lock()
		l.woken = false
	} else {
		l.remove(w)
	}
	var next *waiter
	if called || !got {
		next = l.take()
	}
	w.next, l.spare = l.spare, w
	l.setCall()
	l.mu.Unlock()
	next.signal()
}

// wake wakes the first in the line, unless there is one on its way.
func (l *line) wake() {
	point.At()
	l.mu.Lock()
	w := l.take()
	l.setCall()
	l.mu.Unlock()
	w.signal()
}

// wakeAll wakes all, and from now on lets each change be followed by a call of wake.
func (l *line) wakeAll() {
	l.mu.Lock()
	all := l.first
	for w := all; w != nil; w = w.next {
		w.inLine, w.prev = false, nil
		l.woken = true
	}
	l.first, l.last = nil, nil
	l.always = true
	l.setCall()
	l.mu.Unlock()
	for w := all; w != nil; {
		next := w.next
		w.next = nil // before the signal: after it, it is the waiter's own
		w.signal()
		w = next
	}
}

// take takes the first out of the line, if nobody is on its way. The caller holds mu,
// and signals the waiter after it has released it.
func (l *line) take() *waiter {
	w := l.first
	if w == nil || l.woken {
		return nil
	}
	l.woken = true
	l.remove(w)
	return w
}

// remove takes w out of the line. The caller holds mu.
func (l *line) remove(w *waiter) {
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.inLine = nil, nil, false
}

// setCall is called after each change. The caller holds mu.
func (l *line) setCall() { l.call.Store(l.always || l.first != nil && !l.woken) }

// signal lets the waiter go on; nil means nobody. It never blocks: the channel has
// room for the one signal that may be under way.
func (w *waiter) signal() {
	if w != nil {
		point.At()
		w.ready <- struct{}{}
	}
}
