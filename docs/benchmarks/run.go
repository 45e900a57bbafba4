package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// settings are those of a run.
type settings struct {
	repeat int           // processes for each contender of each workload
	rounds int           // in each process, after one to warm up
	each   time.Duration // how long a round takes
	only   *regexp.Regexp
	log    io.Writer
}

// A starter measures a contender in a process of its own.
type starter func(w workload, c contender, s settings) ([]round, error)

// errHangs is the error of a contender that has not come to an end.
var errHangs = errors.New("hangs")

// run measures all contenders of the workloads, those of one workload in a random order
// again and again, so that a disturbance hits one as well as another.
func (s settings) run(list []workload, start starter) results {
	all := make(results)
	for i, w := range list {
		began := time.Now()
		one := make(map[string]result)
		for range s.repeat {
			for _, c := range rand.Perm(len(w.who)) {
				name := w.who[c].name
				r := one[name]
				if r.Failed != "" {
					continue
				}
				rounds, err := start(w, w.who[c], s)
				if err != nil {
					r.Failed = err.Error()
				}
				r.Rounds = append(r.Rounds, rounds...)
				one[name] = r
			}
		}
		all[w.id] = one
		fmt.Fprintf(s.log, "%3d of %d  %-18s %5.1f s\n", i+1, len(list), w.id, time.Since(began).Seconds())
	}
	return all
}

// inChild starts this program once more, to measure one contender.
func inChild(w workload, c contender, s settings) ([]round, error) {
	limit := 2 * time.Minute
	if w.hangs {
		limit = 2 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var faults bytes.Buffer
	cmd := exec.CommandContext(ctx, program, "-child", w.id+","+c.name,
		"-rounds", strconv.Itoa(s.rounds), "-each", s.each.String())
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, errHangs
	}
	if err != nil {
		first, _, _ := strings.Cut(faults.String(), "\n")
		if strings.Contains(first, "all goroutines are asleep") {
			return nil, errHangs
		}
		return nil, fmt.Errorf("%w: %s", err, first)
	}
	var rounds []round
	return rounds, json.Unmarshal(out, &rounds)
}

// child measures what "id,contender" names, and writes the rounds.
func child(what string, s settings, out io.Writer) error {
	id, name, _ := strings.Cut(what, ",")
	for _, w := range workloads(full) {
		for _, c := range w.who {
			if w.id == id && c.name == name {
				return json.NewEncoder(out).Encode(w.rounds(c, s.rounds, s.each))
			}
		}
	}
	return fmt.Errorf("there is no contender %s", what)
}

// chosen are the workloads whose id matches.
func (s settings) chosen(list []workload) (found []workload) {
	for _, w := range list {
		if s.only == nil || s.only.MatchString(w.id) {
			found = append(found, w)
		}
	}
	return found
}
