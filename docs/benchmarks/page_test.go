package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/page.md anew")

// The page of fixed figures is the one that is kept.
func TestPage_Fixed(t *testing.T) {
	var got bytes.Buffer
	if err := sample().write(&got); err != nil {
		t.Fatal(err)
	}
	const file = "testdata/page.md"
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPage_NothingLost(t *testing.T) {
	p := sample()
	p.list = p.list[2:3]
	var out bytes.Buffer
	if err := p.write(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "Nowhere in this run.") {
		t.Error(out.String())
	}
}

// publish writes what the page refers to: each plot in both themes, as XML.
func TestPublish_Files(t *testing.T) {
	dir := t.TempDir()
	if err := sample().publish(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "RESULTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"overview-light.svg", "overview-dark.svg", "workers-light.svg", "workers-dark.svg"} {
		if !strings.Contains(string(text), name) {
			t.Errorf("the page does not show %s", name)
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		decoder := xml.NewDecoder(bytes.NewReader(data))
		for err == nil {
			_, err = decoder.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(string(data), "goman") {
			t.Errorf("%s does not name goman", name)
		}
		if strings.Contains(string(data), "font-family:Liberation Serif") || !strings.Contains(string(data), "sans-serif") {
			t.Errorf("%s is written with serifs", name)
		}
	}
	if err := sample().publish(filepath.Join(dir, "missing")); err == nil {
		t.Error("wrote into a directory that is not there")
	}
}

func TestNumber_Digits(t *testing.T) {
	for v, want := range map[float64]string{0.12345: "0.123", 1: "1", 12.345: "12.3", 999.4: "999", 12345.6: "12346", 0: "0"} {
		if got := number(v); got != want {
			t.Errorf("%v is written %s, not %s", v, got, want)
		}
	}
}

func TestDecades_Labels(t *testing.T) {
	labels := func(low, high float64) (list []string) {
		for _, tick := range decades(low, high) {
			if tick.Label != "" {
				list = append(list, tick.Label)
			}
		}
		return list
	}
	if diff := cmp.Diff([]string{"1", "2", "5", "10", "20"}, labels(0.9, 30)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"1", "10", "100", "1000"}, labels(1, 2000)); diff != "" {
		t.Error(diff)
	}
}

func TestMachine_NamesPeers(t *testing.T) {
	if lines := machine(); len(lines) == 0 || !strings.Contains(lines[0], "processors") {
		t.Error(lines)
	}
	if !isPeer("github.com/alitto/pond/v2") || isPeer("github.com/golang/freetype") {
		t.Error("peers are told wrongly")
	}
}
