package balance

import (
	"context"
	"fmt"

	"github.com/uptutu/goman/core"
)

// pieceSize is how many tasks of a batch go to one engine at a time.
const pieceSize = 64

// SubmitAll submits tasks in their order and returns the futures of those that were
// accepted, always the first ones; if that is not all of them, the error is a
// [*Error] that says why, and the others will never run. A nil task among them
// refuses all. With no tasks it returns nil, nil.
//
// The batch is cut into pieces of 64 tasks, and the balancer chooses an engine for each.
// Under [ByKey] a piece ends where the key changes, and [ByFunc] chooses for each task. A
// piece is let in as [core.SubmitAll] does it, as far as it fits; the next task goes where
// Submit would put it, and may wait for room.
func SubmitAll[T any](ctx context.Context, group *Group, tasks []core.Task[T]) ([]*core.Future[T], error) {
	return submitAll(ctx, group, nil, tasks, false)
}

// SubmitAllWith is SubmitAll with attributes, which are those of each task.
func SubmitAllWith[T any](ctx context.Context, group *Group, attributes core.Attributes, tasks []core.Task[T]) ([]*core.Future[T], error) {
	return submitAll(ctx, group, &attributes, tasks, false)
}

// TrySubmitAll is SubmitAll that never waits: it takes as many tasks as fit in all
// engines, whatever the policy, and if those are not all its error matches
// [core.ErrQueueFull].
func TrySubmitAll[T any](ctx context.Context, group *Group, tasks []core.Task[T]) ([]*core.Future[T], error) {
	return submitAll(ctx, group, nil, tasks, true)
}

func submitAll[T any](ctx context.Context, g *Group, attrs *core.Attributes, tasks []core.Task[T], try bool) ([]*core.Future[T], error) {
	if !g.made() {
		return nil, errNoGroup()
	}
	for i, task := range tasks {
		if isNil(task) {
			return nil, g.refuse(fmt.Errorf("%w: task %d of %d is nil", core.ErrInvalid, i, len(tasks)))
		}
	}
	if len(tasks) == 0 {
		return nil, nil
	}
	futures := make([]*core.Future[T], 0, len(tasks))
	for len(futures) < len(tasks) {
		if rest := tasks[len(futures):]; g.balancer.kind != byFunc {
			accepted, err := tryPiece(ctx, g, attrs, rest[:pieceOf(g, attrs, rest)])
			futures = append(futures, accepted...)
			if err == nil {
				continue
			}
		}
		// The next one goes the way of a single task, which asks the other engines.
		f, err := submit(ctx, g, attrs, tasks[len(futures)], try)
		if err != nil {
			return futures, err
		}
		futures = append(futures, f)
	}
	return futures, nil
}

// pieceOf returns how many of tasks the balancer sends to the same engine.
func pieceOf[T any](g *Group, attrs *core.Attributes, tasks []core.Task[T]) int {
	n := min(len(tasks), pieceSize)
	if g.balancer.kind != byKey {
		return n
	}
	if attrs != nil && attrs.Key != "" {
		return len(tasks)
	}
	key := keyOf(tasks[0])
	for i := 1; i < n; i++ { // not from 0: the method may say something else each time
		if keyOf(tasks[i]) != key {
			return i
		}
	}
	return n
}

// keyOf returns the key that a task brings.
func keyOf(task any) string {
	if t, ok := task.(core.Keyed); ok {
		return t.Key()
	}
	return ""
}

// tryPiece submits as many of tasks, of which there is one at least, as fit into the
// engine of the balancer's choice. If those are not all it returns an error, which nobody
// is told.
func tryPiece[T any](ctx context.Context, g *Group, attrs *core.Attributes, tasks []core.Task[T]) ([]*core.Future[T], error) {
	r := g.roster.Load()
	wish, err := g.wish(r, attrs, tasks[0])
	if err != nil {
		return nil, err
	}
	i := -1
	if g.room.waiting.Load() == 0 {
		i = g.choose(r, nil, wish)
	}
	if i < 0 {
		return nil, ErrNoEngine
	}
	var futures []*core.Future[T]
	if attrs == nil {
		futures, err = core.TrySubmitAll(ctx, r.engines[i], tasks)
	} else if attrs.Reject > core.RejectAsk {
		return nil, core.ErrInvalid // for the single task to find out
	} else {
		given := *attrs
		given.Reject = core.RejectFail // which is not to wait
		futures, err = core.SubmitAllWith(ctx, r.engines[i], given, tasks)
	}
	if len(futures) > 0 {
		g.landed(r.seats[i])
	}
	return futures, err
}
