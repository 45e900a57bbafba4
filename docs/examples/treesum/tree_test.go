package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// another is the report by another route: one file after the other, read line
// by line, and the digest from a text like the one sha256sum prints.
func another(t testing.TB, root string) report {
	t.Helper()
	r := report{LinkRings: []string{}, Errors: []problem{}, Largest: []sized{}, UndoneNames: []string{}, Extensions: map[string]int{}}
	sums := map[string]string{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			r.Directories++
			return nil
		case entry.Type() == fs.ModeSymlink:
			r.Links++
			return nil
		case entry.Type() != 0:
			r.Skipped++
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		var size int64
		hash := sha256.New()
		for in := bufio.NewReader(io.TeeReader(f, hash)); ; {
			line, err := in.ReadBytes('\n')
			size += int64(len(line))
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			r.Lines++
		}
		r.Files++
		r.Bytes += size
		r.Extensions[filepath.Ext(entry.Name())]++
		r.Largest = append(r.Largest, sized{filepath.ToSlash(rel), size})
		sums[filepath.ToSlash(rel)] = hex.EncodeToString(hash.Sum(nil))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	var paths []string
	for p := range sums {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	sort.Slice(r.Largest, func(i, j int) bool {
		a, b := r.Largest[i], r.Largest[j]
		return a.Bytes > b.Bytes || a.Bytes == b.Bytes && a.Path < b.Path
	})
	size := map[string]int64{}
	for _, f := range r.Largest {
		size[f.Path] = f.Bytes
	}
	r.Largest = r.Largest[:min(10, len(r.Largest))]
	var lines strings.Builder
	seen := map[string]int{}
	for _, p := range paths {
		lines.WriteString(sums[p] + "  " + p + "\n")
		seen[sums[p]]++
		if size[p] > 0 && seen[sums[p]] > 1 {
			r.DuplicateFiles++
			r.DuplicateBytes += size[p]
		}
	}
	r.TreeSHA256 = fmt.Sprintf("%x", sha256.Sum256([]byte(lines.String())))
	return r
}

// incidental is what may differ between reports of the same tree.
var incidental = cmpopts.IgnoreFields(report{}, "Dir", "Workers", "Seconds", "Compare")

func goSources(t testing.TB) string {
	t.Helper()
	dir, err := resolve("")
	if err != nil {
		t.Skipf("no Go tree: %v", err)
	}
	return dir
}

func TestAgreesWithAnotherRouteOnTheSourcesOfGo(t *testing.T) {
	root := goSources(t)
	want := another(t, root)
	if want.Files < 1000 {
		t.Fatalf("only %d files below %s", want.Files, root)
	}
	for _, workers := range []int{1, 2, 64} {
		got, code := startJSON(t, "-dir", root, "-workers", strconv.Itoa(workers))
		if diff := cmp.Diff(want, got, incidental); diff != "" || code != allRead {
			t.Errorf("%d workers: exit code %d (-want +got):\n%s", workers, code, diff)
		}
	}
}

// shell is the report by find, wc and sha256sum.
func shell(t testing.TB, root string) (files int, bytes, lines int64, digest string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skipf("the find and sort of %s may lack options that this check needs", runtime.GOOS)
	}
	for _, tool := range []string{"sh", "find", "sort", "xargs", "sha256sum", "wc", "cat", "tr"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s on this machine", tool)
		}
	}
	const list = `find . -type f -printf '%P\0' | LC_ALL=C sort -z | `
	ask := func(command string) string {
		cmd := exec.Command("sh", "-c", command)
		cmd.Dir = root
		out, err := cmd.Output()
		if err != nil {
			t.Skipf("%s: %v", command, err)
		}
		return strings.TrimSpace(string(out))
	}
	number := func(command string) int64 {
		n, err := strconv.ParseInt(ask(command), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	digest, _, _ = strings.Cut(ask(list+`xargs -0r sha256sum -- | sha256sum`), " ")
	return int(number(list + `tr -dc '\0' | wc -c`)), number(list + `xargs -0r cat -- | wc -c`),
		number(list + `xargs -0r cat -- | wc -l`), digest
}

func agreesWithShell(t *testing.T, root string) {
	t.Helper()
	var want report
	want.Files, want.Bytes, want.Lines, want.TreeSHA256 = shell(t, root)
	got, code := startJSON(t, "-dir", root)
	got = report{Files: got.Files, Bytes: got.Bytes, Lines: got.Lines, TreeSHA256: got.TreeSHA256}
	if diff := cmp.Diff(want, got); diff != "" || code != allRead {
		t.Errorf("exit code %d (-shell +treesum):\n%s", code, diff)
	}
}

func TestAgreesWithTheShellOnTheSourcesOfGo(t *testing.T) {
	agreesWithShell(t, goSources(t))
}

// TestOddNames has the names that sha256sum escapes, those that a shell could
// mistake, and those whose order depends on how the slash is sorted.
func TestOddNames(t *testing.T) {
	files := map[string]string{"a/b": "1", "a-b": "2", "a.b": "3", "a0": "4", "ab": "5", "a/-": "6", "ä/ö": "7", "Z": "8"}
	if runtime.GOOS != "windows" {
		for i, name := range []string{"new\nline", "back\\slash", "carriage\rreturn", "tab\tname", "\\", "\n", "dir\n/x",
			" leading", "trailing ", "-dash", "--", "*", "$(x)", "'", `"`, "\x1b[31m"} {
			files[name] = fmt.Sprintf("odd %d\n", i)
		}
	}
	root := plant(t, files)
	bad := "bad\xff\xfe.x\xff"
	if err := os.WriteFile(filepath.Join(root, bad), []byte("bad"), 0o644); err != nil {
		t.Logf("no name that is not UTF-8 here: %v", err)
		delete(files, bad)
	} else {
		files[bad] = "bad"
	}

	t.Run("order", func(t *testing.T) {
		sum, err := newWalk(disk(root)).sum(t.Context(), 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(sum.files) != len(files) {
			t.Errorf("%d files, want %d", len(sum.files), len(files))
		}
		var text strings.Builder
		for _, name := range slices.Sorted(keys(files)) {
			escaped := strings.NewReplacer("\\", "\\\\", "\n", "\\n", "\r", "\\r").Replace(name)
			if escaped != name {
				text.WriteString("\\")
			}
			fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256([]byte(files[name])), escaped)
		}
		want := fmt.Sprintf("%x", sha256.Sum256([]byte(text.String())))
		if got := newReport(sum, 0).TreeSHA256; got != want {
			t.Errorf("digest %s, want %s", got, want)
		}
	})
	t.Run("shell", func(t *testing.T) { agreesWithShell(t, root) })
	t.Run("json", func(t *testing.T) {
		r, _ := startJSON(t, "-dir", root)
		if _, planted := files[bad]; planted && r.Extensions[`.x\xff`] != 1 {
			t.Errorf("extensions %v", r.Extensions)
		}
	})
	t.Run("text", func(t *testing.T) {
		out := start(t.Context(), "-dir", root).stdout
		if strings.ContainsAny(out, "\x1b\r\t") {
			t.Errorf("control characters in the report:\n%q", out)
		}
	})
}

func keys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestEmptyTree(t *testing.T) {
	root := plant(t, nil)
	r, code := startJSON(t, "-dir", root)
	want := report{Directories: 1, TreeSHA256: fmt.Sprintf("%x", sha256.Sum256(nil)), LinkRings: []string{},
		Errors: []problem{}, Largest: []sized{}, Extensions: map[string]int{}, UndoneNames: []string{}}
	if diff := cmp.Diff(want, r, incidental); diff != "" || code != allRead {
		t.Errorf("exit code %d (-want +got):\n%s", code, diff)
	}
	agreesWithShell(t, root)
}

func TestDuplicatesAreAllButTheFirstOfEachContent(t *testing.T) {
	root := plant(t, map[string]string{
		"a": "xx", "b/a": "xx", "c": "xx", // two
		"d": "yyy", "e": "yyy", // one
		"f": "", "g": "", "h": "", // none: they waste nothing
		"i": "single",
	})
	r, _ := startJSON(t, "-dir", root)
	if r.DuplicateFiles != 3 || r.DuplicateBytes != 7 {
		t.Errorf("%d duplicates of %d bytes, want 3 of 7", r.DuplicateFiles, r.DuplicateBytes)
	}
}

func TestLargestAreTenAndTiesGoByPath(t *testing.T) {
	files := map[string]string{}
	for i := range 12 {
		files[fmt.Sprintf("same/%02d", i)] = "1234"
	}
	files["zz"] = "12345"
	r, _ := startJSON(t, "-dir", plant(t, files))
	want := []sized{{"zz", 5}}
	for i := range 9 {
		want = append(want, sized{fmt.Sprintf("same/%02d", i), 4})
	}
	if diff := cmp.Diff(want, r.Largest); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestDeepChain is what hangs a pool whose tasks wait for tasks: one worker,
// and a wait inside a wait for each level.
func TestDeepChain(t *testing.T) {
	const depth = 2000
	root := plant(t, nil)
	name := root + strings.Repeat("/d", depth)
	if err := os.MkdirAll(name, 0o755); err != nil {
		t.Skipf("no path of %d bytes here: %v", len(name), err)
	}
	if err := os.WriteFile(filepath.Join(root, "d", "f"), []byte("top\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+"/f", []byte("bottom\n"), 0o644); err != nil {
		t.Skipf("no path of %d bytes here: %v", len(name), err)
	}
	for _, workers := range []string{"1", "2"} {
		r, code := startJSON(t, "-dir", root, "-workers", workers)
		if code != allRead || r.Directories != depth+1 || r.Files != 2 || r.Bytes != 11 {
			t.Errorf("%s workers: exit code %d, %d directories, %d files, %d bytes: %v", workers, code, r.Directories, r.Files, r.Bytes, r.Errors)
		}
	}
}

func TestWideDirectory(t *testing.T) {
	files := map[string]string{}
	for i := range 2000 {
		files[fmt.Sprintf("f%04d.txt", i)] = strconv.Itoa(i) + "\n"
	}
	for i := range 200 {
		files[fmt.Sprintf("d%03d/f", i)] = strconv.Itoa(i) + "\n"
	}
	root := plant(t, files)
	want := another(t, root)
	for _, workers := range []string{"1", "2", "64"} {
		got, _ := startJSON(t, "-dir", root, "-workers", workers)
		if diff := cmp.Diff(want, got, incidental); diff != "" {
			t.Errorf("%s workers (-want +got):\n%s", workers, diff)
		}
	}
}

func TestLinksAreCountedNotFollowed(t *testing.T) {
	root := plant(t, map[string]string{"dir/file": "x\n", "dir/sub/": "", "other/": ""})
	for link, target := range map[string]string{
		"to_file":       "dir/file",
		"to_dir":        "dir",
		"dangling":      "nowhere",
		"self":          "self",
		"ring1":         "ring2",
		"ring2":         "ring1",
		"here":          ".",
		"dir/sub/up":    "../..",
		"outside":       t.TempDir(),
		"to_everything": "/",
		"through_file":  "dir/file/x",
	} {
		if err := os.Symlink(filepath.FromSlash(target), filepath.Join(root, filepath.FromSlash(link))); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
	}
	r, code := startJSON(t, "-dir", root)
	if code != allRead || r.Files != 1 || r.Directories != 4 || r.Links != 11 {
		t.Errorf("exit code %d, %d files, %d directories, %d links; want 0, 1, 4, 11", code, r.Files, r.Directories, r.Links)
	}
	want := []string{"dir/sub/up", "here", "ring1", "ring2", "self", "to_everything"}
	if diff := cmp.Diff(want, r.LinkRings); diff != "" {
		t.Errorf("rings (-want +got):\n%s", diff)
	}
	agreesWithShell(t, root)

	t.Run("the root itself", func(t *testing.T) {
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(root, link); err != nil {
			t.Fatal(err)
		}
		through, code := startJSON(t, "-dir", link)
		if diff := cmp.Diff(r, through, incidental); diff != "" || code != allRead || through.Dir != root {
			t.Errorf("exit code %d, dir %s (-direct +through a link):\n%s", code, through.Dir, diff)
		}
	})
}

func TestRelativeDir(t *testing.T) {
	root := plant(t, map[string]string{"sub/a": "x"})
	t.Chdir(root)
	r, code := startJSON(t, "-dir", "sub")
	if code != allRead || r.Dir != filepath.Join(root, "sub") || r.Files != 1 {
		t.Errorf("exit code %d, report %+v", code, r)
	}
}

func TestReasonLeavesOutThePath(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", &fs.PathError{Op: "open", Path: "/secret/x", Err: fs.ErrNotExist})
	if got := reason(err); got != "open: file does not exist" {
		t.Errorf("reason %q", got)
	}
	if got := reason(errors.New("plain")); got != "plain" {
		t.Errorf("reason %q", got)
	}
}
