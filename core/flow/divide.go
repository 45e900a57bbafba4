package flow

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/internal/point"
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
// runtime.Goexit. Where the part has run elsewhere, what is recovered is a
// [*core.PanicError]. When ctx ends no part is taken any more, but fn is called as before:
// it has to look at [Branch.Context] if it is to end early. When Divide returns no call of
// fn is under way, unless a forced stop of the engine has given the task up, or the wait
// for it would close a ring of tasks.
func Divide[A, R any](ctx context.Context, engine *core.Engine, arg A, fn func(*Branch[A, R], A) (R, error)) (R, error) {
	var zero R
	if engine == nil {
		return zero, fmt.Errorf("%w: the engine given to Divide is nil", core.ErrInvalid)
	}
	if fn == nil {
		return zero, fmt.Errorf("%w: the function given to Divide is nil", core.ErrInvalid)
	}
	return divide(ctx, engine, math.MaxInt, arg, fn)
}

// divide is Divide with a branch for at most so many goroutines.
func divide[A, R any](ctx context.Context, engine *core.Engine, most int, arg A, fn func(*Branch[A, R], A) (R, error)) (R, error) {
	whole := func(ctx context.Context) (R, error) {
		d := newDivision(ctx, engine, most, fn)
		defer d.dismiss()
		return d.seats[0].branch.whole(ctx, arg)
	}
	f, err := core.SubmitWith(ctx, engine, core.Attributes{Name: helperName}, core.Func(whole))
	if err != nil {
		var zero R
		return zero, err
	}
	value, err := f.Await(ctx)
	if err != nil && !f.IsDone() {
		// ctx has ended, and the task runs, or else it would have been cancelled.
		return f.Await(context.WithoutCancel(ctx))
	}
	return value, err
}

const (
	helperName = "flow.Divide"
	// spare is how many public parts a branch should have when nobody looks for one.
	spare = 3
	// inviteAgain is after how many publications a branch tries once more to get a helper.
	inviteAgain = 64
)

// looks is how often a goroutine looks for a part before it gives up, and lets others run
// meanwhile: some 10 µs.
func looks() int {
	if point.Enabled {
		return 2 // a schedule would be all looks
	}
	return 64
}

// division is one call of Divide.
type division[A, R any] struct {
	ctx     context.Context // of the whole
	engine  *core.Engine
	fn      func(*Branch[A, R], A) (R, error)
	over    atomic.Bool
	want    atomic.Int32 // how many public parts a branch should have
	empty   atomic.Int32 // how many seats are
	refused atomic.Bool  // the engine has not taken the last helper
	seats   []seat[A, R] // the first is that of the whole
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

func newDivision[A, R any](ctx context.Context, engine *core.Engine, most int, fn func(*Branch[A, R], A) (R, error)) *division[A, R] {
	d := &division[A, R]{ctx: ctx, engine: engine, fn: fn}
	d.seats = make([]seat[A, R], max(min(engine.Config().Workers, most), 1))
	for i := range d.seats {
		newBranch(d, &d.seats[i].branch)
	}
	d.seats[0].state.Store(seatTaken)
	if helpers := len(d.seats) - 1; helpers > 0 {
		d.empty.Store(int32(helpers))
		d.want.Store(int32(helpers + min(helpers+1, spare)))
	}
	return d
}

// invite has up to n helpers submitted, as far as there are empty seats and the engine
// has room. b is the branch that has parts for them. While the engine refuses helpers, or
// no seat is empty, it returns at once, but for each so many times: there may be room now,
// or the engine may have cancelled a helper in its queue.
func (d *division[A, R]) invite(b *Branch[A, R], n int) {
	b.invites++
	if (d.refused.Load() || d.empty.Load() == 0) && b.invites%inviteAgain != 0 {
		return
	}
	for i := 1; i < len(d.seats) && n > 0; i++ {
		s := &d.seats[i]
		if s.state.Load() == seatInvited {
			// The engine may have cancelled or discarded it in the queue.
			if f := s.helper.Load(); f != nil && f.IsDone() {
				d.move(s, seatInvited, seatEmpty)
			}
		}
		if s.state.Load() != seatEmpty || !d.move(s, seatEmpty, seatInvited) {
			continue
		}
		s.helper.Store(nil)
		f, err := core.TrySubmitWith(d.ctx, d.engine, core.Attributes{Name: helperName, RunLimit: -1},
			core.Func(func(ctx context.Context) (struct{}, error) { d.help(ctx, s); return struct{}{}, nil }))
		d.refused.Store(err != nil)
		if err != nil {
			d.move(s, seatInvited, seatEmpty)
			return
		}
		s.helper.Store(f)
		n--
	}
}

// move changes the state of a seat, unless somebody else has. The count of empty seats is
// never too low: where it is zero, whoever leaves a seat looks for parts after that.
func (d *division[A, R]) move(s *seat[A, R], from, to int32) bool {
	if to == seatEmpty {
		d.empty.Add(1)
	}
	moved := s.state.CompareAndSwap(from, to)
	if moved && from == seatEmpty || !moved && to == seatEmpty {
		d.empty.Add(-1)
	}
	return moved
}

// dismiss takes back the helpers that have not begun: they would stand in the queue and
// keep what fn refers to.
func (d *division[A, R]) dismiss() {
	d.over.Store(true)
	for i := range d.seats {
		s := &d.seats[i]
		if s.state.Load() != seatInvited {
			continue
		}
		if f := s.helper.Load(); f != nil {
			f.Cancel()
		}
	}
}

// help takes parts until there are none.
func (d *division[A, R]) help(ctx context.Context, s *seat[A, R]) {
	if !d.move(s, seatInvited, seatTaken) {
		return
	}
	seated := true
	defer func() {
		if seated { // fn has called Goexit
			d.move(s, seatTaken, seatEmpty)
		}
	}()
	for seated {
		s.branch.ctx = ctx
		for look := 0; look < looks() && !d.stopped(ctx); look++ {
			if d.takeAny(&s.branch) {
				look = -1
				continue
			}
			point.Yield(point.LookOn)
			runtime.Gosched()
		}
		// First empty, then the last look: who publishes a part after it invites.
		s.branch.ctx = nil
		d.move(s, seatTaken, seatEmpty)
		point.At(point.LastLook)
		seated = !d.stopped(ctx) && d.anyPublic() && d.move(s, seatEmpty, seatTaken)
	}
}

func (d *division[A, R]) stopped(ctx context.Context) bool { return d.over.Load() || ctx.Err() != nil }

// takeAny runs a part of anybody's on b. It reports whether there was one.
func (d *division[A, R]) takeAny(b *Branch[A, R]) bool {
	for i := range d.seats {
		if from := &d.seats[i].branch; from != b && b.take(from, nil) {
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
