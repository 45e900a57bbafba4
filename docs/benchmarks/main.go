package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"
)

func main() {
	if err := command(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

// command does what the arguments say.
func command(args []string, out io.Writer) error {
	s := settings{log: os.Stderr}
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "measure goman and the baselines alone and briefly, print ratios, and fail on allocations above what is stated")
	only := flags.String("run", "", "measure the workloads whose names match this expression, and print the page")
	dir := flags.String("out", "docs/benchmarks", "where the page and the plots are written if all workloads are measured")
	what := flags.String("child", "", "measure WORKLOAD,CONTENDER in this process")
	flags.IntVar(&s.repeat, "repeat", 6, "processes for each contender of each workload")
	flags.IntVar(&s.rounds, "rounds", 4, "rounds in each process")
	flags.DurationVar(&s.each, "each", 40*time.Millisecond, "how long a round takes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *what != "" {
		return child(*what, s, out)
	}
	list := workloads(full)
	if *only != "" {
		expression, err := regexp.Compile(*only)
		if err != nil {
			return err
		}
		s.only = expression
	}
	list = s.chosen(list)
	if len(list) == 0 {
		return fmt.Errorf("no workload matches %q", *only)
	}
	switch {
	case *quick:
		s.repeat, s.rounds, s.each = 1, 3, 10*time.Millisecond
		list = quickly(list)
		return s.run(list, inChild).report(list, out)
	case *only != "":
		all := s.run(list, inChild)
		return page{machine(), s, list, all}.write(out)
	}
	if _, err := os.Stat(*dir); err != nil {
		return fmt.Errorf("the page has no place: %w", err) // before an hour of work, not after it
	}
	return page{machine(), s, list, s.run(list, inChild)}.publish(*dir)
}
