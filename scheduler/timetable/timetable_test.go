package timetable_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/scheduler/timetable"
)

// desk is a timetable in a test: what it has skipped and run, and its clock.
type desk struct {
	*timetable.Timetable
	engine *core.Engine
	start  time.Time
	shift  atomic.Int64 // of the wall clock

	mu      sync.Mutex
	skipped []string
	ran     []string
}

func deskFor(t testing.TB, cfg timetable.Config, options ...core.Option) *desk {
	t.Helper()
	d := &desk{engine: coretest.New(t, options...), start: time.Now()}
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return time.Now().Add(time.Duration(d.shift.Load())) }
	}
	if cfg.OnSkipped == nil {
		cfg.OnSkipped = func(s timetable.Skipped) {
			text := fmt.Sprintf("%v %d", s.Reason, s.Count)
			if s.Err != nil {
				text += ": " + s.Err.Error()
			}
			d.mu.Lock()
			d.skipped = append(d.skipped, text)
			d.mu.Unlock()
		}
	}
	tt, err := timetable.New(d.engine, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tt.Stop() })
	d.Timetable = tt
	return d
}

func (d *desk) note(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ran = append(d.ran, text)
}

// mark returns a task that notes when it runs, since the start, and takes that long.
func (d *desk) mark(takes time.Duration) core.Task[int] {
	return core.Func(func(ctx context.Context) (int, error) {
		d.note(time.Since(d.start).String())
		time.Sleep(takes) // it is the work of the task, in a bubble
		return 0, ctx.Err()
	})
}

func (d *desk) want(t *testing.T, ran, skipped []string) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if diff := cmp.Diff(ran, d.ran); diff != "" {
		t.Errorf("ran (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(skipped, d.skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	d.ran, d.skipped = nil, nil
}

// got returns what has no error.
func got[V any](t testing.TB) func(v V, err error) V {
	return func(v V, err error) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func after(t testing.TB, d *desk, delay time.Duration, task core.Task[int]) *timetable.Delayed[int] {
	t.Helper()
	return got[*timetable.Delayed[int]](t)(timetable.After(d.Timetable, delay, task))
}

func every(t testing.TB, d *desk, period time.Duration, rules timetable.Rules, task core.Task[int]) *timetable.Entry {
	t.Helper()
	return got[*timetable.Entry](t)(timetable.EveryWith(d.Timetable, period, rules, task))
}

func value(n int) core.Task[int] {
	return core.Func(func(context.Context) (int, error) { return n, nil })
}

// block makes the only worker busy for a time and fills the rest of the queue.
func block(t testing.TB, d *desk, takes time.Duration) {
	t.Helper()
	started := make(chan struct{})
	if err := d.engine.TryGo(func() { close(started); time.Sleep(takes) }); err != nil {
		t.Fatal(err)
	}
	<-started
	for d.engine.TryGo(func() {}) == nil {
	}
}

func TestDelay_Exact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deskFor(t, timetable.Config{}, core.WithWorkers(1))
		for _, delay := range []time.Duration{time.Hour, 3 * time.Nanosecond, 0, -time.Hour, 1500 * time.Microsecond, 24 * 365 * 100 * time.Hour} {
			after(t, d, delay, d.mark(0))
		}
		got[*timetable.Delayed[int]](t)(timetable.At(d.Timetable, d.start.Add(90*time.Minute), d.mark(0)))
		got[*timetable.Delayed[int]](t)(timetable.At(d.Timetable, d.start.Add(-90*time.Minute), d.mark(0)))
		time.Sleep(2 * time.Hour)
		d.want(t, []string{"0s", "0s", "0s", "3ns", "1.5ms", "1h0m0s", "1h30m0s"}, nil)
		if n := len(d.Entries()); n != 1 {
			t.Errorf("%d entries are left, want the one of 100 years", n)
		}
	})
}

func TestDelay_Result(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deskFor(t, timetable.Config{})
		late := after(t, d, time.Minute, value(7))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := late.Await(ctx)
		if _, gaveUp := errors.AsType[*core.WaitError](err); !gaveUp || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the wait that is too short returned %v", err)
		}
		for range 2 {
			if n, err := late.Await(t.Context()); n != 7 || err != nil {
				t.Errorf("Await returned %d, %v", n, err)
			}
		}
		if waited := time.Since(d.start); waited != time.Minute {
			t.Errorf("it took %v", waited)
		}
		wrong := errors.New("wrong")
		failing := after(t, d, time.Minute, core.Func(func(context.Context) (int, error) { return 0, wrong }))
		future, err := failing.Future(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := core.AwaitAny(t.Context(), future); err != nil {
			t.Error(err)
		}
		if _, err := failing.Await(t.Context()); !errors.Is(err, wrong) {
			t.Errorf("Await returned %v", err)
		}
		//lint:ignore SA1012 that is what is tried
		if _, err := after(t, d, time.Hour, value(1)).Await(nil); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("Await(nil) returned %v", err)
		}
	})
}

// TestDelay_AwaitInsideTask: the only worker is free while its task waits, and the
// task that is awaited runs.
func TestDelay_AwaitInsideTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deskFor(t, timetable.Config{}, core.WithWorkers(1))
		outer := got[*core.Future[int]](t)(core.Submit(t.Context(), d.engine, core.Func(func(ctx context.Context) (int, error) {
			inner, err := timetable.After(d.Timetable, time.Hour, value(7))
			if err != nil {
				return 0, err
			}
			return inner.Await(ctx)
		})))
		after(t, d, time.Minute, d.mark(0)) // runs meanwhile
		if n, err := outer.Await(t.Context()); n != 7 || err != nil {
			t.Errorf("it returned %d, %v", n, err)
		}
		d.want(t, []string{"1m0s"}, nil)
	})
}

func TestDelay_Cancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deskFor(t, timetable.Config{}, core.WithWorkers(1), core.WithQueueCapacity(1))
		reason := errors.New("no longer wanted")
		pending := after(t, d, time.Minute, d.mark(0))
		if !pending.CancelCause(reason) || pending.Cancel() || pending.Entry().Stop() {
			t.Error("of several cancellations not the first made the difference")
		}
		stopped := after(t, d, time.Minute, d.mark(0))
		if !stopped.Entry().Stop() || stopped.Cancel() {
			t.Error("of Stop and Cancel not the first made the difference")
		}
		submitted := after(t, d, time.Minute, d.mark(time.Hour))
		time.Sleep(2 * time.Minute)
		if !submitted.CancelCause(reason) {
			t.Error("the running task was not cancelled")
		}
		for _, one := range []*timetable.Delayed[int]{pending, submitted} {
			_, err := one.Await(t.Context())
			if _, canceled := errors.AsType[*core.CancelError](err); !canceled || !errors.Is(err, reason) || !errors.Is(err, context.Canceled) {
				t.Errorf("the result is %v", err)
			}
		}
		if _, err := stopped.Await(t.Context()); !errors.Is(err, context.Canceled) {
			t.Errorf("the result is %v", err)
		}
		d.want(t, []string{"1m0s"}, nil)
		if submitted.Cancel() {
			t.Error("a task that has ended was cancelled")
		}

		// While it waits for room.
		block(t, d, time.Hour)
		waits := after(t, d, 0, d.mark(0))
		next := after(t, d, 0, value(3))
		synctest.Wait()
		if !waits.CancelCause(reason) || waits.Cancel() {
			t.Error("of several cancellations not the first made the difference")
		}
		if _, err := waits.Await(t.Context()); !errors.Is(err, reason) {
			t.Errorf("the result is %v", err)
		}
		if n, err := next.Await(t.Context()); n != 3 || err != nil {
			t.Errorf("the next one returned %d, %v", n, err)
		}
		d.want(t, nil, nil)
	})
}

// TestDelay_FullQueue: tasks wait for room in the order in which they were due.
func TestDelay_FullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deskFor(t, timetable.Config{}, core.WithWorkers(1), core.WithQueueCapacity(2))
		block(t, d, time.Hour)
		for i := range 10 {
			after(t, d, time.Duration(i)*time.Second, core.Func(func(context.Context) (int, error) {
				d.note(fmt.Sprint(i))
				return i, nil
			}))
		}
		refused := got[*timetable.Delayed[int]](t)(timetable.AfterWith(d.Timetable, -1, core.Attributes{Reject: core.RejectFail}, value(1)))
		time.Sleep(2 * time.Hour)
		d.want(t, []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, nil)
		if n, err := refused.Await(t.Context()); n != 1 || err != nil {
			t.Errorf("the one that came to a queue with room returned %d, %v", n, err)
		}
		block(t, d, time.Hour)
		refused = got[*timetable.Delayed[int]](t)(timetable.AfterWith(d.Timetable, 0, core.Attributes{Reject: core.RejectFail}, value(1)))
		if _, err := refused.Await(t.Context()); !errors.Is(err, core.ErrQueueFull) {
			t.Errorf("the result is %v", err)
		}
		rules := timetable.Rules{Attributes: core.Attributes{Reject: core.RejectFail}}
		e := every(t, d, 25*time.Minute, rules, value(0))
		time.Sleep(80 * time.Minute)
		synctest.Wait()
		if info := e.Info(); info.Skipped != 2 || info.Runs != 1 {
			t.Errorf("%+v, want 2 refused", info)
		}
		d.want(t, nil, []string{
			"refused 1: core: engine TestDelay_FullQueue: queue is full: its capacity is 2",
			"refused 1: core: engine TestDelay_FullQueue: queue is full: its capacity is 2"})
	})
}

// TestDelay_CallerRuns: the goroutine of the timetable runs no tasks.
func TestDelay_CallerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deskFor(t, timetable.Config{}, core.WithWorkers(1), core.WithQueueCapacity(1), core.WithReject(core.RejectCallerRuns))
		block(t, d, time.Hour)
		after(t, d, 0, d.mark(0))
		time.Sleep(2 * time.Hour)
		d.want(t, []string{"1h0m0s"}, nil)
	})
}

func TestDelay_E_SCH_16_Shutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deskFor(t, timetable.Config{}, core.WithWorkers(1), core.WithQueueCapacity(1))
		block(t, d, time.Minute)
		attributes := core.Attributes{Name: "in an hour"}
		pending := got[*timetable.Delayed[int]](t)(timetable.AfterWith(d.Timetable, time.Hour, attributes, value(5)))
		sooner := got[*timetable.Delayed[int]](t)(timetable.AtWith(d.Timetable, d.start.Add(50*time.Minute), core.Attributes{Name: "sooner"}, value(6)))
		waits := got[*timetable.Delayed[int]](t)(timetable.AfterWith(d.Timetable, 0, core.Attributes{Name: "waits for room"}, value(7)))
		e := every(t, d, time.Second, timetable.Rules{}, value(0))
		time.Sleep(10 * time.Second)
		if err := d.engine.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if took := time.Since(d.start); took != time.Minute {
			t.Errorf("it took %v, want a minute", took)
		}
		for _, one := range []*timetable.Delayed[int]{pending, sooner, waits} {
			_, err := one.Await(t.Context())
			if !errors.Is(err, core.ErrUndone) || !errors.Is(err, timetable.ErrStopped) || !errors.Is(err, core.ErrClosed) {
				t.Errorf("the result is %v", err)
			}
		}
		undone := d.Stop()
		var names []string
		for _, u := range undone {
			names = append(names, u.Name+" "+u.Due.Sub(d.start.Round(0)).String())
		}
		if diff := cmp.Diff([]string{"waits for room 0s", "sooner 50m0s", "in an hour 1h0m0s"}, names); diff != "" {
			t.Errorf("undone (-want +got):\n%s", diff)
		}
		if n := len(d.Stop()); n != 0 {
			t.Errorf("the second Stop returned %d", n)
		}
		if !e.Info().Next.IsZero() || len(d.Entries()) != 0 || e.Stop() {
			t.Error("an entry is left")
		}
		if _, err := timetable.Every(d.Timetable, time.Second, value(0)); !errors.Is(err, timetable.ErrStopped) || !errors.Is(err, core.ErrClosed) {
			t.Errorf("Every returned %v", err)
		}
		if _, err := timetable.New(d.engine, timetable.Config{}); !errors.Is(err, core.ErrClosed) {
			t.Errorf("New returned %v", err)
		}

		next := deskFor(t, timetable.Config{})
		rec := coretest.Record(t, next.engine)
		for _, u := range undone {
			if err := u.Resubmit(next.Timetable); err != nil {
				t.Error(err)
			}
		}
		if err := rec.WaitEnded(t.Context(), "in an hour", 1); err != nil {
			t.Error(err)
		}
		if took := time.Since(d.start); took != time.Hour {
			t.Errorf("it ran after %v, want an hour", took)
		}
		if err := (timetable.Undone{}).Resubmit(next.Timetable); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("the zero Undone: %v", err)
		}
	})
}

// TestDelay_StopWhileItWaitsForRoom: Stop does not wait for room.
func TestDelay_StopWhileItWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deskFor(t, timetable.Config{}, core.WithWorkers(1), core.WithQueueCapacity(1))
		block(t, d, time.Hour)
		e := every(t, d, time.Second, timetable.Rules{Overlap: timetable.OverlapQueue}, d.mark(0))
		time.Sleep(10 * time.Second)
		if undone := d.Stop(); len(undone) != 0 {
			t.Errorf("Stop returned %v", undone)
		}
		if took := time.Since(d.start); took != 10*time.Second {
			t.Errorf("Stop took %v", took)
		}
		if info := e.Info(); info.Skipped != 1 || info.Runs != 0 {
			t.Errorf("%+v", info)
		}
		time.Sleep(time.Hour)
		d.want(t, nil, []string{"stopped 1: timetable: stopped: engine TestDelay_StopWhileItWaitsForRoom"})
	})
}

// TestDelay_StopFromATask: a task may stop the timetable that submits it.
func TestDelay_StopFromATask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deskFor(t, timetable.Config{}, core.WithWorkers(1), core.WithQueueCapacity(1))
		after(t, d, time.Second, core.Func(func(context.Context) (int, error) {
			time.Sleep(time.Minute)
			return len(d.Stop()), nil
		}))
		for i := range 5 {
			after(t, d, time.Duration(i+2)*time.Second, d.mark(0)) // the first fills the queue
		}
		time.Sleep(time.Hour)
		d.want(t, []string{"1m1s"}, nil)
	})
}

func TestTimetable_Invalid(t *testing.T) {
	d := deskFor(t, timetable.Config{})
	if _, err := timetable.New(nil, timetable.Config{}); !errors.Is(err, core.ErrInvalid) || !strings.HasPrefix(err.Error(), "timetable: ") {
		t.Errorf("New(nil): %v", err)
	}
	if _, err := timetable.New(d.engine, timetable.Config{ClockCheck: 5}); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("ClockCheck 5ns: %v", err)
	}
	for i, rules := range []timetable.Rules{
		{Jitter: -1}, {Jitter: time.Second}, {Missed: 3}, {MissedMax: -1}, {MissedMax: 1001}, {Grace: -1}, {Overlap: 3},
		{Attributes: core.Attributes{Priority: 9}}, {Attributes: core.Attributes{Reject: core.RejectCallerRuns}},
		{Attributes: core.Attributes{Reject: 99}}, {Attributes: core.Attributes{Reject: core.RejectAsk}},
	} {
		if e, err := timetable.EveryWith(d.Timetable, time.Second, rules, value(1)); e != nil || !errors.Is(err, core.ErrInvalid) {
			t.Errorf("rules %d: %v", i, err)
		}
	}
	var zero timetable.Timetable
	for i, call := range []func() error{
		func() error { _, err := timetable.Every(d.Timetable, 5, value(1)); return err },
		func() error { _, err := timetable.Every[int](d.Timetable, time.Second, nil); return err },
		func() error { _, err := timetable.Every(d.Timetable, time.Second, core.Func[int](nil)); return err },
		func() error { _, err := timetable.After[int](d.Timetable, 0, nil); return err },
		func() error { _, err := timetable.After(nil, 0, value(1)); return err },
		func() error { _, err := timetable.At(&zero, time.Now(), value(1)); return err },
		func() error { _, err := timetable.Cron(&zero, "@daily", time.UTC, value(1)); return err },
	} {
		if err := call(); !errors.Is(err, core.ErrInvalid) || !strings.HasPrefix(err.Error(), "timetable: ") {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if _, err := timetable.Cron(d.Timetable, "0 0 30 2 *", time.UTC, value(1)); !errors.Is(err, timetable.ErrCron) {
		t.Errorf("30 February: %v", err)
	}
	none := (*timetable.Timetable)(nil)
	if len(zero.Stop())+len(zero.Entries())+len(none.Stop())+len(none.Entries()) > 0 {
		t.Error("a timetable that was not made has something")
	}
	if _, there := timetable.Planned(t.Context()); there {
		t.Error("Planned outside a task")
	}
	if n := len(d.Entries()); n != 0 {
		t.Errorf("%d entries were added", n)
	}
	for _, c := range [][2]string{
		{timetable.MissedAll.String(), "all"}, {timetable.MissedPolicy(9).String(), "missed(9)"},
		{timetable.OverlapQueue.String(), "queue"}, {timetable.SkipOverlap.String(), "overlap"},
	} {
		if c[0] != c[1] {
			t.Errorf("the name is %q, want %q", c[0], c[1])
		}
	}
}
