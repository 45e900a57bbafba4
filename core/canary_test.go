package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A check that finds nothing proves nothing. Each patch in testdata/canaries plants
// one mistake and names the scenario that has to find it within a minute. GOMAN_CANARIES
// is all, or how many of them are tried, at even distances in the list.
func TestCanaries(t *testing.T) {
	asked := os.Getenv("GOMAN_CANARIES")
	if testing.Short() || asked == "" {
		t.Skip("it compiles core many times: GOMAN_CANARIES=all go test -run TestCanaries -v -timeout 30m ./core")
	}
	patches, err := filepath.Glob(filepath.Join("testdata", "canaries", "*.patch"))
	if err != nil || len(patches) < 15 {
		t.Fatalf("%d patches, %v", len(patches), err)
	}
	count, err := strconv.Atoi(asked)
	if asked == "all" {
		count, err = len(patches), nil
	}
	if err != nil || count < 1 || count > len(patches) {
		t.Fatalf("GOMAN_CANARIES=%s: must be all, or a number from 1 to %d", asked, len(patches))
	}
	for i := range count {
		patch := patches[i*len(patches)/count]
		t.Run(strings.TrimSuffix(filepath.Base(patch), ".patch"), func(t *testing.T) {
			text, err := os.ReadFile(patch)
			if err != nil {
				t.Fatal(err)
			}
			named := regexp.MustCompile(`\AMistake: (.+)\nScenario: (Test(?:Schedule|Model)_\w+)\n`).FindStringSubmatch(string(text))
			if named == nil {
				t.Fatal("its first two lines do not name the mistake and the scenario")
			}
			began := time.Now()
			binary := plant(t, string(text))
			built := time.Since(began)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			began = time.Now()
			run := exec.CommandContext(ctx, binary, "-test.run", "^"+named[2]+"$", "-test.v",
				"-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=0s")
			run.Env = append(os.Environ(), "GOMAN_MODEL=20000")
			out, err := run.CombinedOutput()
			var exit *exec.ExitError
			switch {
			case ctx.Err() != nil:
				t.Errorf("%s ran for a minute and found nothing", named[2])
			case !errors.As(err, &exit):
				t.Errorf("%s: %v: not found\n%s", named[2], err, out)
			case !strings.Contains(string(out), "=== RUN   "+named[2]):
				t.Errorf("%s was not run\n%s", named[2], out)
			default:
				t.Logf("found by %s in %.1f s, after %.0f s to build it", named[2], time.Since(began).Seconds(), built.Seconds())
				t.Logf("%s", firstFailure(string(out)))
			}
		})
	}
}

// firstFailure is the line that follows the first mention of a failing schedule.
func firstFailure(out string) string {
	for _, mark := range []string{"in schedule ", "never came out", "[rapid] failed after", "panic:"} {
		if _, after, found := strings.Cut(out, mark); found {
			lines := strings.SplitN(after, "\n", 3)
			return mark + strings.Join(lines[:min(2, len(lines))], " ")
		}
	}
	return "it failed"
}

// plant builds the tests of this package with the points, and with patch in it.
func plant(t *testing.T, patch string) (binary string) {
	t.Helper()
	temp := t.TempDir()
	overlay := struct{ Replace map[string]string }{make(map[string]string)}
	for name, text := range patched(t, patch) {
		real, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		changed := filepath.Join(temp, name)
		if err := os.MkdirAll(filepath.Dir(changed), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[real] = changed
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(temp, "overlay.json")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(temp, "canary.test.exe")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-tags", "goman_points", "-overlay", file, "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("it does not compile: %v\n%s", err, out)
	}
	return binary
}

// patched applies a unified diff to files of this directory and returns what they
// become. Where a hunk stands is not looked at, but its lines must be there, once.
func patched(t *testing.T, patch string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	for _, part := range strings.Split(patch, "\n--- a/core/")[1:] {
		head, hunks, _ := strings.Cut(part, "\n@@ ")
		name, _, _ := strings.Cut(head, "\n")
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
		for _, hunk := range strings.Split(hunks, "\n@@ ") {
			before, after := sides(hunk)
			if n := strings.Count(files[name], before); n != 1 {
				t.Fatal(fmt.Errorf("it no longer applies to %s: found %d times:\n%s", name, n, before))
			}
			files[name] = strings.Replace(files[name], before, after, 1)
		}
	}
	if len(files) == 0 {
		t.Fatal("it changes nothing")
	}
	return files
}

// sides returns what a hunk takes away and what it puts there.
func sides(hunk string) (before, after string) {
	var old, changed strings.Builder
	for _, line := range strings.Split(strings.TrimSuffix(hunk, "\n"), "\n")[1:] {
		switch {
		case strings.HasPrefix(line, "-"):
			old.WriteString(line[1:] + "\n")
		case strings.HasPrefix(line, "+"):
			changed.WriteString(line[1:] + "\n")
		default:
			line = strings.TrimPrefix(line, " ")
			old.WriteString(line + "\n")
			changed.WriteString(line + "\n")
		}
	}
	return old.String(), changed.String()
}
