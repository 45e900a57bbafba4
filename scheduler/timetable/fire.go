package timetable

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/uptutu/goman/core"
)

// How a timetable comes to act: one timer calls fire, on a goroutine that ends when
// nothing more is due. That goroutine alone submits, so entries are submitted in
// order, and one that waits for room in the queue holds up the others, which would
// have to wait as well.

// clockTolerance is how far the wall clock may have moved before entries that
// go by it are planned anew.
const clockTolerance = 100 * time.Millisecond

// clockWrong is how far the clock must have been put back for its old time to have
// been wrong.
const clockWrong = 24 * time.Hour

// fire submits what is due, and sets the timer again.
func (tt *Timetable) fire() {
	tt.mu.Lock()
	tt.armed = time.Time{}
	if tt.firing || tt.reason != nil {
		tt.mu.Unlock()
		return // who is firing looks again before it ends
	}
	tt.firing = true
	tt.mu.Unlock()
	defer tt.rest() // deferred, because a user's function may call Goexit
	for tt.step() {
	}
}

// step submits one task. It reports false if none is due.
func (tt *Timetable) step() bool {
	tt.mu.Lock()
	tt.checkClock()
	o, ok := tt.take()
	var ctx context.Context
	if ok {
		tt.current = o.entry
		ctx, tt.giveUp = context.WithCancelCause(context.Background())
	}
	notices := tt.notices
	tt.notices = nil
	tt.mu.Unlock()
	tt.tell(notices)
	if !ok {
		return false
	}
	err := core.ErrGoexit // unless submit returns
	defer func() {
		if errors.Is(err, core.ErrClosed) {
			tt.end(core.ErrClosed) // the hook is about to say so
		}
		tt.mu.Lock()
		tt.current, tt.giveUp = nil, nil
		o.entry.submitted(o.planned, err)
		tt.mu.Unlock()
	}()
	err = tt.submit(ctx, o)
	return true
}

// submit hands the task of an occurrence to the engine. That may call methods of the
// task, whose panic must not end the process.
func (tt *Timetable) submit(ctx context.Context, o occurrence) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &core.PanicError{Engine: tt.name, Task: o.entry.name, Value: v, Stack: debug.Stack()}
		}
	}()
	return o.entry.body.submit(planning{ctx, o.planned})
}

// submit hands task to the engine. If that is given up, by the end of ctx, at the moment
// at which there was room, the engine has taken a task with a context that has ended. If it
// has not started it counts as refused, so that it is handed back.
func submit[T any](ctx context.Context, e *Entry, task core.Task[T]) (*core.Future[T], error) {
	future, err := core.SubmitWith(ctx, e.tt.engine, e.attributes(), task)
	if err != nil || ctx.Err() == nil {
		return future, err
	}
	cause := context.Cause(ctx)
	future.CancelCause(cause)
	_, end := future.GetWithTimeout(time.Millisecond) // a worker may just be giving it up
	if canceled, ok := end.(*core.CancelError); ok && !canceled.Started {
		return nil, cause
	}
	return future, nil
}

// take returns the next occurrence. The caller holds mu.
func (tt *Timetable) take() (o occurrence, ok bool) {
	for tt.reason == nil {
		if len(tt.ready) > 0 {
			o, tt.ready = tt.ready[0], tt.ready[1:]
			if o.entry.stopped {
				continue
			}
			return o, true
		}
		e, ok := tt.due.PopDue(time.Now())
		if !ok {
			break
		}
		e.come()
	}
	return o, false
}

// rest ends fire.
func (tt *Timetable) rest() {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	tt.firing = false
	if tt.rested != nil {
		close(tt.rested)
		tt.rested = nil
	}
	if len(tt.ready) == 0 {
		tt.ready = nil
	}
	tt.arm()
}

// arm sets the timer for what is due next. The caller holds mu.
func (tt *Timetable) arm() {
	if tt.firing || tt.reason != nil {
		return
	}
	now := time.Now()
	at, ok := tt.due.NextDue()
	if len(tt.ready) > 0 {
		at, ok = now, true
	}
	if look := now.Add(tt.config.ClockCheck); tt.walls > 0 && (!ok || at.After(look)) {
		at, ok = look, true
	}
	switch {
	case !ok:
		tt.armed = time.Time{}
		if tt.timer != nil {
			tt.timer.Stop()
		}
	case !tt.armed.IsZero() && !at.Before(tt.armed):
		// It fires early enough, and sets itself again.
	default:
		tt.armed = at
		if tt.timer == nil {
			tt.timer = time.AfterFunc(at.Sub(now), tt.fire)
		} else {
			tt.timer.Reset(at.Sub(now))
		}
	}
}

// wall returns what the wall clock shows, without a monotonic reading.
func (tt *Timetable) wall() time.Time { return tt.config.Now().Round(0) }

// drift returns how far the wall clock has moved against the monotonic one.
func (tt *Timetable) drift() time.Duration {
	return tt.wall().Sub(tt.baseWall) - time.Since(tt.base)
}

// checkClock plans the entries that go by the wall clock anew if somebody has
// set it. The caller holds mu.
func (tt *Timetable) checkClock() {
	if tt.walls == 0 {
		return
	}
	drift := tt.drift()
	moved := drift - tt.offset
	if moved.Abs() < clockTolerance {
		return
	}
	tt.offset = drift
	for _, e := range slices.SortedFunc(maps.Keys(tt.entries), func(a, b *Entry) int { return cmp.Compare(a.id, b.id) }) {
		if !e.wall {
			continue
		}
		if _, waits := tt.due.Cancel(e.handle); !waits {
			continue // it is being submitted
		}
		if moved < -clockWrong && e.plan != nil {
			e.planFrom(e.plan.next(e.now()))
		}
		_ = e.enqueue() // there is room: it has just left
	}
}

// tell calls OnSkipped, or logs.
func (tt *Timetable) tell(notices []Skipped) {
	for _, s := range notices {
		tt.tellOne(s)
	}
}

func (tt *Timetable) tellOne(s Skipped) {
	defer func() {
		if v := recover(); v != nil {
			defer func() { _ = recover() }() // of the logger: nobody is left to be told
			tt.config.Logger.LogAttrs(context.Background(), slog.LevelError, "timetable: OnSkipped panicked",
				slog.String("engine", tt.name), slog.String("task", s.Name), slog.Any("panic", v),
				slog.String("stack", string(debug.Stack())))
		}
	}()
	if tt.config.OnSkipped != nil {
		tt.config.OnSkipped(s)
		return
	}
	tt.config.Logger.LogAttrs(context.Background(), slog.LevelWarn, "timetable: planned runs were skipped",
		slog.String("engine", tt.name), slog.String("task", s.Name), slog.String("reason", s.Reason.String()),
		slog.Int("count", s.Count), slog.Time("first", s.First), slog.Time("last", s.Last), slog.Any("error", s.Err))
}
