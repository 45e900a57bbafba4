package core

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"

	"github.com/uptutu/goman/core/internal/point"
)

// The life of an engine between New and Shutdown, and its settings.

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
// are submitted, or started, from then on; but a function that Go has taken while
// there were none has none.
//
// The error matches ErrConfig, and names every fault, or it is a *RefusedError that
// matches ErrClosed once the engine has come to its end, or ErrInvalid for an engine
// that was not made by New. Hooks.Changed is told of each success.
func (e *Engine) Reconfigure(options ...Option) error {
	if !e.made() {
		return errNotMade()
	}
	var old *Config
	var c Config
	var err error
	for { // options are the user's: no lock is held while they are called
		old = e.settings.Load()
		c, err = configure(*old, options)
		point.At(point.Resize)
		e.config.Lock()
		if e.settings.Load() == old {
			break
		}
		e.config.Unlock()
	}
	if err == nil {
		c = c.complete()
		err = sameFixed(old, &c)
	}
	if err == nil && e.IsClosed() {
		err = e.notRunning()
	}
	if err != nil {
		e.config.Unlock()
		return err
	}
	e.settings.Store(&c)
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
	c := e.settings.Load()
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
