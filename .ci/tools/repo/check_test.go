package main

import (
	"os"
	"strings"
	"testing"
)

func TestCheckAcceptsASoundRepository(t *testing.T) {
	f := newFixture(t)
	f.write("ignored/x.txt", "ignored files may lie anywhere")
	f.write("core/testdata/go.mod", "module example.org/testdata\n")
	f.want(0, []string{"check: 5 modules", "ok\n"}, "check")
	f.command(".", "go", "build", "work")
}

// TestCheckReportsEachBrokenRule breaks one rule at a time in a sound
// repository: exactly one line must come out, and say what was broken.
func TestCheckReportsEachBrokenRule(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(f *fixture)
		want  string
	}{
		{"sibling version", func(f *fixture) {
			f.replace("monitor/go.mod", "core v0.1.0", "core v0.0.9")
		}, "requirements: monitor/go.mod: requires github.com/uptutu/goman/core v0.0.9, planned is v0.1.0"},
		{"unknown sibling", func(f *fixture) {
			f.replace("core/go.mod", "go 1.26.0", "go 1.26.0\n\nrequire github.com/uptutu/goman/ghost v0.1.0")
		}, "requirements: core/go.mod: requires github.com/uptutu/goman/ghost, which .ci/versions.txt does not list"},
		{"replacement missing in the closure", func(f *fixture) {
			f.replace("docs/go.mod", "\tgithub.com/uptutu/goman/core => ../core\n", "")
		}, "replacements: docs/go.mod: no replacement of github.com/uptutu/goman/core by ../core"},
		{"replacement by another directory", func(f *fixture) {
			f.replace("monitor/go.mod", "=> ../core", "=> ../scheduler")
		}, "replacements: monitor/go.mod: github.com/uptutu/goman/core must be replaced, at all versions, by ../core"},
		{"replacement of one version", func(f *fixture) {
			f.replace("monitor/go.mod", "core => ../core", "core v0.1.0 => ../core")
		}, "must be replaced, at all versions, by ../core"},
		{"replacement of a stranger", func(f *fixture) {
			f.replace("core/go.mod", "go 1.26.0", "go 1.26.0\n\nreplace example.org/x => ../x")
		}, "replacements: core/go.mod: replaces example.org/x, which is no sibling that it needs"},
		{"replacement in a program", func(f *fixture) {
			f.replace(".ci/versions.txt", "docs                     v0.1.0  examples", "docs v0.1.0 program")
			f.replace("docs/go.mod", "\tgithub.com/uptutu/goman/core => ../core\n", "")
		}, "replacements: docs/go.mod: replaces github.com/uptutu/goman/monitor, so 'go install' would refuse its programs"},
		{"go line", func(f *fixture) {
			f.replace("core/go.mod", "go 1.26.0", "go 1.25.0")
		}, "go lines: core/go.mod: go 1.25.0, but go.work says go 1.26.0"},
		{"go line missing", func(f *fixture) {
			f.replace("core/go.mod", "\ngo 1.26.0\n", "")
		}, "go lines: core/go.mod: go line missing, but go.work says go 1.26.0"},
		{"go line of the tools", func(f *fixture) {
			f.replace(".ci/tools/go.mod", "go 1.26.0", "go 1.26.1")
		}, "go lines: .ci/tools/go.mod: go 1.26.1, but go.work says go 1.26.0"},
		{"toolchain line", func(f *fixture) {
			f.replace("core/go.mod", "go 1.26.0", "go 1.26.0\n\ntoolchain go1.26.3")
		}, "go lines: core/go.mod: a toolchain line forces a version on users"},
		{"not in go.work", func(f *fixture) {
			f.replace("go.work", "\t./monitor\n", "")
		}, "modules: monitor is not used by go.work"},
		{"only in go.work", func(f *fixture) {
			f.replace("go.work", "\t./monitor\n", "\t./monitor\n\t./plugins\n")
		}, "modules: go.work uses plugins, which .ci/versions.txt does not list"},
		{"module not listed", func(f *fixture) {
			f.write("core/sub/go.mod", "module github.com/uptutu/goman/core/sub\n\ngo 1.26.0\n")
		}, "modules: core/sub/go.mod: .ci/versions.txt does not list this module"},
		{"module path", func(f *fixture) {
			f.replace("core/go.mod", "goman/core", "goman/kern")
		}, "modules: core/go.mod: the module is called github.com/uptutu/goman/kern, not github.com/uptutu/goman/core"},
		{"version older than a tag", func(f *fixture) {
			f.tag("core/v0.2.0", "core/v0.2.0x", "core/vague")
		}, "versions: core: planned v0.1.0 is older than the tag core/v0.2.0"},
		{"stray directory", func(f *fixture) {
			f.write("util/util.txt", "")
			f.write("util/more.txt", "")
		}, "top level: util has no place at the top level"},
		{"dead link", func(f *fixture) {
			f.write("docs/guide.md", "[x](../core/nothing.go)\n")
		}, "links: docs/guide.md: link to ../core/nothing.go: no such file"},
		{"dead heading", func(f *fixture) {
			f.write("docs/guide.md", "[x](../CHANGELOG.md#gone)\n")
		}, "links: docs/guide.md: link to ../CHANGELOG.md#gone: no such heading"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			tt.spoil(f)
			out := f.want(1, []string{tt.want, "check: 1 problem(s)"}, "check")
			if n := strings.Count(out, "\n"); n != 2 {
				t.Errorf("%d lines, want the problem and the sum:\n%s", n, out)
			}
		})
	}
}

func TestCheckReportsAllProblemsAtOnce(t *testing.T) {
	f := newFixture(t)
	f.replace("core/go.mod", "go 1.26.0", "go 1.25.0")
	f.replace("monitor/go.mod", "core v0.1.0", "core v0.0.9")
	f.write("stray", "")
	f.want(1, []string{"go lines:", "requirements:", "top level:", "check: 3 problem(s)"}, "check")
}

func TestCheckLeavesDeletedFilesOut(t *testing.T) {
	f := newFixture(t)
	f.write("core/gone.md", "[x](nothing)\n")
	f.commit()
	if err := os.Remove(f.path("core/gone.md")); err != nil {
		t.Fatal(err)
	}
	f.want(0, nil, "check")
}

func TestCheckNeedsGit(t *testing.T) {
	f := newFixture(t)
	if err := os.RemoveAll(f.path(".git")); err != nil {
		t.Fatal(err)
	}
	f.want(1, []string{"git ls-files"}, "check")
}

func TestCheckNeedsFilesThatParse(t *testing.T) {
	for name, content := range map[string]string{
		"core/broken.go":   "package",
		".ci/tools/go.mod": "modul x",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.write(name, content)
			f.want(1, []string{"repo: "}, "check")
		})
	}
}
