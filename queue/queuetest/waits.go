package queuetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing/synctest"
	"time"
)

// blockingRounds is how often goroutines meet in a new queue, at scale 1.
const blockingRounds = 20_000

// checkWakeUp lets goroutines wait for each other, with contexts that end.
func checkWakeUp(t harness, s *Spec, e effort) error {
	return playMany(t, s, e, "wakeup", false)
}

// waits runs f in a bubble. Goroutines that are blocked at its end, whatever has been
// tried to let them go, make the bubble panic.
func waits(t harness, f func() error) error {
	var err error
	blocked := guard(func() error {
		return bubble(t, func() error {
			err = guard(f)
			return nil
		})
	})
	return errors.Join(err, blocked)
}

// text is for an error that is told, and not passed on; it may be nil.
func text(err error) string { return fmt.Sprint(err) }

func playMany(t harness, s *Spec, e effort, property string, closes bool) error {
	for i := range e.of(blockingRounds) {
		random := e.random(property, i)
		capacity := s.capacities()[random.IntN(len(s.capacities()))]
		control := i%2 == 0
		err := waits(t, func() error {
			c := newCrew(s, capacity)
			return c.play(random, c.plan(random, closes), control)
		})
		if err != nil {
			return fmt.Errorf("round %d, capacity %d: %w", i, capacity, err)
		}
	}
	return nil
}

// checkClose closes: with items in the queue, with goroutines that wait, and in the
// midst of everything.
func checkClose(t harness, s *Spec, e effort) error {
	for _, capacity := range s.capacities() {
		err := waits(t, func() error { return closeOne(s, capacity) })
		if err != nil {
			return fmt.Errorf("capacity %d: %w", capacity, err)
		}
	}
	return playMany(t, s, e, "close", true)
}

func closeOne(s *Spec, capacity int) error {
	c := newCrew(s, capacity)
	defer c.cancel()
	j := newJudge(s, c.cap)
	for range limited(c.cap) {
		it := c.item()
		if err := c.q.Push(c.ctx, it); err != nil {
			return fmt.Errorf("a Push with room: %w", err)
		}
		if err := j.pushed(it, true); err != nil {
			return err
		}
	}
	var wait sync.WaitGroup
	var blocked error
	if !s.Unbounded {
		wait.Go(func() { blocked = c.q.Push(c.ctx, c.item()) })
		synctest.Wait()
	}
	c.close()
	c.close()
	synctest.Wait()
	stuck := c.ctx
	if !s.Unbounded {
		c.cancel() // if it still waits, it ends by this
		wait.Wait()
		if !c.isClosed(blocked) {
			return fmt.Errorf("a Push that waited for room returned %s when the queue was closed", text(blocked))
		}
	}
	fresh, cancel := context.WithTimeout(context.WithoutCancel(stuck), time.Hour)
	defer cancel()
	if err := c.q.Push(fresh, c.item()); !c.isClosed(err) {
		return fmt.Errorf("a Push to a closed queue returned %s", text(err))
	}
	for len(j.stored) > 0 {
		it, err := c.q.Pop(fresh)
		if err != nil {
			return fmt.Errorf("a Pop of a closed queue with %d items: %w", len(j.stored), err)
		}
		if err := j.popped(it, true); err != nil {
			return err
		}
		if err := c.q.Push(fresh, c.item()); !c.isClosed(err) {
			return fmt.Errorf("a Push to a closed queue with room returned %s", text(err))
		}
	}
	if it, err := c.q.Pop(fresh); !c.isClosed(err) {
		return fmt.Errorf("a Pop of a closed and empty queue returned %v, %s", it, text(err))
	}
	return nil
}

// checkContext ends contexts before and during calls that cannot go on.
func checkContext(t harness, s *Spec, _ effort) error {
	for _, capacity := range s.capacities() {
		err := waits(t, func() error { return endContexts(s, capacity) })
		if err != nil {
			return fmt.Errorf("capacity %d: %w", capacity, err)
		}
	}
	return nil
}

func endContexts(s *Spec, capacity int) error {
	c := newCrew(s, capacity)
	defer c.close()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	ends := func(what string, want error, f func() error) error {
		if err := f(); !errors.Is(err, want) {
			return fmt.Errorf("%s returned %s, not %s", what, text(err), text(want))
		}
		return nil
	}
	within := func(what string, f func(context.Context) error) error {
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err := ends(what, context.DeadlineExceeded, func() error { return f(ctx) })
		if took := time.Since(began); err == nil && took != time.Minute {
			return fmt.Errorf("%s returned after %v, with a limit of a minute", what, took)
		}
		return err
	}
	pop := func(ctx context.Context) error { _, err := c.q.Pop(ctx); return err }
	push := func(ctx context.Context) error { return c.q.Push(ctx, c.item()) }
	err := errors.Join(
		ends("a Pop of an empty queue whose context had ended", context.Canceled, func() error { return pop(ended) }),
		within("a Pop of an empty queue", pop))
	if s.Unbounded || err != nil {
		return err
	}
	for range c.cap {
		if err := push(c.ctx); err != nil {
			return err
		}
	}
	return errors.Join(
		ends("a Push to a full queue whose context had ended", context.Canceled, func() error { return push(ended) }),
		within("a Push to a full queue", push))
}

// checkAll leaves loops early, and counts what is left.
func checkAll(t harness, s *Spec, _ effort) error {
	for _, capacity := range s.capacities() {
		size := min(limited(s.wantCap(capacity)), 16)
		for after := 1; after <= size; after++ {
			err := waits(t, func() error { return leaveEarly(s, capacity, size, after) })
			if err != nil {
				return fmt.Errorf("capacity %d, %d items, left after %d: %w", capacity, size, after, err)
			}
		}
	}
	return nil
}

func leaveEarly(s *Spec, capacity, size, after int) error {
	c := newCrew(s, capacity)
	c.states = make([]waiting, 2)
	for range size {
		c.push(c.ctx, 0)
	}
	c.all(0, after)
	if n := len(c.popped); n != after {
		return fmt.Errorf("the loop had %d items", n)
	}
	// What is left comes in the next loop, and what is pushed while it waits.
	var wait sync.WaitGroup
	wait.Go(func() { c.all(0, -1) })
	synctest.Wait()
	if n := len(c.popped); n != size {
		c.close()
		wait.Wait()
		return fmt.Errorf("after the loop was left, a second one had only %d of the other %d items", n-after, size-after)
	}
	c.push(c.ctx, 1)
	synctest.Wait()
	n := len(c.popped)
	c.close()
	synctest.Wait()
	if n != size+1 {
		return errors.New("a loop that waited did not get what was pushed")
	}
	wait.Wait()
	return c.count()
}

// checkDue waits for items that are due later.
func checkDue(t harness, s *Spec, _ effort) error {
	return waits(t, func() error {
		c := newCrew(s, s.capacities()[len(s.capacities())-1])
		defer c.close()
		c.states = make([]waiting, 1)
		began := time.Now()
		if err := c.q.Push(c.ctx, &Item{ID: 1, Due: began.Add(time.Hour)}); err != nil {
			return err
		}
		var wait sync.WaitGroup
		for range 2 {
			wait.Go(func() { c.popDue() })
		}
		time.Sleep(time.Minute)
		// An earlier one must wake those who wait for a later one.
		if err := c.q.Push(c.ctx, &Item{ID: 2, Due: began.Add(2 * time.Minute)}); err != nil {
			return err
		}
		limit := time.AfterFunc(24*time.Hour, c.cancel)
		wait.Wait()
		limit.Stop()
		return errors.Join(c.errs...)
	})
}

func (c *crew) popDue() {
	it, err := c.q.Pop(c.ctx)
	if err != nil {
		c.fail("a Pop that waited for an item to become due: %v", err)
		return
	}
	if late := time.Since(it.Due); late < 0 || late > c.s.Tick {
		c.fail("item %d left %v after it was due, with a tick of %v", it.ID, late, c.s.Tick)
	}
}

// checkBlockingExactlyOnce lets many items through, outside a bubble.
func checkBlockingExactlyOnce(_ harness, s *Spec, e effort) error {
	for i, capacity := range s.capacities() {
		producers, consumers := crowds[i%len(crowds)][0], crowds[i%len(crowds)][1]
		if s.Producers == One {
			producers = 1
		}
		if s.Consumers == One {
			consumers = 1
		}
		each := max(50, e.of(100_000)/len(s.capacities())/producers)
		err := guard(func() error { return blockingStress(s, capacity, [3]int{producers, consumers, each}, e.patience) })
		if err != nil {
			return fmt.Errorf("capacity %d, %d producers, %d consumers: %w", capacity, producers, consumers, err)
		}
	}
	return nil
}

func blockingStress(s *Spec, capacity int, size [3]int, patience time.Duration) error {
	producers, consumers, each := size[0], size[1], size[2]
	c := newCrew(s, capacity)
	ctx, past := c.ctx, time.Now().Add(-time.Hour)
	defer c.cancel()
	var pushing, popping sync.WaitGroup
	// A call that panics fails the property, and lets the others go.
	guarded := func(f func()) func() {
		return func() {
			if err := guard(func() error { f(); return nil }); err != nil {
				c.fail("%w", err)
				c.cancel()
			}
		}
	}
	for p := range producers {
		pushing.Go(guarded(func() {
			for n := range each {
				it := &Item{ID: p*each + n, Cost: 1, Due: past}
				it.note = noteOf(it)
				if err := c.q.Push(ctx, it); err != nil {
					c.fail("a Push: %v", err)
					return
				}
			}
		}))
	}
	got := make([][]*Item, consumers)
	for i := range consumers {
		popping.Go(guarded(func() {
			for {
				it, err := c.q.Pop(ctx)
				if err != nil {
					if !c.isClosed(err) {
						c.fail("a Pop: %v", err)
					}
					return
				}
				if it == nil || it.note != noteOf(it) {
					c.fail("a Pop gave nothing, or what was popped before, or what was not written yet")
					return
				}
				it.note = 0
				if len(got[i])%64 == 0 {
					c.moved.Add(1)
				}
				got[i] = append(got[i], it)
			}
		}))
	}
	defer c.close() // also if they hang: those that wait are let go
	err := await(&pushing, patience, c.moved.Load)
	c.close()
	if err = errors.Join(err, await(&popping, patience, c.moved.Load), errors.Join(c.errs...)); err != nil {
		strays.Store(true)
		return err
	}
	n := 0
	for _, items := range got {
		n += len(items)
	}
	if n != producers*each {
		return fmt.Errorf("%d items were pushed, and %d have left", producers*each, n)
	}
	return nil
}
