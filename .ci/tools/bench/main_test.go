package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	const input = `goos: linux
BenchmarkGo/1p2w/goman-2   	 100	 30.0 ns/op	 0 B/op	 0 allocs/op
BenchmarkGo/1p2w/chan-2    	 100	 40.0 ns/op	 0 B/op	 0 allocs/op
BenchmarkGo/1p2w/goman-2   	 100	 10.0 ns/op	 0 B/op	 0 allocs/op
BenchmarkGo/1p2w/chan-2    	 100	 40.0 ns/op	 0 B/op	 0 allocs/op
BenchmarkAwait/go          	 100	 7 ns/op
`
	const want = `| workload | who | median | spread | /chan | further figures |
|--|--|--|--|--|--|
| Go/1p2w | goman | 20 ns/op | 10 to 30 | 0.50 | 0 B/op, 0 allocs/op |
| Go/1p2w | chan | 40 ns/op | 40 to 40 | - | 0 B/op, 0 allocs/op |
| Await | go | 7 ns/op | 7 to 7 | - |  |
`
	var out strings.Builder
	if err := run(strings.NewReader(input), &out, "chan"); err != nil {
		t.Fatal(err)
	}
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if err := run(strings.NewReader("nothing\n"), &out, "chan"); err == nil {
		t.Error("no error for an input without benchmarks")
	}
}
