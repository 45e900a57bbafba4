package core_test

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/uptutu/goman/core"
)

// However many functions panic or call Goexit, as many run at a time as before, and each
// is counted (P-C9).
func TestStress_PanicsAndExits(t *testing.T) {
	const workers = 4
	e := engineFor(t, quietly(), core.WithWorkers(workers), core.WithOnPanic(func(*core.PanicError) {}))
	n := rounds(40_000)
	var submitters sync.WaitGroup
	for range 2 {
		submitters.Go(func() {
			for i := range n / 2 {
				fn := func() { panic(i) }
				if i%2 == 1 {
					fn = runtime.Goexit
				}
				if err := e.Go(fn); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	submitters.Wait()
	idle(t, e)
	if s := e.Stats(); s.Panicked != uint64(n/2*2) || s.Ended() != s.Panicked {
		t.Errorf("%d have panicked: %+v", n/2*2, s)
	}
	var met sync.WaitGroup // as many as there are workers have to run at the same time
	met.Add(workers)
	for range workers {
		if err := e.Go(func() { met.Done(); met.Wait() }); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.WaitIdle(soon(t)); err != nil {
		t.Error(err)
	}
	if v, err := core.Run(context.Background(), e, value(7)); v != 7 || err != nil {
		t.Error(v, err)
	}
}
