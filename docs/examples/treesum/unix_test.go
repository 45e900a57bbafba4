//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestOtherKindsAreNeverOpened has a pipe without a writer, whose opening would
// wait for ever, a socket, and a device.
func TestOtherKindsAreNeverOpened(t *testing.T) {
	root := plant(t, map[string]string{"file": "x"})
	if err := syscall.Mkfifo(filepath.Join(root, "pipe"), 0o644); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	t.Chdir(root) // the name of a socket must be short
	socket, err := net.Listen("unix", "socket")
	if err != nil {
		t.Skipf("no sockets here: %v", err)
	}
	defer socket.Close()
	want := 2
	if err := syscall.Mknod(filepath.Join(root, "device"), syscall.S_IFCHR|0o644, 1<<8|3); err == nil {
		want++
	}
	var mu sync.Mutex
	opened := []string{}
	tree := hostile{disk(root), func(path string) error {
		mu.Lock()
		defer mu.Unlock()
		opened = append(opened, path)
		return nil
	}, nil}
	sum, err := newWalk(tree).sum(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"", "file"}, opened); diff != "" {
		t.Errorf("opened (-want +got):\n%s", diff)
	}
	if sum.skipped != want || len(sum.errors) != 0 {
		t.Errorf("%d skipped, want %d; errors %v", sum.skipped, want, sum.errors)
	}
	agreesWithShell(t, root)
}

// TestSwappedFile swaps a file that was listed for something that must not be
// opened or followed.
func TestSwappedFile(t *testing.T) {
	for name, test := range map[string]struct {
		swap func(name string) error
		want string
	}{
		"pipe": {func(name string) error { return syscall.Mkfifo(name, 0o644) }, "is no longer a regular file"},
		"link": {func(name string) error { return os.Symlink("/etc/passwd", name) }, "open: " + syscall.ELOOP.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			root := plant(t, map[string]string{"x": "1"})
			tree := hostile{disk(root), at("x", func() error {
				return errors.Join(os.Remove(filepath.Join(root, "x")), test.swap(filepath.Join(root, "x")))
			}), nil}
			sum, err := newWalk(tree).sum(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]problem{{"x", test.want}}, sum.errors); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnreadableForOthersThanRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	root := plant(t, map[string]string{"a": "1", "b/c": "2"})
	for _, name := range []string{"a", "b"} {
		if err := os.Chmod(filepath.Join(root, name), 0); err != nil {
			t.Fatal(err)
		}
	}
	defer func() { _ = os.Chmod(filepath.Join(root, "b"), 0o755) }()
	r, code := startJSON(t, "-dir", root)
	want := []problem{{"a", "open: permission denied"}, {"b", "open: permission denied"}}
	if diff := cmp.Diff(want, r.Errors); diff != "" || code != withErrors {
		t.Errorf("exit code %d, errors (-want +got):\n%s", code, diff)
	}
}

// program starts the test binary in another role.
func program(t *testing.T, role string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Skipf("cannot start this test again: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asProgram+"="+role)
	return cmd
}

// TestCtrlC interrupts the program while it reads a file without end, as good
// as: 1 TiB that takes no room.
func TestCtrlC(t *testing.T) {
	root := plant(t, map[string]string{"a": "x\n", "endless": ""})
	if err := os.Truncate(filepath.Join(root, "endless"), 1<<40); err != nil {
		t.Skipf("no sparse files here: %v", err)
	}
	cmd := program(t, "main", "-dir", root, "-json", "-workers", "2")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for range 2 { // the second line comes after a second of reading
		if !lines.Scan() {
			t.Fatal("the program ended by itself")
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, stderr)
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != interrupted {
		t.Errorf("ended with %v, want exit code %d", err, interrupted)
	}
	var r report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v:\n%s", err, stdout.String())
	}
	if diff := cmp.Diff([]string{"endless"}, r.UndoneNames); diff != "" || !r.Interrupted || r.Undone != 1 || r.Files != 1 || r.Lines != 1 {
		t.Errorf("report %+v", r)
	}
}

// TestTerminal gives the program a terminal of 80 columns and 24 rows.
func TestTerminal(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skipf("the script command of %s is another one", runtime.GOOS)
	}
	for _, tool := range []string{"script", "stty"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s on this machine", tool)
		}
	}
	root := plant(t, map[string]string{"a": "x\n", "b/c": "y\n"})
	self := program(t, "main")
	cmd := exec.CommandContext(t.Context(), "script", "-qec", `stty cols 80 rows 24; exec "$TREESUM" -dir "$TREE"`, "/dev/null")
	cmd.Env = append(self.Env, "TREESUM="+self.Path, "TREE="+root)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"[======================================] 100% 2 files, 0.0 MiB\r\n", "read in"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%q", want, out)
		}
	}
}

func TestSecondCtrlCKills(t *testing.T) {
	cmd := program(t, "stuck")
	stdin, err := cmd.StdinPipe() // as long as it is open the program is stuck
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for _, want := range []string{"ready", "interrupted"} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("the program says %q, want %q", lines.Text(), want)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
	}
	// The second one may come before the program has let go of the signal.
	died := make(chan error, 1)
	go func() { died <- cmd.Wait() }()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case err := <-died:
			exit, ok := errors.AsType[*exec.ExitError](err)
			if status, isUnix := exit.Sys().(syscall.WaitStatus); !ok || !isUnix || !status.Signaled() || status.Signal() != syscall.SIGINT {
				t.Errorf("ended with %v, want to be killed", err)
			}
			return
		case <-again.C:
			_ = cmd.Process.Signal(os.Interrupt)
		}
	}
}
