package main

import (
	"strings"
	"testing"
)

func TestFixRepairsWhatCheckReports(t *testing.T) {
	f := newFixture(t)
	f.replace(".ci/versions.txt", "core                     v0.1.0", "core v0.3.0")
	f.replace("docs/go.mod", "\tgithub.com/uptutu/goman/core => ../core\n", "\tgithub.com/uptutu/goman/scheduler => ../scheduler\n")
	f.replace("scheduler/go.mod", "=> ./schedulertest", "=> ../elsewhere")
	f.replace("monitor/go.mod", "go 1.26.0", "go 1.25.0")
	f.want(1, []string{"requirements:", "replacements:", "go lines:"}, "check")

	f.want(0, []string{"fix: docs/go.mod rewritten", "fix: monitor/go.mod rewritten", "fix: 4 of 5 modules changed"}, "fix")
	f.want(0, nil, "check")
	f.want(0, []string{"fix: 0 of 5 modules changed"}, "fix")
	if got := f.read("docs/go.mod"); !strings.Contains(got, "goman/core v0.3.0 // indirect") || strings.Contains(got, "scheduler") {
		t.Errorf("docs/go.mod is now\n%s", got)
	}
	for _, dir := range []string{"core", "monitor", "scheduler", "scheduler/schedulertest", "docs"} {
		f.command(dir, "env", "GOWORK=off", "go", "vet", "./...")
		f.command(dir, "env", "GOWORK=off", "go", "mod", "tidy", "-diff")
	}
}

func TestFixLeavesForeignReplacementsToPeople(t *testing.T) {
	f := newFixture(t)
	f.replace("core/go.mod", "go 1.26.0", "go 1.26.0\n\nreplace example.org/x => ../x")
	f.want(0, []string{"fix: 0 of 5 modules changed"}, "fix")
	f.want(1, []string{"core/go.mod: replaces example.org/x"}, "check")
}

func TestFixTakesReplacementsFromPrograms(t *testing.T) {
	f := newFixture(t)
	f.replace(".ci/versions.txt", "docs                     v0.1.0  examples", "docs v0.1.0 program")
	f.want(0, []string{"fix: 1 of 5"}, "fix")
	if got := f.read("docs/go.mod"); strings.Contains(got, "replace") {
		t.Errorf("docs/go.mod is now\n%s", got)
	}
	f.want(0, nil, "check")
}

// TestClosureEndsInRings: the tests of a module may need a module that needs it.
func TestClosureEndsInRings(t *testing.T) {
	f := newFixture(t)
	f.replace("core/go.mod", "go 1.26.0", "go 1.26.0\n\nrequire github.com/uptutu/goman/monitor v0.1.0")
	f.want(0, []string{"fix: core/go.mod rewritten"}, "fix")
	if got := f.read("core/go.mod"); !strings.Contains(got, "monitor => ../monitor") || strings.Contains(got, "core => ") {
		t.Errorf("core/go.mod is now\n%s", got)
	}
	f.want(0, nil, "check")
}
