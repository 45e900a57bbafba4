package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

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

	waitGraph point.Mutex // see wait.go
	config    point.Mutex // serialises changes of settings, chain and hooks
	kindLock  point.Mutex
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
	made := false
	defer func() {
		if !made { // also if what is called below ends this goroutine
			e.cancel(ErrShutdown)
		}
	}()
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

// Config returns the configuration in force, with the defaults filled in. If
// Workers follows GOMAXPROCS it is 0; see Stats for the number. Interceptors and
// Hooks are those given to New. It is a copy: changed, it can be given to
// Reconfigure by WithConfig.
func (e *Engine) Config() Config {
	if !e.made() {
		return Config{}
	}
	return e.settings.Load().clone()
}

// Reconfigure changes live settings (see Config) as one step: all of them, or
// none if any is wrong. A setting that is not live may be given again with the
// value that it has; the value of a function is one closure, so a method value such
// as t.Handle, which is a new one each time it is written down, counts as changed.
// Growing lets waiting submitters in; shrinking lets running
// tasks finish and loses no queued ones. Limits that change count for tasks that
// are submitted, or started, from then on.
//
// The error matches ErrConfig, and names every fault, or it is a *RefusedError that
// matches ErrClosed once the engine has come to its end, or ErrInvalid for an engine
// that was not made by New. Hooks.Changed is told of each success.
func (e *Engine) Reconfigure(options ...Option) error {
	if !e.made() {
		return errNotMade()
	}
	var old, c Config
	var err error
	for { // options are the user's: no lock is held while they are called
		s := e.settings.Load()
		old = s.Config
		c, err = configure(old, options)
		point.At(point.Resize)
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
	e.hookChanged(ChangeReconfigured)
	return nil
}

// sameFixed reports, joined, which settings differ that cannot change at run time.
func sameFixed(old, c *Config) error {
	var faults []error
	fixed := func(same bool, fault string) {
		if !same {
			faults = append(faults, fmt.Errorf("%w: %s", ErrConfig, fault))
		}
	}
	const cannot = " cannot change while the engine runs"
	fixed(c.Name == old.Name, "Name"+cannot)
	fixed(c.Prealloc == old.Prealloc, "Prealloc"+cannot)
	fixed(c.Panics == old.Panics, "Panics"+cannot)
	fixed(sameValue(c.Scheduler, old.Scheduler), "Scheduler"+cannot)
	fixed(c.Logger == old.Logger, "Logger"+cannot)
	fixed(sameValue(c.BaseContext, old.BaseContext), "BaseContext"+cannot)
	fixed(sameValue(c.OnPanic, old.OnPanic), "OnPanic"+cannot)
	fixed(slices.EqualFunc(c.Interceptors, old.Interceptors, func(a, b Interceptor) bool { return sameValue(a, b) }),
		"use Intercept to add interceptors while the engine runs")
	fixed(slices.EqualFunc(c.Hooks, old.Hooks, sameHooks), "use AddHooks to add hooks while the engine runs")
	return errors.Join(faults...)
}

// sameValue reports whether a and b are the same value. What cannot be compared, a
// function or a struct that holds a map, is the same if it is the same words: of a
// function reflection tells the code alone, which other closures share.
func sameValue(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	if x.IsValid() && y.IsValid() && x.Comparable() && y.Comparable() {
		return a == b
	}
	return sameWords(a, b)
}

// sameHooks reports whether a and b hold the same functions.
func sameHooks(a, b Hooks) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		if !sameValue(x.Field(i).Interface(), y.Field(i).Interface()) {
			return false
		}
	}
	return true
}

// Resize changes the number of workers, 1 to MaxWorkers; they no longer follow
// GOMAXPROCS then. It is Reconfigure with WithWorkers, and has its errors: one that
// matches ErrConfig, or a *RefusedError that matches ErrClosed or ErrInvalid.
func (e *Engine) Resize(workers int) error { return e.Reconfigure(WithWorkers(workers)) }

// SetQueueCapacity changes the capacity of the queue, 1 to MaxQueueCapacity, or
// Unbounded. If more tasks are queued than the new capacity allows they stay,
// and nobody gets in until there is room. It is Reconfigure with
// WithQueueCapacity, and has its errors: one that matches ErrConfig, or a
// *RefusedError that matches ErrClosed or ErrInvalid.
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
	return &RefusedError{Engine: e.name, Reason: ErrClosed}
}
