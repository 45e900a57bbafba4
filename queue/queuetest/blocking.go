package queuetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"
)

// Blocking is a queue whose calls wait. Who may make them is as in the Spec; Close
// is for any goroutine.
type Blocking interface {
	// Push waits until there is room. It returns an error, and has not stored the
	// item, if ctx ends before or the queue is closed.
	Push(ctx context.Context, item *Item) error
	// Pop waits until there is an item. It returns the error of ctx if that ends
	// before, and has taken nothing then. In a closed queue it goes on until there is
	// nothing left.
	Pop(ctx context.Context) (*Item, error)
	// Close makes each Push fail, those that wait too, and each Pop that finds nothing.
	// It may be called again.
	Close()
	// All pops until the queue is closed and empty, or the loop is left, which loses
	// nothing.
	All() iter.Seq[*Item]
}

// crew is what several goroutines do with a Blocking.
type crew struct {
	s      *Spec
	q      Blocking
	cap    int
	ctx    context.Context // of all calls; its end is the last resort
	cancel context.CancelFunc
	single context.Context // of some; an actor ends it
	stop   context.CancelFunc

	fill int // items that are there from the beginning

	closed atomic.Bool // Close has begun
	live   atomic.Int64
	id     atomic.Int64
	moved  atomic.Int64 // for a watchdog
	mu     sync.Mutex
	pushed map[*Item]bool
	popped map[*Item]bool
	errs   []error
	states []waiting
}

// waiting is what a goroutine of a crew is blocked in, perhaps.
type waiting int32

const (
	nowhere waiting = iota
	inPush
	inPop
)

func newCrew(s *Spec, capacity int) *crew {
	c := &crew{s: s, q: s.NewBlocking(capacity), cap: s.wantCap(capacity), pushed: map[*Item]bool{}, popped: map[*Item]bool{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.single, c.stop = context.WithCancel(c.ctx)
	return c
}

// step is something that a goroutine of a crew does.
type step func(c *crew, index int)

func (c *crew) item() *Item {
	return &Item{ID: int(c.id.Add(1)), Cost: 1, Due: time.Now().Add(-time.Second)}
}

func (c *crew) state(index int, w waiting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.states[index] = w
}

func (c *crew) fail(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// push pushes an item with the context that is given.
func (c *crew) push(ctx context.Context, index int) {
	it := c.item()
	c.state(index, inPush)
	err := c.q.Push(ctx, it)
	c.state(index, nowhere)
	if err != nil {
		c.explain(ctx, "Push", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pushed[it] = true
}

func (c *crew) pop(ctx context.Context, index int) {
	c.state(index, inPop)
	it, err := c.q.Pop(ctx)
	c.state(index, nowhere)
	if err != nil {
		c.explain(ctx, "Pop", err)
		return
	}
	c.got(it)
}

func (c *crew) got(it *Item) {
	c.mu.Lock()
	twice := c.popped[it]
	c.popped[it] = true
	c.mu.Unlock()
	if it == nil || twice {
		c.fail("a pop gave what had left before, or nothing: %v", it)
	}
}

// all takes n items by All and leaves the loop.
func (c *crew) all(index, n int) {
	c.state(index, inPop)
	for it := range c.q.All() {
		c.state(index, nowhere)
		c.got(it)
		if n--; n == 0 {
			return
		}
		c.state(index, inPop)
	}
	c.state(index, nowhere)
	if !c.closed.Load() {
		c.fail("All has ended, and the queue was not closed")
	}
}

func (c *crew) close() {
	c.closed.Store(true)
	c.q.Close()
}

// explain looks for the reason of an error.
func (c *crew) explain(ctx context.Context, call string, err error) {
	if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		return
	}
	if c.closed.Load() && c.isClosed(err) {
		return
	}
	c.fail("%s returned %q, with a context whose error is %v, and closed %v", call, err, ctx.Err(), c.closed.Load())
}

func (c *crew) isClosed(err error) bool {
	if c.s.Closed != nil {
		return errors.Is(err, c.s.Closed)
	}
	return err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// plan draws what the goroutines do.
func (c *crew) plan(random *rand.Rand, closes bool) (all [][]step) {
	// Half of them are small: one call each, where little hides a mistake.
	most := 1 + 3*random.IntN(2)
	c.fill = random.IntN(2) * random.IntN(min(c.cap, 8)+1)
	for range 1 + random.IntN(3) {
		if c.s.Producers == One && len(all) == 1 {
			break
		}
		all = append(all, c.steps(random, most, true))
	}
	pushers := len(all)
	for range 1 + random.IntN(3) {
		if c.s.Consumers == One && len(all) == pushers+1 {
			break
		}
		all = append(all, c.steps(random, most, false))
	}
	if random.IntN(4) > 0 {
		all = append(all, []step{func(c *crew, _ int) { c.stop() }})
	}
	if closes {
		all = append(all, []step{func(c *crew, _ int) { c.close() }})
	}
	return all
}

func (c *crew) steps(random *rand.Rand, most int, pushes bool) (all []step) {
	for range 1 + random.IntN(most) {
		how, limit, n := random.IntN(5), time.Duration(random.IntN(3))*time.Second, 1+random.IntN(2)
		all = append(all, func(c *crew, index int) {
			ctx := c.ctx
			switch {
			case how == 0:
				ctx = c.single
			case how == 1:
				limited, cancel := context.WithTimeout(ctx, limit)
				defer cancel()
				ctx = limited
			case how == 2 && !pushes:
				c.all(index, n)
				return
			}
			if pushes {
				c.push(ctx, index)
			} else {
				c.pop(ctx, index)
			}
		})
	}
	return all
}

// play has goroutines carry out a plan, in a bubble, and judges what is left when
// nobody can go on: an item and somebody who waits for one must not be there at the
// same time. Then it lets all go, drains the queue, and counts.
func (c *crew) play(random *rand.Rand, plan [][]step, control bool) error {
	c.states = make([]waiting, len(plan))
	points := c.s.Points
	if points == nil {
		points = func(func()) {}
	}
	defer points(nil)
	run, end := c.race, func() {}
	start := func(body func(func())) { go body(func() {}) }
	if control {
		ctl := newController(random, 60)
		ctl.wakes = true // one goroutine wakes another
		points(ctl.at)
		run, start, end = ctl.run, ctl.start, func() { ctl.end(nil) }
	} else {
		points(func() {
			if rand.Uint32()&7 == 0 {
				runtime.Gosched()
			}
		})
	}
	for range c.fill {
		c.push(c.ctx, 0)
	}
	c.live.Store(int64(len(plan)))
	for i, steps := range plan {
		start(func(point func()) {
			defer c.live.Add(-1)
			err := guard(func() error {
				for _, s := range steps {
					point()
					s(c, i)
				}
				return nil
			})
			if err != nil {
				c.fail("%w", err)
			}
		})
	}
	err := run(c.idle())
	points(nil)
	end()
	c.cancel()
	c.close()
	if err == nil {
		err = errors.Join(c.errs...)
	}
	if err == nil {
		err = c.count()
	}
	synctest.Wait() // also for those who were let go only now
	return err
}

// race is controller.run for goroutines that run as they like.
func (c *crew) race(idle func() (bool, error)) error {
	for {
		synctest.Wait()
		live := c.live.Load()
		if live == 0 {
			return nil
		}
		if more, err := idle(); err != nil || !more {
			return errors.Join(err, fmt.Errorf("%d goroutines are blocked for ever", live))
		}
	}
}

// idle is called when all are blocked.
func (c *crew) idle() func() (bool, error) {
	phase := 0
	return func() (bool, error) {
		phase++
		switch phase {
		case 1: // limits end
			time.Sleep(time.Hour)
		case 2:
			if err := c.atRest(); err != nil {
				return false, err
			}
			c.cancel()
		case 3: // those in All have no context
			c.close()
		case 4:
			time.Sleep(time.Hour)
		default:
			return false, nil
		}
		return true, nil
	}
}

// atRest judges a moment at which nobody can go on.
func (c *crew) atRest() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	stored := len(c.pushed) - len(c.popped)
	for i, w := range c.states {
		switch {
		case w == nowhere:
		case c.closed.Load() && w == inPop:
			return fmt.Errorf("goroutine %d waits in a pop of a closed queue with %d items", i, stored)
		case c.closed.Load():
			return fmt.Errorf("goroutine %d waits in a push to a closed queue", i)
		case w == inPop && stored > 0:
			return fmt.Errorf("a lost wake-up: goroutine %d waits for an item, and there are %d", i, stored)
		case w == inPush && stored < c.cap:
			return fmt.Errorf("a lost wake-up: goroutine %d waits for room, and there are %d of %d items", i, stored, c.cap)
		}
	}
	return nil
}

// count drains the closed queue, and looks for what was lost or came from nowhere.
func (c *crew) count() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	for range len(c.pushed) + 1 {
		it, err := c.q.Pop(ctx)
		if err != nil {
			if !c.isClosed(err) {
				return fmt.Errorf("a Pop of a closed and empty queue returned %w", err)
			}
			break
		}
		c.got(it)
	}
	for it := range c.pushed {
		if !c.popped[it] {
			return fmt.Errorf("item %d was lost: its Push returned no error, and it never left", it.ID)
		}
	}
	for it := range c.popped {
		if !c.pushed[it] {
			return fmt.Errorf("item %d has left, and its Push returned an error", it.ID)
		}
	}
	return errors.Join(c.errs...)
}
