package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// readIDs reads a file with an id and a reason on each line. A # begins a
// comment; a missing file has no lines.
func readIDs(name string, reasons bool) (map[string]string, error) {
	ids := make(map[string]string)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && reasons {
		return ids, nil
	}
	if err != nil {
		return nil, err
	}
	scanner := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; scanner.Scan(); n++ {
		line := strings.TrimSpace(scanner.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		id, reason, _ := strings.Cut(line, " ")
		if reason = strings.TrimSpace(reason); reason == "" && reasons {
			return nil, fmt.Errorf("%s:%d: %s has no reason: say why no test can tell it", name, n, id)
		}
		ids[id] = reason
	}
	return ids, scanner.Err()
}

// stale returns the known ids of the given files that no mutant has any more.
// Their code has changed, so the reason has to be found again.
func stale(known map[string]string, made []*mutant, files []*source) []string {
	have := make(map[string]bool)
	for _, m := range made {
		have[m.ID] = true
	}
	var old []string
	for id := range known {
		for _, s := range files {
			if strings.HasPrefix(id, s.name+":") && !have[id] {
				old = append(old, id)
			}
		}
	}
	return old
}

// equivalentsOf returns the file that lists the equivalents of the module in dir:
// .ci/mutants/<module>.txt at the root of the repository.
func equivalentsOf(ctx context.Context, dir string) string {
	out, err := git(ctx, dir, "rev-parse", "--show-toplevel")
	if err != nil {
		return ""
	}
	return filepath.Join(strings.TrimSpace(out), ".ci", "mutants", filepath.Base(dir)+".txt")
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

// lines are the numbers of lines of a file; nil means all of them.
type lines map[int]bool

// changedSince returns the lines that were added or changed since a revision, by
// file relative to dir. A file that git does not know is new as a whole.
func changedSince(ctx context.Context, dir, base string) (map[string]lines, error) {
	diff, err := git(ctx, dir, "diff", "--no-color", "--no-ext-diff", "--no-prefix", "--relative", "-U0", base, "--", "*.go")
	if err != nil {
		return nil, err
	}
	changed := parseDiff(diff)
	untracked, err := git(ctx, dir, "ls-files", "--others", "--exclude-standard", "--", "*.go")
	if err != nil {
		return nil, err
	}
	for name := range strings.Lines(untracked) {
		changed[strings.TrimSpace(name)] = nil
	}
	return changed, nil
}

// parseDiff reads the headers of a diff without context.
func parseDiff(diff string) map[string]lines {
	changed := make(map[string]lines)
	name := ""
	for line := range strings.Lines(diff) {
		if after, ok := strings.CutPrefix(line, "+++ "); ok {
			name = strings.TrimSpace(after)
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != "@@" {
			continue
		}
		begin, count, found := strings.Cut(strings.TrimPrefix(fields[2], "+"), ",")
		from, err := strconv.Atoi(begin)
		if err != nil {
			continue
		}
		n := 1
		if found {
			if n, err = strconv.Atoi(count); err != nil {
				continue
			}
		}
		if changed[name] == nil {
			changed[name] = make(lines)
		}
		// Where lines were only deleted there is nothing new, but the lines around
		// the gap are neighbours now.
		if n == 0 {
			changed[name][from], changed[name][from+1] = true, true
		}
		for i := range n {
			changed[name][from+i] = true
		}
	}
	return changed
}

// touches reports whether one of the mutant's edits lies on changed lines.
func (m *mutant) touches(changed map[string]lines) bool {
	on, ok := changed[m.File]
	if !ok || on == nil {
		return ok
	}
	for _, e := range m.edits {
		first := 1 + bytes.Count(m.src.text[:e.from], []byte("\n"))
		for n := range 1 + bytes.Count(m.src.text[e.from:e.to], []byte("\n")) {
			if on[first+n] {
				return true
			}
		}
	}
	return false
}
