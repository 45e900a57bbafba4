// Command repo keeps the modules of this repository consistent with each
// other and takes them to a release.
//
// Run it from anywhere inside the repository, with the workspace off, because
// the tools are not part of it:
//
//	GOWORK=off go -C .ci/tools run ./repo check
//
// The commands are
//
//	check     report every broken rule: versions, replaces, go lines, the
//	          direction of dependencies, links in Markdown, stray files
//	fix       rewrite the requirements and replacements between the modules
//	proxy     write a file proxy that serves the planned versions
//	outside   build a program outside the repository on the planned versions
//	apidiff   compare every library with its last tag
//	tag       run the release gate and print, or with -yes set, the tags
//
// The planned versions are in .ci/versions.txt. The exit status is 0 when all
// is well, 1 when a rule is broken or a command failed, and 2 for wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

// A command is one of the program's commands. It reads its own flags from args.
type command struct {
	name string
	run  func(ctx context.Context, app *app, args []string) error
}

// commands are listed in the order in which the usage text shows them.
var commands = []command{
	{"check", runCheck},
	{"fix", runFix},
	{"proxy", runProxy},
	{"outside", runOutside},
	{"apidiff", runAPIDiff},
	{"tag", runTag},
}

// app is what every command is given: the repository and where to write.
type app struct {
	repo *Repo
	out  io.Writer
	err  io.Writer
}

// printf writes a line of the report.
func (a *app) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(a.out, format, args...)
}

var (
	// errUsage means that the command line was wrong; the reason is printed.
	errUsage = errors.New("usage")
	// errFound means that problems were found; they are printed already.
	errFound = errors.New("problems found")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, stdout, stderr)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage), errors.Is(err, flag.ErrHelp):
		return 2
	case errors.Is(err, errFound):
		return 1
	default:
		_, _ = fmt.Fprintln(stderr, "repo:", err)
		return 1
	}
}

// dispatch parses the flags before the command, loads the repository and runs
// the command.
func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("repo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("root", "", "the repository (default: the nearest directory upwards that holds go.work)")
	flags.Usage = func() {
		_, _ = fmt.Fprintln(stderr, "usage: repo [-root dir] check|fix|proxy|outside|apidiff|tag [flags] [arguments]")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	for _, c := range commands {
		if c.name != flags.Arg(0) {
			continue
		}
		repo, err := Load(*root)
		if err != nil {
			return err
		}
		return c.run(ctx, &app{repo: repo, out: stdout, err: stderr}, flags.Args()[1:])
	}
	flags.Usage()
	return errUsage
}

// parseFlags reads the flags of one command, which takes exactly want further
// arguments, and returns those.
func (a *app) parseFlags(flags *flag.FlagSet, args []string, want int) ([]string, error) {
	flags.SetOutput(a.err)
	if err := flags.Parse(args); err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	if flags.NArg() != want {
		_, _ = fmt.Fprintf(a.err, "repo %s: %d arguments given, %d wanted\n", flags.Name(), flags.NArg(), want)
		return nil, errUsage
	}
	return flags.Args(), nil
}
