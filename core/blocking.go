package core

import "context"

// Blocking calls fn, which waits for something that no engine knows of: a channel, a
// lock, a file, the network. ctx is the context of the task that calls it, or derived
// from it; then fn does not hold a worker up: the task's slot goes to other work for the
// time of the call, as with [Future.Await], and Blocking returns once the task has a slot
// again. So more tasks than there are workers may be inside fn at a time, each on a
// goroutine of its own; what bounds them is up to the program. With any other context
// Blocking only calls fn.
//
// It costs no allocation and about 40 ns (BenchmarkBlocking), and what waking other work
// costs, so it pays for waits, not for a lock that is nearly always free. It is for
// waiting, not for work: nothing else bounds how many are inside.
//
// fn runs on the caller's goroutine and is not interrupted when ctx ends; what it waits
// for has to know ctx. A panic of fn goes on to the caller. A ring of tasks that wait for
// each other in this way is not found.
func Blocking(ctx context.Context, fn func()) {
	if !isNilContext(ctx) {
		defer leaveSlot(ctx).end()
	}
	fn()
}

// absence is the time for which a task has given its slot to other work. The zero
// absence is none.
type absence struct {
	r       *record
	w       *worker
	entered bool     // the call uses the slot, and has given it away
	watch   *watcher // of the call that uses it, if that is another goroutine's
}

// leaveSlot gives the slot of the task that ctx belongs to, of whatever engine, to
// other work for the time of a call that sleeps, until the absence is ended. If another
// goroutine of the task is inside such a call, that one's end gives the slot back to the
// task, and from then on it is this call that leaves it.
func leaveSlot(ctx context.Context) absence {
	r := taskOf(ctx)
	if r == nil {
		return absence{}
	}
	state := r.state.Load()
	if phase(state) != phaseRunning {
		return absence{}
	}
	a := absence{r: r, w: r.engine().worker(runner(state))}
	var over <-chan struct{}
	if a.entered, over = r.leaveFor(a.w); over != nil {
		a.watch = r.watchCall(a.w, over)
	}
	return a
}

// end takes a slot back.
func (a absence) end() {
	if a.watch != nil {
		a.entered = a.watch.end()
	}
	if a.entered {
		defer a.r.exitCall() // also if the user's scheduler calls Goexit
		a.w.takeSlotBack()
	}
}

// watcher waits, on a goroutine of its own, for the end of the call that uses the slot,
// and leaves the slot then: the call for which it does sleeps in a way of its own.
type watcher struct {
	stop, ended chan struct{}
	entered     bool // valid once ended
}

func (r *record) watchCall(w *worker, over <-chan struct{}) *watcher {
	watch := &watcher{stop: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(watch.ended)
		for over != nil {
			select {
			case <-over:
				watch.entered, over = r.leaveFor(w)
			case <-watch.stop:
				return
			}
		}
	}()
	return watch
}

func (w *watcher) end() (entered bool) {
	close(w.stop)
	<-w.ended
	return w.entered
}

// leaveFor gives the slot of w, which runs r, away. If another call of r uses the slot
// it returns the channel that is closed when that is over.
func (r *record) leaveFor(w *worker) (entered bool, over <-chan struct{}) {
	for !r.enterCall(w) {
		if over = r.callOver(); over != nil {
			return false, over
		}
		if state := r.state.Load(); phase(state) != phaseRunning || runner(state) != w.id {
			return false, nil
		}
	}
	defer func() {
		if !entered { // the user's scheduler has called Goexit
			r.exitCall()
		}
	}()
	w.giveUpSlot()
	return true, nil
}
