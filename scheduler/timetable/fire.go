package timetable

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
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

// clockPatience is how long an entry waits at least that came before its time on the clock
// on the wall: such a clock may stand still.
const clockPatience = time.Millisecond

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

// step submits one task, or tells of one that is skipped. It reports false if nothing is
// due.
func (tt *Timetable) step() bool {
	tt.mu.Lock()
	tt.checkClock()
	tt.gather()
	if len(tt.notices) > 0 {
		// One at a time, before anything else is begun: OnSkipped may call Goexit.
		s := tt.notices[0]
		tt.notices = tt.notices[1:]
		tt.mu.Unlock()
		tt.tellOne(s)
		return true
	}
	tt.notices = nil
	if len(tt.ready) == 0 {
		tt.mu.Unlock()
		return false
	}
	o := tt.ready[0]
	tt.ready[0] = occurrence{}
	tt.ready = tt.ready[1:]
	if o.entry.stopped {
		tt.mu.Unlock()
		return true
	}
	ctx := &submission{planned: o.planned}
	tt.current, tt.giveUp = o.entry, ctx
	tt.mu.Unlock()
	var future any
	err := core.ErrGoexit // unless submit returns
	defer func() {
		tt.mu.Lock()
		tt.current, tt.giveUp = nil, nil
		o.entry.submitted(o.planned, future, err)
		tt.mu.Unlock()
	}()
	defer func() {
		if errors.Is(err, core.ErrClosed) {
			tt.end(core.ErrClosed) // the hook is about to say so
		}
	}()
	future, err = tt.submit(ctx, o)
	return true
}

// submit hands the task of an occurrence to the engine. That may call methods of the
// task, whose panic must not end the process.
func (tt *Timetable) submit(ctx *submission, o occurrence) (future any, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &core.PanicError{Engine: tt.name, Task: o.entry.name, Value: v, Stack: debug.Stack()}
		}
	}()
	if s := o.entry.series; s != nil {
		return s.body.submit(ctx)
	}
	return o.entry.once.submit(ctx)
}

// gather makes sure that what is due next is ready, if there is something. The caller
// holds mu.
func (tt *Timetable) gather() {
	for len(tt.ready) == 0 && tt.reason == nil {
		tt.ready = tt.free[:0]
		e, ok := tt.due.PopDue(tt.seen) // what was due is still due, without a look at the clock
		if !ok {
			tt.seen = time.Now()
			if e, ok = tt.due.PopDue(tt.seen); !ok {
				return
			}
		}
		e.come()
		tt.free = tt.ready
	}
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
		tt.ready, tt.free = nil, nil
	}
	tt.arm()
}

// arm sets the timer for what is due next. The caller holds mu.
func (tt *Timetable) arm() {
	if tt.firing || tt.reason != nil {
		return
	}
	at, ok := tt.due.NextDue()
	if ok && tt.walls == 0 && len(tt.ready)+len(tt.notices) == 0 && !tt.armed.IsZero() && !at.Before(tt.armed) {
		return // the usual case, without a look at the clock
	}
	now := time.Now()
	if len(tt.ready)+len(tt.notices) > 0 {
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
func (tt *Timetable) wall() (t time.Time) {
	told := false
	defer func() {
		if !told {
			_ = recover()
			t = tt.baseWall.Add(time.Since(tt.base))
		}
	}()
	t = tt.config.Now().Round(0)
	told = true
	return t
}

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
	for e := tt.first; e != nil; e = e.next {
		if !e.wall {
			continue
		}
		if _, waits := tt.due.Cancel(e.handle); !waits {
			continue // it is being submitted
		}
		if moved < -clockWrong && e.series != nil {
			e.planFrom(e.series.plan.next(e.now()))
		}
		_ = e.enqueue(0) // there is room: it has just left
	}
}

// tell calls OnSkipped, or logs, for each of notices.
func (tt *Timetable) tell(notices []Skipped) {
	told := 0
	defer func() {
		if told < len(notices) { // OnSkipped has called Goexit
			tt.tell(notices[told:])
		}
	}()
	for told < len(notices) {
		told++
		tt.tellOne(notices[told-1])
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
