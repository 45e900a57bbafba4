package middleware

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/uptutu/goman/core"
)

// CacheConfig says how long a [Cache] keeps results, and how many.
type CacheConfig struct {
	// TTL is how long a result is kept. Default: not at all; then only tasks with the
	// same key that run at the same time share one run.
	TTL time.Duration
	// Max is how many results are kept; beyond that, the one that was used least
	// recently is dropped. Default: 1,000.
	Max int
}

// Cache lets tasks with the same key share a run: one of them runs, the others wait for its
// result, without a worker, or find it kept. Values are shared, so they must not be changed.
// An error is shared with those that wait for that run, and not kept. Where the one that runs
// is cancelled, itself asks to be run again or calls runtime.Goexit, another takes its place.
//
// A result that is kept costs no allocation and about 70 ns (BenchmarkDecorator), under one
// mutex for all keys.
//
// A key that is not equal to itself, such as NaN, shares nothing. Nobody finds out that a
// task waits for itself here: do not execute a task with a key within
// a task with the same key of the same Cache.
type Cache[K comparable, T any] struct {
	config CacheConfig

	mu      sync.Mutex
	flights map[K]*flight[T]
	kept    map[K]*list.Element // of *entry[K, T]
	order   list.List           // the most recently used first
}

// flight is a run that others may wait for.
type flight[T any] struct {
	over   chan struct{}
	shared bool // valid once over, as are the others
	value  T
	err    error
}

type entry[K comparable, T any] struct {
	key   K
	value T
	until time.Time
}

// NewCache makes a Cache. The error matches core.ErrInvalid and names all faults of config.
func NewCache[K comparable, T any](config CacheConfig) (*Cache[K, T], error) {
	var faults []error
	if config.TTL < 0 {
		faults = append(faults, invalidf("CacheConfig.TTL is %v, and must not be negative", config.TTL))
	}
	if config.Max < 0 {
		faults = append(faults, invalidf("CacheConfig.Max is %d, and must not be negative", config.Max))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if config.Max == 0 {
		config.Max = 1000
	}
	return &Cache[K, T]{config: config, flights: make(map[K]*flight[T]), kept: make(map[K]*list.Element)}, nil
}

// Decorate puts the cache around task, whose result is that of key.
func (c *Cache[K, T]) Decorate(key K, task core.Task[T]) core.Task[T] {
	if c == nil || c.flights == nil {
		return failing(task, notMade("Cache"))
	}
	return adorned(task, func(ctx context.Context, _ bool) (T, error) { return c.run(ctx, key, task) })
}

// Forget drops what is kept for key. A run that has begun before is kept all the same.
func (c *Cache[K, T]) Forget(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(key)
}

// Len returns how many results are kept, those included whose time is over and that nobody
// has asked for since.
func (c *Cache[K, T]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.Len()
}

func (c *Cache[K, T]) run(ctx context.Context, key K, task core.Task[T]) (T, error) {
	if same := key; same != key {
		return task.Execute(ctx) // the maps could not forget it
	}
	for {
		c.mu.Lock()
		if value, ok := c.find(key); ok {
			c.mu.Unlock()
			return value, nil
		}
		f, running := c.flights[key]
		if !running {
			f = &flight[T]{over: make(chan struct{})}
			c.flights[key] = f
		}
		c.mu.Unlock()
		if !running {
			return c.lead(ctx, key, task, f)
		}
		core.Blocking(ctx, func() {
			select {
			case <-f.over:
			case <-ctx.Done():
			}
		})
		select {
		case <-f.over:
			if f.shared {
				return f.value, f.err
			}
		default:
			var none T
			return none, fmt.Errorf("middleware: gave up waiting for the run of another task: %w", whyEnded(ctx))
		}
	}
}

// lead runs task for all that wait for f.
func (c *Cache[K, T]) lead(ctx context.Context, key K, task core.Task[T], f *flight[T]) (T, error) {
	defer func() {
		c.mu.Lock()
		delete(c.flights, key)
		if f.shared && f.err == nil && c.config.TTL > 0 {
			c.keep(key, f.value)
		}
		c.mu.Unlock()
		close(f.over)
	}()
	f.err = core.Contain(ctx, func() (err error) {
		f.value, err = task.Execute(ctx)
		return err
	})
	_, again := wish(f.err)
	f.shared = !again && (f.err == nil || ctx.Err() == nil)
	return f.value, f.err
}

// find returns what is kept for key. The caller holds mu.
func (c *Cache[K, T]) find(key K) (value T, ok bool) {
	at, ok := c.kept[key]
	if !ok {
		return value, false
	}
	e := at.Value.(*entry[K, T])
	if !time.Now().Before(e.until) {
		c.drop(key)
		return value, false
	}
	c.order.MoveToFront(at)
	return e.value, true
}

// keep keeps value for key. The caller holds mu.
func (c *Cache[K, T]) keep(key K, value T) {
	c.drop(key)
	c.kept[key] = c.order.PushFront(&entry[K, T]{key, value, time.Now().Add(c.config.TTL)})
	if c.order.Len() > c.config.Max {
		c.drop(c.order.Back().Value.(*entry[K, T]).key)
	}
}

// drop drops what is kept for key, if anything. The caller holds mu.
func (c *Cache[K, T]) drop(key K) {
	if at, ok := c.kept[key]; ok {
		c.order.Remove(at)
		delete(c.kept, key)
	}
}
