package core

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Engine runs tasks on a bounded number of workers. Make one with New; the zero
// Engine refuses everything. All methods may be called by any number of
// goroutines.
//
// An engine should be ended with Shutdown or Close. One that is idle and that
// nobody refers to any more is collected once its goroutines have ended for want
// of work, unless Config.MinIdle or a negative IdleTimeout keeps some.
type Engine struct {
	// Immutable after New.
	name    string
	logger  *slog.Logger
	onPanic func(*PanicError)
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
	exits    atomic.Uint32 // how many tasks called Goexit
	settings atomic.Pointer[settings]
	chain    atomic.Pointer[chain]
	kinds    [kindPlaces]atomic.Pointer[kind]
	hooks    atomic.Pointer[hookSet]

	in      intake
	lot     lot
	outside slot // counts what happens outside every slot; stores nothing
	waiters sync.Pool

	waitGraph sync.Mutex // see wait.go
	config    sync.Mutex // serialises changes of settings, chain and hooks
	kindLock  sync.Mutex
	allKinds  map[unsafe.Pointer]*kind // guarded by kindLock
	stop      stopping

	cancels  atomic.Uint64 // how often a running task was cancelled
	rejected [reasons]atomic.Uint64
	late     atomic.Uint64
	failures atomic.Uint64 // panics of functions that are not tasks
}

// settings is the configuration in force.
type settings struct{ Config }

func (s *settings) keep() int {
	if s.Prealloc && s.IdleTimeout < 0 {
		return MaxWorkers
	}
	return s.MinIdle
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
	e.ctx, e.cancel = context.WithCancelCause(c.BaseContext)
	e.endless = c.BaseContext.Done() == nil
	var end context.CancelCauseFunc
	e.after, end = context.WithCancelCause(c.BaseContext)
	end(errReturned)
	e.settings.Store(&settings{c})
	e.plain.Store(c.QueueLimit == 0 && c.RunLimit == 0)
	e.procs.Store(int32(runtime.GOMAXPROCS(0)))
	e.patience.Store(patienceMax)
	e.lot.gone = make(chan struct{})
	e.lot.watch = watchStart
	e.stop.init()
	e.lot.onGone = e.stop.gone
	e.in.delayed = make(map[*record]struct{})
	e.allKinds = make(map[unsafe.Pointer]*kind)
	e.setCapacity(c.QueueCapacity)
	e.setLimit(c.workers(int(e.procs.Load())))
	if c.Scheduler != nil {
		var failure error
		if !e.guard("scheduler", func() { e.useScheduler(c.Scheduler) }) {
			failure = fmt.Errorf("%w: the scheduler panicked while it was set up", ErrConfig)
		}
		if failure != nil {
			return nil, failure
		}
		e.resized()
	}
	var list []*Interceptor
	for i := range c.Interceptors {
		list = append(list, &c.Interceptors[i])
	}
	e.chain.Store(e.newChain(list))
	e.markSlow()
	for _, h := range c.Hooks {
		e.AddHooks(h)
	}
	if c.Prealloc {
		e.preallocate()
	}
	return e, nil
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

// Config returns the configuration in force, with the defaults filled in. If
// Workers follows GOMAXPROCS it is 0; see Stats for the number. Interceptors and
// Hooks are those given to New. Changed, it can be given to Reconfigure by
// WithConfig. Do not change its slices.
func (e *Engine) Config() Config {
	if !e.made() {
		return Config{}
	}
	return e.settings.Load().Config
}

// Reconfigure changes live settings (see Config) as one step: all of them, or
// none if any is wrong. A setting that is not live may be given again with the
// value that it has. Growing lets waiting submitters in; shrinking lets running
// tasks finish and loses no queued ones. Limits that change count for tasks that
// are submitted, or started, from then on.
//
// The error matches ErrConfig for every fault, or ErrClosed once the engine has
// come to its end. Hooks.Changed is told of each success.
func (e *Engine) Reconfigure(options ...Option) error {
	if !e.made() {
		return e.check(context.Background(), false)
	}
	var old, c Config
	var err error
	for { // options are the user's: no lock is held while they are called
		s := e.settings.Load()
		old = s.Config
		c, err = configure(old, options)
		e.config.Lock()
		if e.settings.Load() == s {
			break
		}
		e.config.Unlock()
	}
	if err == nil {
		c = c.complete()
		err = sameFixed(&old, &c)
	}
	if err == nil && e.IsClosed() {
		err = e.notRunning()
	}
	if err != nil {
		e.config.Unlock()
		return err
	}
	e.settings.Store(&settings{c})
	e.plain.Store(c.QueueLimit == 0 && c.RunLimit == 0)
	if c.QueueCapacity != old.QueueCapacity {
		e.setCapacity(c.QueueCapacity)
	}
	if c.IdleTimeout != old.IdleTimeout || c.MinIdle != old.MinIdle {
		e.rearmIdle()
	}
	if n := c.workers(runtime.GOMAXPROCS(0)); n != int(e.lot.width.Load()) {
		e.setLimit(n)
		e.resized()
	}
	e.config.Unlock()
	e.hookChanged(Reconfigured)
	return nil
}

// sameFixed reports which settings differ that cannot change at run time.
func sameFixed(old, c *Config) error {
	fixed := func(name string) error {
		return fmt.Errorf("%w: %s cannot change while the engine runs", ErrConfig, name)
	}
	switch {
	case c.Name != old.Name:
		return fixed("Name")
	case c.Prealloc != old.Prealloc:
		return fixed("Prealloc")
	case c.Panics != old.Panics:
		return fixed("Panics")
	case !sameWords(c.Scheduler, old.Scheduler):
		return fixed("Scheduler")
	case c.Logger != old.Logger:
		return fixed("Logger")
	case !sameWords(c.BaseContext, old.BaseContext):
		return fixed("BaseContext")
	case !sameWords(any(c.OnPanic), any(old.OnPanic)):
		return fixed("OnPanic")
	case !slices.EqualFunc(c.Interceptors, old.Interceptors, func(a, b Interceptor) bool { return sameWords(any(a), any(b)) }):
		return fmt.Errorf("%w: use Intercept to add interceptors while the engine runs", ErrConfig)
	case !slices.EqualFunc(c.Hooks, old.Hooks, sameHooks):
		return fmt.Errorf("%w: use AddHooks to add hooks while the engine runs", ErrConfig)
	}
	return nil
}

// Resize changes the number of workers, 1 to MaxWorkers; they no longer follow
// GOMAXPROCS then. It is Reconfigure with WithWorkers.
func (e *Engine) Resize(workers int) error { return e.Reconfigure(WithWorkers(workers)) }

// SetQueueCapacity changes the capacity of the queue, 1 to MaxQueueCapacity, or
// Unbounded. If more tasks are queued than the new capacity allows they stay,
// and nobody gets in until there is room. It is Reconfigure with
// WithQueueCapacity.
func (e *Engine) SetQueueCapacity(n int) error { return e.Reconfigure(WithQueueCapacity(n)) }

// followProcs makes the number of workers follow GOMAXPROCS, unless it was
// given.
func (e *Engine) followProcs() {
	procs := int32(runtime.GOMAXPROCS(0))
	if procs == e.procs.Load() {
		return
	}
	if !e.config.TryLock() {
		return // somebody is changing the settings; the next look will do
	}
	e.procs.Store(procs)
	c := e.settings.Load().Config
	changed := c.Workers == 0 && !e.IsClosed()
	if changed {
		e.setLimit(c.workers(int(procs)))
	}
	e.config.Unlock()
	if changed {
		e.resized()
	}
}

// setCapacity changes the capacity and serves those for whom there is room now.
func (e *Engine) setCapacity(n int) {
	in := &e.in
	units := func(capacity int) int {
		if capacity == Unbounded {
			return manyUnits
		}
		return capacity
	}
	in.lock()
	in.room += units(n)
	if in.capacity != 0 {
		in.room -= units(in.capacity)
	}
	in.capacity = n
	// Credits of the slots were counted against the old capacity: gather them.
	e.signal.And(^signalHungry)
	e.gather()
	served := e.serveBlocked()
	in.mu.Unlock()
	if served > 0 {
		e.notify()
	}
}

// Pause stops the start of tasks: after it has returned none starts until
// Resume. Running tasks go on, and tasks are still accepted. A task that awaits
// a queued one waits until Resume. Shutdown resumes. A second Pause changes
// nothing. The error matches ErrClosed once Shutdown or Close has begun.
func (e *Engine) Pause() error {
	if !e.made() || e.IsClosed() {
		return e.notRunning()
	}
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
	if before&signalPaused == 0 {
		e.hookChanged(Paused)
	}
	return nil
}

// Resume lets tasks start again after Pause; otherwise it changes nothing. The
// error matches ErrClosed once the engine has come to its end.
func (e *Engine) Resume() error {
	if !e.made() || e.IsClosed() {
		return e.notRunning()
	}
	if e.unpause() {
		e.hookChanged(Resumed)
	}
	return nil
}

func (e *Engine) unpause() bool {
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
// an engine that was not made by New.
func (e *Engine) IsClosed() bool { return !e.made() || e.stop.closed() }

func (e *Engine) notRunning() error {
	if !e.made() {
		return e.check(context.Background(), false)
	}
	return &RefusedError{Engine: e.name, Reason: ErrClosed}
}
