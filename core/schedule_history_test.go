//go:build goman_points

package core_test

import (
	"os"
	"runtime"
	"testing"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/internal/point"
)

func init() { ordinaryHistories = 20_000 }

// schedulesOfProgram is in how many orders each program is run.
const schedulesOfProgram = 10

// The programs of TestHistory under controlled schedules: each in several. What is
// found is repeated with GOMAN_POINTS_REPLAY and -run of the one kind; the seed tells
// the program.
func TestSchedule_History(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // once for all, not for each schedule
	for _, kind := range historyKinds {
		if t.Failed() {
			return
		}
		t.Run(kind.name, func(t *testing.T) {
			if text := os.Getenv("GOMAN_POINTS_REPLAY"); text != "" {
				config, err := point.Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				t.Log(runHistory(t, kind, config))
				return
			}
			operations, steps, n := 0, 0, histories(5_000)
			for i := range n {
				config := point.Config{Seed: uint64(i), Strategy: point.Mixed, Steps: 200, Faults: 0.02}
				h, r := runHistory(t, kind, config)
				operations += len(h.ops)
				steps += len(r.Trace)
				allCoverage.Add(&r.Coverage)
				if t.Failed() {
					t.Fatalf("in schedule %d of %d: to repeat it: GOMAN_POINTS_REPLAY=%q", i+1, n, r.Text())
				}
			}
			t.Logf("%d schedules, %d operations, %d steps", n, operations, steps)
		})
	}
}

// runHistory runs one schedule of the program that its seed tells, and judges it
// outside the bubble, whose clock stands still for porcupine's time-out.
func runHistory(t *testing.T, kind historyKind, config point.Config) (*history, *point.Report) {
	t.Helper()
	p := newHistoryProgram(config.Seed/schedulesOfProgram, kind.kinds)
	h := new(history)
	r := point.Run(t, config, func(c *point.Controller) {
		e := scheduled(c, core.WithWorkers(p.workers), core.WithQueueCapacity(p.capacity))
		kind.run(h, p, e, c.Go, c.Join)
	})
	if r.Failed() {
		t.Errorf("%v\n%v\n%v", p, h, r)
	} else if fault := h.judge(kind.model); fault != "" {
		t.Errorf("%v\n%s\nthe trace:\n%s", p, fault, point.TraceText(r.Trace))
	}
	return h, r
}
