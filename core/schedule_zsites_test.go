//go:build goman_points

package core_test

import (
	"testing"

	"github.com/uptutu/goman/core/internal/point"
)

// The sites that no schedule of this run has come to, or where nobody else ever
// went first: see docs/trust.md. It stands last, so it is run last.
func TestScheduleSites(t *testing.T) {
	if allCoverage == (point.Coverage{}) {
		t.Skip("run it with the scenarios: -run TestSchedule")
	}
	t.Logf("\n%v", &allCoverage)
}
