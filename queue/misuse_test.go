package queue

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// misuse lets two goroutines have a role that is for one. It ends as soon as the race
// detector has told: two that by chance run one after the other are no race, so that it
// is tried again, each time with a queue of its own.
func misuse(how string) {
	for range 1000 {
		misuseOnce(how)
	}
}

func misuseOnce(how string) {
	const calls = 10_000
	twice := func(half func()) {
		var g sync.WaitGroup
		begin := make(chan struct{})
		for range 2 {
			g.Go(func() {
				<-begin
				for range calls {
					half()
				}
			})
		}
		close(begin)
		g.Wait()
	}
	items := make([]int, 2*calls)
	switch how {
	case "SPSC producers":
		spsc := must(NewSPSC[int](2 * calls))
		twice(func() { spsc.TryPush(1) })
	case "SPSC consumers":
		spsc := must(NewSPSC[int](2 * calls))
		spsc.PushAll(items)
		twice(func() { spsc.TryPop() })
	case "MPSC consumers":
		mpsc := NewMPSC[int]()
		for _, n := range items {
			mpsc.TryPush(n)
		}
		twice(func() { mpsc.TryPop() })
	case "Deque owners push":
		deque := NewDeque[int]()
		twice(func() { deque.TryPush(1) })
	case "Deque owners pop":
		deque := NewDeque[int]()
		for _, n := range items {
			deque.TryPush(n)
		}
		twice(func() { deque.TryPop() })
	default:
		panic("no such misuse: " + how)
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
			child.Env = append(os.Environ(), misuseEnv+"="+how, "GORACE=halt_on_error=1")
			out, err := child.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "DATA RACE") {
				t.Errorf("no report: %v\n%s", err, out)
			}
		})
	}
}
