package scheduler_test

import (
	"strings"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/queue"
	"github.com/uptutu/goman/scheduler"
	"github.com/uptutu/goman/scheduler/schedulertest"
)

type (
	inner   = func() (core.Scheduler, error)
	model   = func() schedulertest.Model
	nesting = func(inner) (core.Scheduler, error)
)

// orders are the innermost schedulers, with their models.
var orders = []struct {
	name  string
	new   inner
	model model
	bound func(queued int) int
}{
	{"FIFO", func() (core.Scheduler, error) { return scheduler.NewFIFO() }, schedulertest.FIFO, itself},
	{"LIFO", func() (core.Scheduler, error) { return scheduler.NewLIFO() }, schedulertest.LIFO, nil},
	{"FromQueue MPMC", fromQueue(func() (queue.Queue[core.Job], error) { return queue.NewMPMC[core.Job](4) }), schedulertest.FIFO, itself},
	{"FromQueue Deque", fromQueue(func() (queue.Queue[core.Job], error) { return queue.NewDeque[core.Job](), nil }), schedulertest.LIFO, nil},
	{"FromQueue Levels", fromQueue(func() (queue.Queue[core.Job], error) {
		return queue.NewLevels(4, func(job core.Job) int { return int(core.Critical - job.Priority()) })
	}), func() schedulertest.Model { return schedulertest.Levels(schedulertest.FIFO) }, nil},
	{"Deadline", func() (core.Scheduler, error) { return scheduler.NewDeadline() }, schedulertest.Earliest, nil},
	{"Deadline, Refuse", func() (core.Scheduler, error) {
		return scheduler.NewDeadlineWith(scheduler.DeadlineConfig{Refuse: true})
	}, schedulertest.Earliest, nil},
}

func itself(queued int) int { return queued }

func fromQueue(make func() (queue.Queue[core.Job], error)) inner {
	return func() (core.Scheduler, error) {
		q, err := make()
		if err != nil {
			return nil, err
		}
		return scheduler.FromQueue(q)
	}
}

// nests are the schedulers that nest others.
var nests = []struct {
	name  string
	nest  nesting
	model func(model) model
}{
	{"Priority", func(in inner) (core.Scheduler, error) { return scheduler.NewPriority(scheduler.Strict(), in) }, levels},
	{"Priority with Reserve", func(in inner) (core.Scheduler, error) {
		return scheduler.NewPriority(scheduler.Strict().Reserving(core.High, 1), in)
	}, nil},
	{"Priority with Aging", func(in inner) (core.Scheduler, error) {
		return scheduler.NewPriority(scheduler.Aging(time.Hour), in)
	}, levels}, // with an hour it is as good as strict
	{"Fair", func(in inner) (core.Scheduler, error) {
		return scheduler.NewFairWith(scheduler.FairConfig{Weight: weight}, in)
	}, tenants},
	{"Fair ByTime", func(in inner) (core.Scheduler, error) {
		return scheduler.NewFairWith(scheduler.FairConfig{Weight: weight, ByTime: true}, in)
	}, tenants},
	{"Fair InFlight", func(in inner) (core.Scheduler, error) {
		return scheduler.NewFairWith(scheduler.FairConfig{InFlight: 1}, in)
	}, nil},
	{"Keyed", func(in inner) (core.Scheduler, error) { return scheduler.NewKeyed(1, in) }, lanes(1)},
	{"Keyed 3", func(in inner) (core.Scheduler, error) { return scheduler.NewKeyed(3, in) }, lanes(3)},
}

func weight(tenant string) int { return 1 + len(tenant) }

func levels(in model) model {
	return func() schedulertest.Model { return schedulertest.Levels(in) }
}

func tenants(in model) model {
	return func() schedulertest.Model { return schedulertest.Each(core.Job.Tenant, in) }
}

func lanes(perKey int) func(model) model {
	return func(in model) model {
		return func() schedulertest.Model { return schedulertest.Lanes(perKey, in()) }
	}
}

func TestConformance(t *testing.T) {
	for _, o := range orders {
		t.Run(o.name, func(t *testing.T) {
			schedulertest.Run(t, schedulertest.Spec{New: o.new, Model: o.model, Bound: o.bound})
		})
	}
}

// Each over each, two deep.
func TestConformance_Nested(t *testing.T) {
	for _, n := range nests {
		for _, o := range orders {
			spec := schedulertest.Spec{New: func() (core.Scheduler, error) { return n.nest(o.new) }}
			spec.Free = n.name != "Keyed" // one at a time is meant strictly
			if n.model != nil {
				spec.Model = n.model(o.model)
			}
			if o.name == "FIFO" {
				spec.Nest = n.nest
			}
			t.Run(n.name+"("+o.name+")", func(t *testing.T) { schedulertest.Run(t, spec) })
		}
	}
}

// And in pairs, over a FIFO.
func TestConformance_Pairs(t *testing.T) {
	for _, outer := range nests {
		for _, middle := range nests {
			if strings.HasPrefix(outer.name, "Keyed") && strings.HasPrefix(middle.name, "Keyed") {
				continue // makes no sense
			}
			in := func() (core.Scheduler, error) { return middle.nest(orders[0].new) }
			spec := schedulertest.Spec{
				New: func() (core.Scheduler, error) { return outer.nest(in) },
				Nest: func(in inner) (core.Scheduler, error) {
					return outer.nest(func() (core.Scheduler, error) { return middle.nest(in) })
				},
			}
			spec.Free = outer.name != "Keyed" && middle.name != "Keyed"
			if outer.model != nil && middle.model != nil {
				spec.Model = outer.model(middle.model(orders[0].model))
			}
			t.Run(outer.name+"("+middle.name+")", func(t *testing.T) { schedulertest.Run(t, spec) })
		}
	}
}
