package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A whole run tells killed, hung, surviving, equivalent and impossible mutants
// apart, and leaves the tree as it was.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the standard library: run it without -short, as bash .ci/run tools does")
	}
	t.Setenv("GOWORK", "off")
	before, err := os.ReadFile("testdata/counter/counter.go")
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(t.TempDir(), "known.txt")
	text := "# a comment\ncounter.go:Counter.Raise:equality:049e:1 nobody asks\ncounter.go:Gone:swap:0000:1 is gone\n"
	if err := os.WriteFile(known, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	err = run(t.Context(), []string{
		"-dir", "testdata/counter", "-operators", "delete-clearing,delete-incdec,equality,loop-once,always", "-timeout", "3s",
		"-known", known, "-jobs", "2", "-json", "-min", "99",
	}, &stdout, &stderr)
	if !errors.Is(err, errBelow) {
		t.Fatalf("got %v, want %v\n%s", err, errBelow, stderr.String())
	}
	var r report
	if err := json.Unmarshal([]byte(stdout.String()), &r); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{ // by function and operator
		"Counter.Add:delete-clearing": "survived ",
		"Counter.Add:delete-incdec":   "killed timeout",
		"Counter.Raise:equality":      "equivalent ",
		"Counter.Take:loop-once":      "not compiled ",
		"Max:always":                  "killed failure",
	}
	for _, m := range r.Mutants {
		parts := strings.Split(m.ID, ":")
		if verdict, ok := want[parts[1]+":"+parts[2]]; ok && verdict != m.Verdict+" "+m.How {
			t.Errorf("%s: %s %s, want %s", m.ID, m.Verdict, m.How, verdict)
		}
		delete(want, parts[1]+":"+parts[2])
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	if len(r.Stale) != 1 || r.Stale[0] != "counter.go:Gone:swap:0000:1" {
		t.Errorf("stale: %q", r.Stale)
	}
	if after, err := os.ReadFile("testdata/counter/counter.go"); err != nil || string(after) != string(before) {
		t.Errorf("the tree was changed: %v", err)
	}
}

func TestClassify(t *testing.T) {
	failed := errors.New("exit status 2")
	raced := exec.Command("sh", "-c", "exit 66").Run()
	for _, c := range []struct {
		err           error
		late, tooMuch bool
		log, want     string
	}{
		{nil, false, false, "PASS", ""},
		{failed, false, false, "--- FAIL: TestX", "failure"},
		{failed, false, false, "panic: test timed out after 1s", "timeout"},
		{failed, true, false, "", "timeout"},
		{failed, false, true, "", "memory"},
		{failed, false, false, "WARNING: DATA RACE", "race"},
		{raced, false, false, "", "race"},
		{failed, false, false, "fatal error: all goroutines are asleep - deadlock!", "deadlock"},
	} {
		if got := classify(c.err, c.late, c.tooMuch, c.log); got != c.want {
			t.Errorf("%v, %v, %v, %q: got %q, want %q", c.err, c.late, c.tooMuch, c.log, got, c.want)
		}
	}
}

func TestReport(t *testing.T) {
	r := newReport("core", []*mutant{
		{ID: "a.go:F:swap:0:1", File: "a.go", Operator: "swap", Line: 3, Change: "x <-> y", outcome: outcome{Verdict: survived}},
		{File: "a.go", Operator: "swap", outcome: outcome{Verdict: killed, How: "race"}},
		{File: "b.go", Operator: "always", outcome: outcome{Verdict: equivalent}},
		{File: "b.go", Operator: "always", outcome: outcome{Verdict: notCompiled}},
	})
	var out strings.Builder
	if err := r.text(&out); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"a.go:F:swap:0:1 line 3: x <-> y", "swap 2 0 0 0 1 1 50.0 %", "b.go 2 1 1 0 0 0 -", "all 4 1 1 0 1 1 50.0 %", "killed: 1 by race"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestParseDiff(t *testing.T) {
	changed := parseDiff("--- park.go\n+++ park.go\n@@ -1,2 +3,2 @@ func x\n+a\n+b\n@@ -9 +11 @@\n+c\n@@ -20,3 +22,0 @@\n-d\n")
	for n := range 30 {
		want := n == 3 || n == 4 || n == 11 || n == 22 || n == 23
		if changed["park.go"][n] != want {
			t.Errorf("line %d: changed is %v", n, !want)
		}
	}
	m := &mutant{File: "park.go", src: &source{text: []byte("1\n2\n3\n4\n5\n")}, edits: []edit{{from: 2, to: 5}}}
	if !m.touches(changed) {
		t.Error("an edit of the lines 2 and 3 is left out")
	}
	if m.edits[0].to = 3; m.touches(changed) {
		t.Error("an edit of line 2 is taken")
	}
}

func TestReadIDs(t *testing.T) {
	name := filepath.Join(t.TempDir(), "ids.txt")
	if err := os.WriteFile(name, []byte("a.go:F:swap:0:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readIDs(name, true); err == nil {
		t.Error("an equivalent without a reason is accepted")
	}
	if ids, err := readIDs(name, false); err != nil || len(ids) != 1 {
		t.Errorf("%v, %v", ids, err)
	}
}
