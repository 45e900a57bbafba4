package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// counters are kept by the tasks while they run.
type counters struct {
	files, bytes atomic.Int64 // read
	share        atomic.Int64 // of the whole tree
}

// whole is the length of the bar. How large the tree is nobody knows before it
// was walked, so each directory divides its own share of the bar equally among
// its children: that makes a bar that never goes back and ends at the end.
const whole int64 = 1 << 40

// split divides a share among n children and says what the division leaves.
func split(share int64, n int) (each, rest int64) {
	if n == 0 {
		return 0, share
	}
	return share / int64(n), share % int64(n)
}

// passed adds to the share of the tree that has been dealt with. What is left
// undone after an interrupt is not.
func (c *counters) passed(ctx context.Context, share int64) {
	if ctx.Err() == nil {
		c.share.Add(share)
	}
}

func (c *counters) String() string {
	return fmt.Sprintf("%3d%% %s, %s", c.share.Load()*100/whole, plural(c.files.Load(), "file", "files"), mebibytes(c.bytes.Load()))
}

// show displays the counters on w until stop is called: as a bar on a terminal,
// as a line each second anywhere else.
func (c *counters) show(w io.Writer) (stop func()) {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return c.bar(mpb.New(mpb.WithOutput(f), mpb.WithWidth(40)))
	}
	return every(time.Second, func() { fmt.Fprintf(w, "treesum: %v\n", c) })
}

// bar draws the counters as a bar.
func (c *counters) bar(progress *mpb.Progress) (stop func()) {
	bar := progress.New(whole, mpb.BarStyle().Filler("=").Tip(">").Padding(" "), mpb.BarFillerTrim(),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + c.String() })))
	update := func() { bar.SetCurrent(c.share.Load()) }
	halt := every(50*time.Millisecond, update)
	return func() {
		halt()
		update()
		bar.Abort(false) // or it waits to be full, which it is not after an interrupt
		progress.Wait()
	}
}

// every calls do at each interval until stop is called; stop waits for the last
// call to return.
func every(interval time.Duration, do func()) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				do()
			case <-quit:
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}
