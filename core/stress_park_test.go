package core_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
)

// A cold engine: the first submission wakes the first worker. Several submitters
// at once leave nothing behind. (P-C5)
func TestStress_ColdStart(t *testing.T) {
	watched(t, rounds(20_000), func(i int, soon context.Context, watch func(*core.Engine)) {
		workers, submitters := 1+i%3, 1+i%4
		e := freshEngine(t, core.WithWorkers(workers))
		watch(e)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for range submitters {
			wg.Go(func() {
				<-start
				done := make(chan struct{})
				if err := e.Go(func() { close(done) }); err != nil {
					t.Error(err)
					return
				}
				<-done // without a further event
			})
		}
		close(start)
		wg.Wait()
		endEngine(t, e)
	})
}

// Parking against submission, with waits inside tasks that give slots away and
// take them back, resizes and pauses in between.
func TestStress_ParkAgainstEverything(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2), core.WithQueueCapacity(3), core.WithIdleTimeout(time.Millisecond, 0))
	quit := make(chan struct{})
	var meddler sync.WaitGroup
	meddler.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-quit:
				return
			default:
			}
			if err := errors.Join(e.Resize(1+i%3), e.Pause(), e.Resume(), e.SetQueueCapacity(1+i%4)); err != nil {
				t.Error(err)
				return
			}
			for range i % 100 {
				runtime.Gosched()
			}
		}
	})
	watched(t, rounds(3000), func(i int, soon context.Context, watch func(*core.Engine)) {
		watch(e)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if n, err := must(t, e, tree(e, new(gauge), 1+i%4)).Await(soon); n != 1<<(1+i%4)-1 || err != nil {
					t.Errorf("%d, %v; %+v", n, err, e.Stats())
				}
			})
			wg.Go(func() {
				done := make(chan struct{})
				if err := e.Go(func() { close(done) }); err != nil {
					t.Error(err)
					return
				}
				<-done
			})
		}
		wg.Wait()
	})
	close(quit)
	meddler.Wait()
	idle(t, e)
}

// Side goroutines submit with the context of a task that is just returning: the
// child lands in a slot whose worker is about to sleep.
func TestStress_SubmitAsTaskReturns(t *testing.T) {
	var seen tally
	watched(t, rounds(20_000), func(i int, soon context.Context, watch func(*core.Engine)) {
		accept := i%2 == 0
		e := freshEngine(t, core.WithConfig(core.Config{Workers: 1, AcceptChildren: accept}))
		watch(e)
		side := make(chan struct{})
		f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
			go func() {
				defer close(side)
				for range i % 7 {
					runtime.Gosched()
				}
				done := make(chan struct{})
				if err := e.GoContext(ctx, func() { close(done) }); err != nil {
					seen.add("refused")
					return
				}
				seen.add("accepted")
				<-done
			}()
			for range i % 50 {
				runtime.Gosched()
			}
			return 1, nil
		}))
		if i%4 < 2 {
			if _, err := f.Await(soon); err != nil {
				t.Error(err)
			}
		}
		if i%3 == 0 {
			if err := e.Shutdown(soon); err != nil {
				t.Error(err)
			}
		}
		<-side
		endEngine(t, e)
	})
	seen.want(t, "refused", "accepted")
}
