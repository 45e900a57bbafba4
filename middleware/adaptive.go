package middleware

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/uptutu/goman/core"
)

// AdaptiveLimitConfig says between which bounds an [AdaptiveLimit] looks for its limit. The
// zero value is valid.
type AdaptiveLimitConfig struct {
	// Min and Max bound the limit, Initial is the first. Defaults: 1; 200, or Min if
	// that is more; 20, or the bound that is nearer.
	Min, Max, Initial int
	// Window is how long the times of runs are collected, at least, before the limit is
	// changed, and Samples is how many runs that takes. Defaults: 1 s, 50.
	Window  time.Duration
	Samples int
	// Wait says what becomes of a task that finds it full.
	Wait Waiting
}

// AdaptiveLimit bounds how many tasks are within it at a time, as [Bulkhead] does, by a
// limit that it finds out: it falls when runs take longer than they used to, and rises while
// they do not, up to five times of what is used. It is failsafe-go's adaptive limiter. It
// pays where what tasks depend on is shared with others and slows down under load.
//
// The time of a run counts from where it was let in, including waits inside the task. Runs
// that panicked, were cancelled, or ask to be run again do not count. The waits of a Retry
// do not count, whichever of the two is outside, unless it is RetryConfig.InPlace within.
//
// A place that is free costs an allocation and about 0.3 µs (BenchmarkPolicy).
type AdaptiveLimit struct {
	config  AdaptiveLimitConfig
	limiter adaptivelimiter.AdaptiveLimiter[any]
}

// NewAdaptiveLimit makes an AdaptiveLimit. The error matches core.ErrInvalid and names all
// faults of config.
func NewAdaptiveLimit(config AdaptiveLimitConfig) (*AdaptiveLimit, error) {
	c := &config
	if c.Min == 0 {
		c.Min = 1
	}
	if c.Max == 0 {
		c.Max = max(200, c.Min)
	}
	if c.Initial == 0 {
		c.Initial = min(max(20, c.Min), c.Max)
	}
	if c.Window == 0 {
		c.Window = time.Second
	}
	if c.Samples == 0 {
		c.Samples = 50
	}
	var faults []error
	if c.Min < 1 || c.Max < c.Min || c.Initial < c.Min || c.Initial > c.Max || c.Max > math.MaxInt32 {
		faults = append(faults, invalidf("AdaptiveLimitConfig has Min %d, Initial %d and Max %d, and must have 1 <= Min <= Initial <= Max", c.Min, c.Initial, c.Max))
	}
	if c.Window < 0 {
		faults = append(faults, invalidf("AdaptiveLimitConfig.Window is %v, and must be positive", c.Window))
	}
	if c.Samples < 1 {
		faults = append(faults, invalidf("AdaptiveLimitConfig.Samples is %d, and must be at least 1", c.Samples))
	}
	faults = append(faults, c.Wait.validate("AdaptiveLimitConfig"))
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	builder := adaptivelimiter.NewBuilder[any]().
		WithLimits(uint(c.Min), uint(c.Max), uint(c.Initial)).
		WithRecentWindow(c.Window, max(30*time.Second, c.Window), uint(c.Samples))
	return &AdaptiveLimit{config, builder.Build()}, nil
}

// Intercept is a [core.Interceptor].
func (l *AdaptiveLimit) Intercept(next core.Handler) core.Handler {
	if !(l != nil && l.limiter != nil) {
		panic(notMade("AdaptiveLimit")) // which the engine, and Decorate, make an error of
	}
	return func(ctx context.Context, job core.Job) error {
		var permit adaptivelimiter.Permit
		err := l.config.Wait.pass(ctx, job, l, gate{
			try: func() (ok bool) {
				permit, ok = l.limiter.TryAcquirePermit()
				return ok
			},
			wait: func(ctx context.Context, most time.Duration) (err error) {
				if most < 0 {
					permit, err = l.limiter.AcquirePermit(ctx)
				} else if permit, err = l.limiter.AcquirePermitWithMaxWait(ctx, most); errors.Is(err, adaptivelimiter.ErrExceeded) {
					err = errWaited
				}
				return err
			},
			leave:  func() { permit.Drop() },
			denied: func() *DeniedError { return &DeniedError{Reason: ErrFull, Task: nameOf(job)} },
		})
		if err != nil {
			return err
		}
		counts := false
		defer func() {
			if counts {
				permit.Record()
			} else {
				permit.Drop()
			}
		}()
		err = next(ctx, job)
		_, again := wish(err)
		counts = !again && !canceled(ctx, err) && !errors.Is(err, context.Canceled) && !errors.Is(err, core.ErrPanicked)
		return err
	}
}

// Limit returns the present limit.
func (l *AdaptiveLimit) Limit() int { return l.limiter.Limit() }

// InFlight returns how many tasks are within.
func (l *AdaptiveLimit) InFlight() int { return l.limiter.Inflight() }
