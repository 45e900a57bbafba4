package queuetest

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"
)

// alarm is a Blocking whose items leave when they are due. Whatever changes wakes
// all who wait.
type alarm struct {
	flaw flaw
	cap  int

	mu      sync.Mutex
	items   []*Item
	closed  bool
	changed chan struct{}
}

func alarmSpec(f flaw) Spec {
	return Spec{
		NewBlocking: func(capacity int) Blocking { return &alarm{flaw: f, cap: capacity, changed: make(chan struct{})} },
		Closed:      errClosed, Order: Delayed,
	}
}

// change tells those who wait. The caller holds mu.
func (a *alarm) change() {
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *alarm) Push(ctx context.Context, it *Item) error {
	for {
		a.mu.Lock()
		switch {
		case a.closed:
			a.mu.Unlock()
			return errClosed
		case len(a.items) < a.cap:
			a.items = append(a.items, it)
			if a.flaw != "no look at earlier ones" || len(a.items) == 1 {
				a.change()
			}
			a.mu.Unlock()
			return nil
		}
		changed := a.changed
		a.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a *alarm) Pop(ctx context.Context) (*Item, error) {
	for {
		a.mu.Lock()
		if a.closed && len(a.items) == 0 {
			a.mu.Unlock()
			return nil, errClosed
		}
		first := -1
		for i, it := range a.items {
			if first < 0 || it.Due.Before(a.items[first].Due) {
				first = i
			}
		}
		var due <-chan time.Time
		if first >= 0 {
			it := a.items[first]
			if !it.Due.After(time.Now()) || a.flaw == "not until due" {
				a.items = slices.Delete(a.items, first, first+1)
				a.change()
				a.mu.Unlock()
				return it, nil
			}
			due = time.After(time.Until(it.Due))
		}
		changed := a.changed
		a.mu.Unlock()
		select {
		case <-changed:
		case <-due:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (a *alarm) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.change()
}

func (a *alarm) All() iter.Seq[*Item] {
	return func(yield func(*Item) bool) {
		for {
			it, err := a.Pop(context.Background())
			if err != nil || !yield(it) {
				return
			}
		}
	}
}
