package coretest

import (
	"strings"
	"testing"

	"github.com/uptutu/goman/core"
)

func TestFaults(t *testing.T) {
	if err := faults(core.Stats{Accepted: 1, Succeeded: 1, Goroutines: 3}, false); err != nil {
		t.Errorf("an engine at rest: %v", err)
	}
	err := faults(core.Stats{Accepted: 5, Succeeded: 1, Queued: 1, Running: 1, Blocked: 1, Goroutines: 3}, true)
	for _, part := range []string{"accepted 5 is not", "1 queued", "1 running", "1 callers", "3 goroutines"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}
