package main

import (
	"archive/zip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestProxyServesTagsBeforeHead(t *testing.T) {
	f := newFixture(t)
	f.tag("core/v0.1.0")
	f.write("core/new.go", "package core\n")
	f.write("monitor/new.go", "package monitor\n")
	f.commit()
	dir := filepath.Join(t.TempDir(), "proxy")
	f.want(0, []string{
		"proxy: github.com/uptutu/goman/core v0.1.0 from core/v0.1.0",
		"proxy: github.com/uptutu/goman/monitor v0.1.0 from HEAD",
	}, "proxy", dir)

	if names := zipNames(t, dir, "core", "v0.1.0"); slices.Contains(names, "new.go") || !slices.Contains(names, "core.go") {
		t.Errorf("core v0.1.0 is not as tagged: %q", names)
	}
	if names := zipNames(t, dir, "monitor", "v0.1.0"); !slices.Contains(names, "new.go") {
		t.Errorf("monitor v0.1.0 is not as in HEAD: %q", names)
	}
	if names := zipNames(t, dir, "scheduler", "v0.1.0"); slices.Contains(names, "schedulertest/suite.go") {
		t.Errorf("scheduler holds its nested module: %q", names)
	}
}

func TestProxyServesOlderTagsToo(t *testing.T) {
	f := newFixture(t)
	f.tag("core/v0.1.0")
	f.replace(".ci/versions.txt", "core                     v0.1.0", "core v0.2.0")
	f.commit()
	dir := t.TempDir()
	f.want(0, []string{"core v0.1.0 from core/v0.1.0", "core v0.2.0 from HEAD"}, "proxy", dir)
	list, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(Prefix), "core", "@v", "list"))
	if err != nil || string(list) != "v0.1.0\nv0.2.0\n" {
		t.Errorf("list: %q, %v", list, err)
	}
}

func TestProxyNeedsACommitAndAnEmptyDirectory(t *testing.T) {
	f := newFixture(t)
	f.want(1, []string{"is not empty"}, "proxy", f.root)
	if err := os.RemoveAll(f.path(".git")); err != nil {
		t.Fatal(err)
	}
	f.git("init", "--quiet")
	f.want(1, []string{"nothing is committed"}, "proxy", t.TempDir())
}

func TestProxyWarnsOfUncommittedChanges(t *testing.T) {
	f := newFixture(t)
	f.write("core/new.go", "package core\n")
	f.want(0, []string{"warning: the work tree has changes that are not committed"}, "proxy", t.TempDir())
}

func TestProxyNamesTheModuleThatIsNotCommitted(t *testing.T) {
	f := newFixture(t)
	f.git("rm", "--quiet", "--cached", "-r", "monitor")
	f.git("commit", "--quiet", "--message", "without monitor")
	f.want(1, []string{"monitor v0.1.0: ", "monitor/go.mod"}, "proxy", t.TempDir())
}

// zipNames returns the names of the files in a module's archive, without the
// module's path and version.
func zipNames(t *testing.T, dir, mod, version string) []string {
	t.Helper()
	name := filepath.Join(dir, filepath.FromSlash(Prefix), filepath.FromSlash(mod), "@v", version+".zip")
	archive, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	var names []string
	for _, file := range archive.File {
		names = append(names, strings.TrimPrefix(file.Name, Prefix+"/"+mod+"@"+version+"/"))
	}
	return names
}
