package main

import (
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTextOfATroubledReport holds the report for people to its letter.
func TestTextOfATroubledReport(t *testing.T) {
	r := &report{
		Dir: "/tree", Workers: 4, Files: 1234567, Directories: 1001, Bytes: 9876543210, Lines: 42,
		TreeSHA256: "e3b0", DuplicateFiles: 1, DuplicateBytes: 1, Links: 3, Skipped: 2,
		LinkRings:   []string{"a/loop"},
		Errors:      []problem{{"bad\nname", "open: permission denied"}},
		Largest:     []sized{{"big.bin", 123456}},
		Extensions:  map[string]int{"": 1},
		Interrupted: true, Undone: 12, UndoneNames: []string{"b", "c"},
		Seconds: 2,
		Compare: []timing{
			{Way: "one after the other", Seconds: 4, Goroutines: 1, Same: true},
			{Way: "goman, 4 workers", Seconds: 1, Goroutines: 1234, Errors: 1},
		},
	}
	for i := range 12 {
		r.Extensions[fmt.Sprintf(".x%02d", i)] = 2
	}
	const want = `/tree
INTERRUPTED: this is a part of the tree only

  files              1,234,567  in 1,001 directories
  bytes          9,876,543,210
  lines                     42
  duplicates                 1  wasting 1 byte
  links                      3  not followed
  skipped                    2  neither files nor directories nor links
  errors                     1
  undone                    12  known, but not read; what is below them is not known

  sha256  e3b0

  largest files
           123,456  big.bin

  files by extension
                 2  .x00
                 2  .x01
                 2  .x02
                 2  .x03
                 2  .x04
                 2  .x05
                 2  .x06
                 2  .x07
                 2  .x08
                 2  .x09
               ...  and 3 more

  errors
    "bad\nname": open: permission denied

  links in a ring
    a/loop

  undone
    b
    c
               ...  and 10 more

  read in 2.000 s by 4 workers: 617,283 files/s, 4709.5 MiB/s

  the same tree again      seconds     speed  goroutines  errors  digest
  one after the other        4.000     1.00x           1       0  the same
  goman, 4 workers           1.000     4.00x       1,234       1  DIFFERENT
`
	var b strings.Builder
	if err := r.writeText(&b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestCompare(t *testing.T) {
	root := plant(t, map[string]string{"a": "x", "b/c": "y", "b/d/e": "z"})
	r, code := startJSON(t, "-dir", root, "-workers", "2", "-compare")
	if code != allRead || len(r.Compare) != 3 {
		t.Fatalf("exit code %d, %d ways", code, len(r.Compare))
	}
	for _, way := range r.Compare {
		if !way.Same || way.TreeSHA256 != r.TreeSHA256 || way.Errors != 0 || way.Goroutines < 1 || way.Seconds <= 0 {
			t.Errorf("%+v", way)
		}
	}
	text := start(t.Context(), "-dir", root, "-workers", "2", "-compare").stdout
	for _, way := range []string{"one after the other", "a goroutine for each", "goman, 2 workers"} {
		if !strings.Contains(text, "  "+way+"  ") {
			t.Errorf("no line for %q in:\n%s", way, text)
		}
	}
}

// TestCompareSeesADifference has a file that cannot be read the second time.
func TestCompareSeesADifference(t *testing.T) {
	root := plant(t, map[string]string{"a": "x", "b": "y"})
	times := 0 // guarded by there being one worker
	tree := hostile{disk(root), at("b", func() error {
		if times++; times == 2 {
			return fs.ErrPermission
		}
		return nil
	}), nil}
	r, err := survey(t.Context(), tree, options{workers: 1, compare: true}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if r.good() || r.Compare[0].Same || r.Compare[0].Errors != 1 || !r.Compare[1].Same {
		t.Errorf("%+v", r.Compare)
	}
}
