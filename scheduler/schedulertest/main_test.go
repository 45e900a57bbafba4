package schedulertest

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// A third of what others get is enough with each change.
	if os.Getenv(scaleEnv) == "" {
		if err := os.Setenv(scaleEnv, "0.3"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}
