package core

import "github.com/uptutu/goman/core/internal/point"

// Rings of tasks that wait for each other: see the top of wait.go.

// noteWait notes that w waits for r, unless that closes a ring.
func (w *worker) noteWait(r *record) error {
	e := w.engine
	point.At(point.Ring)
	e.waitGraph.Lock()
	defer e.waitGraph.Unlock()
	w.waits.Store(r)
	if ring := e.ring(w, r); ring != nil {
		w.waits.Store(nil)
		return &DeadlockError{Engine: e.name, Tasks: ring}
	}
	return nil
}

// requeued returns a channel that is closed when r is pushed to be run again, or nil
// if its engine's scheduler holds no task back for another.
func (r *record) requeued() <-chan struct{} {
	if r.engine().in.optional.claimer == nil {
		return nil
	}
	x := r.needExtra()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.requeued == nil {
		x.requeued = make(chan struct{})
	}
	return x.requeued
}

// tellRequeued tells the tasks that wait for r that it was pushed again.
func (r *record) tellRequeued() {
	x := r.extra.Load() // a task that is run again has one
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.requeued != nil {
		close(x.requeued)
		x.requeued = nil
	}
}

// ring follows the chain of waits from r and returns the names of the tasks in
// it if it comes back to w. The caller holds e.waitGraph.
//
// It may come to a ring without w: one that was closed by a push, and whoever waits for
// what was pushed is about to look (see requeued). He needs e.waitGraph for that, so the
// chain must not go round for long: it ends where it comes to a mark, which is set at hops
// 1, 2, 4, 8 and so on (R. Brent, "An improved Monte Carlo factorization algorithm", 1980).
func (e *Engine) ring(w *worker, r *record) []string {
	type hop struct {
		awaited, running *record // they differ where a lane holds awaited back
		on               *worker
	}
	var hops []hop
	var mark *record
	for {
		if r == mark {
			return nil
		}
		if n := len(hops); n&(n-1) == 0 {
			mark = r
		}
		running, on := r.runsOn()
		if on == nil {
			return nil
		}
		hops = append(hops, hop{r, running, on})
		if on == w {
			break
		}
		next := on.waits.Load()
		if next == nil || ended(next.state.Load()) {
			return nil
		}
		// Of another engine's workers the wait may be that of a later task.
		if again, still := r.runsOn(); again != running || still != on {
			return nil
		}
		r = next
	}
	// A task may run inside another that awaits it: those belong to the ring too.
	var names []string
	for _, h := range hops {
		if h.awaited != h.running {
			names = append(names, h.awaited.name())
		}
		names = append(names, h.on.namesFrom(h.running)...)
	}
	if n := len(names); n > 0 { // the last is me, on w
		names = append(names[n-1:n:n], names[:n-1]...)
	}
	return names
}

// namesFrom returns the names of r and of the tasks that w runs inside it, each
// of which the one before awaits.
func (w *worker) namesFrom(r *record) (names []string) {
	slots := w.engine.lockAll()
	w.running(func(job Job) {
		if job.record() == r || len(names) > 0 {
			names = append(names, job.Name())
		}
	})
	w.engine.unlockAll(slots)
	if len(names) == 0 {
		names = []string{r.name()}
	}
	return names
}

// runsOn returns the worker on whose waiting the end of r depends, and the task
// that runs there: r, or the one before it in its lane.
func (r *record) runsOn() (*record, *worker) {
	e := r.engine()
	state := r.state.Load()
	if phase(state) == phaseQueued && e.in.scheduler != nil {
		holder := e.holder(jobOf(r)).record()
		if holder == nil {
			return nil, nil
		}
		r, state = holder, holder.state.Load()
	}
	if phase(state) != phaseRunning {
		return nil, nil
	}
	w := e.worker(runner(state))
	if w == nil || r.state.Load()&^(flagObserved|flagBusy|flagPerformed) != state&^(flagObserved|flagBusy|flagPerformed) {
		return nil, nil
	}
	return r, w
}
