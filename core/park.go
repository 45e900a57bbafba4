package core

import (
	"runtime"
	"time"

	"github.com/uptutu/goman/core/internal/point"
)

// This file alone puts goroutines to sleep when idle and wakes them.
//
// # Slots and goroutines
//
// A slot is the right to run one task; a worker is a goroutine. The lot keeps
// the slots nobody holds, the goroutines that sleep without one (spares), and
// the goroutines that want their slot back after a wait inside a task
// (resumers). A slot that becomes free goes to the first resumer, otherwise it
// lies idle. Waking is: take an idle slot, take a spare or start a goroutine,
// hand the slot over through the goroutine's channel. The channel has room for
// one message, and a worker is in one list at a time, so the hand-over never
// blocks.
//
// # No wake-up is lost
//
// A producer makes its job visible, then looks for idle slots (notify). A
// worker that found nothing announces its slot as idle, then looks again for
// visible jobs, then sleeps (park). Both sides write before they read, and
// Go's atomics are sequentially consistent, so at least one of them sees the
// other. If the second look were dropped, or came before the announcement, a
// job pushed between the two would lie beside a sleeping worker.
//
// # One searcher
//
// Waking a sleeping core costs more than running a hundred small tasks, so at
// most one goroutine at a time is woken or searches (lot.searching, the seat).
// While the seat is taken a producer wakes nobody: the searcher will see its
// job, because it looks for visible jobs again after it has left the seat.
// A searcher that has found work leaves the seat and, if more is visible, wakes
// the next. That chain starts as many workers as there is work for.
//
// "Visible" is one flag for the shared queue (or the user's scheduler) and one
// for all slots' own places. The first changes under the intake's mutex. The
// second is set by who stores a job in a slot, and cleared by a searcher before
// it looks into every slot: a job stored before the clearing is found by that
// look, one stored after sets the flag again.
//
// # Watching
//
// Before a searcher sleeps it watches the two flags for a while, if there is
// more than one processor: to wake a sleeping processor takes tens of
// microseconds, so to watch for about as long costs at most twice what is best
// (the ski rental rule). The time adapts to the gaps between jobs. It doubles
// when a job came late in it, or after it within the time that the longest watch
// takes, and halves when the next job came later than that. The watch itself is
// counted in rounds and not in time, because in a testing/synctest bubble time stands
// still while a goroutine runs; there every gap looks short. Between rounds it yields
// the processor to whoever can use it. See BenchmarkWait.

const (
	watchMin    = 1 << 2
	watchMax    = 1 << 9 // about 100 microseconds
	watchStart  = 1 << 7
	watchGap    = 100 * time.Microsecond
	threadLocks = 8 // calls of LockOSThread that a worker undoes before it sleeps

	watchLooks = 64   // looks at the flags in one round
	watchPause = 2000 // turns before a look, if tasks are run by who awaits them: about a microsecond
	watchStays = 4    // how often a job is to be seen then
)

// visible reports whether there may be a job to start.
func (e *Engine) visible() bool { return e.in.visible.Load() || e.lot.local.Load() }

// notify wakes a worker for a job that was made visible, if one is asleep and
// nobody is searching.
func (e *Engine) notify() {
	if e.lot.available.Load() > 0 && e.lot.searching.Load() == 0 {
		e.wake()
	}
}

// wake takes the seat and gives it, with an idle slot, to a goroutine.
func (e *Engine) wake() {
	point.At(point.Notify) // not in notify, which is called for each task
	if e.signal.Load()&(signalPaused|signalStopping) != 0 {
		return
	}
	if !e.lot.wide() || e.settings.Load().Workers == 0 {
		e.followProcs() // takes a lock of Go's own scheduler, so not for many workers whose number was given
	}
	e.wakeOne()
}

// wakeOne is wake without a look at the settings.
func (e *Engine) wakeOne() {
	point.At(point.Seat)
	l := &e.lot
	for l.searching.CompareAndSwap(0, 1) {
		l.judgeWatch()
		l.mu.Lock()
		if l.busy < l.limit && !l.closing {
			e.dispatch(l.takeSlot(), true)
			l.mu.Unlock()
			return
		}
		// All slots are held by goroutines that look again before they sleep.
		closing := l.closing
		l.mu.Unlock()
		point.At(point.LeaveIt)
		l.searching.Store(0)
		point.At(point.Recheck)
		// A producer that found the seat taken has woken nobody, and a slot may
		// have become idle since: whoever leaves the seat looks again.
		if closing || l.available.Load() == 0 || !e.visible() {
			return
		}
	}
}

// dispatch hands slot s to a spare or a new goroutine. The caller holds lot.mu.
func (e *Engine) dispatch(s *slot, searching bool) {
	l := &e.lot
	if n := len(l.spares); n > 0 {
		w := l.spares[n-1]
		l.spares[n-1] = nil
		l.spares = l.spares[:n-1]
		l.low = min(l.low, n-1)
		w.searching = searching
		w.wake <- s
		return
	}
	w := e.newWorker()
	w.searching = searching
	w.slot.Store(s)
	l.enter()
	go w.main()
}

// park gives up w's slot and sleeps until it is given another. It reports false
// if w is to end instead.
func (w *worker) park() bool {
	e, l := w.engine, &w.engine.lot
	w.leaveSearch()
	for range threadLocks {
		runtime.UnlockOSThread() // a task may have forgotten to
	}
	point.At(point.Announce)
	s := w.slot.Load()
	w.slot.Store(nil)
	l.mu.Lock()
	if s != nil {
		e.putSlot(s)
	}
	if l.closing {
		l.mu.Unlock()
		return false
	}
	l.spares = append(l.spares, w)
	e.armIdle()
	l.mu.Unlock()
	point.At(point.Recheck)
	if e.visible() {
		e.wake()
	}
	e.checkIdle()
	point.At(point.Park)
	s = <-w.wake
	point.At(point.Wake)
	if s == nil {
		return false
	}
	w.slot.Store(s)
	return true
}

func (w *worker) leaveSearch() {
	if w.searching {
		point.At(point.LeaveIt)
		w.searching = false
		w.engine.lot.searching.Store(0)
	}
}

// watchFlags looks for visible jobs for a while. Only who has the seat watches.
func (w *worker) watchFlags() bool {
	e, l := w.engine, &w.engine.lot
	if e.procs.Load() < 2 {
		return false
	}
	for round := range l.watch {
		if e.look() {
			if round > l.watch/8 {
				l.watch = min(l.watch*2, watchMax)
			}
			return true
		}
		if e.signal.Load()&(signalLeave|signalIdle) != 0 {
			return false
		}
		point.Yield(point.Watch)
		runtime.Gosched()
	}
	l.watched = time.Now()
	return false
}

// look is one round of watching: it reports whether there is a job to start. Where
// those who await tasks run them themselves, it looks rarely, and only a job that
// stays counts, since whoever submitted it is about to take it. See BenchmarkAwait.
func (e *Engine) look() bool {
	if !e.selfServed() {
		for range watchLooks {
			if e.visible() {
				return true
			}
		}
		return false
	}
	pause(watchPause)
	for range watchStays {
		if !e.visible() {
			return false
		}
		pause(watchPause / 8)
	}
	return true
}

// pause passes some time: about half a nanosecond a turn.
func pause(turns int) {
	for i := range turns {
		_ = i
	}
}

// judgeWatch adapts the time that the next watch takes to the rest of the gap, which
// the last has not bridged. The caller has the seat.
func (l *lot) judgeWatch() {
	if l.watched.IsZero() {
		return
	}
	if time.Since(l.watched) < watchGap {
		l.watch = min(l.watch*2, watchMax)
	} else {
		l.watch = max(l.watch/2, watchMin)
	}
	l.watched = time.Time{}
}

// giveUpSlot gives w's slot away for the time of a wait inside a task.
func (w *worker) giveUpSlot() {
	point.At(point.HandOver)
	e, l := w.engine, &w.engine.lot
	e.schedYielded(w)
	s := w.slot.Load()
	w.slot.Store(nil)
	l.mu.Lock()
	w.away = true
	if s != nil {
		e.putSlot(s)
	}
	l.mu.Unlock()
	point.At(point.Recheck)
	if e.visible() {
		e.wake()
	}
}

// takeSlotBack gets w a slot again, before any new work starts.
func (w *worker) takeSlotBack() {
	w.awaitSlot()
	w.engine.schedResumed(w)
}

func (w *worker) awaitSlot() {
	point.At(point.TakeBack)
	e, l := w.engine, &w.engine.lot
	l.mu.Lock()
	if w.foreign {
		w.away = false
		l.mu.Unlock()
		return
	}
	if e.signal.Load()&signalStopping != 0 {
		// Nothing starts any more, so nobody needs a slot to go on, and those who
		// hold one may never give it up.
		w.away = false
		l.mu.Unlock()
		return
	}
	if l.busy < l.limit && len(l.resumers) == 0 {
		w.away = false
		w.slot.Store(l.takeSlot())
		l.mu.Unlock()
		return
	}
	l.resumers = append(l.resumers, w)
	e.signal.Or(signalResume)
	l.mu.Unlock()
	w.slot.Store(<-w.wake)
	point.At(point.Resumed)
}
