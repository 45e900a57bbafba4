package schedulertest

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	patience = 10 * time.Second
	goleak.VerifyTestMain(m)
}
