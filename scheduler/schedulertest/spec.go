package schedulertest

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/uptutu/goman/core"
)

// Spec describes a scheduler and what it promises.
type Spec struct {
	// New makes an empty scheduler. Nil means the one that Options give, or core's
	// built-in one.
	New func() (core.Scheduler, error)
	// Options are given to each engine.
	Options []core.Option
	// Model makes the model of the order: slow, and plainly right. Nil: the order is
	// not judged.
	Model func() Model
	// Bound tells how many jobs start at most before one that came when so many were
	// queued, of whatever kind those are that come later. Nil: there is no bound.
	Bound func(queued int) int
	// Step is how much time passes with each job that starts while Bound is tested,
	// in a testing/synctest bubble; 0 for schedulers that know no time.
	Step time.Duration
	// Free tells that no job is held back for one that waits inside: whatever limits
	// there are count only those that hold a worker.
	Free bool
	// Nest makes the scheduler over others, made by inner. Nil: it does not nest.
	Nest func(inner func() (core.Scheduler, error)) (core.Scheduler, error)
	// Kinds is the number of different jobs, and Kind tells their attributes, and
	// after what time their context ends, 0 for never. By default they differ in
	// priority, tenant, key and deadline.
	Kinds int
	Kind  func(i int) (core.Attributes, time.Duration)

	// How long a check waits for what should take next to no time, by default a minute.
	// The suite's own tests shorten it.
	patience time.Duration
}

func (s *Spec) validate() error {
	var faults []error
	if s.New == nil && (s.Bound != nil || s.Nest != nil) {
		faults = append(faults, errors.New("schedulertest: Bound and Nest need New"))
	}
	if (s.Kinds > 0) != (s.Kind != nil) {
		faults = append(faults, fmt.Errorf("schedulertest: Kinds is %d and Kind is given: %t: want both or none", s.Kinds, s.Kind != nil))
	}
	if s.Step < 0 || s.Step > 0 && s.Bound == nil {
		faults = append(faults, fmt.Errorf("schedulertest: a Step of %v without a Bound, or negative", s.Step))
	}
	return errors.Join(faults...)
}

// complete fills in the defaults.
func (s Spec) complete() Spec {
	s.patience = cmp.Or(s.patience, time.Minute)
	if s.Kind == nil {
		s.Kinds, s.Kind = 24, defaultKind
	}
	return s
}

func defaultKind(i int) (core.Attributes, time.Duration) {
	attributes := core.Attributes{
		Priority: core.Priority(1 + i%4),
		Tenant:   [...]string{"", "a", "b"}[i%3],
		Key:      [...]string{"", "x", "y", "z"}[(i/4)%4],
	}
	return attributes, [...]time.Duration{0, 3 * time.Hour, time.Hour, 2 * time.Hour, time.Hour}[i%5]
}
