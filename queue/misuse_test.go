package queue

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// misuse lets two goroutines have a role that is for one.
func misuse(how string) {
	twice := func(half func()) {
		var g sync.WaitGroup
		for range 2 {
			g.Go(func() {
				for range 10_000 {
					half()
				}
			})
		}
		g.Wait()
	}
	spsc, mpsc, deque := must(NewSPSC[int](1<<20)), NewMPSC[int](), NewDeque[int]()
	for i := range 100_000 {
		mpsc.TryPush(i)
		deque.TryPush(i)
	}
	switch how {
	case "SPSC producers":
		twice(func() { spsc.TryPush(1) })
	case "SPSC consumers":
		spsc.PushAll(make([]int, 100_000))
		twice(func() { spsc.TryPop() })
	case "MPSC consumers":
		twice(func() { mpsc.TryPop() })
	case "Deque owners push":
		twice(func() { deque.TryPush(1) })
	case "Deque owners pop":
		twice(func() { deque.TryPop() })
	}
}

// E-QUE-07: in a race build two goroutines in a role that is for one are reported,
// as the documentation says.
func TestMisuse_E_QUE_07_IsReportedByTheRaceDetector(t *testing.T) {
	if !raceEnabled {
		t.Skip("only the race detector tells: go test -race -run TestMisuse ./queue")
	}
	for _, how := range []string{"SPSC producers", "SPSC consumers", "MPSC consumers", "Deque owners push", "Deque owners pop"} {
		t.Run(how, func(t *testing.T) {
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), misuseEnv+"="+how)
			out, err := child.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "DATA RACE") {
				t.Errorf("no report: %v\n%s", err, out)
			}
		})
	}
}
