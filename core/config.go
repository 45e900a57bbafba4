package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"
)

// The limits of a Config and its defaults.
const (
	// MaxWorkers is the most workers that an engine may have.
	MaxWorkers = 10_000
	// MaxQueueCapacity is the largest capacity of a queue that has one.
	MaxQueueCapacity = 1_000_000
	// DefaultQueueCapacity is the capacity of the queue where none is given.
	DefaultQueueCapacity = 1_000
	// DefaultIdleTimeout is Config.IdleTimeout where none is given.
	DefaultIdleTimeout = 10 * time.Second
	// DefaultCancelGrace is Config.CancelGrace where none is given.
	DefaultCancelGrace = time.Second
	// Unbounded, as a queue capacity, asks for a queue without a bound.
	Unbounded = -1
)

// Config describes an engine. The zero value is valid and means the defaults.
// A field marked live may be changed by Reconfigure while the engine runs.
type Config struct {
	// Name of the engine in errors, logs and statistics. Default: "goman".
	Name string
	// Workers is how many tasks may run at a time, 1 to MaxWorkers. Default, 0:
	// GOMAXPROCS, followed when it changes. Live.
	Workers int
	// QueueCapacity is how many accepted tasks may wait to be started, 1 to
	// MaxQueueCapacity, or Unbounded. Tasks that wait to be run again count too,
	// but are let in without room. Default, 0: DefaultQueueCapacity. Live.
	QueueCapacity int
	// IdleTimeout is how long a worker's goroutine without work is kept; it ends
	// after one to two such periods. At least a millisecond. Default, 0:
	// DefaultIdleTimeout. Negative: kept until the engine ends. Live.
	IdleTimeout time.Duration
	// MinIdle is how many idle goroutines are kept whatever IdleTimeout says, 0
	// to MaxWorkers. Default: 0, so that an idle engine that nobody refers to
	// any more is collected. Live.
	MinIdle int
	// Prealloc starts the goroutines of all workers and reserves the queue's
	// memory in New.
	Prealloc bool
	// QueueLimit is the default of Attributes.QueueLimit, 0 for none. Live.
	QueueLimit time.Duration
	// RunLimit is the default of Attributes.RunLimit, 0 for none. The time that
	// a task waits inside counts. Live.
	RunLimit time.Duration
	// Reject is what happens when the queue is full. Default: RejectWait. Live.
	Reject RejectPolicy
	// OnFull decides for each task when the policy is RejectAsk. It may return
	// every policy but RejectAsk. It is called on the caller's goroutine,
	// outside every lock. Live.
	OnFull func(ctx context.Context, job Job) RejectPolicy
	// Panics is what a panic does. Default: PanicContain.
	Panics PanicPolicy
	// OnPanic, if set, is told of each contained panic in place of the logger.
	// It is called on the goroutine that ran the task, after the future has
	// failed.
	OnPanic func(*PanicError)
	// CancelGrace is how long Shutdown waits for running tasks after it has
	// cancelled their contexts. Default, 0: DefaultCancelGrace. Negative: it
	// does not wait. Live.
	CancelGrace time.Duration
	// AcceptChildren lets running tasks submit further tasks while the engine
	// drains: those submitted with the task's own context; Go is refused.
	// Default: they are refused with ErrClosed like all others. Live.
	AcceptChildren bool
	// Scheduler orders the queued tasks. Default, nil: the built-in
	// work-stealing one. A scheduler serves one engine.
	Scheduler Scheduler
	// Interceptors wrap each execution, the first outermost. More can be added
	// by Engine.Intercept. The slice is copied.
	Interceptors []Interceptor
	// Hooks are told what happens. More can be added by Engine.AddHooks. The
	// slice is copied.
	Hooks []Hooks
	// Logger takes what would otherwise be silent: panics, failing hooks.
	// Default: slog.Default().
	Logger *slog.Logger
	// BaseContext is the second parent of all tasks' contexts, after the one
	// given to Submit: its values can be seen by them, and its end cancels
	// running tasks, and queued ones when their turn comes. It does not end the
	// engine: that takes Shutdown or Close. Default: context.Background().
	BaseContext context.Context
}

// Option changes a Config. WithConfig takes a whole one.
type Option func(*Config)

// WithConfig takes c as it is, in place of all options before it.
func WithConfig(c Config) Option { return func(to *Config) { *to = c } }

// WithName sets Config.Name.
func WithName(name string) Option { return func(c *Config) { c.Name = name } }

// WithWorkers sets Config.Workers.
func WithWorkers(n int) Option { return func(c *Config) { c.Workers = exactly(n) } }

// WithQueueCapacity sets Config.QueueCapacity.
func WithQueueCapacity(n int) Option { return func(c *Config) { c.QueueCapacity = exactly(n) } }

// WithUnboundedQueue lets the queue grow without a bound.
func WithUnboundedQueue() Option { return func(c *Config) { c.QueueCapacity = Unbounded } }

// WithIdleTimeout sets Config.IdleTimeout and Config.MinIdle.
func WithIdleTimeout(d time.Duration, keep int) Option {
	return func(c *Config) { c.IdleTimeout, c.MinIdle = d, keep }
}

// WithPrealloc sets Config.Prealloc.
func WithPrealloc() Option { return func(c *Config) { c.Prealloc = true } }

// WithQueueLimit sets Config.QueueLimit.
func WithQueueLimit(d time.Duration) Option { return func(c *Config) { c.QueueLimit = d } }

// WithRunLimit sets Config.RunLimit.
func WithRunLimit(d time.Duration) Option { return func(c *Config) { c.RunLimit = d } }

// WithReject sets Config.Reject.
func WithReject(p RejectPolicy) Option { return func(c *Config) { c.Reject = p } }

// WithOnFull sets Config.Reject to RejectAsk and Config.OnFull to fn.
func WithOnFull(fn func(ctx context.Context, job Job) RejectPolicy) Option {
	return func(c *Config) { c.Reject, c.OnFull = RejectAsk, fn }
}

// WithPanics sets Config.Panics.
func WithPanics(p PanicPolicy) Option { return func(c *Config) { c.Panics = p } }

// WithOnPanic sets Config.OnPanic.
func WithOnPanic(fn func(*PanicError)) Option { return func(c *Config) { c.OnPanic = fn } }

// WithCancelGrace sets Config.CancelGrace.
func WithCancelGrace(d time.Duration) Option { return func(c *Config) { c.CancelGrace = d } }

// WithAcceptChildren sets Config.AcceptChildren.
func WithAcceptChildren() Option { return func(c *Config) { c.AcceptChildren = true } }

// WithScheduler sets Config.Scheduler. The values of a function that returns a
// scheduler and an error can be passed as they are: New then reports that error.
func WithScheduler(s Scheduler, err ...error) Option {
	if err := errors.Join(err...); err != nil {
		s = notMade{err: err}
	}
	return func(c *Config) { c.Scheduler = s }
}

// notMade stands for a scheduler that could not be made.
type notMade struct {
	Scheduler
	err error
}

// WithInterceptors adds to Config.Interceptors.
func WithInterceptors(list ...Interceptor) Option {
	return func(c *Config) { c.Interceptors = slices.Concat(c.Interceptors, list) }
}

// WithHooks adds to Config.Hooks.
func WithHooks(list ...Hooks) Option {
	return func(c *Config) { c.Hooks = slices.Concat(c.Hooks, list) }
}

// WithLogger sets Config.Logger.
func WithLogger(l *slog.Logger) Option { return func(c *Config) { c.Logger = l } }

// WithBaseContext sets Config.BaseContext.
func WithBaseContext(ctx context.Context) Option {
	return func(c *Config) { c.BaseContext = ctx }
}

// wrongZero stands for a size of zero that was asked for: in a Config zero
// means the default, but WithWorkers(0) is a mistake.
const wrongZero = math.MinInt

func exactly(n int) int {
	if n == 0 {
		return wrongZero
	}
	return n
}

// Validate reports everything that is wrong with c, joined. Each message names
// the field, the value and what is allowed. All of them match ErrConfig.
func (c *Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...))
	}
	size := func(n int) int {
		if n == wrongZero {
			return 0
		}
		return n
	}
	if n := size(c.Workers); c.Workers != 0 && (n < 1 || n > MaxWorkers) {
		fault("Workers is %d: allowed is 1 to %d", n, MaxWorkers)
	}
	if n := size(c.QueueCapacity); c.QueueCapacity != 0 && n != Unbounded && (n < 1 || n > MaxQueueCapacity) {
		fault("QueueCapacity is %d: allowed is 1 to %d, or Unbounded", n, MaxQueueCapacity)
	}
	if c.IdleTimeout > 0 && c.IdleTimeout < time.Millisecond {
		fault("IdleTimeout is %v: allowed is 1ms or more, or negative for never", c.IdleTimeout)
	}
	if c.MinIdle < 0 || c.MinIdle > MaxWorkers {
		fault("MinIdle is %d: allowed is 0 to %d", c.MinIdle, MaxWorkers)
	}
	if c.QueueLimit < 0 {
		fault("QueueLimit is %v: allowed is 0 for none, or more", c.QueueLimit)
	}
	if c.RunLimit < 0 {
		fault("RunLimit is %v: allowed is 0 for none, or more", c.RunLimit)
	}
	if !c.Reject.known() {
		fault("Reject is %v: allowed are the policies from RejectWait to RejectAsk", c.Reject)
	}
	if c.Reject == RejectAsk && c.OnFull == nil {
		fault("Reject is RejectAsk, but OnFull is nil: give the function to ask")
	}
	if c.Panics >= panicEnd {
		fault("Panics is %v: allowed are PanicContain and PanicCrash", c.Panics)
	}
	for i, fn := range c.Interceptors {
		if fn == nil {
			fault("Interceptors[%d] is nil", i)
		}
	}
	if s, ok := c.Scheduler.(notMade); ok {
		fault("Scheduler: %w", s.err)
	}
	if isNilScheduler(c.Scheduler) {
		fault("Scheduler holds a nil pointer: leave it nil for the built-in one")
	}
	if c.BaseContext != nil && isNilContext(c.BaseContext) {
		fault("BaseContext holds a nil pointer: leave it nil for context.Background")
	}
	return errors.Join(faults...)
}

// complete returns c with its defaults filled in. c must be valid.
func (c Config) complete() Config {
	if c.Name == "" {
		c.Name = "goman"
	}
	if c.QueueCapacity == 0 {
		c.QueueCapacity = DefaultQueueCapacity
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = DefaultIdleTimeout
	}
	if c.Reject == rejectDefault {
		c.Reject = RejectWait
	}
	if c.CancelGrace == 0 {
		c.CancelGrace = DefaultCancelGrace
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.BaseContext == nil {
		c.BaseContext = context.Background()
	}
	return c
}

// clone returns a copy of c that shares no slice with it.
func (c Config) clone() Config {
	c.Interceptors = slices.Clone(c.Interceptors)
	c.Hooks = slices.Clone(c.Hooks)
	return c
}

// configure applies options to c. A nil option is a mistake that is reported. What
// it returns shares no slice with c or an option.
func configure(c Config, options []Option) (Config, error) {
	c = c.clone() // an option may write into what it is given
	var faults []error
	for i, option := range options {
		if option == nil {
			faults = append(faults, fmt.Errorf("%w: option %d is nil", ErrConfig, i))
			continue
		}
		option(&c)
	}
	c = c.clone()
	return c, errors.Join(append(faults, c.Validate())...)
}
