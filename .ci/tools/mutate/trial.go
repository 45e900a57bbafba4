package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The verdicts on a mutant. How says by what a killed one was told.
const (
	notCompiled = "not compiled"
	killed      = "killed"
	survived    = "survived"
	equivalent  = "equivalent" // listed as such, not run
	skipped     = "skipped"
	untried     = "untried" // left out by -sample, or the run was stopped
)

// outcome is what became of a mutant.
type outcome struct {
	Verdict string  `json:"verdict"`
	How     string  `json:"how,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	Reason  string  `json:"reason,omitempty"` // why it is equivalent
}

// trial is how mutants are built and run.
type trial struct {
	run     string        // the tests
	tags    string        // they are built with
	race    bool          // under the race detector
	short   bool          // with -test.short
	timeout time.Duration // for the tests of one mutant
	memory  int64         // bytes a test binary may use: a mutant may allocate for ever
	temp    string
	cache   *cache
}

// grace is how long a test binary may take, after its own time limit, to say so.
const grace = 10 * time.Second

// raceExit is the status of a program that the race detector ended.
const raceExit = 66

// flags are those with which the code is built.
func (t *trial) flags() (flags []string) {
	if t.tags != "" {
		flags = append(flags, "-tags="+t.tags)
	}
	if t.race {
		flags = append(flags, "-race")
	}
	return flags
}

// try builds the tests of p with the mutant, or without if m is nil, and runs them.
func (t *trial) try(ctx context.Context, p *pkg, m *mutant) (outcome, string, error) {
	dir, err := os.MkdirTemp(t.temp, "mutant")
	if err != nil {
		return outcome{}, "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	began := time.Now()
	binary := filepath.Join(dir, "mutant.test")
	built, log, err := t.build(ctx, p, m, dir, binary)
	if err != nil || !built {
		return outcome{Verdict: notCompiled}, log, err
	}
	how, log, err := t.exec(ctx, p, binary)
	o := outcome{Verdict: survived, How: how, Seconds: time.Since(began).Seconds()}
	if how != "" {
		o.Verdict = killed
	}
	return o, log, err
}

// build compiles the tests once, with the mutated file laid over the real one.
// The tree is never touched.
func (t *trial) build(ctx context.Context, p *pkg, m *mutant, dir, binary string) (bool, string, error) {
	args := append([]string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", binary}, t.flags()...)
	if m != nil {
		file := filepath.Join(dir, "mutant.go")
		overlay, err := json.Marshal(map[string]map[string]string{"Replace": {m.src.path: file}})
		if err != nil {
			return false, "", err
		}
		list := filepath.Join(dir, "overlay.json")
		if err := errors.Join(os.WriteFile(file, m.apply(), 0o600), os.WriteFile(list, overlay, 0o600)); err != nil {
			return false, "", err
		}
		args = append(args, "-overlay", list)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, p.path)...)
	cmd.Dir = p.dir
	out, failed, err := t.cache.build(cmd)
	if ctx.Err() != nil {
		return false, "", ctx.Err()
	}
	return failed == nil, string(out), err
}

// exec runs the test binary and returns what told the mutant, or nothing.
func (t *trial) exec(ctx context.Context, p *pkg, binary string) (how, log string, err error) {
	limited, cancel := context.WithTimeout(ctx, t.timeout+grace)
	defer cancel()
	cmd := exec.CommandContext(limited, binary, "-test.failfast", "-test.timeout="+t.timeout.String(),
		"-test.short="+strconv.FormatBool(t.short), "-test.run="+t.run)
	cmd.Dir = p.dir
	// A test's children may keep the output open after the test was killed.
	cmd.WaitDelay = time.Second
	cmd.Env = append(os.Environ(), "GORACE="+os.Getenv("GORACE")+" halt_on_error=1 exitcode="+strconv.Itoa(raceExit))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", "", err
	}
	greedy := watchMemory(limited, cmd.Process, t.memory)
	err = cmd.Wait()
	tooMuch := greedy()
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	return classify(err, limited.Err() != nil, tooMuch, out.String()), out.String(), nil
}

// classify names what ended the tests: nothing, a failure, a race, a timeout, all
// goroutines asleep, or too much memory.
func classify(err error, late, tooMuch bool, log string) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return ""
	case tooMuch:
		return "memory"
	case late, strings.Contains(log, "panic: test timed out after"):
		return "timeout"
	case errors.As(err, &exit) && exit.ExitCode() == raceExit, strings.Contains(log, "WARNING: DATA RACE"):
		return "race"
	case strings.Contains(log, "all goroutines are asleep"), strings.Contains(log, "deadlock: "):
		return "deadlock"
	}
	return "failure"
}

// watchMemory kills a process that has come to use more than limit bytes, where
// the system tells. The function that it returns ends the watch and reports
// whether that happened.
func watchMemory(ctx context.Context, process *os.Process, limit int64) (stop func() bool) {
	ctx, cancel := context.WithCancel(ctx)
	result := make(chan bool, 1)
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				result <- false
				return
			case <-tick.C:
			}
			if limit > 0 && resident(process.Pid) > limit {
				_ = process.Kill()
				result <- true
				return
			}
		}
	}()
	return func() bool { cancel(); return <-result }
}

// resident returns the bytes of memory a process has, or 0 if that is not known.
func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
