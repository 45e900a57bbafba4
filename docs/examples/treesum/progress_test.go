package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vbauerster/mpb/v8"
)

// TestLines watches three and a half seconds of the bubble's own clock.
func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c counters
		var b bytes.Buffer
		stop := c.show(&b)
		for range 7 {
			<-time.After(500 * time.Millisecond)
			synctest.Wait()
			c.files.Add(1000)
			c.bytes.Add(1 << 19)
			c.share.Add(whole / 8)
		}
		stop()
		const want = `treesum:  12% 1,000 files, 0.5 MiB
treesum:  37% 3,000 files, 1.5 MiB
treesum:  62% 5,000 files, 2.5 MiB
`
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestFileIsNoTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var c counters
	c.show(f)()
	if info, err := f.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("a bar was drawn into a file: %v, %v", info, err)
	}
}

func TestBar(t *testing.T) {
	for share, want := range map[int64]string{
		0:         "[                ]   0% 7 files, 0.0 MiB",
		whole / 2: "[=======>        ]  50% 7 files, 0.0 MiB",
		whole:     "[================] 100% 7 files, 0.0 MiB",
	} {
		var c counters
		var b bytes.Buffer
		stop := c.bar(mpb.New(mpb.WithOutput(&b), mpb.WithAutoRefresh(), mpb.WithWidth(40)))
		c.files.Add(7)
		c.share.Add(share)
		stop()
		lines := strings.FieldsFunc(b.String(), func(r rune) bool { return r == '\n' || r == '\r' })
		if len(lines) == 0 || !strings.HasSuffix(strings.TrimSpace(lines[len(lines)-1]), want) {
			t.Errorf("%d: %q, want the last line to be %q", share, b.String(), want)
		}
	}
}

// TestSharesAddUp holds the bar to its promise: a walk that reads everything
// ends at its end exactly, and so does one that meets errors.
func TestSharesAddUp(t *testing.T) {
	root := plant(t, map[string]string{"a": "1", "b": "2", "c/d": "3", "c/e/f": "4", "g/": "", "h/i/j/k/": "", "l/m": "5"})
	for _, workers := range []int{1, 4} {
		w := newWalk(hostile{disk(root), at("c/d", func() error { return os.ErrPermission }), nil})
		if _, err := w.sum(t.Context(), workers); err != nil {
			t.Fatal(err)
		}
		if got := w.seen.share.Load(); got != whole {
			t.Errorf("%d workers: %d of %d", workers, got, whole)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var c counters
	if c.passed(ctx, 1); c.share.Load() != 0 {
		t.Error("what an interrupt left undone counts as progress")
	}
}
