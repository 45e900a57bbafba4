//go:build goman_points

package point

import (
	"sync"
	"sync/atomic"
)

// toy is an engine small enough to be seen to be right, with two mistakes that
// can be made in it on purpose.
type toy struct {
	mistakes
	mu      sync.Mutex
	queue   []func()
	idle    []*toyWorker
	closed  atomic.Bool
	workers sync.WaitGroup
}

type mistakes struct {
	noRecheck bool // workers do not look again before they sleep
	noDrain   bool // workers that find nothing end if the engine is closed, without another look
}

type toyWorker struct{ wake chan struct{} }

func newToy(workers int, made mistakes) *toy {
	e := &toy{mistakes: made}
	for i := range workers {
		e.workers.Go(func() {
			Enter("worker", i)
			e.work(&toyWorker{wake: make(chan struct{}, 1)})
		})
	}
	return e
}

// submit reports whether fn was accepted.
func (e *toy) submit(fn func()) bool {
	At(Admit)
	e.mu.Lock()
	if e.closed.Load() {
		e.mu.Unlock()
		return false
	}
	e.queue = append(e.queue, fn)
	e.mu.Unlock()
	At(Notify)
	e.wakeOne()
	return true
}

func (e *toy) wakeOne() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.idle); n > 0 {
		e.idle[n-1].wake <- struct{}{}
		e.idle = e.idle[:n-1]
	}
}

func (e *toy) close() {
	At(Drain)
	e.mu.Lock()
	e.closed.Store(true)
	for _, w := range e.idle {
		w.wake <- struct{}{}
	}
	e.idle = nil
	e.mu.Unlock()
	e.workers.Wait()
	At(Finish)
}

func (e *toy) take() func() {
	At(Take)
	if Fail(Take) {
		return nil // a miss: as if the job were not visible yet
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) == 0 {
		return nil
	}
	fn := e.queue[0]
	e.queue = e.queue[1:]
	return fn
}

func (e *toy) size() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.queue)
}

func (e *toy) work(w *toyWorker) {
	for {
		if fn := e.take(); fn != nil {
			fn()
			continue
		}
		At(CloseLot)
		if e.closed.Load() {
			// What was accepted came before the flag, so now it is visible.
			if e.noDrain || e.size() == 0 {
				return
			}
			continue
		}
		At(Announce)
		e.mu.Lock()
		if e.closed.Load() {
			e.mu.Unlock()
			continue
		}
		e.idle = append(e.idle, w)
		e.mu.Unlock()
		At(Recheck)
		if !e.noRecheck && e.size() > 0 {
			e.wakeOne() // perhaps w itself
		}
		At(Park)
		<-w.wake
		At(Wake)
	}
}

// submitAgainstPark submits from two actors and waits for each task before the
// next, so that a lost wake-up hangs.
func submitAgainstPark(made mistakes) func(*Controller) {
	return func(c *Controller) {
		e := newToy(2, made)
		for _, name := range []string{"a", "b"} {
			c.Go(name, func() {
				for range 2 {
					done := make(chan struct{})
					e.submit(func() { close(done) })
					<-done
					At(AwaitWake)
				}
			})
		}
		c.Join()
		e.close()
	}
}

// submitAgainstClose demands that what was accepted has run when close returns.
func submitAgainstClose(made mistakes) func(*Controller) {
	return func(c *Controller) {
		e := newToy(1, made)
		var accepted, ran atomic.Int64
		c.Go("submitter", func() {
			for range 3 {
				if e.submit(func() { ran.Add(1) }) {
					accepted.Add(1)
				}
			}
		})
		e.close()
		c.Join()
		if accepted.Load() != ran.Load() {
			c.Errorf("%d tasks were accepted, %d ran", accepted.Load(), ran.Load())
		}
	}
}
