package schedulertest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
)

// played is a scheduler that does what a model says.
type played struct {
	Model
	jobs []core.Job
}

func (p *played) Push(job core.Job) {
	p.jobs = append(p.jobs, job)
	p.Model.Push(job)
}

func (p *played) Pop(int) (core.Job, bool) {
	may := p.May()
	if len(may) == 0 {
		return core.Job{}, false
	}
	job := may[0] // start changes what may lies in
	p.start(job)
	return job, true
}

func (p *played) start(job core.Job) {
	i := slices.Index(p.jobs, job)
	p.jobs = slices.Delete(p.jobs, i, i+1)
	p.Started(job)
}

func (p *played) Len() int { return len(p.jobs) }

func (p *played) Claim(job core.Job) (core.Job, bool) {
	if !p.Open(job) {
		return core.Job{}, false
	}
	p.start(job)
	return core.Job{}, true
}

func (p *played) Sweep(drop func(core.Job) bool) {
	var dropped []core.Job
	p.jobs = slices.DeleteFunc(p.jobs, func(job core.Job) bool {
		if !drop(job) {
			return false
		}
		dropped = append(dropped, job)
		return true
	})
	for _, job := range dropped {
		p.Dropped(job)
	}
}

// A scheduler that does what a model says passes with that model, and is told by another.
func TestModels(t *testing.T) {
	models := map[string]func() Model{
		"FIFO": FIFO, "LIFO": LIFO, "Earliest": Earliest,
		"Levels":        func() Model { return Levels(FIFO) },
		"Lanes":         func() Model { return Lanes(1, FIFO()) },
		"Lanes(Levels)": func() Model { return Lanes(2, Levels(LIFO)) },
		"Each":          func() Model { return Each(core.Job.Tenant, FIFO) },
	}
	for name, model := range models {
		make := func() (core.Scheduler, error) { return &played{Model: model()}, nil }
		right := Spec{New: make, Model: model}.complete()
		for _, p := range properties {
			// In an engine a lane would have to say who holds it.
			if strings.HasPrefix(p.name, "Engine/") || !p.applies(&right) {
				continue
			}
			if err := p.run(t, &right, effort{scale: 0.5, seed: 1}); err != nil {
				t.Errorf("%s: %s: %v", name, p.name, err)
			}
		}
		for other, wrong := range models {
			if other == name || other == "Each" || name == "FIFO" || other == "Lanes" && name == "Lanes(Levels)" {
				continue
			}
			spec := Spec{New: make, Model: wrong}.complete()
			told := false
			for _, p := range properties {
				if p.name == "Order" || p.name == "Completion" {
					told = p.run(t, &spec, effort{scale: 0.5, seed: 1}) != nil || told
				}
			}
			if !told {
				t.Errorf("%s passes for %s", name, other)
			}
		}
	}
}

var errWrong = errors.New("no scheduler")

// What goes wrong in an engine, or before it, is told too.
func TestRun_WrongInAnEngine(t *testing.T) {
	fails := func() (core.Scheduler, error) { return nil, errWrong }
	for _, p := range properties {
		spec := Spec{New: fails, Model: FIFO, Bound: func(int) int { return 0 }}.complete()
		if spec.Nest = newPassing(""); p.name == "Order/Engine" || p.name == "Nesting" {
			continue
		}
		if err := p.run(t, &spec, effort{scale: 0.1, seed: 1}); err == nil {
			t.Errorf("%s passes without a scheduler", p.name)
		}
	}
	stack := Spec{Model: FIFO, Options: []core.Option{core.WithScheduler(&played{Model: LIFO()})}}.complete()
	if err := checkEngineOrder(&stack, effort{scale: 1, seed: 1}); err == nil {
		t.Error("a stack passes for first in, first out in an engine")
	}
	for _, broken := range []string{"loses one", "never hears of an end", "keeps the last one", "twice"} {
		spec := Spec{New: newSimple(broken), patience: 200 * time.Millisecond}.complete()
		full, closed := checkFull(&spec, effort{scale: 1, seed: 1}), checkEngine(&spec, effort{scale: 1, seed: 1})
		if full == nil && closed == nil && broken != "twice" { // the engine does not run it twice
			t.Errorf("%s passes in an engine", broken)
		}
	}
}
