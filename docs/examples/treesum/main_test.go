package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/uptutu/goman/core"
)

// asProgram makes the test binary behave as the program, for tests that send
// it signals.
const asProgram = "TREESUM_TEST_AS"

func TestMain(m *testing.M) {
	switch os.Getenv(asProgram) {
	case "main":
		main()
	case "stuck":
		ctx := interruptible()
		fmt.Println("ready")
		<-ctx.Done()
		fmt.Println("interrupted")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(interrupted)
	}
	goleak.VerifyTestMain(m)
}

// plant makes a tree with the given files; a name that ends in a slash is a
// directory.
func plant(t testing.TB, files map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		full := filepath.Join(root, filepath.FromSlash(name))
		dir := filepath.Dir(full)
		if strings.HasSuffix(name, "/") {
			dir = full
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			continue
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// outcome is what a run of the program leaves behind.
type outcome struct {
	code           int
	stdout, stderr string
}

func start(ctx context.Context, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

// startJSON runs the program with -json and decodes its report.
func startJSON(t *testing.T, args ...string) (report, int) {
	t.Helper()
	out := start(t.Context(), append(args, "-json")...)
	var r report
	if err := json.Unmarshal([]byte(out.stdout), &r); err != nil {
		t.Fatalf("stdout is not JSON: %v\n%s%s", err, out.stdout, out.stderr)
	}
	return r, out.code
}

func TestUsageErrors(t *testing.T) {
	root := plant(t, map[string]string{"file": "x"})
	gone := filepath.Join(root, "gone")
	for _, test := range []struct {
		args []string
		want string // on stderr
	}{
		{[]string{"-workers", "0"}, "treesum: -workers is 0: it must be between 1 and 10000\n"},
		{[]string{"-workers", "-3"}, "treesum: -workers is -3: it must be between 1 and 10000\n"},
		{[]string{"-workers", "10001"}, "treesum: -workers is 10001: it must be between 1 and 10000\n"},
		{[]string{"-workers", "many"}, `treesum: invalid value "many" for flag -workers: parse error (-h shows the options)` + "\n"},
		{[]string{"-wide"}, "treesum: flag provided but not defined: -wide (-h shows the options)\n"},
		{[]string{root}, fmt.Sprintf("treesum: unexpected argument %q: name a directory with -dir\n", root)},
		{[]string{"-dir", gone}, "treesum: -dir " + gone + ": " + syscall.ENOENT.Error() + "\n"},
		{[]string{"-dir", filepath.Join(root, "file")}, "treesum: -dir " + filepath.Join(root, "file") + ": not a directory\n"},
	} {
		got := start(t.Context(), test.args...)
		want := outcome{code: usage, stderr: test.want}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("treesum %v (-want +got):\n%s", test.args, diff)
		}
	}
}

func TestHelpNamesTheMostWorkers(t *testing.T) {
	if !strings.Contains(help, fmt.Sprintf("1 to %d (", core.MaxWorkers)) {
		t.Errorf("an engine may have %d workers; the help says otherwise", core.MaxWorkers)
	}
}

func TestHelpNamesTheCheckAndGoesToStdout(t *testing.T) {
	got := start(t.Context(), "-h")
	if got.code != allRead || got.stderr != "" || got.stdout != help {
		t.Errorf("treesum -h: %+v", got)
	}
	if !strings.Contains(help, "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0r sha256sum -- | sha256sum") {
		t.Error("the help does not say how to check the digest")
	}
}

func TestMissingGoIsExplained(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	got := start(t.Context())
	if got.code != usage || !strings.Contains(got.stderr, "cannot ask go for its sources") || !strings.Contains(got.stderr, "-dir") {
		t.Errorf("treesum without go: %+v", got)
	}
}

func TestDefaultIsTheSourcesOfGo(t *testing.T) {
	dir, err := resolve("")
	if err != nil {
		t.Skipf("no Go tree: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "fmt", "print.go")); err != nil {
		t.Error(err)
	}
}

// TestJSON holds the report for machines to its letter.
func TestJSON(t *testing.T) {
	root := plant(t, map[string]string{
		"README":        "one\ntwo\n",
		"a.txt":         "same\n",
		"b/a.txt":       "same\n",
		"b/c/<&>.txt":   "no newline",
		"b/c/empty.txt": "",
		"d/empty.txt":   "",
		"e/":            "",
	})
	got := start(t.Context(), "-dir", root, "-workers", "2", "-json")
	const want = `{
  "dir": "ROOT",
  "workers": 2,
  "files": 6,
  "directories": 5,
  "bytes": 28,
  "lines": 4,
  "tree_sha256": "TREE",
  "duplicate_files": 1,
  "duplicate_bytes": 5,
  "links": 0,
  "link_rings": [],
  "skipped": 0,
  "errors": [],
  "largest": [
    {
      "path": "b/c/<&>.txt",
      "bytes": 10
    },
    {
      "path": "README",
      "bytes": 8
    },
    {
      "path": "a.txt",
      "bytes": 5
    },
    {
      "path": "b/a.txt",
      "bytes": 5
    },
    {
      "path": "b/c/empty.txt",
      "bytes": 0
    },
    {
      "path": "d/empty.txt",
      "bytes": 0
    }
  ],
  "extensions": {
    "": 1,
    ".txt": 5
  },
  "interrupted": false,
  "undone": 0,
  "undone_names": [],
  "seconds": SECONDS
}
`
	text := regexp.MustCompile(`"seconds": [0-9.e-]+`).ReplaceAllString(got.stdout, `"seconds": SECONDS`)
	text = regexp.MustCompile(`[0-9a-f]{64}`).ReplaceAllString(text, "TREE")
	text = strings.Replace(text, root, "ROOT", 1)
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got.code != allRead {
		t.Errorf("exit code %d, want %d", got.code, allRead)
	}
}

func TestTextNamesEveryNumberAndStdoutHasNoProgress(t *testing.T) {
	root := plant(t, map[string]string{"a": "x\n", "b": "x\n"})
	got := start(t.Context(), "-dir", root, "-workers", "1")
	seconds := regexp.MustCompile(`(?m)^  read in .*$`)
	const want = `ROOT

  files                      2  in 1 directory
  bytes                      4
  lines                      2
  duplicates                 1  wasting 2 bytes
  links                      0  not followed
  errors                     0

  sha256  a5c6d5f8b0f4e8e6

  largest files
                 2  a
                 2  b

  files by extension
                 2  (none)

  read in
`
	text := seconds.ReplaceAllString(got.stdout, "  read in")
	text = regexp.MustCompile(`[0-9a-f]{64}`).ReplaceAllString(text, "a5c6d5f8b0f4e8e6")
	text = strings.Replace(text, root, "ROOT", 1)
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if want := "treesum: reading " + root + " with 1 worker\n"; got.stderr != want {
		t.Errorf("stderr %q, want %q", got.stderr, want)
	}
}

func TestExitCodeTellsOfErrors(t *testing.T) {
	root := plant(t, map[string]string{"a": "x", "deep/b": "y"})
	// A name that is too long for the system makes the only error that root
	// cannot avoid and that needs no accomplice. os.Root goes step by step.
	steps, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer steps.Close()
	far := strings.Repeat(strings.Repeat("d", 250)+"/", 20)
	if err := steps.MkdirAll(far, 0o755); err != nil {
		t.Skipf("no long path here: %v", err)
	}
	if err := steps.WriteFile(far+"file", []byte("far"), 0o644); err != nil {
		t.Skipf("no long path here: %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, far, "file")); err == nil {
		t.Skip("this system has no limit on paths")
	}
	r, code := startJSON(t, "-dir", root)
	if code != withErrors || len(r.Errors) != 1 || r.Files != 2 {
		t.Errorf("exit code %d, %d errors, %d files; want %d, 1, 2: %v", code, len(r.Errors), r.Files, withErrors, r.Errors)
	}
}

// broken is a writer that fails.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestFailureToWriteTheReportIsAnError(t *testing.T) {
	root := plant(t, map[string]string{"a": "x"})
	for _, extra := range [][]string{nil, {"-json"}} {
		var stderr bytes.Buffer
		code := run(t.Context(), append([]string{"-dir", root}, extra...), broken{}, &stderr)
		if code != withErrors || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%v: exit code %d, stderr %q", extra, code, stderr.String())
		}
	}
}

func TestInterruptBeforeTheFirstFile(t *testing.T) {
	root := plant(t, map[string]string{"a": "x"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := start(ctx, "-dir", root, "-compare")
	if got.code != interrupted || !strings.Contains(got.stdout, "INTERRUPTED") || !strings.Contains(got.stdout, "undone                     1") {
		t.Errorf("%+v", got)
	}
}

// trigger is a writer that calls do once it has seen text.
type trigger struct {
	bytes.Buffer
	text string
	do   func()
}

func (w *trigger) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.text) {
		w.do()
	}
	return w.Buffer.Write(p)
}

func TestInterruptDuringTheComparison(t *testing.T) {
	root := plant(t, map[string]string{"a": "x"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stderr := &trigger{text: "a goroutine for each", do: cancel}
	var stdout bytes.Buffer
	code := run(ctx, []string{"-dir", root, "-compare", "-json"}, &stdout, stderr)
	var r report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if code != interrupted || r.Interrupted || r.Files != 1 || len(r.Compare) != 1 {
		t.Errorf("exit code %d, report %+v", code, r)
	}
	if !strings.Contains(stderr.String(), "interrupted before the comparison was finished") {
		t.Errorf("stderr %q", stderr)
	}
}
