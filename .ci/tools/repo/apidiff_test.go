package main

import (
	"strings"
	"testing"
)

func TestSmallestVersion(t *testing.T) {
	for _, tt := range []struct {
		last                  string
		changed, incompatible bool
		want                  string
	}{
		{"v0.1.2", false, false, "v0.1.2"},
		{"v0.1.2", true, false, "v0.1.3"},
		{"v0.1.2", true, true, "v0.2.0"},
		{"v1.4.2", false, false, "v1.4.2"},
		{"v1.4.2", true, false, "v1.5.0"},
		{"v1.4.2", true, true, "v2.0.0"},
		{"v2.0.0", true, true, "v3.0.0"},
	} {
		if got := smallestVersion(tt.last, tt.changed, tt.incompatible); got != tt.want {
			t.Errorf("%+v: got %s", tt, got)
		}
	}
}

func TestAPIDiffWithoutTags(t *testing.T) {
	f := newFixture(t)
	f.tag("core/v0.1.0-rc.1")
	out := f.want(0, []string{"apidiff: core: no tag yet", "apidiff: monitor: no tag yet"}, "apidiff")
	if strings.Contains(out, "docs") {
		t.Errorf("programs have no API:\n%s", out)
	}
}

func TestAPIDiffWantsANewMinorVersionForBreakingChanges(t *testing.T) {
	f := newFixture(t)
	f.tag("core/v0.1.0", "monitor/v0.1.0")
	f.want(0, []string{"apidiff: core: 0 change(s) since v0.1.0, 0 incompatible; planned v0.1.0, smallest legal version v0.1.0"}, "apidiff")

	f.write("core/more.go", "package core\n\n// More is more.\nfunc More() {}\n")
	f.want(0, []string{"apidiff: core: compatible: ", "More: added", "smallest legal version v0.1.1"}, "apidiff")

	f.replace("core/core.go", "func Run(f func() int) string", "func Run(f func() int64) string")
	f.replace("monitor/monitor.go", "func() int ", "func() int64 ")
	f.want(1, []string{"apidiff: core: INCOMPATIBLE: ", "Run: changed from", "smallest legal version v0.2.0"}, "apidiff")
	f.replace(".ci/versions.txt", "core                     v0.1.0", "core v0.1.9")
	f.want(1, nil, "apidiff")
	f.replace(".ci/versions.txt", "core v0.1.9", "core v0.2.0")
	f.want(0, []string{"INCOMPATIBLE"}, "apidiff")
}

// TestAPIDiffLeavesInternalPackagesOut: only what users can import counts.
func TestAPIDiffLeavesInternalPackagesOut(t *testing.T) {
	f := newFixture(t)
	f.write("core/internal/secret/secret.go", "package secret\n\nfunc Hush() {}\n")
	f.commit()
	f.tag("core/v0.1.0")
	f.write("core/internal/secret/secret.go", "package secret\n")
	f.want(0, []string{"apidiff: core: 0 change(s)"}, "apidiff")
}

func TestAPIDiffNeedsCodeThatBuilds(t *testing.T) {
	f := newFixture(t)
	f.tag("core/v0.1.0")
	f.write("core/broken.go", "package core\n\nvar x int = \"\"\n")
	f.want(1, []string{"repo: core: ", "broken.go"}, "apidiff")
}
