package balance

import (
	"context"

	"github.com/uptutu/goman/core"
)

// Submit hands task to an engine of group that takes it, and returns the future of its
// result: see [Group] for which engine that is, and [core.Submit] for the rest. ctx bounds
// the wait for room, and then governs the task.
//
// It either returns a future and no error, or a [*Error] and no future; then the
// task will never run.
func Submit[T any](ctx context.Context, group *Group, task core.Task[T]) (*core.Future[T], error) {
	return submit(ctx, group, nil, task, false)
}

// SubmitWith is Submit with attributes; see [core.SubmitWith].
func SubmitWith[T any](ctx context.Context, group *Group, attributes core.Attributes, task core.Task[T]) (*core.Future[T], error) {
	return submit(ctx, group, &attributes, task, false)
}

// TrySubmit is Submit that never waits: if all engines are full it fails with
// [core.ErrQueueFull], whatever the policy.
func TrySubmit[T any](ctx context.Context, group *Group, task core.Task[T]) (*core.Future[T], error) {
	return submit(ctx, group, nil, task, true)
}

// TrySubmitWith is TrySubmit with attributes; their Reject field is ignored.
func TrySubmitWith[T any](ctx context.Context, group *Group, attributes core.Attributes, task core.Task[T]) (*core.Future[T], error) {
	return submit(ctx, group, &attributes, task, true)
}

// Run submits task and awaits its result; ctx governs admission, the task and the wait.
// An error is that of Submit or that of [core.Future.Await].
func Run[T any](ctx context.Context, group *Group, task core.Task[T]) (T, error) {
	f, err := submit(ctx, group, nil, task, false)
	if err != nil {
		var zero T
		return zero, err
	}
	return f.Await(ctx)
}

// RunWith is Run with attributes, as SubmitWith has them.
func RunWith[T any](ctx context.Context, group *Group, attributes core.Attributes, task core.Task[T]) (T, error) {
	f, err := submit(ctx, group, &attributes, task, false)
	if err != nil {
		var zero T
		return zero, err
	}
	return f.Await(ctx)
}

// submit asks the engine of the balancer's choice. What it does not take, goes the
// long way. Nothing that this function holds may be used by a closure: it would be
// allocated.
func submit[T any](ctx context.Context, g *Group, attrs *core.Attributes, task core.Task[T], try bool) (*core.Future[T], error) {
	if !g.made() {
		return nil, errNoGroup()
	}
	r := g.roster.Load()
	wish, err := g.wish(r, attrs, task)
	if err != nil {
		return nil, g.refuse(err)
	}
	asked := -1
	if g.room.waiting.Load() == 0 {
		if asked = g.choose(r, nil, wish); asked >= 0 {
			var f *core.Future[T]
			if attrs == nil {
				f, err = core.TrySubmit(ctx, r.engines[asked], task)
			} else {
				f, err = core.TrySubmitWith(ctx, r.engines[asked], *attrs, task)
			}
			if err == nil {
				g.landed(r.seats[asked])
				return f, nil
			}
		}
	}
	return submitOn(ctx, g, attrs, task, submission{roster: r, wish: wish, first: asked, refusal: err, try: try})
}

// submitOn goes on with a submission that the engine of first choice has refused.
func submitOn[T any](ctx context.Context, g *Group, attrs *core.Attributes, task core.Task[T], t submission) (*core.Future[T], error) {
	var future *core.Future[T]
	var given core.Attributes // a copy: what the closures hold is allocated, also for those who do not get here
	with := attrs != nil
	if with {
		given = *attrs
		t.policy = given.Reject
	}
	t.ask = func(e *core.Engine) (err error) {
		if with {
			future, err = core.TrySubmitWith(ctx, e, given, task)
		} else {
			future, err = core.TrySubmit(ctx, e, task)
		}
		return err
	}
	t.insist = func(e *core.Engine) (err error) {
		if with {
			future, err = core.SubmitWith(ctx, e, given, task)
		} else {
			future, err = core.Submit(ctx, e, task)
		}
		return err
	}
	switch {
	case isNil(task):
		return nil, g.refuse(errNilTask())
	case isNilContext(ctx):
		return nil, g.refuse(errNilContext())
	}
	if err := g.place(ctx, &t); err != nil {
		return nil, err
	}
	return future, nil
}

// Go runs fn on an engine of the group, fire and forget: see [core.Engine.Go]. If all
// engines are full it waits for room without end, under the default policy, and inside a
// task it then holds the worker up: use GoContext there. An error means that fn will never
// run; it is a [*Error].
func (g *Group) Go(fn func()) error { return g.goFunc(context.Background(), fn, false) }

// GoContext is Go that gives up waiting for room when ctx ends; ctx does not reach fn.
// Inside a task pass the task's context: then it gives the worker slot to other work
// while it waits.
func (g *Group) GoContext(ctx context.Context, fn func()) error {
	switch {
	case !g.made():
		return errNoGroup()
	case isNilContext(ctx):
		return g.refuse(errNilContext())
	case ctx.Err() != nil:
		return g.refuse(contextEnded(ctx))
	}
	return g.goFunc(ctx, fn, false)
}

// TryGo is Go that never waits: if all engines are full it fails with
// [core.ErrQueueFull].
func (g *Group) TryGo(fn func()) error { return g.goFunc(context.Background(), fn, true) }

func (g *Group) goFunc(ctx context.Context, fn func(), try bool) error {
	if !g.made() {
		return errNoGroup()
	}
	if fn == nil {
		return g.refuse(errNilTask())
	}
	r := g.roster.Load()
	wish, err := g.wish(r, nil, nil)
	if err != nil {
		return g.refuse(err)
	}
	asked := -1
	if g.room.waiting.Load() == 0 {
		if asked = g.choose(r, nil, wish); asked >= 0 {
			if err = r.engines[asked].TryGo(fn); err == nil {
				g.landed(r.seats[asked])
				return nil
			}
		}
	}
	return g.goFuncOn(ctx, fn, submission{roster: r, wish: wish, first: asked, refusal: err, try: try})
}

// goFuncOn goes on with a function that the engine of first choice has refused.
func (g *Group) goFuncOn(ctx context.Context, fn func(), t submission) error {
	t.ask = func(e *core.Engine) error { return e.TryGo(fn) }
	t.insist = func(e *core.Engine) error { return e.GoContext(ctx, fn) }
	return g.place(ctx, &t)
}

// landed is called when an engine has accepted a task.
func (g *Group) landed(s *seat) {
	if s.gone.Load() {
		g.late(s)
	}
}
