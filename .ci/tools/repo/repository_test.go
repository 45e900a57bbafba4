package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseVersionsReportsEveryFault(t *testing.T) {
	_, err := parseVersions([]byte(strings.Join([]string{
		"core v0.1.0 library",
		"core v0.2.0 library",
		"../x v0.1.0 library",
		". v0.1.0 library",
		"/abs v0.1.0 library",
		"a/ v0.1.0 library",
		"queue 0.1.0 library",
		"queue v0.1 library",
		"queue v0.1.0 toy",
		"queue v0.1.0",
	}, "\n")))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		":2: core is listed twice", ":3: ", ":4: ", ":5: ", ":6: \"a/\"",
		":7: queue: \"0.1.0\"", ":8: queue: \"v0.1\"", ":9: queue: kind \"toy\"", ":10: want 'directory version kind'",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), ":1: ") {
		t.Errorf("the good line is reported:\n%v", err)
	}
	if _, err := parseVersions([]byte("# nothing\n")); err == nil {
		t.Error("an empty list is accepted")
	}
}

func TestLoadNamesWhatIsMissing(t *testing.T) {
	for _, name := range []string{"go.work", versionsFile, "core/go.mod"} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			if err := os.Remove(f.path(name)); err != nil {
				t.Fatal(err)
			}
			f.want(1, []string{filepath.Base(name)}, "check")
		})
	}
	for name, content := range map[string]string{"go.work": "use (", "core/go.mod": "go 1.26.0\n", versionsFile: "x\n"} {
		t.Run("broken "+name, func(t *testing.T) {
			f := newFixture(t)
			f.write(name, content)
			f.want(1, []string{filepath.Base(name)}, "check")
		})
	}
}

func TestRootIsFoundUpwards(t *testing.T) {
	f := newFixture(t)
	t.Chdir(f.path("core/internal/secret"))
	var out bytes.Buffer
	if code := run(context.Background(), []string{"check"}, &out, &out); code != 0 {
		t.Fatalf("exit status %d\n%s", code, &out)
	}
	t.Chdir(t.TempDir())
	out.Reset()
	if code := run(context.Background(), []string{"check"}, &out, &out); code != 1 || !strings.Contains(out.String(), "no go.work in") {
		t.Fatalf("exit status %d\n%s", code, &out)
	}
}

func TestWrongUsageExitsWithTwo(t *testing.T) {
	f := newFixture(t)
	for _, args := range [][]string{
		nil, {"frobnicate"}, {"-x"}, {"-help"},
		{"check", "argument"}, {"check", "-x"}, {"fix", "argument"}, {"proxy"}, {"proxy", "a", "b"},
		{"outside", "-x"}, {"apidiff", "argument"}, {"tag", "argument"},
	} {
		if code, out := f.repo(args...); code != 2 || out == "" {
			t.Errorf("%q: exit status %d, want 2\n%s", args, code, out)
		}
	}
}

func TestModulePathsAndTags(t *testing.T) {
	for _, tt := range []struct{ dir, version, path, tag string }{
		{"core", "v0.1.0", Prefix + "/core", "core/v0.1.0"},
		{"core", "v1.4.0", Prefix + "/core", "core/v1.4.0"},
		{"contrib/otel", "v2.0.1", Prefix + "/contrib/otel/v2", "contrib/otel/v2.0.1"},
	} {
		m := &Module{Dir: tt.dir, Version: tt.version}
		if m.Path() != tt.path || m.Tag() != tt.tag {
			t.Errorf("%s %s: %s, %s", tt.dir, tt.version, m.Path(), m.Tag())
		}
	}
}
