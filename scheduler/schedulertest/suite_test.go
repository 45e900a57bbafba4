package schedulertest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
)

// inLine is the model of simple: the first job whose key does not run.
func inLine() Model { return &serial{busy: map[string]bool{}} }

type serial struct {
	list
	busy map[string]bool
}

func (m *serial) May() []core.Job {
	for _, job := range m.jobs {
		if m.Open(job) {
			return []core.Job{job}
		}
	}
	return nil
}

func (m *serial) Open(job core.Job) bool { return job.Key() == "" || !m.busy[job.Key()] }

func (m *serial) Started(job core.Job) {
	m.Dropped(job)
	m.busy[job.Key()] = true
}

func (m *serial) Completed(job core.Job) { delete(m.busy, job.Key()) }

func simpleSpec(wrong string) Spec {
	return Spec{New: newSimple(wrong), Model: inLine, Bound: func(queued int) int { return queued }}.complete()
}

func limitedSpec(wrong string) Spec { return Spec{New: newLimited(wrong), Free: true}.complete() }

func passingSpec(wrong string) Spec {
	nest := newPassing(wrong)
	return Spec{
		New:  func() (core.Scheduler, error) { return nest(newSimple("")) },
		Nest: nest,
	}.complete()
}

func TestRun_Correct(t *testing.T) {
	t.Run("simple", func(t *testing.T) { Run(t, simpleSpec("")) })
	t.Run("limited", func(t *testing.T) { Run(t, limitedSpec("")) })
	t.Run("passing", func(t *testing.T) { Run(t, passingSpec("")) })
	t.Run("without optional interfaces", func(t *testing.T) {
		Run(t, Spec{New: func() (core.Scheduler, error) { return new(bare), nil }, Model: FIFO, Step: time.Millisecond,
			Bound: func(queued int) int { return queued }})
	})
}

// Core's built-in scheduler can be reached through an engine alone.
func TestRun_BuiltIn(t *testing.T) { Run(t, Spec{Model: FIFO}) }

func TestRun_BuiltInWithAnyOrder(t *testing.T) {
	Run(t, Spec{Options: []core.Option{core.WithPrealloc()}, Model: Any})
}

// wrong are schedulers with one mistake each, and the properties that must tell it.
// Others may fail too.
var wrong = []struct {
	spec func(string) Spec
	name string
	want []string
}{
	{simpleSpec, "loses one", []string{"Conservation", "Resize", "Engine/ExactlyOnce"}},
	{simpleSpec, "forgets who comes again", []string{"Conservation"}},
	{simpleSpec, "twice", []string{"ExactlyOnce"}},
	{simpleSpec, "counts what runs", []string{"Len"}},
	{simpleSpec, "newest first", []string{"Order", "Completion", "Bound"}},
	{simpleSpec, "keeps the last one", []string{"WorkConserving", "Conservation"}},
	{simpleSpec, "gives up behind a busy lane", []string{"WorkConserving", "Completion"}},
	{simpleSpec, "lanes by hash", []string{"WorkConserving", "Completion"}},
	{simpleSpec, "ignores the lanes", []string{"Completion"}},
	{simpleSpec, "any end frees all lanes", []string{"Completion"}},
	{simpleSpec, "never hears of an end", []string{"Conservation", "Completion"}},
	{simpleSpec, "claims freely", []string{"Claim"}},
	{simpleSpec, "does not count a claim", []string{"Claim"}},
	{simpleSpec, "holds itself up", []string{"Claim"}},
	{simpleSpec, "held up by what has ended", []string{"Claim"}},
	{simpleSpec, "sweeps all but the first", []string{"Sweep"}},
	{simpleSpec, "keeps what is dropped", []string{"Sweep", "ExactlyOnce"}},
	{simpleSpec, "asks twice", []string{"Sweep"}},
	{simpleSpec, "drops the next one too", []string{"Sweep"}},
	{simpleSpec, "turns the order around", []string{"Sweep"}},
	{simpleSpec, "stops at one worker", []string{"Resize"}},
	{limitedSpec, "counts who waits", []string{"Waits"}},
	{passingSpec, "drops the error", []string{"Nesting"}},
	{passingSpec, "Completed", []string{"Nesting"}},
	{passingSpec, "Claim", []string{"Nesting"}},
	{passingSpec, "Sweep", []string{"Nesting"}},
	{passingSpec, "Resized", []string{"Nesting"}},
	{passingSpec, "SetWaker", []string{"Nesting"}},
	{passingSpec, "Refuse", []string{"Nesting"}},
	{passingSpec, "Yielded", []string{"Nesting"}},
}

func TestRun_Wrong(t *testing.T) {
	for _, w := range wrong {
		t.Run(w.name, func(t *testing.T) {
			spec := w.spec(w.name)
			spec.patience = 200 * time.Millisecond
			for _, p := range properties {
				if !slices.Contains(w.want, p.name) {
					continue
				}
				if !p.applies(&spec) {
					t.Fatalf("%s does not apply", p.name)
				}
				for seed := range uint64(3) {
					err := p.run(t, &spec, effort{scale: 0.3, seed: seed})
					if err == nil {
						t.Errorf("%s does not tell it, with seed %d", p.name, seed)
					} else if seed == 0 {
						t.Logf("%s: %.300v", p.name, err)
					}
				}
			}
		})
	}
}

func TestSpec_Validate(t *testing.T) {
	for want, spec := range map[string]Spec{
		"need New": {Bound: func(int) int { return 0 }},
		"Kinds":    {Kinds: 3},
		"Step":     {Step: 1},
	} {
		if err := spec.validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", spec, err)
		}
	}
}

func TestEffort(t *testing.T) {
	t.Setenv(scaleEnv, "3")
	t.Setenv(seedEnv, "17")
	if e, err := effortFromEnv(true); err != nil || e.seed != 17 || e.rounds(10) != 3 {
		t.Errorf("%+v, %v", e, err)
	}
	for _, bad := range [][2]string{{scaleEnv, "0"}, {scaleEnv, "x"}, {seedEnv, "-1"}} {
		t.Setenv(scaleEnv, "1")
		t.Setenv(seedEnv, "1")
		t.Setenv(bad[0], bad[1])
		if _, err := effortFromEnv(false); err == nil {
			t.Errorf("%s=%s is taken", bad[0], bad[1])
		}
	}
}
