package scheduler

// The turns of a Fair: whose it is, and what a turn gives.

// tenantList is tenants in a row.
type tenantList struct {
	first, last *tenant
	count       int
	turn        bool // the first has been given the credit of its turn
}

const (
	roundUnit = 1 << 20 // a round of the ring, and a saved turn: a turn of the ring is a part of it
	maxSaved  = 4       // turns that a tenant saves
	maxAhead  = 16      // saved turns before a turn of the ring
	maxIdle   = 1000    // tenants without jobs that are remembered
)

// next returns the list whose first tenant has its turn, or nil.
func (s *Fair) next() *tenantList {
	switch {
	case s.fresh.first != nil && (s.fresh.turn || s.ready.first == nil || !s.ready.turn && s.ahead < maxAhead):
		return &s.fresh
	case s.ready.first != nil:
		return &s.ready
	}
	return nil
}

// begin gives t the credit of a turn.
func (s *Fair) begin(t *tenant) {
	if t.list == &s.fresh {
		s.ahead++
	} else {
		s.ahead = 0
		s.passed += max(roundUnit/int64(s.ready.count), 1)
		s.tidy()
		if s.turns++; s.turns >= s.ready.count { // the same for all in a round
			s.turns, s.quantum = 0, min(max(s.usual, 1), maxQuantum)
		}
	}
	t.saved = max(s.saved(t)-roundUnit, 0)
	t.credit += s.share(t)
}

// saved returns how many turns, in roundUnits, t may have before the others: one more for
// each round of the ring.
func (s *Fair) saved(t *tenant) int64 {
	if since := s.passed - t.seen; since < 0 || since > maxSaved*roundUnit {
		t.saved = maxSaved * roundUnit // passed may wrap around, after months
	} else {
		t.saved = min(t.saved+since, maxSaved*roundUnit)
	}
	t.seen = s.passed
	return t.saved
}

// tidy forgets those who have nothing to be remembered for; the oldest, if they are too
// many; and all, if nobody has a job queued.
func (s *Fair) tidy() {
	for t := s.idle.first; t != nil && (s.count == 0 || s.idle.count > maxIdle || s.saved(t) == maxSaved*roundUnit); t = s.idle.first {
		s.move(t, nil)
		s.forget(t)
	}
}

// share is what a tenant is given at its turn.
func (s *Fair) share(t *tenant) int64 {
	if s.cfg.ByTime {
		return t.weight * s.quantum
	}
	return t.weight
}

// skip gives all tenants the credit of the turns that pass before the first of them
// can pay, but for the last of these.
func (s *Fair) skip() {
	turns := int64(-1)
	for t := s.ready.first; t != nil; t = t.next {
		if n := -t.credit / s.share(t); turns < 0 || n < turns {
			turns = n
		}
	}
	for t := s.ready.first; t != nil; t = t.next {
		t.credit += turns * s.share(t)
	}
}

// move puts a tenant at the end of a list, or of none. Its turn is over if it has one;
// who leaves the ring keeps no credit, but a debt.
func (s *Fair) move(t *tenant, to *tenantList) {
	if from := t.list; from != nil {
		if t == from.first {
			from.turn = false
		}
		if from != &s.held && to != &s.ready {
			t.credit = min(t.credit, 0)
		}
		from.remove(t)
	}
	if to != nil {
		to.append(t)
	}
}

func (l *tenantList) append(t *tenant) {
	t.list, t.prev, t.next = l, l.last, nil
	if l.last == nil {
		l.first = t
	} else {
		l.last.next = t
	}
	l.last = t
	l.count++
}

func (l *tenantList) remove(t *tenant) {
	if t.prev == nil {
		l.first = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		l.last = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.list, t.prev, t.next = nil, nil, nil
	l.count--
}
