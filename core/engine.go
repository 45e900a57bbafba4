package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
	"weak"

	"github.com/uptutu/goman/core/internal/point"
)

// Engine runs tasks on a bounded number of workers. Make one with New; the zero
// Engine refuses everything. All methods may be called by any number of
// goroutines.
//
// An engine should be ended with Shutdown or Close. One that is idle and that
// nobody refers to any more is collected once its goroutines have ended, as they do
// when idle, unless Config.MinIdle or a negative IdleTimeout keeps some.
type Engine struct {
	// Immutable after New.
	name    string
	logger  *slog.Logger
	onPanic func(*PanicError)
	self    weak.Pointer[Engine]
	ctx     context.Context // the parent of all tasks' contexts
	cancel  context.CancelCauseFunc
	endless bool            // nothing but the engine ends ctx, once it is stopping
	after   context.Context // what is left of a task's context once the task has returned

	// Read by the hot path, changed by rare events.
	signal   atomic.Uint32
	plain    atomic.Bool  // functions need no record: there are no default limits
	procs    atomic.Int32 // GOMAXPROCS as last seen
	patience atomic.Int32 // how long the next wait for a result watches (wait.go)
	short    atomic.Int32 // how many waits in a row were short
	waits    atomic.Uint32
	exits    atomic.Uint32          // how many tasks called Goexit
	settings atomic.Pointer[Config] // in force, complete; replaced as a whole
	chain    atomic.Pointer[chain]
	kinds    [kindPlaces]atomic.Pointer[kind]
	hooks    atomic.Pointer[hookSet]

	in      intake
	lot     lot
	outside slot // counts what happens outside every slot; stores nothing
	waiters sync.Pool

	waitGraph point.Mutex // see wait.go
	config    point.Mutex // serialises changes of settings, chain and hooks
	kindLock  point.Mutex
	allKinds  map[unsafe.Pointer]*kind // guarded by kindLock
	stop      stopping

	cancels  atomic.Uint64 // how often a running task was cancelled; not zero once one has a run limit
	rejected [reasons]atomic.Uint64
	late     atomic.Uint64
	failures atomic.Uint64 // panics of functions that are not tasks
}

// made reports whether e was made by New.
func (e *Engine) made() bool { return e != nil && e.ctx != nil }

// New makes an engine and starts it. Without options it has GOMAXPROCS workers,
// a queue of DefaultQueueCapacity, and makes those who submit wait when that is
// full. Everything that is wrong with the options is reported at once; each
// fault matches ErrConfig.
//
// Goroutines are started when there is work for them.
func New(options ...Option) (*Engine, error) {
	c, err := configure(Config{}, options)
	if err != nil {
		return nil, err
	}
	c = c.complete()
	e := &Engine{name: c.Name, logger: c.Logger, onPanic: c.OnPanic}
	e.self = weak.Make(e)
	base := e.held(c.BaseContext)
	e.ctx, e.cancel = context.WithCancelCause(base)
	made := false
	defer func() {
		if !made { // also if what is called below ends this goroutine
			e.cancel(ErrShutdown)
		}
	}()
	e.endless = base.Done() == nil
	var end context.CancelCauseFunc
	e.after, end = context.WithCancelCause(base)
	end(errReturned)
	e.settings.Store(&c)
	e.plain.Store(c.QueueLimit == 0 && c.RunLimit == 0)
	e.procs.Store(int32(runtime.GOMAXPROCS(0)))
	e.patience.Store(patienceMax)
	e.lot.gone = make(chan struct{})
	e.lot.watch = watchStart
	e.stop.init()
	e.lot.onGone = e.stop.gone
	e.in.delayed = make(map[*record]struct{})
	e.in.queue.init()
	e.allKinds = make(map[unsafe.Pointer]*kind)
	e.setCapacity(c.QueueCapacity)
	e.setLimit(c.workers(int(e.procs.Load())))
	if err := e.install(&c); err != nil {
		return nil, err
	}
	if c.Prealloc {
		e.preallocate()
	}
	made = true
	return e, nil
}

// install puts in what the user has made: scheduler, interceptors and hooks.
func (e *Engine) install(c *Config) error {
	var faults []error
	if c.Scheduler != nil {
		if err := e.try("scheduler", func() { e.useScheduler(c.Scheduler) }); err != nil {
			faults = append(faults, fmt.Errorf("%w: Scheduler panicked while it was set up: %w", ErrConfig, err))
		}
	}
	var list []*Interceptor
	for i := range c.Interceptors {
		list = append(list, &c.Interceptors[i])
	}
	chain, err := e.newChain(list)
	if err != nil {
		faults = append(faults, fmt.Errorf("%w: Interceptors: %w", ErrConfig, err))
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	e.resized()
	e.chain.Store(chain)
	e.markSlow()
	for _, h := range c.Hooks {
		if _, err := e.AddHooks(h); err != nil {
			return err
		}
	}
	return nil
}

// workers returns how many workers c asks for.
func (c *Config) workers(procs int) int {
	if c.Workers == 0 {
		return min(procs, MaxWorkers)
	}
	return c.Workers
}

// preallocate starts all goroutines and reserves the queue's memory.
func (e *Engine) preallocate() {
	e.in.lock()
	if e.in.scheduler == nil && e.in.capacity > 0 {
		e.in.queue.reserve(e.in.capacity)
	}
	e.in.mu.Unlock()
	l := &e.lot
	l.mu.Lock()
	for range l.limit {
		w := e.newWorker()
		l.enter()
		l.spares = append(l.spares, w)
		go func() {
			if s := <-w.wake; s != nil {
				w.slot.Store(s)
				w.main()
				return
			}
			w.retire()
		}()
	}
	l.mu.Unlock()
}

// Name returns the engine's name: Config.Name, or "goman". It is "" for an engine
// that was not made by New.
func (e *Engine) Name() string {
	if e == nil {
		return ""
	}
	return e.name
}

// pauseYields is how often Pause lets other goroutines run before it returns.
const pauseYields = 8

// Pause stops the start of tasks: after it has returned none starts until
// Resume. Running tasks go on, and tasks are still accepted. A task has started
// once Stats counts it as running; that it has taken its first step by then only
// its goroutine's turn on a processor decides. A task that awaits
// a queued one waits until Resume. Shutdown resumes. A second Pause changes
// nothing. The error is a *RefusedError that matches ErrClosed once Shutdown or
// Close has begun, or ErrInvalid for an engine that was not made by New.
func (e *Engine) Pause() error {
	if !e.made() || e.IsClosed() {
		return e.notRunning()
	}
	point.At(point.Pause)
	before := e.signal.Load()
	for ; ; before = e.signal.Load() {
		if before&signalDraining != 0 {
			return e.notRunning() // a paused engine would never be drained
		}
		if e.signal.CompareAndSwap(before, before|signalPaused) {
			break
		}
	}
	// Starts are counted under a slot's mutex, where the signal is looked at:
	// once all mutexes have been taken, every later start has seen it.
	e.unlockAll(e.lockAll())
	// What was counted just before is about to take its first step: let it.
	for range pauseYields {
		point.Yield(point.Pause)
		runtime.Gosched()
	}
	if before&signalPaused == 0 {
		e.hookChanged(ChangePaused)
	}
	return nil
}

// Resume lets tasks start again after Pause; otherwise it changes nothing. The
// error is a *RefusedError that matches ErrClosed once the engine has come to its
// end, or ErrInvalid for an engine that was not made by New.
func (e *Engine) Resume() error {
	if !e.made() || e.IsClosed() {
		return e.notRunning()
	}
	if e.unpause() {
		e.hookChanged(ChangeResumed)
	}
	return nil
}

func (e *Engine) unpause() bool {
	point.At(point.Resume)
	before := e.signal.And(^signalPaused)
	if before&signalPaused == 0 {
		return false
	}
	e.lot.local.Store(true)
	e.notify()
	return true
}

// IsPaused reports whether the engine is paused.
func (e *Engine) IsPaused() bool { return e.made() && e.signal.Load()&signalPaused != 0 }

// IsRunning reports whether the engine accepts tasks: it was made by New, and
// neither Shutdown nor Close has begun. A paused engine is running.
func (e *Engine) IsRunning() bool { return e.made() && e.signal.Load()&signalDraining == 0 }

// IsShutdown reports whether Shutdown or Close has begun.
func (e *Engine) IsShutdown() bool { return e.made() && e.signal.Load()&signalDraining != 0 }

// IsClosed reports whether the engine has come to its end: nothing is queued,
// and nothing runs but tasks that ignore the end of their context. It is true of
// an engine that was not made by New, which runs nothing either.
func (e *Engine) IsClosed() bool { return !e.made() || e.stop.closed() }

func (e *Engine) notRunning() error {
	if !e.made() {
		return errNotMade()
	}
	return e.refusal(ErrClosed)
}
