package middleware

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/uptutu/goman/core"
)

// BreakerConfig says when a [Breaker] opens, and when it closes again. The zero value is
// valid: it opens after 5 failures in a row, and tries one task after 10 s.
type BreakerConfig struct {
	// Failures is how many failures open it: of the last Of runs, or, if Period is set,
	// of the runs of that time. Defaults: 5, and an Of that is the same, so that they
	// have to come in a row. Of is at most 1,000,000: each run takes a bit for each key.
	Failures, Of int
	// Rate is the share of failures, above 0 and up to 1, that opens it instead of a number,
	// among the runs of Period, if there were at least MinRuns of them. Default of MinRuns:
	// 10.
	Rate    float64
	MinRuns int
	// Period is the time that counts, in ten steps. It must be given where there is a
	// Rate; otherwise the default is all time.
	Period time.Duration
	// Delay is how long it stays open. Default: 10 s.
	Delay time.Duration
	// Probes is how many tasks may run at a time, once Delay is over, to find out
	// whether it can be closed: all of them have to succeed. At most 1,000,000. Default: 1.
	Probes int
	// If decides which errors count as failures. Others count as successes.
	// Default: all errors, those of limits within included. Not counted at all, since they
	// say nothing about what the task depends on, are a task that asks to be run again, and
	// one that was cancelled.
	If func(error) bool
	// OnStateChange is called after a change of state, one call at a time for a key and in
	// order, on the goroutine of a task that passes the Breaker; where it panics, that
	// task has panicked. It must not call the Breaker. Default: nobody is told.
	OnStateChange func(key string, from, to BreakerState)
	// Readmit makes a task that was not let in wait in the engine's queue, by
	// core.Again, until the breaker may let it in, but not longer than this since it
	// first tried, and not at all if what is left of Delay is longer. Negative: without a
	// bound. What cannot be queued again fails at once.
	// Default: it fails at once, with a *DeniedError that matches ErrOpen.
	Readmit time.Duration
	// Keys makes it a breaker for each key.
	Keys Keys
}

// BreakerState is the state of a [Breaker].
type BreakerState string

// The states.
const (
	BreakerClosed   BreakerState = "closed"    // all tasks run
	BreakerOpen     BreakerState = "open"      // none does
	BreakerHalfOpen BreakerState = "half-open" // some do, as a probe
)

// Breaker does not let tasks run while what they depend on fails. It is failsafe-go's
// circuit breaker, with these differences: a panic and a Goexit count as failures; a run
// that began in another state is not counted in this one; a probe whose task is cancelled
// gives its place to another.
//
// Within a Retry, each run counts, and where it is open the delay of the Retry is at least
// what is left of Delay. Around a Retry, only what becomes of the last run counts.
//
// A probe that waits for a task which needs a permit of the same Breaker, or has that Breaker
// around it twice, may take the last permit and be denied what it needs: then it never closes.
//
// It costs no allocation and about 0.1 µs (BenchmarkPolicy).
type Breaker struct {
	config BreakerConfig
	wait   Waiting
	keys   *keyed[*circuit]
}

// NewBreaker makes a Breaker. The error matches core.ErrInvalid and names all faults of
// config.
func NewBreaker(config BreakerConfig) (*Breaker, error) {
	c := &config
	if c.Failures == 0 && c.Rate == 0 {
		c.Failures = 5
	}
	if c.Of == 0 && c.Period == 0 {
		c.Of = c.Failures
	}
	if c.MinRuns == 0 && c.Rate != 0 {
		c.MinRuns = 10
	}
	if c.Delay == 0 {
		c.Delay = 10 * time.Second
	}
	if c.Probes == 0 {
		c.Probes = 1
	}
	if c.If == nil {
		c.If = func(error) bool { return true }
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	b := &Breaker{config: config, wait: Waiting{Max: c.Readmit}}
	if c.Readmit != 0 {
		// Nobody tells when the probes are over; a tenth of the delay is not long beside it.
		b.wait.Every = max(c.Delay/10, time.Millisecond)
	}
	b.keys = newKeyed(c.Keys, func() *circuit { return newCircuit(c) })
	return b, nil
}

// mostRuns is how many runs a breaker remembers at most, in a bit for each.
const mostRuns = 1_000_000

func (c *BreakerConfig) validate() error {
	var faults []error
	if c.Rate != 0 {
		if !(c.Rate > 0 && c.Rate <= 1) {
			faults = append(faults, invalidf("BreakerConfig.Rate is %v, and must be above 0 and at most 1", c.Rate))
		}
		if c.Failures != 0 || c.Of != 0 {
			faults = append(faults, invalidf("BreakerConfig has Rate and also Failures or Of: one of the two decides"))
		}
		if c.MinRuns < 1 {
			faults = append(faults, invalidf("BreakerConfig.MinRuns is %d, and must be at least 1", c.MinRuns))
		}
		if c.Period <= 0 {
			faults = append(faults, invalidf("BreakerConfig.Period is %v, and must be positive where there is a Rate", c.Period))
		}
	} else {
		if c.Failures < 1 {
			faults = append(faults, invalidf("BreakerConfig.Failures is %d, and must be at least 1", c.Failures))
		}
		if c.MinRuns != 0 {
			faults = append(faults, invalidf("BreakerConfig.MinRuns is %d, but there is no Rate", c.MinRuns))
		}
		if c.Period != 0 && c.Of != 0 {
			faults = append(faults, invalidf("BreakerConfig has Of and also Period: one of the two decides"))
		}
		if c.Period == 0 && (c.Of < c.Failures || c.Of > mostRuns) {
			faults = append(faults, invalidf("BreakerConfig.Of is %d, and must be from Failures, which is %d, to %d", c.Of, c.Failures, mostRuns))
		}
	}
	if c.Period != 0 && c.Period < 10*time.Nanosecond {
		faults = append(faults, invalidf("BreakerConfig.Period is %v, and must be at least 10ns", c.Period))
	}
	if c.Delay < 0 {
		faults = append(faults, invalidf("BreakerConfig.Delay is %v, and must not be negative", c.Delay))
	}
	if c.Probes < 1 || c.Probes > mostRuns {
		faults = append(faults, invalidf("BreakerConfig.Probes is %d, and must be from 1 to %d", c.Probes, mostRuns))
	}
	return errors.Join(append(faults, c.Keys.validate("BreakerConfig"))...)
}

// opens reports whether the runs of Period open the breaker.
func (c *BreakerConfig) opens(of tally) bool {
	if c.Rate > 0 {
		return of.runs >= c.MinRuns && float64(of.failures)/float64(of.runs) >= c.Rate
	}
	return of.failures >= c.Failures
}

// Intercept is a [core.Interceptor].
func (b *Breaker) Intercept(next core.Handler) core.Handler {
	if !(b != nil && b.keys != nil) {
		panic(notMade("Breaker")) // which the engine, and Decorate, make an error of
	}
	return func(ctx context.Context, job core.Job) (err error) {
		at := b.keys.enter(job)
		defer b.keys.leave(at)
		c := at.value
		p, left, ok := c.enter()
		if !ok {
			denied := &DeniedError{Reason: ErrOpen, Task: nameOf(job), Key: at.key, After: left}
			if b.wait.Every > 0 && repeatable(ctx, job) {
				return b.wait.comeBack(ctx, job, b, denied)
			}
			return denied
		}
		if b.wait.Every > 0 {
			forget(ctx, job, b)
		}
		result := failed // unless next returns
		defer func() {
			c.exit(p, result)
			c.tell(b.config.OnStateChange, at.key)
		}()
		c.tell(b.config.OnStateChange, at.key)
		err = next(ctx, job)
		result = b.verdict(ctx, err)
		return err
	}
}

// verdict says what err means for the breaker.
func (b *Breaker) verdict(ctx context.Context, err error) result {
	switch _, again := wish(err); {
	case again, canceled(ctx, err):
		return void
	case err != nil && b.config.If(err):
		return failed
	}
	return succeeded
}

// State returns the state of the breaker of key, which is "" if there are no keys. That of
// a key that is not remembered is closed. A breaker that has been open for Delay stays open
// until a task comes.
func (b *Breaker) State(key string) BreakerState {
	if c, ok := b.keys.find(key); ok {
		return stateOf(c.breaker.State())
	}
	return BreakerClosed
}

// Keys returns the keys that are remembered, the most recently used first.
func (b *Breaker) Keys() []string { return b.keys.keys() }

func stateOf(s circuitbreaker.State) BreakerState {
	switch s {
	case circuitbreaker.OpenState:
		return BreakerOpen
	case circuitbreaker.HalfOpenState:
		return BreakerHalfOpen
	}
	return BreakerClosed
}

// result is how a run counts.
type result int

const (
	failed result = iota
	succeeded
	void // not at all
)

// circuit is the breaker of one key: failsafe-go's under a mutex, and what that does not
// know of the runs that it has let in.
type circuit struct {
	config  *BreakerConfig
	mu      sync.Mutex
	breaker circuitbreaker.CircuitBreaker[any]
	window  *window           // the runs while it is closed, if they are those of a time
	epoch   int               // how often the state has changed
	spare   int               // places for probes that were taken and not used
	changes [][2]BreakerState // of which nobody has been told
	telling bool              // a goroutine tells them
}

// permit is the right to one run.
type permit struct{ epoch int }

func newCircuit(c *BreakerConfig) *circuit {
	made := &circuit{config: c}
	builder := circuitbreaker.NewBuilder[any]().
		WithDelay(c.Delay).
		WithSuccessThreshold(uint(c.Probes)).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			// Called within a call of ours, which holds the mutex.
			made.epoch++
			made.spare = 0
			if made.window != nil {
				made.window.clear()
			}
			made.changes = append(made.changes, [2]BreakerState{stateOf(e.OldState), stateOf(e.NewState)})
		})
	if c.Period > 0 {
		made.window = newWindow(c.Period)
	} else {
		builder.WithFailureThresholdRatio(uint(c.Failures), uint(c.Of))
	}
	made.breaker = builder.Build()
	return made
}

// enter asks for a permit. Without one it tells when there may be one.
func (c *circuit) enter() (p permit, left time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spare > 0 {
		c.spare--
		return permit{c.epoch}, 0, true
	}
	if !c.breaker.TryAcquirePermit() {
		return permit{}, c.breaker.RemainingDelay(), false
	}
	return permit{c.epoch}, 0, true
}

// exit gives p back.
func (c *circuit) exit(p permit, r result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case p.epoch != c.epoch: // it says nothing about the present state
	case r != void && c.window != nil && c.breaker.IsClosed():
		if c.config.opens(c.window.add(r == failed)) {
			c.breaker.Open()
		}
	case r == failed:
		c.breaker.RecordFailure()
	case r == succeeded:
		c.breaker.RecordSuccess()
	case c.breaker.IsHalfOpen():
		c.spare++
	}
}

// tell calls changed for what has changed, in order, unless another goroutine does.
func (c *circuit) tell(changed func(key string, from, to BreakerState), key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.changes) > 0 && !c.telling {
		change := c.changes[0]
		c.changes = c.changes[1:]
		if changed != nil {
			c.telling = true
			func() {
				c.mu.Unlock()
				defer func() { c.mu.Lock(); c.telling = false }() // also if it panics
				changed(key, change[0], change[1])
			}()
		}
	}
}
