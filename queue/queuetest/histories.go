package queuetest

import (
	"fmt"
	"sync"
)

// histories records what several goroutines do with a queue, again and again, and
// keeps the first failure of each property. Its properties are reported apart
// from each other, so that a failure has a name.
type histories struct {
	once     sync.Once
	failures map[string]error
}

// The figures of a run at scale 1.
const (
	shortHistories = 20_000
	longHistories  = 40
)

func (h *histories) make(t harness, s *Spec, e effort) {
	h.failures = map[string]error{}
	for i := range e.of(shortHistories) {
		random := e.random("histories", i)
		calls := 40
		if random.IntN(16) == 0 {
			calls = 40 + random.IntN(160)
		}
		h.add(t, s, e, i, calls, 2+random.IntN(3))
		if h.failures["Progress"] != nil {
			return
		}
	}
	for i := range e.of(longHistories) {
		h.add(t, s, e, -1-i, 4_000, 4)
	}
}

// add records one history: of two, one is controlled if the queue has points, and
// one in eight if it has none.
func (h *histories) add(t harness, s *Spec, e effort, i, calls, workers int) {
	random := e.random("history", i)
	control := i >= 0 && (i%2 == 1 && s.Points != nil || i%8 == 1)
	var p *plan
	err := guard(func() error {
		if !control {
			p = newPlan(s, random, calls, workers)
			p.perturbed(e.patience)
			return nil
		}
		return bubble(t, func() error {
			p = newPlan(s, random, calls, workers)
			p.controlled(newController(random, p.steps))
			return nil
		})
	})
	how := "perturbed"
	if control {
		how = "one goroutine at a time"
	}
	if err != nil {
		h.fail("Progress", fmt.Errorf("history %d, %s: %w", i, how, err))
		return
	}
	p.history.how += fmt.Sprintf(", history %d, %s", i, how)
	for name, err := range p.history.checks() {
		h.fail(name, fmt.Errorf("%w\n%v", err, p.history))
	}
}

func (h *histories) fail(name string, err error) {
	if h.failures[name] == nil {
		h.failures[name] = err
	}
}
