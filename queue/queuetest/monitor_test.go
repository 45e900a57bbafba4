package queuetest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
)

var errClosed = errors.New("closed")

// monitor is a Blocking: a slice, a mutex, and a channel for each that waits.
type monitor struct {
	flaw flaw
	cap  int

	mu      sync.Mutex
	items   []*Item
	pushers []chan struct{}
	poppers []chan struct{}
	closed  bool
}

func monitorSpec(f flaw) Spec {
	return Spec{
		NewBlocking: func(capacity int) Blocking { return &monitor{flaw: f, cap: capacity} },
		Closed:      errClosed, Points: setPoints,
	}
}

func (m *monitor) Push(ctx context.Context, it *Item) error {
	for {
		point()
		m.mu.Lock()
		switch {
		case m.closed && (m.flaw != "push after close" || len(m.items) >= m.cap):
			m.mu.Unlock()
			return errClosed
		case len(m.items) < m.cap:
			m.items = append(m.items, it)
			m.wake(&m.poppers)
			m.mu.Unlock()
			return nil
		}
		m.mu.Unlock()
		if err := m.wait(ctx, &m.pushers, func() bool { return len(m.items) < m.cap }); err != nil {
			return err
		}
	}
}

func (m *monitor) Pop(ctx context.Context) (*Item, error) {
	for {
		point()
		m.mu.Lock()
		switch {
		case m.flaw == "panic" && len(m.items) > 1:
			m.mu.Unlock()
			panic("two items")
		case len(m.items) > 0:
			it := m.items[0]
			m.items = slices.Delete(m.items, 0, 1)
			m.wake(&m.pushers)
			m.mu.Unlock()
			return it, nil
		case m.closed:
			m.mu.Unlock()
			return nil, errClosed
		}
		m.mu.Unlock()
		if err := m.wait(ctx, &m.poppers, func() bool { return len(m.items) > 0 }); err != nil {
			return nil, err
		}
	}
}

// wake wakes one that waits. The caller holds mu.
func (m *monitor) wake(list *[]chan struct{}) {
	if n := len(*list); n > 0 {
		close((*list)[0])
		*list = slices.Delete(*list, 0, 1)
	}
}

// wait announces, looks again, and sleeps.
func (m *monitor) wait(ctx context.Context, list *[]chan struct{}, ready func() bool) error {
	point()
	m.mu.Lock()
	if m.flaw != "no re-check" && (ready() || m.closed) {
		m.mu.Unlock()
		return nil
	}
	ch := make(chan struct{})
	*list = append(*list, ch)
	m.mu.Unlock()
	point()
	select {
	case <-ch:
		point()
		return nil
	case <-ctx.Done():
	}
	point()
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.Index(*list, ch)
	switch {
	case i >= 0:
		*list = slices.Delete(*list, i, i+1)
	case m.flaw != "keeps the wake-up": // it has been woken: somebody else must be
		m.wake(list)
	}
	return ctx.Err()
}

func (m *monitor) Close() {
	point()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.flaw == "close drops" {
		m.items = nil
	}
	for len(m.poppers) > 0 {
		m.wake(&m.poppers)
	}
	for len(m.pushers) > 0 && m.flaw != "close wakes half" {
		m.wake(&m.pushers)
	}
}

func (m *monitor) All() iter.Seq[*Item] {
	return func(yield func(*Item) bool) {
		if m.flaw == "loop loses one" {
			next, stop := iter.Pull(m.ahead())
			defer stop()
			for it, ok := next(); ok && yield(it); it, ok = next() {
			}
			return
		}
		for {
			it, err := m.Pop(context.Background())
			if err != nil || !yield(it) {
				return
			}
		}
	}
}

// ahead pops one more than it gives.
func (m *monitor) ahead() iter.Seq[*Item] {
	return func(yield func(*Item) bool) {
		it, err := m.Pop(context.Background())
		for err == nil {
			var next *Item
			m.mu.Lock()
			n := len(m.items)
			m.mu.Unlock()
			if n > 0 {
				next, _ = m.Pop(context.Background())
			}
			if !yield(it) {
				return
			}
			if it = next; it == nil {
				it, err = m.Pop(context.Background())
			}
		}
	}
}

// channel is a buffered channel, which is a queue of either kind.
type channel struct{ ch chan *Item }

func newChannel(capacity int) Queue { return channel{make(chan *Item, capacity)} }

func (c channel) TryPush(it *Item) bool {
	select {
	case c.ch <- it:
		return true
	default:
		return false
	}
}

func (c channel) TryPop() (*Item, bool) {
	select {
	case it := <-c.ch:
		return it, true
	default:
		return nil, false
	}
}

func (c channel) Len() int { return len(c.ch) }
func (c channel) Cap() int { return cap(c.ch) }

// pipe is a buffered channel as a Blocking. A channel that is closed makes those
// who send panic, so that there is a second one to close.
type pipe struct {
	ch     chan *Item
	closed chan struct{}
	mu     sync.RWMutex // held for reading by those who send
	once   sync.Once
}

func newPipe(capacity int) Blocking {
	return &pipe{ch: make(chan *Item, capacity), closed: make(chan struct{})}
}

func (p *pipe) Push(ctx context.Context, it *Item) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	select {
	case <-p.closed:
		return errClosed
	default:
	}
	select {
	case p.ch <- it:
		return nil
	default:
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.closed:
		return errClosed
	case p.ch <- it:
		return nil
	}
}

func (p *pipe) Pop(ctx context.Context) (*Item, error) {
	select {
	case it, ok := <-p.ch:
		if !ok {
			return nil, errClosed
		}
		return it, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipe) Close() {
	p.once.Do(func() {
		close(p.closed)
		p.mu.Lock() // those who send have ended, and no others begin
		defer p.mu.Unlock()
		close(p.ch)
	})
}

func (p *pipe) All() iter.Seq[*Item] {
	return func(yield func(*Item) bool) {
		for it := range p.ch {
			if !yield(it) {
				return
			}
		}
	}
}
