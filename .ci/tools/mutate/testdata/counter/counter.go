// Package counter is what the tests of mutate change.
package counter

import (
	"sync"
	"sync/atomic"
)

// Counter counts, up to a limit, and can be waited for.
type Counter struct {
	mu    sync.Mutex
	cond  sync.Cond
	n     int
	limit int
	last  *int
	calls atomic.Int64
	flags atomic.Uint32
	done  chan struct{}
}

// New returns a counter.
func New(limit int) *Counter {
	c := &Counter{limit: limit, done: make(chan struct{}, 1)}
	c.cond.L = &c.mu
	return c
}

// Add counts one.
func (c *Counter) Add() bool {
	c.calls.Add(1)
	c.mu.Lock()
	if c.n >= c.limit {
		c.mu.Unlock()
		return false
	}
	c.n++
	c.last = nil
	c.mu.Unlock()
	c.cond.Broadcast()
	return true
}

// Wait waits until n were counted.
func (c *Counter) Wait(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.n < n {
		c.cond.Wait()
	}
}

// Raise sets the limit's flag and tells whether it was set.
func (c *Counter) Raise() bool { return c.flags.Or(1)&1 == 1 }

// Max stores v if it is the greatest so far.
func Max(at *int64, v int64) {
	for {
		old := atomic.LoadInt64(at)
		if v <= old || atomic.CompareAndSwapInt64(at, old, v) {
			return
		}
	}
}

// Publish stores and tells.
func (c *Counter) Publish(v int) {
	c.limit = v
	c.calls.Store(1)
	c.done <- struct{}{}
}

// Take takes one off, when there is one.
func (c *Counter) Take() int64 {
	for {
		n := c.calls.Load()
		if c.calls.CompareAndSwap(n, n-1) {
			return n
		}
	}
}
