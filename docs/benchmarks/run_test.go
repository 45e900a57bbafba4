package main

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Contenders take turns, each as often as it should be, and one that fails is not tried
// again.
func TestRun_TakesTurns(t *testing.T) {
	list := []workload{{id: "A", who: []contender{simple("x", nil), simple("y", nil), simple("z", nil)}}}
	var order []string
	s := settings{repeat: 50, log: io.Discard}
	got := s.run(list, func(_ workload, c contender, _ settings) ([]round, error) {
		order = append(order, c.name)
		if c.name == "z" {
			return nil, errHangs
		}
		return make([]round, 2), nil
	})
	if n := len(got["A"]["x"].Rounds); n != 100 {
		t.Errorf("%d rounds", n)
	}
	if r := got["A"]["z"]; r.Failed != "hangs" || len(r.Rounds) != 0 || strings.Count(strings.Join(order, ""), "z") != 1 {
		t.Errorf("%+v, %s", r, order)
	}
	turns := strings.ReplaceAll(strings.Join(order, ""), "z", "")
	if !strings.Contains(turns, "xyyx") || strings.Contains(turns, "xxx") || strings.Contains(turns, "yyy") {
		t.Errorf("the order is %s", turns)
	}
}

func TestChosen_ByName(t *testing.T) {
	list := workloads(full)
	if n := len(settings{}.chosen(list)); n != len(list) {
		t.Errorf("%d of %d", n, len(list))
	}
	if got := (settings{only: regexp.MustCompile("^W1/")}).chosen(list); len(got) != 2 || got[0].id != "W1/1p2w" {
		t.Errorf("%d are chosen", len(got))
	}
}

// A measurement is made by a process of its own, and faults come back from it.
func TestInChild_Process(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	s := settings{rounds: 2, each: time.Millisecond}
	w := workloadOf(t, "W1/1p2w")
	rounds, err := inChild(w, contender{name: "goman"}, s)
	if err != nil || len(rounds) != 2 || rounds[0].Figures[wallNS] <= 0 {
		t.Error(rounds, err)
	}
	if _, err := inChild(w, contender{name: "nobody"}, s); err == nil || !strings.Contains(err.Error(), "no contender W1/1p2w,nobody") {
		t.Error(err)
	}
	w = workloadOf(t, "W8/bounded2")
	if _, err := inChild(w, contender{name: "chan"}, s); !errors.Is(err, errHangs) {
		t.Error(err)
	}
}

// workloadOf is the one of that name.
func workloadOf(t *testing.T, id string) workload {
	t.Helper()
	list := settings{only: regexp.MustCompile("^" + id + "$")}.chosen(workloads(full))
	if len(list) != 1 {
		t.Fatalf("%d workloads are called %s", len(list), id)
	}
	return list[0]
}

func TestCommand_Arguments(t *testing.T) {
	t.Setenv("GORACE", "atexit_sleep_ms=0") // of the children: a second each
	var out bytes.Buffer
	if err := command([]string{"-run", "^W1b", "-repeat", "1", "-rounds", "1", "-each", "1ms"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## W1b/64", "| goman |", "gammazero"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for _, args := range [][]string{{"-run", "("}, {"-run", "nothing"}, {"-unknown"}, {"-out", "missing"}} {
		if err := command(args, io.Discard); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	out.Reset()
	if err := command([]string{"-quick", "-run", "^W3"}, &out); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "W3/one") {
		t.Error(out.String())
	}
}
