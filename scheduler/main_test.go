package scheduler_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// A hundred schedulers take their turns in the suite: a tenth of it is enough for
	// each with each change.
	if name := "GOMAN_SCHEDULERTEST_SCALE"; os.Getenv(name) == "" {
		if err := os.Setenv(name, "0.1"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}
