package flow

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/uptutu/goman/core"
)

// Divide computes fn(arg), where fn divides its argument and conquers the parts with
// [Branch.Both] or [Branch.Each], on the workers of engine. A part costs a few
// nanoseconds and no allocation: it is a call, unless a worker has nothing to do and takes
// it. BenchmarkDivide compares.
//
//	sum := func(b *flow.Branch[[]int, int], list []int) (int, error) {
//		if len(list) < 1000 {
//			return add(list), nil
//		}
//		x, y, err := b.Both(list[:len(list)/2], list[len(list)/2:])
//		return x + y, err
//	}
//	total, err := flow.Divide(ctx, engine, list, sum)
//
// fn is called by several goroutines at a time, each with a Branch of its own. The
// parts must be large enough for a call to be worth while, and small enough that there
// are more of them than workers; a few hundred nanoseconds are plenty.
//
// The whole is one task of the engine, as for [core.Run], and may be given the context of
// a task of the same engine. As long as there are parts to take there is a further task,
// named "flow.Divide", for each other worker of the engine; these are never waited for in
// its queue, and if it is full or stops, fewer of them or none take part.
//
// The error is that of fn, of which the parts are told by Both and Each; or that with which
// the engine refuses or cancels the task, see [core.Run]; or matches [core.ErrInvalid] if
// engine or fn is nil. A panic of fn on any goroutine is the panic of whoever waits for
// that part, up to the task, which fails with a [*core.PanicError]; likewise
// runtime.Goexit. When ctx ends no part is taken any more, but fn is called as before: it
// has to look at [Branch.Context] if it is to end early. When Divide returns no call of fn
// is under way.
func Divide[A, R any](ctx context.Context, engine *core.Engine, arg A, fn func(*Branch[A, R], A) (R, error)) (R, error) {
	var zero R
	if engine == nil {
		return zero, fmt.Errorf("%w: the engine given to Divide is nil", core.ErrInvalid)
	}
	if fn == nil {
		return zero, fmt.Errorf("%w: the function given to Divide is nil", core.ErrInvalid)
	}
	whole := func(ctx context.Context) (R, error) {
		d := newDivision(ctx, engine, fn)
		defer d.over.Store(true)
		return d.seats[0].branch.whole(ctx, arg)
	}
	return core.RunWith(ctx, engine, core.Attributes{Name: helperName}, core.Func(whole))
}

const (
	helperName = "flow.Divide"
	// looks is how often a goroutine looks for a part before it gives up, and lets
	// others run meanwhile: some 10 µs.
	looks = 64
	// spare is how many public parts a branch should have when nobody looks for one.
	spare = 3
)

// division is one call of Divide.
type division[A, R any] struct {
	ctx    context.Context // of the whole
	engine *core.Engine
	fn     func(*Branch[A, R], A) (R, error)
	over   atomic.Bool
	want   atomic.Int32 // how many public parts a branch should have
	seats  []seat[A, R] // the first is that of the whole
}

// seat is the place of one goroutine in a division. Its states:
//
//	empty   -> invited  whoever publishes parts, and submits a helper
//	invited -> taken    the helper, when it starts
//	invited -> empty    whoever finds that the helper ended without a start
//	taken   -> empty    the helper, before its last look for parts
//	empty   -> taken    the helper, if it finds some then
type seat[A, R any] struct {
	branch Branch[A, R]
	state  atomic.Int32
	helper atomic.Pointer[core.Future[struct{}]]
}

const (
	seatEmpty int32 = iota
	seatInvited
	seatTaken
)

func newDivision[A, R any](ctx context.Context, engine *core.Engine, fn func(*Branch[A, R], A) (R, error)) *division[A, R] {
	d := &division[A, R]{ctx: ctx, engine: engine, fn: fn}
	d.seats = make([]seat[A, R], max(engine.Config().Workers, 1))
	for i := range d.seats {
		newBranch(d, &d.seats[i].branch)
	}
	d.seats[0].state.Store(seatTaken)
	if helpers := len(d.seats) - 1; helpers > 0 {
		d.want.Store(int32(helpers + min(helpers+1, spare)))
	}
	return d
}

// invite has up to n helpers submitted, as far as there are empty seats and the engine
// has room.
func (d *division[A, R]) invite(n int) {
	for i := 1; i < len(d.seats) && n > 0; i++ {
		s := &d.seats[i]
		if s.state.Load() == seatInvited {
			// The engine may have cancelled or discarded it in the queue.
			if f := s.helper.Load(); f != nil && f.IsDone() {
				s.state.CompareAndSwap(seatInvited, seatEmpty)
			}
		}
		if s.state.Load() != seatEmpty || !s.state.CompareAndSwap(seatEmpty, seatInvited) {
			continue
		}
		s.helper.Store(nil)
		f, err := core.TrySubmitWith(d.ctx, d.engine, core.Attributes{Name: helperName, RunLimit: -1},
			core.Func(func(ctx context.Context) (struct{}, error) { d.help(ctx, s); return struct{}{}, nil }))
		if err != nil {
			s.state.CompareAndSwap(seatInvited, seatEmpty)
			return
		}
		s.helper.Store(f)
		n--
	}
}

// help takes parts until there are none.
func (d *division[A, R]) help(ctx context.Context, s *seat[A, R]) {
	if !s.state.CompareAndSwap(seatInvited, seatTaken) {
		return
	}
	seated := true
	defer func() {
		if seated { // fn has called Goexit
			s.state.Store(seatEmpty)
		}
	}()
	for seated {
		s.branch.ctx = ctx
		for look := 0; look < looks && !d.stopped(ctx); look++ {
			if d.takeAny(&s.branch) {
				look = -1
				continue
			}
			runtime.Gosched()
		}
		// First empty, then the last look: who publishes a part after it invites.
		s.branch.ctx = nil
		s.state.Store(seatEmpty)
		seated = !d.stopped(ctx) && d.anyPublic() && s.state.CompareAndSwap(seatEmpty, seatTaken)
	}
}

func (d *division[A, R]) stopped(ctx context.Context) bool { return d.over.Load() || ctx.Err() != nil }

// takeAny runs a part of anybody's on b. It reports whether there was one.
func (d *division[A, R]) takeAny(b *Branch[A, R]) bool {
	for i := range d.seats {
		if from := &d.seats[i].branch; from != b && b.take(from) {
			return true
		}
	}
	return false
}

func (d *division[A, R]) anyPublic() bool {
	for i := range d.seats {
		if d.seats[i].branch.ends.load().public() > 0 {
			return true
		}
	}
	return false
}
