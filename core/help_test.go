package core

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"
)

// A waiter yields its processor before it sleeps: how long it was away counts, or
// tasks that are not tiny would come to be run on their waiters' goroutines.
func TestHelp_WaitsAreMeasured(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	e, err := New(WithWorkers(1), WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	long := Func(func(context.Context) (int, error) {
		for began := time.Now(); time.Since(began) < 10*shortWait; {
		}
		return 1, nil
	})
	for range 4 * helpsAfter {
		if n, err := Run(context.Background(), e, long); n != 1 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if e.selfServed() {
			t.Fatalf("waits of %v count as short", 10*shortWait)
		}
	}
	if err := e.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
