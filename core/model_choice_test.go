package core_test

import (
	"errors"
	"slices"

	"github.com/uptutu/goman/core"
)

// Who is next, in the model: where the engine may choose, it looks at what that chose.

// advance lets everything happen that can: slots are taken, those at the door let in.
func (m *model) advance() {
	for m.goOnOne() || m.startOne() || m.letInOne() {
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.started) > 0 || len(m.resumed) > 0 {
		m.fatalf("these should not have started: %v, nor these gone on: %v", m.started, m.resumed)
	}
	for _, k := range m.tasks {
		if k.wants != 0 && (m.free() > 0 || m.slotless(k)) {
			m.fatalf("nothing holds %v up", k)
		}
	}
	if m.free() > 0 && len(m.line) > 0 && !m.paused && !m.stopping {
		m.fatalf("a slot is free and %v are queued", m.line)
	}
	m.afterwards()
}

// goOnOne lets a task go on that has waited: who has wanted its slot back for longest.
// Who began to want it in this step may have been too late.
func (m *model) goOnOne() bool {
	var first *modelTask
	var gaveUp *core.WaitError
	for _, k := range m.tasks {
		err, went := m.resumed[k]
		switch {
		case !went || k.wants == 0 || m.free() <= 0 && !m.slotless(k):
		case k.awaits.at != atEnd && !errors.As(err, &gaveUp): // the model has not come to that
		case first == nil || k.wants < first.wants:
			first = k
		case k.wants == first.wants && m.leavesSlot(k):
			first = k // the other may have come after it
		}
	}
	if first == nil {
		return false
	}
	for _, k := range m.tasks {
		if k.wants != 0 && k.wants < first.wants && !m.slotless(first) {
			m.fatalf("%v goes on before %v", first, k)
		}
	}
	m.goOn(first)
	return true
}

// leavesSlot reports whether k ends as soon as it goes on, and those on whose goroutine
// it runs as well, so that its slot goes to another.
func (m *model) leavesSlot(k *modelTask) bool {
	for _, t := range m.tasks {
		if t.awaits == k && t.inside && !m.leavesSlot(t) {
			return false
		}
	}
	return k.obeys && k.dead()
}

// startOne takes the next task out of the queue.
func (m *model) startOne() bool {
	if m.paused || m.stopping || len(m.line) == 0 {
		return false
	}
	next := m.choose()
	// One that was cancelled uses a slot for a moment only: there may be none now.
	if next == nil || m.free() <= 0 && !(next.dead() && next.isDone()) {
		return false
	}
	for _, k := range m.tasks {
		if k.wants != 0 && k.wants < m.step {
			m.fatalf("%v starts before %v goes on", next, k)
		}
	}
	m.leaveQueue(next)
	m.letInOne() // its unit of capacity is free before anything else starts
	m.begin(next)
	return true
}

// choose is which task is next: by the order, or where there is none by what the
// engine did.
func (m *model) choose() *modelTask {
	if m.order != nil && !m.loose {
		next := m.line[m.order(m.line)]
		if len(m.granted) > 0 {
			next = m.granted[0]
		}
		if !slices.Contains(m.started, next) && len(m.started) == 0 && !next.dead() {
			return nil // somebody who wants his slot back has come first, or it is an error
		}
		return next
	}
	for _, k := range m.line {
		if slices.Contains(m.started, k) || k.dead() && k.isDone() {
			return k
		}
	}
	return nil
}

// letInOne lets the first at the door in.
func (m *model) letInOne() bool {
	if len(m.door) == 0 || m.room() <= 0 {
		return false
	}
	k := m.door[0]
	m.door = m.door[1:]
	m.enter(k, true)
	return true
}
