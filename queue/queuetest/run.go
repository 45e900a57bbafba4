package queuetest

import (
	"fmt"
	"runtime/debug"
	"testing"
)

// Run tests the queue that the Spec describes, each property as a subtest. The
// documentation of the package tells which there are, and how to scale them.
//
// It must not run in parallel with other tests if Spec.Points is set.
func Run(t *testing.T, spec Spec) {
	t.Helper()
	e, err := effortFromEnv(testing.Short(), raceEnabled)
	if err != nil {
		t.Fatal(err)
	}
	run(tester{t}, &spec, e)
}

// property is one that a queue has or has not.
type property struct {
	name    string
	applies func(*Spec) bool
	check   func(harness, *Spec, effort) error
}

func run(t harness, s *Spec, e effort) {
	t.Helper()
	if err := s.validate(); err != nil {
		t.Fatalf("%v", err)
	}
	if s.New != nil {
		runAll(t, s, e, append(sequentialProperties(), concurrentProperties()...))
	}
	if s.NewBlocking != nil {
		t.Run("Blocking", func(t harness) { runAll(t, s, e, blockingProperties()) })
	}
}

func runAll(t harness, s *Spec, e effort, all []property) {
	t.Helper()
	for _, p := range all {
		if p.applies != nil && !p.applies(s) {
			continue
		}
		t.Run(p.name, func(t harness) {
			if err := guard(func() error { return p.check(t, s, e) }); err != nil {
				t.Errorf("%v\n%s=%d repeats what can be repeated", err, seedEnv, e.seed)
			}
		})
	}
}

// sequentialProperties are those that one goroutine can see.
func sequentialProperties() []property {
	return []property{
		{"Capacity", nil, checkCapacity},
		{"Model", nil, checkModel},
		{"Wrap", func(s *Spec) bool { return s.NewAt != nil }, checkWrap},
		{"Retention", nil, checkRetention},
		{"Memory", func(s *Spec) bool { return s.Shrinks }, checkMemory},
		{"Slack", func(s *Spec) bool { return s.Slack.Mean > 0 || s.Slack.P999 > 0 }, checkSlack},
		{"Fairness", func(s *Spec) bool { return s.Fairness > 0 }, checkFairness},
	}
}

// concurrentProperties are those of recorded histories, and of histories too
// long to be recorded.
func concurrentProperties() []property {
	concurrent := func(s *Spec) bool { return !s.Sequential }
	set := new(histories)
	of := func(name string, applies func(*Spec) bool) property {
		return property{
			name:    name,
			applies: func(s *Spec) bool { return concurrent(s) && (applies == nil || applies(s)) },
			check: func(t harness, s *Spec, e effort) error {
				set.once.Do(func() { set.make(t, s, e) })
				return set.failures[name]
			},
		}
	}
	return []property{
		of("Progress", nil),
		of("Conservation", nil),
		of("Bound", func(s *Spec) bool { return !s.Unbounded }),
		of("Len", func(s *Spec) bool { return !s.NoLen }),
		of("Empty", nil),
		of("Full", nil),
		of("Order", func(s *Spec) bool { return s.Order != Delayed }),
		of("Linearizable", (*Spec).linear),
		{"ExactlyOnce", concurrent, checkExactlyOnce},
		{"ProducerOrder", func(s *Spec) bool { return concurrent(s) && s.keepsProducers() }, checkProducerOrder},
		{"RetentionConcurrent", concurrent, checkRetentionConcurrent},
	}
}

// blockingProperties are those of a Blocking.
func blockingProperties() []property {
	return []property{
		{"WakeUp", nil, checkWakeUp},
		{"Close", nil, checkClose},
		{"Context", nil, checkContext},
		{"All", nil, checkAll},
		{"Due", func(s *Spec) bool { return s.Order == Delayed }, checkDue},
		{"ExactlyOnce", nil, checkBlockingExactlyOnce},
	}
}

// guard returns what f returns, or an error with the stack if f panics: a queue that
// panics has failed the property that made it do so.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("a panic: %v\n%s", v, debug.Stack())
		}
	}()
	return f()
}
