package coretest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// SeedVariable is the name of the environment variable that [Seed] looks at.
const SeedVariable = "GOMAN_SEED"

// Seed returns the seed of a test: that in the environment variable GOMAN_SEED, or
// else one that it draws. If the test fails it logs how to repeat it. A variable
// that is not a number from 0 to 2^64-1, in decimal or with a prefix as in Go, ends
// the test. Call it on the goroutine of the test.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv(SeedVariable); text != "" {
		n, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			t.Fatalf("coretest: %s: %v", SeedVariable, err)
		}
		seed = n
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("coretest: the seed was %d: to repeat the test set %s=%[1]d", seed, SeedVariable)
		}
	})
	return seed
}
