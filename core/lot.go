package core

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/uptutu/goman/core/internal/point"
)

// The lot: who holds a slot, who has none, and how many there are. Sleeping and waking
// are in park.go.

type lot struct {
	_         [64]byte
	available atomic.Int32 // slots that notify may wake: changed under mu
	searching atomic.Int32 // the seat: 0 or 1
	local     atomic.Bool  // some slot may store jobs
	width     atomic.Int32 // limit, for those who do not hold mu
	leaving   atomic.Int32 // goroutines that resolve jobs which did not run
	callbacks atomic.Int32 // goroutines that call OnDone functions
	_         [64]byte

	mu       point.Mutex
	limit    int       // how many slots may be held
	busy     int       // how many are
	slots    []*slot   // all there ever were, by index
	idle     []*slot   // those not held, the latest last
	spares   []*worker // sleeping goroutines, the latest last
	resumers []*worker // goroutines that wait for a slot, the first first
	workers  []*worker // all workers there ever were, by id
	retired  []*worker // those whose goroutine has ended, to be used again
	borrowed []*worker // idle workers for goroutines that are not the engine's
	foreign  int       // how many of them run a task without a slot
	lost     bool      // a forced stop has given up those that still hold a slot

	closing bool
	low     int // fewest spares since the idle timer was set
	timer   *time.Timer
	timing  bool

	goroutines atomic.Int64
	gone       chan struct{} // closed when closing and goroutines is zero
	onGone     func()        // called then, with mu held
	watch      int           // rounds the next watch takes; owned by who has the seat
	watched    time.Time     // when the last has ended in vain, unless that was judged; the same
	byID       atomic.Pointer[[]*worker]
}

// manyWorkers is how many workers make an engine wide: its tasks wait rather than
// compute, and what is done for each worker or each wake-up costs more than it saves.
// See BenchmarkSleep.
const manyWorkers = 64

func (l *lot) wide() bool { return l.width.Load() > manyWorkers }

// enter and leave count the engine's goroutines.
func (l *lot) enter() { l.goroutines.Add(1) }

func (l *lot) leave() {
	point.At(point.Gone)
	if l.goroutines.Add(-1) == 0 {
		l.mu.Lock()
		l.checkGone()
		l.mu.Unlock()
	}
}

// checkGone closes gone when the last goroutine of a closing engine has ended.
// The caller holds mu.
func (l *lot) checkGone() {
	if l.closing && l.goroutines.Load() == 0 {
		select {
		case <-l.gone:
		default:
			close(l.gone)
			l.onGone()
		}
	}
}

// occupied reports whether somebody holds a slot or runs a task without one, and
// has not been given up by a forced stop.
func (l *lot) occupied() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.occupiedLocked()
}

func (l *lot) occupiedLocked() bool {
	return !l.lost && (l.busy > 0 || l.foreign > 0 || l.leaving.Load() > 0)
}

// beginLeaving is called before jobs that did not run are counted as ended, and
// endLeaving when their futures are resolved and their hooks called: the engine
// is not idle before that.
func (e *Engine) beginLeaving() { e.lot.leaving.Add(1) }

func (e *Engine) endLeaving() {
	e.lot.leaving.Add(-1)
	e.checkIdle()
}

// setAvailable publishes how many slots may be woken. The caller holds mu.
func (l *lot) setAvailable() {
	l.available.Store(int32(max(l.limit-l.busy, 0)))
}

// takeSlot takes an idle slot, or makes one. The caller holds mu and has
// checked that busy is below limit.
func (l *lot) takeSlot() *slot {
	l.busy++
	l.setAvailable()
	if n := len(l.idle); n > 0 {
		s := l.idle[n-1]
		l.idle = l.idle[:n-1]
		return s
	}
	s := newSlot(len(l.slots))
	l.slots = append(l.slots, s)
	return s
}

// putSlot gives a slot up: to the first resumer, unless there are too many
// slots, or to the idle ones. The caller holds mu.
func (e *Engine) putSlot(s *slot) {
	l := &e.lot
	if len(l.resumers) > 0 && l.busy <= l.limit {
		w := l.resumers[0]
		l.resumers[0] = nil
		l.resumers = l.resumers[1:]
		if len(l.resumers) == 0 {
			l.resumers = nil
			e.signal.And(^signalResume)
		}
		w.away = false
		w.wake <- s
		return
	}
	l.busy--
	l.idle = append(l.idle, s)
	if l.busy <= l.limit {
		e.signal.And(^signalExcess)
	}
	// A slot became free that putSlot could not give away while there were too
	// many: the resumers go first.
	if len(l.resumers) > 0 && l.busy < l.limit {
		l.busy++
		l.idle = l.idle[:len(l.idle)-1]
		e.lot.setAvailable()
		e.putSlot(s)
		return
	}
	l.setAvailable()
}

// newWorker makes a worker with an id of its own. The caller holds lot.mu.
func (e *Engine) newWorker() *worker {
	l := &e.lot
	if n := len(l.retired); n > 0 {
		w := l.retired[n-1]
		l.retired[n-1] = nil
		l.retired = l.retired[:n-1]
		w.greeted = false
		return w
	}
	w := &worker{engine: e, wake: make(chan *slot, 1), id: uint32(len(l.workers))}
	room := cap(l.workers)
	l.workers = append(l.workers, w)
	if cap(l.workers) != room {
		// Readers without the lock see the places that are still to be filled, and
		// an old array until it is replaced; they ask only for workers that run a
		// task, or did a moment ago, and those were there before. An element never
		// changes once it is there.
		workers := l.workers[:cap(l.workers)]
		l.byID.Store(&workers)
	}
	return w
}

// worker returns the worker with the given id.
func (e *Engine) worker(id uint32) *worker { return (*e.lot.byID.Load())[id] }

// borrow takes an idle slot for a goroutine that is not the engine's, or
// returns nil.
func (e *Engine) borrow() *worker {
	l := &e.lot
	if l.available.Load() == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy >= l.limit || len(l.resumers) > 0 || l.closing {
		return nil
	}
	w := e.borrowedWorker()
	w.slot.Store(l.takeSlot())
	return w
}

// borrowedWorker returns a worker for a goroutine that is not the engine's. The
// caller holds lot.mu.
func (e *Engine) borrowedWorker() *worker {
	l := &e.lot
	if n := len(l.borrowed); n > 0 {
		w := l.borrowed[n-1]
		l.borrowed = l.borrowed[:n-1]
		return w
	}
	return e.newWorker()
}

// unborrow gives a borrowed worker back, with its slot if it has one.
func (e *Engine) unborrow(w *worker) {
	point.At(point.Unborrow)
	l := &e.lot
	s := w.slot.Load()
	w.slot.Store(nil)
	l.mu.Lock()
	if w.foreign {
		w.foreign = false
		l.foreign--
	}
	if s != nil {
		e.putSlot(s)
	}
	l.borrowed = append(l.borrowed, w)
	l.mu.Unlock()
	if e.visible() {
		e.notify()
	}
	e.checkIdle()
}

// setLimit changes how many slots may be held.
func (e *Engine) setLimit(n int) {
	l := &e.lot
	l.mu.Lock()
	l.limit = n
	l.width.Store(int32(n))
	if l.busy > l.limit {
		e.signal.Or(signalExcess)
	} else {
		e.signal.And(^signalExcess)
	}
	for len(l.resumers) > 0 && l.busy < l.limit {
		s := l.takeSlot()
		e.putSlot(s) // goes to the first resumer
	}
	l.setAvailable()
	l.mu.Unlock()
	if e.visible() {
		e.wake()
	}
}

// closeLot ends the goroutines that have no task; the others end when theirs
// does.
func (e *Engine) closeLot() {
	point.At(point.CloseLot)
	l := &e.lot
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return
	}
	l.closing = true
	for _, w := range l.spares {
		w.wake <- nil
	}
	l.spares = nil
	if l.timer != nil {
		l.timer.Stop()
	}
	l.checkGone()
}

// armIdle sets the timer that ends goroutines that were not needed. There is
// one timer, and only while there are more spares than are to be kept, so an
// idle engine ticks at most until it is down to those. The caller holds mu.
func (e *Engine) armIdle() {
	l, c := &e.lot, e.settings.Load()
	if l.timing || l.closing || len(l.spares) <= c.keep() {
		return
	}
	l.timing = true
	l.low = len(l.spares)
	if l.timer == nil {
		l.timer = time.AfterFunc(c.IdleTimeout, e.endIdle)
	} else {
		l.timer.Reset(c.IdleTimeout)
	}
}

// keep is how many idle goroutines are kept, however long they are idle.
func (c *Config) keep() int {
	if c.IdleTimeout < 0 {
		return math.MaxInt
	}
	return c.MinIdle
}

// rearmIdle makes changed settings count for goroutines that are idle already.
func (e *Engine) rearmIdle() {
	l := &e.lot
	l.mu.Lock()
	if l.timing && l.timer.Stop() {
		l.timing = false // otherwise endIdle is about to run, and sets it again
	}
	e.armIdle()
	l.mu.Unlock()
}

// endIdle ends as many spares as were never needed since the timer was set,
// the longest idle first.
func (e *Engine) endIdle() {
	point.At(point.Expire)
	l, c := &e.lot, e.settings.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timing = false
	if n := min(l.low, len(l.spares)-c.keep()); n > 0 {
		for _, w := range l.spares[:n] {
			w.wake <- nil
		}
		l.spares = append([]*worker(nil), l.spares[n:]...)
	}
	e.armIdle()
}
