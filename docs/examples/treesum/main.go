// Treesum reads a directory tree and reports its files, bytes and lines, one
// digest of the whole tree, its duplicates and its largest files.
//
// Each directory is a task that submits a task for each of its children and
// waits for them, on a bounded number of workers: see walk.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/uptutu/goman/core"
)

// The exit codes.
const (
	allRead     = 0
	withErrors  = 1   // the report is complete but for what it lists as errors
	usage       = 2   // nothing was read
	interrupted = 130 // by Ctrl-C, as a shell would say it
)

func main() {
	os.Exit(run(interruptible(), os.Args[1:], os.Stdout, os.Stderr))
}

// interruptible returns a context that ends with the first Ctrl-C; the second
// one kills the program.
func interruptible() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx
}

// run is the program; the end of ctx interrupts it. Nothing but the report goes
// to stdout.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	opts, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, help)
		return allRead
	}
	if err == nil {
		opts.dir, err = resolve(opts.dir)
	}
	if err != nil {
		fmt.Fprintf(stderr, "treesum: %v\n", err)
		return usage
	}

	r, err := survey(ctx, disk(opts.dir), opts, stderr)
	if r != nil && opts.json {
		err = errors.Join(err, r.writeJSON(stdout))
	} else if r != nil {
		err = errors.Join(err, r.writeText(stdout))
	}
	if err != nil {
		fmt.Fprintf(stderr, "treesum: %v\n", err)
	}
	switch {
	case ctx.Err() != nil:
		return interrupted
	case err != nil || !r.good():
		return withErrors
	}
	return allRead
}

// survey walks the tree and makes the report. There may be a report and an
// error, when only the comparison failed.
func survey(ctx context.Context, tree source, opts options, progress io.Writer) (*report, error) {
	fmt.Fprintf(progress, "treesum: reading %s with %s\n", printable(opts.dir), plural(opts.workers, "worker", "workers"))
	w := newWalk(tree)
	stop := w.seen.show(progress)
	start := time.Now()
	sum, err := w.sum(ctx, opts.workers)
	took := time.Since(start)
	stop()
	if err != nil {
		return nil, err
	}
	r := newReport(sum, took)
	r.Dir, r.Workers = text(opts.dir), opts.workers
	if opts.compare && ctx.Err() == nil {
		err = compare(ctx, tree, r, progress)
	}
	return r, err
}

// options are the command line.
type options struct {
	dir     string
	workers int
	json    bool
	compare bool
}

func parse(args []string) (opts options, err error) {
	flags := flag.NewFlagSet("treesum", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&opts.dir, "dir", "", "")
	flags.IntVar(&opts.workers, "workers", runtime.GOMAXPROCS(0), "")
	flags.BoolVar(&opts.json, "json", false, "")
	flags.BoolVar(&opts.compare, "compare", false, "")
	if err := flags.Parse(args); err != nil {
		return opts, fmt.Errorf("%w (-h shows the options)", err)
	}
	if flags.NArg() > 0 {
		return opts, fmt.Errorf("unexpected argument %q: name a directory with -dir", flags.Arg(0))
	}
	if opts.workers < 1 || opts.workers > core.MaxWorkers {
		return opts, fmt.Errorf("-workers is %d: it must be between 1 and %d", opts.workers, core.MaxWorkers)
	}
	return opts, nil
}

// resolve returns the absolute path of the directory, without symbolic links.
// No name stands for the sources of the Go tree, which each Go machine has.
func resolve(dir string) (string, error) {
	if dir == "" {
		out, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			return "", fmt.Errorf("cannot ask go for its sources: %w; name a directory with -dir", err)
		}
		dir = filepath.Join(strings.TrimSpace(string(out)), "src")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	var real string
	if err == nil {
		real, err = filepath.EvalSymlinks(dir)
	}
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathError.Err
	}
	if err != nil {
		return "", fmt.Errorf("-dir %s: %w", printable(dir), err)
	}
	return real, nil
}

const help = `Usage: treesum [-dir DIR] [-workers N] [-json] [-compare]

Reads all regular files of a directory tree and reports how many there are,
their bytes and lines, one digest of the whole tree, duplicates, the largest
files and the files by extension. Symbolic links are counted, not followed.
Progress goes to standard error, the report alone to standard output.

  -dir DIR     the tree to read (default: src in the directory that
               "go env GOROOT" names)
  -workers N   how many tasks run at a time, 1 to 10000 (default: as many as
               Go uses processors)
  -json        report for machines
  -compare     read the tree again, one file after the other, with a goroutine
               for each file, and with goman, up to three times each in turn,
               and print the shortest times side by side
  -h           show this

The digest is the SHA-256 of what sha256sum prints. To check it, in the tree:

  find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0r sha256sum -- | sha256sum

Duplicates are all files but the first, in the order of their paths, of each
content that is not empty. A file or directory that cannot be read, or changes
meanwhile, is listed under errors, counts nowhere else, and the rest goes on.

Ctrl-C ends the walk and reports what was read and what was left undone; a
second Ctrl-C kills. The exit code is 0 if everything was read, 1 if there were
errors or a comparison differed, 2 if the arguments are wrong, 130 after Ctrl-C.
`
