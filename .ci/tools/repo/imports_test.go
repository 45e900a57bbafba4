package main

import (
	"testing"
)

// TestImportsFollowTheLayers adds one Go file to a sound repository.
func TestImportsFollowTheLayers(t *testing.T) {
	const goman = Prefix + "/"
	tests := []struct {
		name, file, head, pkg string
		want                  string // "" if the import is allowed
	}{
		{"up", "core/x.go", "", goman + "monitor", "core may not depend on monitor"},
		{"sideways", "monitor/x.go", "", goman + "scheduler", "monitor may not depend on scheduler"},
		{"down", "monitor/x.go", "", goman + "core", ""},
		{"stranger in core", "core/x.go", "", "golang.org/x/sys/cpu", "not among the projects that core may use"},
		{"stranger in a test of core", "core/x_test.go", "", "pgregory.net/rapid", ""},
		{"stranger that is allowed", "monitor/x.go", "", "github.com/HdrHistogram/hdrhistogram-go", ""},
		{"name that only begins like it", "monitor/x.go", "", "github.com/HdrHistogram/hdrhistogram-gonzo", "not among the projects"},
		{"anything in docs", "docs/x/x.go", "", "example.org/x", ""},
		{"own internal package", "core/x.go", "", goman + "core/internal/secret", ""},
		{"foreign internal package", "monitor/x.go", "", goman + "core/internal/secret", "internal to another module"},
		{"foreign internal package in a test", "monitor/x_test.go", "", goman + "core/internal/secret", "internal to another module"},
		{"nested suite in a test", "scheduler/x_test.go", "", goman + "scheduler/schedulertest", ""},
		{"nested suite in code", "scheduler/x.go", "", goman + "scheduler/schedulertest", "scheduler may not depend on scheduler/schedulertest"},
		{"ring", "scheduler/schedulertest/x.go", "", goman + "scheduler", "scheduler/schedulertest may not depend on scheduler"},
		{"up in a test", "core/x_test.go", "", goman + "docs/x", "core may not depend on docs"},
		{"another system", "core/x_windows.go", "", goman + "monitor", "core may not depend on monitor"},
		{"build tag", "core/x.go", "//go:build special\n\n", goman + "monitor", "core may not depend on monitor"},
		{"script", "core/x.go", "// A comment.\n\n//go:build ignore\n\n", "golang.org/x/tools/txtar", ""},
		{"test data", "core/testdata/x.go", "", goman + "monitor", ""},
		{"no such module", "docs/x/x.go", "", goman + "ghost", "no module of this repository"},
		{"C", "core/x.go", "", "C", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.write(tt.file, tt.head+"package x\n\nimport _ \""+tt.pkg+"\"\n")
			if tt.want == "" {
				f.want(0, nil, "check")
				return
			}
			f.want(1, []string{"imports: " + tt.file + ": imports " + tt.pkg + ": ", tt.want, "1 problem(s)"}, "check")
		})
	}
}

func TestImportsNeedAModule(t *testing.T) {
	f := newFixture(t)
	f.write("docs/../main.go", "package main\n")
	f.want(1, []string{"imports: main.go: belongs to no module", "top level: main.go"}, "check")
}

func TestEveryModuleNeedsARow(t *testing.T) {
	f := newFixture(t)
	f.write("novel/go.mod", "module github.com/uptutu/goman/novel\n\ngo 1.26.0\n")
	f.replace("go.work", "./monitor", "./monitor\n\t./novel")
	f.replace(".ci/versions.txt", "docs ", "novel v0.1.0 library\ndocs ")
	f.want(1, []string{"imports: novel has no row in the table of layers"}, "check")
}

// TestLayersPointDown holds the table itself to its own rule: a row may only
// name rows above it.
func TestLayersPointDown(t *testing.T) {
	for i, l := range layers {
		for _, s := range l.siblings {
			above := false
			for _, o := range layers[:i] {
				above = above || matchDir(s, o.dir) || s == o.dir
			}
			if !above {
				t.Errorf("%s names %s, which is not above it", l.dir, s)
			}
		}
	}
}

func TestDriversMayUseTheModuleAroundThem(t *testing.T) {
	row, ok := layerOf("contrib/durable/river")
	if !ok {
		t.Fatal("no row")
	}
	if !row.mayImport("contrib/durable/river", "contrib/durable", false) {
		t.Error("a driver may not use contrib/durable")
	}
	if row.mayImport("contrib/durable", "contrib/durable/river", false) || row.mayImport("contrib/otel", "contrib/durable", false) {
		t.Error("contrib modules may use each other")
	}
}
