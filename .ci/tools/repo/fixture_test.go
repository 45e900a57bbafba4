package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// soundRepo is a repository with nothing wrong: core, a module that imports
// it, a nested conformance suite, and a program.
const soundRepo = `
-- go.work --
go 1.26.0

use (
	./core
	./docs
	./monitor
	./scheduler
	./scheduler/schedulertest
)
-- .ci/versions.txt --
# directory, version, kind
core                     v0.1.0  library
monitor                  v0.1.0  library
scheduler                v0.1.0  library   # comments are allowed here
scheduler/schedulertest  v0.1.0  library
docs                     v0.1.0  examples
-- .ci/tools/go.mod --
module goman.internal/tools

go 1.26.0
-- .gitignore --
/ignored
-- README.md --
# The project

See [the history](CHANGELOG.md#unreleased), [core](core/) and [the web](https://go.dev/x).
-- CHANGELOG.md --
# Changelog

## [Unreleased]
-- core/CHANGELOG.md --
# Changelog

## [0.1.0] - 2026-01-02
-- core/go.mod --
module github.com/uptutu/goman/core

go 1.26.0
-- core/core.go --
// Package core runs tasks.
package core

import "fmt"

// Run runs f.
func Run(f func() int) string { return fmt.Sprint(f()) }
-- core/internal/secret/secret.go --
// Package secret is for core alone.
package secret
-- core/core_test.go --
package core

import "testing"

func TestRun(t *testing.T) {
	if got := Run(func() int { return 1 }); got != "1" {
		t.Fatal(got)
	}
}
-- monitor/CHANGELOG.md --
# Changelog

## [0.1.0] - 2026-01-02
-- monitor/go.mod --
module github.com/uptutu/goman/monitor

go 1.26.0

require github.com/uptutu/goman/core v0.1.0

replace github.com/uptutu/goman/core => ../core
-- monitor/monitor.go --
// Package monitor watches.
package monitor

import "github.com/uptutu/goman/core"

// Watch watches.
func Watch() string { return core.Run(func() int { return 2 }) }
-- scheduler/CHANGELOG.md --
# Changelog

## [0.1.0] - 2026-01-02
-- scheduler/go.mod --
module github.com/uptutu/goman/scheduler

go 1.26.0

require github.com/uptutu/goman/scheduler/schedulertest v0.1.0

require github.com/uptutu/goman/core v0.1.0 // indirect

replace github.com/uptutu/goman/core => ../core

replace github.com/uptutu/goman/scheduler/schedulertest => ./schedulertest
-- scheduler/scheduler.go --
// Package scheduler orders.
package scheduler
-- scheduler/scheduler_test.go --
package scheduler_test

import (
	"testing"

	"github.com/uptutu/goman/scheduler/schedulertest"
)

func TestSuite(t *testing.T) { schedulertest.Run(t) }
-- scheduler/schedulertest/CHANGELOG.md --
# Changelog

## [0.1.0] - 2026-01-02
-- scheduler/schedulertest/go.mod --
module github.com/uptutu/goman/scheduler/schedulertest

go 1.26.0

require github.com/uptutu/goman/core v0.1.0

replace github.com/uptutu/goman/core => ../../core
-- scheduler/schedulertest/suite.go --
// Package schedulertest checks schedulers.
package schedulertest

import (
	"testing"

	"github.com/uptutu/goman/core"
)

// Run runs the suite.
func Run(t *testing.T) { core.Run(func() int { return 3 }) }
-- docs/CHANGELOG.md --
# Changelog

## [0.1.0] - 2026-01-02
-- docs/go.mod --
module github.com/uptutu/goman/docs

go 1.26.0

require github.com/uptutu/goman/monitor v0.1.0

require github.com/uptutu/goman/core v0.1.0 // indirect

replace (
	github.com/uptutu/goman/core => ../core
	github.com/uptutu/goman/monitor => ../monitor
)
-- docs/examples/hello/main.go --
// Hello greets.
package main

import (
	"fmt"

	"github.com/uptutu/goman/monitor"
)

func main() { fmt.Println(monitor.Watch()) }
`

// TestMain gives git a fixed identity and takes away settings of the machine.
func TestMain(m *testing.M) {
	for _, kv := range []string{
		"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org",
		"GOWORK=", "GOFLAGS=",
	} {
		k, v, _ := strings.Cut(kv, "=")
		if err := os.Setenv(k, v); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// fixture is a repository in a temporary directory.
type fixture struct {
	t    *testing.T
	root string
}

// newFixture makes a repository of soundRepo, with one commit.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t, root}
	for _, file := range txtar.Parse([]byte(soundRepo)).Files {
		f.write(file.Name, string(file.Data))
	}
	f.git("init", "--quiet", "--initial-branch=main")
	f.commit()
	return f
}

func (f *fixture) path(name string) string { return filepath.Join(f.root, filepath.FromSlash(name)) }

// write makes or replaces a file.
func (f *fixture) write(name, content string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path(name), []byte(content), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// read returns the content of a file.
func (f *fixture) read(name string) string {
	f.t.Helper()
	data, err := os.ReadFile(f.path(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(data)
}

// replace replaces a text that must occur in the file.
func (f *fixture) replace(name, old, with string) {
	f.t.Helper()
	content := f.read(name)
	if !strings.Contains(content, old) {
		f.t.Fatalf("%s does not contain %q", name, old)
	}
	f.write(name, strings.ReplaceAll(content, old, with))
}

// command runs a program at the root, or in a directory below it.
func (f *fixture) command(dir, name string, args ...string) string {
	f.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = f.path(dir)
	cmd.Env = append(os.Environ(), "GOPROXY=off", "PWD="+cmd.Dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (f *fixture) git(args ...string) string {
	f.t.Helper()
	return f.command(".", "git", args...)
}

// commit commits everything.
func (f *fixture) commit() {
	f.t.Helper()
	f.git("add", "--all")
	f.git("commit", "--quiet", "--allow-empty", "--message", "change")
}

// tag sets tags at HEAD.
func (f *fixture) tag(tags ...string) {
	f.t.Helper()
	for _, name := range tags {
		f.git("tag", name)
	}
}

// repo runs one command line of the program in the fixture and returns its
// exit status and all it wrote.
func (f *fixture) repo(args ...string) (int, string) {
	f.t.Helper()
	var out bytes.Buffer
	code := run(context.Background(), append([]string{"-root", f.root}, args...), &out, &out)
	return code, out.String()
}

// want runs a command line and demands an exit status and texts in the output.
func (f *fixture) want(code int, texts []string, args ...string) string {
	f.t.Helper()
	got, out := f.repo(args...)
	if got != code {
		f.t.Fatalf("repo %s: exit status %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			f.t.Fatalf("repo %s: no %q in\n%s", strings.Join(args, " "), text, out)
		}
	}
	return out
}
