package queuetest

import (
	"testing"
)

// Fuzz is a fuzz target: bytes choose a capacity, where the counters start, and
// what one goroutine does, and each answer is judged. Call it from a FuzzXxx
// function that does nothing else; in an ordinary test run it tries its seeds.
func Fuzz(f *testing.F, spec Spec) {
	if err := spec.validate(); err != nil {
		f.Fatal(err)
	}
	if spec.New == nil {
		f.Fatal("queuetest: Fuzz needs Spec.New")
	}
	for _, seed := range seeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		if err := fuzzOne(tester{t}, &spec, program); err != nil {
			t.Fatal(err)
		}
	})
}

// seeds are programs for a fuzzer to begin with: steady use, filling and
// draining, and both with each capacity.
func seeds() (all [][]byte) {
	for capacity := range byte(4) {
		for start := range byte(3) {
			steady, waves := []byte{capacity, start}, []byte{capacity, start}
			for i := range byte(30) {
				steady = append(steady, i%2, i)
				waves = append(waves, 2+i%2, 7*i)
			}
			all = append(all, steady, waves)
		}
	}
	return all
}

func fuzzOne(t harness, s *Spec, program []byte) error {
	// When the bytes are used up, all choices are 0.
	choose := func(n int, _ string) int {
		if len(program) == 0 {
			return 0
		}
		b := int(program[0])
		program = program[1:]
		if n > 256 && len(program) > 0 {
			b = b<<8 | int(program[0])
			program = program[1:]
		}
		return b % n
	}
	return inside(t, s, func() error {
		return guard(func() error {
			capacity := s.capacities()[choose(len(s.capacities()), "capacity")]
			all := starts(capacity)
			start := all[choose(len(all), "start")]
			q := s.New(capacity)
			if s.NewAt != nil {
				q = s.NewAt(capacity, start)
			}
			return newMachine(s, q, capacity, choose).walk(min(len(program), 1000))
		})
	})
}
