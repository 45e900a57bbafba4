package main

import (
	"strings"
	"testing"
)

func TestTagPrintsThenSets(t *testing.T) {
	f := newFixture(t)
	f.want(0, []string{"outside: ok", "tag: would set core/v0.1.0 at ", "tag: would set scheduler/schedulertest/v0.1.0 at "}, "tag")
	if tags := f.git("tag"); tags != "" {
		t.Fatalf("tags were set without -yes: %s", tags)
	}
	f.want(0, []string{"tag: core/v0.1.0 set at ", "git push --atomic origin core/v0.1.0 monitor/v0.1.0 "}, "tag", "-yes")
	if got, want := strings.Fields(f.git("tag")), 5; len(got) != want {
		t.Fatalf("%d tags, want %d: %q", len(got), want, got)
	}
	f.want(0, []string{"tag: every planned version is tagged already"}, "tag", "-yes")

	f.write("scheduler/schedulertest/more.go", "package schedulertest\n")
	f.commit()
	out := f.want(0, []string{"tag: scheduler/schedulertest has changed since scheduler/schedulertest/v0.1.0"}, "tag")
	if strings.Contains(out, "scheduler has changed") {
		t.Errorf("a change of the nested module counts for the one around it:\n%s", out)
	}
}

func TestTagGateStaysClosed(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(f *fixture)
		want  string
	}{
		{"uncommitted changes", func(f *fixture) {
			f.write("core/x.go", "package core\n")
		}, "tag: the work tree has changes that are not committed"},
		{"broken rule", func(f *fixture) {
			f.replace("monitor/go.mod", "core v0.1.0", "core v0.0.9")
			f.commit()
		}, "planned is v0.1.0"},
		{"no section in the changelog", func(f *fixture) {
			f.replace("monitor/CHANGELOG.md", "## [0.1.0] - 2026-01-02", "## [Unreleased]")
			f.commit()
		}, "tag: monitor/CHANGELOG.md has no line '## [0.1.0] - YYYY-MM-DD'"},
		{"no changelog", func(f *fixture) {
			f.git("rm", "--quiet", "core/CHANGELOG.md")
			f.commit()
		}, "CHANGELOG.md"},
		{"incompatible change", func(f *fixture) {
			f.tag("core/v0.1.0")
			f.replace("core/core.go", "func Run(", "func Start(")
			f.replace("monitor/monitor.go", "core.Run(", "core.Start(")
			f.replace("scheduler/schedulertest/suite.go", "core.Run(", "core.Start(")
			f.replace("core/core_test.go", "Run(func", "Start(func")
			f.commit()
		}, "INCOMPATIBLE"},
		{"tests that need the repository", func(f *fixture) {
			f.replace("core/core_test.go", `"1"`, `"2"`)
			f.commit()
		}, "--- FAIL: TestRun"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			tt.spoil(f)
			before := f.git("tag")
			f.want(1, []string{tt.want, "tag: the gate is closed, no tag was set"}, "tag", "-yes")
			if after := f.git("tag"); after != before {
				t.Errorf("tags were set: %s", after)
			}
		})
	}
}
