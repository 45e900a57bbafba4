package queuetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// harness is what the properties need of a testing.T. The suite's own tests put
// another thing in its place, to see a property fail.
type harness interface {
	rapid.TB
	// Run runs a subtest.
	Run(name string, f func(harness)) bool
	// Bubble runs f in a testing/synctest bubble. f must not call Fatal or Skip.
	Bubble(f func())
}

type tester struct{ *testing.T }

func (t tester) Run(name string, f func(harness)) bool {
	return t.T.Run(name, func(t *testing.T) { f(tester{t}) })
}

func (t tester) Bubble(f func()) {
	synctest.Test(t.T, func(*testing.T) { f() })
}

// The variables of the environment that change a run.
const (
	scaleEnv = "GOMAN_QUEUETEST_SCALE"
	seedEnv  = "GOMAN_QUEUETEST_SEED"
)

// effort is how much is done, and from which seed.
type effort struct {
	scale    float64
	seed     uint64
	patience time.Duration // for goroutines that should need no time
}

// effortFromEnv reads the variables; -short is a tenth of what they say, and so
// is the race detector.
func effortFromEnv(short, race bool) (effort, error) {
	e := effort{scale: 1, seed: rand.Uint64(), patience: 30 * time.Second}
	if text := os.Getenv(scaleEnv); text != "" {
		scale, err := strconv.ParseFloat(text, 64)
		if err != nil || !(scale > 0 && scale <= 1e6) {
			return e, fmt.Errorf("queuetest: %s=%q: want a number above 0 and up to a million", scaleEnv, text)
		}
		e.scale = scale
	}
	if text := os.Getenv(seedEnv); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return e, fmt.Errorf("queuetest: %s=%q: want a whole number", seedEnv, text)
		}
		e.seed = seed
	}
	if short {
		e.scale /= 10
	}
	if race {
		e.scale /= 10
	}
	return e, nil
}

// of returns n times the scale, and at least 1.
func (e effort) of(n int) int { return max(1, int(float64(n)*e.scale)) }

// random returns the source of random numbers for the i-th part of a property.
func (e effort) random(property string, i int) *rand.Rand {
	seed := e.seed
	for _, b := range []byte(property) {
		seed = seed*1099511628211 ^ uint64(b)
	}
	return rand.New(rand.NewPCG(seed, uint64(i)))
}

// chooser makes a choice below n: from rapid, from a fuzzer's bytes, or at random.
type chooser func(n int, what string) int

func randomly(random *rand.Rand) chooser {
	return func(n int, _ string) int { return random.IntN(n) }
}
