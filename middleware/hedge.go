package middleware

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uptutu/goman/core"
)

// HedgeConfig says when a [Hedge] runs a task once more.
type HedgeConfig struct {
	// After is how long a run may take before another one is started beside it. It must
	// be given; a good value is the time that 95 % of the runs take.
	After time.Duration
	// Max is how many further runs there are at most, each started After the one before
	// it. Default: 1.
	Max int
	// Budget bounds the further runs of many tasks together, and may be that of a Retry:
	// then both of them put into it for each task. Default: none, and no bound.
	Budget *Budget
}

// Hedge runs a task that is slow once more beside the first run, and takes the result of the
// run that first ends well: that cuts off the slow tail where runs are slow by chance, and
// costs load where everything is slow. Tasks must bear to be run twice at a time.
//
// The first run is on the goroutine of the task, the others on goroutines of their own, in
// the slot of the task. The context of those that are not needed ends, and the task has
// ended when they have returned: they should obey at once. The context of the run that was
// taken lives as long as that of the task, so that what is around can still read from its
// result; where you execute many hedged tasks with one context that lives long, give each
// one of its own that you end. Where all fail, the error is that of the run that failed
// first. A run that itself asks to be run again decides for all. A Retry around a Hedge
// repeats what all runs have failed with; one within repeats each run by itself.
//
// It costs a timer and a context for each task, together 6 allocations and about 0.9 µs
// (BenchmarkDecorator), and a goroutine for each further run.
type Hedge[T any] struct {
	config   HedgeConfig
	launched atomic.Uint64
}

// NewHedge makes a Hedge. The error matches core.ErrInvalid and names all faults of config.
func NewHedge[T any](config HedgeConfig) (*Hedge[T], error) {
	if config.Max == 0 {
		config.Max = 1
	}
	var faults []error
	if config.After <= 0 {
		faults = append(faults, invalidf("HedgeConfig.After is %v, and must be positive", config.After))
	}
	if config.Max < 0 {
		faults = append(faults, invalidf("HedgeConfig.Max is %d, and must not be negative", config.Max))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Hedge[T]{config: config}, nil
}

// Launched returns how many further runs there have been.
func (h *Hedge[T]) Launched() uint64 { return h.launched.Load() }

// Decorate puts the hedge around task. An engine's interceptors may not run a task twice at
// a time, so there is none of it.
func (h *Hedge[T]) Decorate(task core.Task[T]) core.Task[T] {
	if h == nil || h.config.After == 0 {
		return failing(task, notMade("Hedge"))
	}
	return adorned(task, func(ctx context.Context, _ bool) (T, error) {
		if h.config.Budget != nil && core.JobOf(ctx).Attempt() == 0 {
			h.config.Budget.earn()
		}
		r := &race[T]{hedge: h, task: task, ctx: ctx}
		return r.run()
	})
}

// race is the runs of one hedged task.
type race[T any] struct {
	hedge *Hedge[T]
	task  core.Task[T]
	ctx   context.Context
	runs  sync.WaitGroup // but the first

	mu      sync.Mutex
	timer   *time.Timer
	stops   []context.CancelFunc // one for each run
	ended   int
	decided bool
	value   T
	err     error // the first
}

func (r *race[T]) run() (T, error) {
	r.mu.Lock()
	ctx := r.enlist()
	r.timer = time.AfterFunc(r.hedge.config.After, r.launch)
	r.mu.Unlock()
	normal := false
	defer func() {
		if !normal { // it is a Goexit
			r.stop(-1)
		}
		r.runs.Wait()
	}()
	r.attempt(ctx, 0)
	r.runs.Wait() // until it is decided, and everybody has heard of it
	normal = true
	return r.value, r.err
}

// enlist returns the context of a new run. The caller holds mu.
func (r *race[T]) enlist() context.Context {
	ctx, stop := context.WithCancel(r.ctx)
	r.stops = append(r.stops, stop)
	return ctx
}

// launch is a further run. It is called by the timer, on a goroutine of its own.
func (r *race[T]) launch() {
	r.mu.Lock()
	if b := r.hedge.config.Budget; r.decided || r.ctx.Err() != nil || b != nil && !b.take() {
		r.mu.Unlock()
		return
	}
	ctx, number := r.enlist(), len(r.stops)-1
	if number < r.hedge.config.Max {
		r.timer.Reset(r.hedge.config.After)
	}
	r.runs.Add(1) // it is not decided, so another run has not ended: nobody sees zero before
	r.mu.Unlock()
	defer r.runs.Done()
	r.hedge.launched.Add(1)
	r.attempt(ctx, number)
}

func (r *race[T]) attempt(ctx context.Context, number int) {
	var value T
	err := core.ErrGoexit // unless it returns
	defer func() { r.settle(number, value, err) }()
	err = core.Contain(ctx, func() (err error) {
		value, err = r.task.Execute(ctx)
		return err
	})
}

// settle takes the result of a run, and ends the others if it decides.
func (r *race[T]) settle(number int, value T, err error) {
	r.mu.Lock()
	r.ended++
	if r.decided {
		r.mu.Unlock()
		return
	}
	_, again := wish(err)
	if err == nil || again {
		r.value, r.err, r.decided = value, err, true
	} else {
		if r.err == nil {
			r.value, r.err = value, err
		}
		r.decided = r.ended == len(r.stops)
	}
	decided := r.decided
	r.mu.Unlock()
	if decided {
		r.stop(number)
	}
}

// stop ends all runs but one, and has no further ones started.
func (r *race[T]) stop(but int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.decided = true
	r.timer.Stop()
	for i, stop := range r.stops {
		if i != but {
			stop()
		}
	}
}
