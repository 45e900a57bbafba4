package middleware

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/uptutu/goman/core"
)

// BulkheadConfig says how many tasks a [Bulkhead] lets run at a time.
type BulkheadConfig struct {
	// Tasks is how many may be within at a time. It must be given.
	Tasks int
	// Wait says what becomes of a task that finds it full. One that waits on its
	// goroutine is let in, in order, as soon as another leaves.
	Wait Waiting
	// Keys makes it a limit for each key.
	Keys Keys
}

// Bulkhead bounds how many tasks are within it at a time: fewer than the engine has
// workers, and over several engines if they share it. It is failsafe-go's bulkhead; the
// place is given back after a panic and a Goexit, too.
//
// Within a Retry a task gives its place back while it waits for its next run; around one,
// too, unless the Retry is RetryConfig.InPlace. Waits within it, by Await or core.Blocking,
// keep the place: tasks that wait there for tasks that need a place of their own can wait
// for ever.
//
// A place that is free costs no allocation and about 60 ns (BenchmarkPolicy). To bound the
// tasks of a key and to keep their order, package scheduler has Keyed.
type Bulkhead struct {
	config BulkheadConfig
	keys   *keyed[*room]
}

// NewBulkhead makes a Bulkhead. The error matches core.ErrInvalid and names all faults of
// config.
func NewBulkhead(config BulkheadConfig) (*Bulkhead, error) {
	var faults []error
	if config.Tasks < 1 {
		faults = append(faults, invalidf("BulkheadConfig.Tasks is %d, and must be at least 1", config.Tasks))
	}
	faults = append(faults, config.Wait.validate("BulkheadConfig"), config.Keys.validate("BulkheadConfig"))
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Bulkhead{config, newKeyed(config.Keys, func() *room { return newRoom(config.Tasks) })}, nil
}

// Intercept is a [core.Interceptor].
func (b *Bulkhead) Intercept(next core.Handler) core.Handler {
	if !(b != nil && b.keys != nil) {
		panic(notMade("Bulkhead")) // which the engine, and Decorate, make an error of
	}
	return func(ctx context.Context, job core.Job) error {
		at := b.keys.enter(job)
		defer b.keys.leave(at)
		r := at.value
		err := b.config.Wait.pass(ctx, job, b, gate{r.try, r.wait, r.leave, func() *DeniedError {
			return &DeniedError{Reason: ErrFull, Task: nameOf(job), Key: at.key}
		}})
		if err != nil {
			return err
		}
		defer r.leave()
		return next(ctx, job)
	}
}

// InFlight returns how many tasks of key, which is "" if there are no keys, are within.
func (b *Bulkhead) InFlight(key string) int {
	if r, ok := b.keys.find(key); ok {
		return r.inside()
	}
	return 0
}

// Keys returns the keys that are remembered, the most recently used first.
func (b *Bulkhead) Keys() []string { return b.keys.keys() }

// room is the bulkhead of one key.
type room struct {
	bulkhead bulkhead.Bulkhead[any]
	count    atomic.Int64
}

func newRoom(tasks int) *room { return &room{bulkhead: bulkhead.New[any](uint(tasks))} }

func (r *room) try() bool {
	if !r.bulkhead.TryAcquirePermit() {
		return false
	}
	r.count.Add(1)
	return true
}

func (r *room) wait(ctx context.Context, most time.Duration) error {
	var err error
	if most < 0 {
		err = r.bulkhead.AcquirePermit(ctx)
	} else {
		err = r.bulkhead.AcquirePermitWithMaxWait(ctx, most)
	}
	switch {
	case errors.Is(err, bulkhead.ErrFull):
		return errWaited
	case err == nil:
		r.count.Add(1)
	}
	return err
}

func (r *room) leave() {
	r.count.Add(-1)
	r.bulkhead.ReleasePermit()
}

func (r *room) inside() int { return int(r.count.Load()) }
