package core_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/uptutu/goman/core"
)

// The tasks of the soak. None passes on the error of another, so the type of a
// future's error tells how its own task has ended.

// begin notes that an attempt of a task starts, which may happen once.
func (r *soakRound) begin(id, attempt int) {
	bit := uint32(1) << attempt
	if r.starts[id].Or(bit)&bit != 0 {
		r.faultf("attempt %d of task %d has started twice", attempt, id)
	}
}

// function is a plain function.
func (r *soakRound) function(id int, draw uint64) func() {
	return func() {
		r.begin(id, 0)
		switch kind := draw % 40; {
		case kind == 0:
			r.plainFell.Add(1)
			r.panics.Add(1)
			panic("function")
		case kind == 1 && r.goexits:
			r.plainFell.Add(1)
			r.exits.Add(1)
			runtime.Goexit()
		case kind < 8:
			for range kind {
				runtime.Gosched()
			}
		}
		r.plainRan.Add(1)
	}
}

// task is a task that does what draw says.
func (r *soakRound) task(id int, draw uint64, depth int) core.Task[int] {
	return core.Func(func(ctx context.Context) (int, error) {
		attempt := core.Attempt(ctx)
		r.begin(id, attempt)
		kind := int(draw % 100)
		if r.chaos.Err() != nil && kind >= 46 {
			kind = 0 // so that all comes to rest
		}
		switch {
		case kind < 28:
			return id, nil
		case kind < 36:
			return 0, errFailed
		case kind < 42:
			r.panics.Add(1)
			fall(id)
		case kind < 46:
			if r.goexits {
				r.exits.Add(1)
				runtime.Goexit()
			}
		case kind < 52:
			if attempt < 3 {
				return 0, core.Again(time.Duration(id%3)*time.Millisecond/2, errFailed)
			}
		case kind < 56:
			for range kind {
				runtime.Gosched()
			}
		case kind < 60: // work, unless it is told to stop
			timer := time.NewTimer(time.Duration(draw>>32%300) * time.Microsecond)
			defer timer.Stop()
			select {
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			case <-timer.C:
			}
		default:
			return r.inside(ctx, rand.New(rand.NewPCG(draw, uint64(id))), kind, depth)
		}
		return id, nil
	})
}

// fall panics, with values of several kinds.
func fall(id int) {
	if id%5 == 0 {
		_ = make([]int, 0, 1)[id+1]
	}
	panic([]any{errFailed, nil, id, "text"}[id%4])
}

// inside submits and waits inside a task.
func (r *soakRound) inside(ctx context.Context, random *rand.Rand, kind, depth int) (int, error) {
	if depth == 3 {
		return depth, nil
	}
	switch {
	case kind < 72: // awaits children
		for range 1 + random.IntN(3) {
			if f := r.submit(ctx, random, depth+1); f != nil {
				if _, err := f.Await(ctx); err != nil {
					return 0, errFailed
				}
			}
		}
	case kind < 80: // any of what a submitter does
		r.deal(ctx, random, depth+1)
	case kind < 84: // awaits whomever, which may close a ring
		if f := r.earlier(random); f != nil {
			_, _ = f.Await(ctx)
		}
	case kind < 88: // leaves children behind
		for range 1 + random.IntN(3) {
			r.submit(ctx, random, depth+1)
		}
	case kind < 92: // has a goroutine of its own that uses its context
		r.pending.Add(1)
		go func() {
			defer r.pending.Add(-1)
			r.deal(ctx, random, depth+1)
		}()
	case kind < 95:
		r.submit(core.Detach(ctx), random, depth+1)
	case kind < 98: // cancels its child
		if f := r.submit(ctx, random, depth+1); f != nil {
			f.Cancel()
			_, _ = f.Await(ctx)
		}
	default: // waits with a context of another kind
		short, cancel := context.WithTimeout(ctx, time.Duration(random.IntN(500))*time.Microsecond)
		defer cancel()
		r.deal(short, random, depth+1)
	}
	return depth, nil
}
