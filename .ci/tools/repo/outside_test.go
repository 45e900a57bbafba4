package main

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

func TestOutsideBuildsWhatUsersGet(t *testing.T) {
	f := newFixture(t)
	out := f.want(0, []string{
		"outside: 4 packages of all libraries: built and vetted",
		"outside: core alone: downloaded core@v0.1.0; linked core@v0.1.0",
		"outside: monitor alone: downloaded core@v0.1.0 monitor@v0.1.0; linked core@v0.1.0 monitor@v0.1.0",
		"ok  \tgithub.com/uptutu/goman/core",
		"outside: ok",
	}, "outside", "-tests")
	if strings.Contains(out, "secret") || strings.Contains(out, "docs alone") {
		t.Errorf("internal packages or programs are imported:\n%s", out)
	}
}

// TestOutsideFindsARequirementThatIsTooOld: monitor uses a function that core
// got after its tag. Inside the repository nothing notices.
func TestOutsideFindsARequirementThatIsTooOld(t *testing.T) {
	f := newFixture(t)
	f.tag("core/v0.1.0")
	f.write("core/new.go", "package core\n\n// New is new.\nfunc New() {}\n")
	f.write("monitor/new.go", "package monitor\n\nimport \"github.com/uptutu/goman/core\"\n\nfunc init() { core.New() }\n")
	f.commit()
	f.want(0, nil, "check")
	f.command(".", "go", "vet", "work")
	f.want(1, []string{"undefined: core.New"}, "outside")

	f.replace(".ci/versions.txt", "core                     v0.1.0", "core v0.1.1")
	f.want(0, nil, "fix")
	f.commit()
	f.want(0, []string{"core@v0.1.1"}, "outside")
}

// TestOutsideFindsWhatComesAlong: core must not bring another module with it.
func TestOutsideFindsWhatComesAlong(t *testing.T) {
	f := newFixture(t)
	f.write("core/up.go", "package core\n\nimport _ \"github.com/uptutu/goman/scheduler\"\n")
	f.replace("core/go.mod", "go 1.26.0", "go 1.26.0\n\nrequire github.com/uptutu/goman/scheduler v0.1.0")
	f.want(0, nil, "fix")
	f.commit()
	f.want(1, []string{
		"a program that imports only core contains the package github.com/uptutu/goman/scheduler",
		"a program that imports only core links github.com/uptutu/goman/scheduler@v0.1.0",
		"a user who imports only core downloads github.com/uptutu/goman/scheduler@v0.1.0",
	}, "outside")
}

func TestOutsideReportsTestsThatFailThere(t *testing.T) {
	f := newFixture(t)
	f.write("core/inside_test.go", "package core\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\n"+
		"func TestInside(t *testing.T) {\n\tif _, err := os.Stat(\"../go.work\"); err != nil {\n\t\tt.Fatal(err)\n\t}\n}\n")
	f.commit()
	f.want(0, nil, "outside")
	f.want(1, []string{"--- FAIL: TestInside"}, "outside", "-tests")
}

func TestOutsideWithoutLibraries(t *testing.T) {
	f := newFixture(t)
	f.replace(".ci/versions.txt", "library", "examples")
	f.want(0, []string{"outside: no libraries"}, "outside")
}

func TestMayComeAlong(t *testing.T) {
	repo := &Repo{}
	for _, dir := range []string{"core", "queue", "scheduler", "plugins"} {
		m := &Module{Dir: dir, Version: "v0.1.0"}
		file, err := modfile.Parse("go.mod", []byte("module "+m.Path()+"\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		m.File = file
		repo.Modules = append(repo.Modules, m)
	}
	for _, tt := range []struct {
		dir, path string
		want      bool
	}{
		{"core", Prefix + "/core/flow", true},
		{"core", Prefix + "/queue", false},
		{"core", "example.org/x", false},
		{"queue", "golang.org/x/sys/cpu", true},
		{"queue", "golang.org/x/sys", true},
		{"queue", "golang.org/x/sys/unix", false},
		{"queue", "golang.org/x/text", false},
		{"scheduler", Prefix + "/queue", true},
		{"scheduler", Prefix + "/plugins", false},
		{"scheduler", "example.org/what/go-cron/needs", true},
		{"plugins", "example.org/x", false},
	} {
		m := repo.byPath(Prefix + "/" + tt.dir)
		if got := repo.mayComeAlong(m, tt.path); got != tt.want {
			t.Errorf("%s with %s: %v", tt.path, tt.dir, got)
		}
	}
	queue := repo.byPath(Prefix + "/queue")
	got := repo.unwanted(queue, []string{"golang.org/x/sys/unix"}, nil, []module.Version{{Path: "golang.org/x/sys", Version: "v0.1.0"}})
	if want := []string{"a program that imports only queue contains the package golang.org/x/sys/unix"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestFileURL(t *testing.T) {
	if got := fileURL("/tmp/x"); got != "file:///tmp/x" {
		t.Error(got)
	}
	if got := fileURL("C:/tmp"); got != "file:///C:/tmp" {
		t.Error(got)
	}
}
