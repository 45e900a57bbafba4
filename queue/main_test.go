package queue

import (
	"context"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// misuseEnv makes the test binary a child process that breaks a rule on purpose.
const misuseEnv = "GOMAN_QUEUE_MISUSE"

func TestMain(m *testing.M) {
	if os.Getenv(misuseEnv) != "" {
		misuse(os.Getenv(misuseEnv))
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what should take no time.
const patience = 60 * time.Second

// soon returns a context that ends a hanging test instead of the whole run.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// must returns what a constructor made.
func must[Q any](q Q, err error) Q {
	if err != nil {
		panic(err)
	}
	return q
}

// starts are numbers at which a test lets counters begin: among them some that wrap
// around, as numbers of 32, 63 and 64 bits, after a few steps.
var starts = map[string]uint64{
	"0":    0,
	"2^32": 1<<32 - 6,
	"2^63": 1<<63 - 6,
	"2^64": 1<<64 - 6,
}

// pushing and popping are the halves of a queue that a stress test gives to a
// goroutine.
type (
	pushing = func(int) bool
	popping = func() (int, bool)
)

// stress lets each of push and pop run in a goroutine of its own, until all items
// went through: producer i pushes perProducer numbers, i*perProducer and the
// following; then pushed is called. It checks that nothing is lost or doubled, and
// that what one consumer gets of one producer comes in the order of the pushes.
func stress(t *testing.T, perProducer int, push []pushing, pop []popping, pushed func()) {
	t.Helper()
	total := perProducer * len(push)
	got := make([][]int, len(pop))
	var producers, consumers sync.WaitGroup
	done := make(chan struct{})
	for i, push := range push {
		producers.Go(func() {
			for n := range perProducer {
				for !push(i*perProducer + n) {
					runtime.Gosched()
				}
			}
		})
	}
	for i, pop := range pop {
		consumers.Go(func() {
			for {
				n, ok := pop()
				if ok {
					got[i] = append(got[i], n)
					continue
				}
				select {
				case <-done:
					if n, ok = pop(); !ok {
						return
					}
					got[i] = append(got[i], n)
				default:
					runtime.Gosched()
				}
			}
		})
	}
	producers.Wait()
	pushed()
	close(done)
	consumers.Wait()

	seen := make([]int, total)
	for _, items := range got {
		last := make(map[int]int)
		for _, n := range items {
			seen[n]++
			from := n / perProducer
			if previous, ok := last[from]; ok && previous >= n {
				t.Fatalf("of producer %d, item %d came after item %d", from, n, previous)
			}
			last[from] = n
		}
	}
	for n, times := range seen {
		if times != 1 {
			t.Fatalf("item %d came out %d times", n, times)
		}
	}
}

// same returns n times the same half.
func same[F any](n int, half F) []F {
	halves := make([]F, n)
	for i := range halves {
		halves[i] = half
	}
	return halves
}

// rounds is less under the race detector, and with -short.
func rounds(n int) int {
	if raceEnabled {
		n /= 20
	}
	if testing.Short() {
		n /= 10
	}
	return max(n, 1)
}
