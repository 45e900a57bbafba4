package flow

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uptutu/goman/core"
)

// Map returns fn of each item, in the order of items. fn is called on the workers of
// engine, by several goroutines at a time, for chunks of items that become smaller
// towards the end (guided self-scheduling: Polychronopoulos, Kuck, 1987): few for a cheap
// fn, and yet single items for one that takes long. BenchmarkMap compares.
//
//	prices, err := flow.Map(ctx, engine, orders, func(ctx context.Context, o Order) (int, error) {
//		return price(ctx, o)
//	})
//
// The first item that fails decides, first in the order of items and not of time: its
// error is returned, without results, as a loop would. No item behind it is begun once
// it has failed; those before it still are, for one of them might be the first.
// A panic counts as such a failure, which ends Map with a [*core.PanicError]; if fn calls
// runtime.Goexit, that ends the whole. If ctx ends, no item is begun any more, and where
// some are left out the error is the cause. When Map returns no call of fn is under way.
//
// Map is a [Divide] into as many strands as the engine has workers, and what is said there
// about the engine, its tasks, and ctx holds here. The context given to fn is that of the
// task which calls it: whatever waits for that holds no worker up. With no items nothing
// is submitted, and the list is empty.
func Map[T, R any](ctx context.Context, engine *core.Engine, items []T, fn func(context.Context, T) (R, error)) ([]R, error) {
	results := make([]R, len(items))
	err := sweep(ctx, engine, "Map", fn == nil, len(items), func(ctx context.Context, s *sweeping, at *int, end int) error {
		low, results := *at, results[*at:end]
		for i, item := range items[low:end] {
			if s.stops(low + i) {
				break
			}
			*at = low + i
			r, err := fn(ctx, item)
			if err != nil {
				return err
			}
			results[i] = r
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// ForEach calls fn for each item, as [Map] does, and returns the error of the first in the
// order of items that has failed.
func ForEach[T any](ctx context.Context, engine *core.Engine, items []T, fn func(context.Context, T) error) error {
	return sweep(ctx, engine, "ForEach", fn == nil, len(items), func(ctx context.Context, s *sweeping, at *int, end int) error {
		low := *at
		for i, item := range items[low:end] {
			if s.stops(low + i) {
				break
			}
			*at = low + i
			if err := fn(ctx, item); err != nil {
				return err
			}
		}
		return nil
	})
}

// ForN calls fn for each number from 0 to n-1, as [ForEach] does for items: for work on
// several lists, or in place. If n is negative the error matches [core.ErrInvalid].
func ForN(ctx context.Context, engine *core.Engine, n int, fn func(ctx context.Context, i int) error) error {
	if n < 0 {
		return fmt.Errorf("%w: %d calls of ForN: must not be negative", core.ErrInvalid, n)
	}
	return sweep(ctx, engine, "ForN", fn == nil, n, func(ctx context.Context, s *sweeping, at *int, end int) error {
		for i := *at; i < end && !s.stops(i); i++ {
			*at = i
			if err := fn(ctx, i); err != nil {
				return err
			}
		}
		return nil
	})
}

// sweeping is one call of Map and its like.
type sweeping struct {
	n       int
	strands int
	run     func(ctx context.Context, s *sweeping, at *int, end int) error // items from at on; at follows
	places  []place

	_     [64]byte // what each chunk writes, apart from what each item reads
	next  atomic.Int64
	_     [64]byte
	limit atomic.Int64 // the first item that has failed

	mu    sync.Mutex
	err   error // of that
	fault *fault
}

// place is what a strand writes all the time.
type place struct {
	at    int // the item
	block int // how many items it goes through without a look at the context and the clock
	_     [64]byte
}

const (
	// share is how large a part of what is left a chunk is, times the strands. With 2 a
	// list whose items cost less and less is just balanced; see BenchmarkMap.
	share = 4
	// heed is how often a strand looks whether the context has ended, unless an item
	// takes longer. The looks take less than a hundredth of it.
	heed = 20 * time.Microsecond
	// longBlock is the most items between two looks.
	longBlock = 1024
)

func sweep(ctx context.Context, engine *core.Engine, name string, nilFn bool, n int, run func(context.Context, *sweeping, *int, int) error) error {
	switch {
	case engine == nil:
		return fmt.Errorf("%w: the engine given to %s is nil", core.ErrInvalid, name)
	case nilFn:
		return fmt.Errorf("%w: the function given to %s is nil", core.ErrInvalid, name)
	case ctx == nil:
		return fmt.Errorf("%w: the context given to %s is nil: use context.Background", core.ErrInvalid, name)
	case n == 0:
		return nil
	}
	s := &sweeping{n: n, run: run}
	s.limit.Store(math.MaxInt64)
	_, err := divide(ctx, engine, n, -1, s.strand)
	return err
}

// strand is the function that is divided: -1 stands for the whole.
func (s *sweeping) strand(b *Branch[int, struct{}], number int) (none struct{}, err error) {
	if number >= 0 {
		p := &s.places[number]
		p.block = 1
		for s.claim(b, p) {
		}
		return none, nil
	}
	s.strands = min(len(b.d.seats), s.n)
	s.places = make([]place, s.strands)
	numbers := make([]int, s.strands)
	for i := range numbers {
		numbers[i] = i
	}
	if _, err := b.Each(numbers...); err != nil {
		return none, err
	}
	s.fault.again()
	return none, s.err
}

// claim takes the next chunk and goes through it. It reports false if there is none.
func (s *sweeping) claim(b *Branch[int, struct{}], p *place) bool {
	for {
		low := int(s.next.Load())
		if low >= s.n || s.stops(low) {
			return false
		}
		size := max((s.n-low)/(share*s.strands), 1)
		if s.next.CompareAndSwap(int64(low), int64(low+size)) {
			s.through(b, p, low, low+size)
			return true
		}
	}
}

// through goes through the items from low to end.
func (s *sweeping) through(b *Branch[int, struct{}], p *place, low, end int) {
	var err error
	returned := false
	defer func() {
		switch {
		case !returned:
			s.fail(p.at, nil, newFault(b.d.engine.Name(), recover()))
		case err != nil:
			s.fail(p.at, err, nil)
		}
	}()
	for began := time.Now(); low < end && err == nil && !s.stops(low); {
		p.at = low
		if b.ctx.Err() != nil {
			err = context.Cause(b.ctx)
			break
		}
		next := min(low+p.block, end)
		err = s.run(b.ctx, s, &p.at, next)
		now := time.Now()
		switch took := now.Sub(began); {
		case took < heed/2 && next-low == p.block:
			p.block = min(2*p.block, longBlock)
		case took > heed:
			p.block = max(p.block/2, 1)
		}
		low, began = next, now
	}
	returned = true
}

// stops reports whether item i must not be begun, since one before it has failed.
func (s *sweeping) stops(i int) bool { return int64(i) > s.limit.Load() }

// fail notes that item i has failed, unless one before it has.
func (s *sweeping) fail(i int, err error, fault *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int64(i) < s.limit.Load() {
		s.limit.Store(int64(i))
		s.err, s.fault = err, fault
	}
}
