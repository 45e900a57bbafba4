package core_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/internal/point"
)

// Short random programs of several goroutines, run against each other. Each call is
// recorded with a logical clock, and porcupine judges whether there is an order of
// them, each between its beginning and its end, in which a sequential model gives the
// same answers. What the engine does by itself (it starts a task, it resolves a
// future) is an operation as well, of the interval in which it has to happen.

// historyCommand is one step of a goroutine.
type historyCommand struct {
	kind string
	arg  int
}

func (c historyCommand) String() string { return fmt.Sprintf("%s(%d)", c.kind, c.arg) }

// historyProgram is what the goroutines do, and with which engine.
type historyProgram struct {
	seed     uint64
	workers  int
	capacity int
	threads  [][]historyCommand
}

// newHistoryProgram draws 2 to 4 goroutines of 2 to 5 commands each.
func newHistoryProgram(seed uint64, kinds []string) historyProgram {
	r := rand.New(rand.NewPCG(seed, 0))
	p := historyProgram{seed: seed, workers: 1 + r.IntN(2), capacity: 1 + r.IntN(3)}
	for range 2 + r.IntN(3) {
		var thread []historyCommand
		for range 2 + r.IntN(4) {
			thread = append(thread, historyCommand{kinds[r.IntN(len(kinds))], r.IntN(8)})
		}
		p.threads = append(p.threads, thread)
	}
	return p
}

func (p historyProgram) String() string {
	return fmt.Sprintf("program %d: %d workers, capacity %d, %v", p.seed, p.workers, p.capacity, p.threads)
}

// historyInput is what was called, and historyOutput what it has said.
type (
	historyInput struct {
		kind string
		id   int
	}
	historyOutput struct {
		ok   bool
		text string
		n    int
	}
)

// history is a recording. Its clients are the goroutines of the program, in their
// order, and after them whoever acts for the engine.
type history struct {
	clock atomic.Int64
	mu    sync.Mutex
	ops   []porcupine.Operation
}

// call is the time at which an operation begins.
func (h *history) call() int64 { return h.clock.Add(1) }

// add records an operation that has ended now.
func (h *history) add(client int, call int64, in historyInput, out historyOutput) {
	h.addUntil(client, call, in, out, h.clock.Add(1))
}

// addUntil records one that has ended by then, or does so some time: never.
func (h *history) addUntil(client int, call int64, in historyInput, out historyOutput, end int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: end})
}

// engineClient is the client that does what the engine does by itself.
const engineClient = 4

// never is a time after all others.
const never = math.MaxInt64

// String lists the operations by their beginning.
func (h *history) String() string {
	ops := slices.Clone(h.ops)
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, op := range ops {
		end := fmt.Sprint(op.Return)
		if op.Return == never {
			end = "…"
		}
		fmt.Fprintf(&b, "  %3d to %3s  client %d  %+v gives %+v\n", op.Call, end, op.ClientId, op.Input, op.Output)
	}
	return b.String()
}

// judge returns "" if the history is one that model allows. What porcupine cannot
// decide in ten seconds is not allowed.
func (h *history) judge(model porcupine.NondeterministicModel) string {
	if result := porcupine.CheckOperationsTimeout(model.ToModel(), h.ops, 10*time.Second); result != porcupine.Ok {
		return fmt.Sprintf("the history is %v:\n%s", result, h)
	}
	return ""
}

// historyKind is a thing that programs are run against.
type historyKind struct {
	name  string
	kinds []string // the commands
	model porcupine.NondeterministicModel
	// run runs p to its end with an engine that start makes, and goroutines that spawn
	// starts and join waits for.
	run func(h *history, p historyProgram, e *core.Engine, spawn func(string, func()), join func())
}

var historyKinds = []historyKind{futureHistory, admissionHistory, pauseHistory}

// ordinaryHistories is how many of a kind TestHistory runs: more with the build tag
// goman_points, where others are let go first, than without, where that is rare.
var ordinaryHistories = 4_000

// histories returns how many are run of a kind: n unless GOMAN_HISTORIES says
// otherwise (the long tier).
func histories(n int) int {
	if long, err := strconv.Atoi(os.Getenv("GOMAN_HISTORIES")); err == nil && long > 0 {
		return long
	}
	return rounds(n)
}

// The histories of ordinary runs. With the build tag goman_points each step of the
// engine may let others go first.
func TestHistory(t *testing.T) {
	for _, kind := range historyKinds {
		if t.Failed() {
			return
		}
		t.Run(kind.name, func(t *testing.T) {
			operations := 0
			for seed := range uint64(histories(ordinaryHistories)) {
				p := newHistoryProgram(seed, kind.kinds)
				e, err := core.New(core.WithWorkers(p.workers), core.WithQueueCapacity(p.capacity), quietly())
				if err != nil {
					t.Fatal(err)
				}
				var h history
				var wg sync.WaitGroup
				begin := make(chan struct{})
				kind.run(&h, p, e, func(_ string, fn func()) {
					wg.Go(func() {
						<-begin
						fn()
					})
				}, func() { close(begin); wg.Wait() })
				endEngine(t, e)
				if fault := h.judge(kind.model); fault != "" || t.Failed() {
					t.Fatalf("%v\n%s", p, fault)
				}
				operations += len(h.ops)
			}
			t.Logf("%d operations", operations)
		})
	}
}

// breath is a place between two commands where others may go first.
func breath(arg int) {
	point.At(point.Actor)
	if arg%2 == 0 {
		runtime.Gosched()
	}
}
