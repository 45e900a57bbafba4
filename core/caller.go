package core

// RejectCallerRuns: the task runs on the goroutine of its submitter.

// admitCaller runs the newcomer on the goroutine of its submitter: a task in
// its own slot, everybody else beside the workers.
func (e *Engine) admitCaller(a *admission) error {
	if done, err := e.tryCaller(a); done {
		return err
	}
	return e.admitWaiting(a) // nothing starts while the engine is paused
}

// tryCaller reports done = false if the engine is paused.
func (e *Engine) tryCaller(a *admission) (done bool, err error) {
	if e.signal.Load()&signalPaused != 0 {
		return false, nil
	}
	if a.task != nil && a.task.enterCall(a.worker) {
		if s := a.worker.slot.Load(); s != nil {
			defer a.task.exitCall()
			return e.runCaller(a, a.worker, s)
		}
		a.task.exitCall()
	}
	e.lot.mu.Lock()
	w := e.borrowedWorker()
	w.foreign = true
	e.lot.foreign++
	e.lot.mu.Unlock()
	defer e.unborrow(w)
	return e.runCaller(a, w, &e.outside)
}

func (e *Engine) runCaller(a *admission, w *worker, s *slot) (done bool, err error) {
	in := &e.in
	in.lock()
	if in.closed && !e.acceptsChild(a) {
		in.mu.Unlock()
		return true, e.refuse(reasonClosed, ErrClosed)
	}
	s.mu.Lock()
	if e.signal.Load()&signalPaused != 0 { // looked at where starts are counted: see Pause
		s.mu.Unlock()
		in.mu.Unlock()
		return false, nil
	}
	s.tally.accepted++
	w.startNested(s, a.job)
	w.unordered = append(w.unordered, a.job)
	s.credit-- // start returned a unit that the job never took
	s.mu.Unlock()
	in.mu.Unlock()
	w.runNested(a.job)
	return true, nil
}
