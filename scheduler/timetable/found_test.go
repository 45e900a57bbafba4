package timetable_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/scheduler/timetable"
)

// Faults that were found by looking for them. Each test is named for what was seen.

// TestCron_LongestJitter: it was one more than the longest duration, and panicked.
func TestCron_LongestJitter(t *testing.T) {
	d := deskFor(t, timetable.Config{})
	e, err := timetable.CronWith(d.Timetable, "@daily", time.UTC, timetable.Rules{Jitter: math.MaxInt64}, value(1))
	if err != nil {
		t.Fatal(err)
	}
	if next := e.Info().Next; next.Before(time.Now().Round(0)) {
		t.Errorf("the next run is at %v", next)
	}
}

// TestDelay_FarAway: times that no clock comes to, and those before all clocks.
func TestDelay_FarAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deskFor(t, timetable.Config{})
		for _, when := range []time.Time{time.Unix(1<<62, 0), time.Date(292277, 1, 1, 0, 0, 0, 0, time.UTC)} {
			got[*timetable.Delayed[int]](t)(timetable.At(d.Timetable, when, d.mark(0)))
		}
		after(t, d, math.MaxInt64, d.mark(0))
		every(t, d, math.MaxInt64, timetable.Rules{Jitter: math.MaxInt64 - 1}, d.mark(0))
		time.Sleep(30 * 24 * time.Hour)
		d.want(t, nil, nil)
		if n := len(d.Entries()); n != 4 {
			t.Errorf("%d entries are left, want 4", n)
		}
		for _, when := range []time.Time{{}, time.Unix(-1<<62, 0)} {
			one := got[*timetable.Delayed[int]](t)(timetable.At(d.Timetable, when, value(1)))
			if n, err := one.Await(t.Context()); n != 1 || err != nil {
				t.Errorf("%v: it returned %d, %v", when, n, err)
			}
		}
	})
}

// TestTimetable_GoexitOfOnSkipped: a task that was due at the time of the skipped run was
// lost.
func TestTimetable_GoexitOfOnSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := deskFor(t, timetable.Config{}, core.WithWorkers(3)).engine
		told := 0
		tt := got[*timetable.Timetable](t)(timetable.New(engine, timetable.Config{OnSkipped: func(timetable.Skipped) {
			told++
			runtime.Goexit()
		}}))
		defer tt.Stop()
		for range 2 {
			got[*timetable.Entry](t)(timetable.Every(tt, time.Second, core.Func(func(context.Context) (int, error) {
				time.Sleep(10 * time.Second)
				return 0, nil
			})))
		}
		time.Sleep(1500 * time.Millisecond)
		one := got[*timetable.Delayed[int]](t)(timetable.After(tt, 500*time.Millisecond, value(1)))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if n, err := one.Await(ctx); n != 1 || err != nil {
			t.Errorf("it returned %d, %v", n, err)
		}
		if told != 2 {
			t.Errorf("told %d times, want 2", told)
		}
	})
}

// TestTimetable_GoexitOfOnSkippedAtTheEnd: the runs that were skipped as well were not
// told.
func TestTimetable_GoexitOfOnSkippedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := deskFor(t, timetable.Config{}, core.WithWorkers(3)).engine
		told := 0
		tt := got[*timetable.Timetable](t)(timetable.New(engine, timetable.Config{OnSkipped: func(timetable.Skipped) {
			told++
			runtime.Goexit()
		}}))
		for range 3 {
			got[*timetable.Entry](t)(timetable.EveryWith(tt, time.Second, timetable.Rules{Overlap: timetable.OverlapQueue},
				core.Func(func(context.Context) (int, error) {
					time.Sleep(1500 * time.Millisecond)
					return 0, nil
				})))
		}
		time.Sleep(2200 * time.Millisecond)
		go tt.Stop()
		synctest.Wait()
		if told != 3 {
			t.Errorf("told %d times, want 3", told)
		}
	})
}

// TestTimetable_NowPanics: it ended the process, or left a lock taken.
func TestTimetable_NowPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		d := deskFor(t, timetable.Config{Now: func() time.Time {
			if broken.Load() {
				panic("no clock")
			}
			return time.Now()
		}})
		got[*timetable.Delayed[int]](t)(timetable.At(d.Timetable, d.start.Add(time.Minute), d.mark(0)))
		broken.Store(true)
		got[*timetable.Delayed[int]](t)(timetable.At(d.Timetable, d.start.Add(2*time.Minute), d.mark(0)))
		time.Sleep(time.Hour)
		d.want(t, []string{"1m0s", "2m0s"}, nil)
	})
}

// TestTimetable_ClockStandsStill: an entry that came a moment before its time was looked
// at again and again, under the lock.
func TestTimetable_ClockStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fixed := time.Now()
		var looks atomic.Int64
		d := deskFor(t, timetable.Config{Now: func() time.Time {
			if looks.Add(1) > 10_000 {
				return fixed.Add(time.Hour) // so that the test ends
			}
			return fixed
		}})
		got[*timetable.Delayed[int]](t)(timetable.At(d.Timetable, fixed.Add(1), d.mark(0)))
		time.Sleep(time.Second)
		if n := looks.Load(); n > 5_000 {
			t.Errorf("it looked %d times in a second", n)
		}
		d.want(t, nil, nil)
		d.Stop()
	})
}

// whenAccepted makes a desk whose submissions do not return before the channel is closed.
func whenAccepted(t *testing.T, options ...core.Option) (*desk, chan struct{}) {
	d, gate := deskFor(t, timetable.Config{}, options...), make(chan struct{})
	if _, err := d.engine.AddHooks(core.Hooks{Accepted: func(core.Job) { <-gate }}); err != nil {
		t.Fatal(err)
	}
	return d, gate
}

// TestEntry_StopsItself: the context of a run ended that was quick to stop its own entry.
func TestEntry_StopsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := whenAccepted(t)
		e := every(t, d, time.Second, timetable.Rules{}, core.Func(func(ctx context.Context) (int, error) {
			defer close(gate)
			if !d.Entries()[0].Stop() {
				t.Error("Stop made no difference")
			}
			return 0, ctx.Err()
		}))
		time.Sleep(time.Minute)
		if info := e.Info(); info.Runs != 1 || info.Err != nil || info.Active != 0 {
			t.Errorf("%+v", info)
		}
	})
}

// TestDelay_StopsTheTimetable: so did that of a task that was quick to stop its timetable.
func TestDelay_StopsTheTimetable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := whenAccepted(t)
		one := after(t, d, time.Second, core.Func(func(ctx context.Context) (int, error) {
			go func() {
				if undone := d.Stop(); len(undone) != 0 {
					t.Errorf("%v was handed back", undone)
				}
			}()
			time.Sleep(time.Second) // until it waits for the submission
			close(gate)
			time.Sleep(time.Second) // until it has returned
			return 7, ctx.Err()
		}))
		if n, err := one.Await(t.Context()); n != 7 || err != nil {
			t.Errorf("it returned %d, %v", n, err)
		}
	})
}

// TestDelay_CancelAsItIsTaken: the engine has taken the task, but not said so.
func TestDelay_CancelAsItIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, gate := whenAccepted(t, core.WithWorkers(1))
		if err := d.engine.Pause(); err != nil {
			t.Fatal(err)
		}
		one := after(t, d, time.Second, d.mark(0))
		time.Sleep(2 * time.Second)
		if !one.Cancel() || one.Cancel() {
			t.Error("of two cancellations not the first made the difference")
		}
		close(gate)
		if err := d.engine.Resume(); err != nil {
			t.Fatal(err)
		}
		if _, err := one.Await(t.Context()); !errors.Is(err, context.Canceled) {
			t.Errorf("the result is %v", err)
		}
		d.want(t, nil, nil)
	})
}

// TestTimetable_MemoryReturns: a map of the entries kept what it once had.
func TestTimetable_MemoryReturns(t *testing.T) {
	const n = 100_000
	d := deskFor(t, timetable.Config{})
	task := value(0)
	before := heap()
	list := make([]*timetable.Delayed[int], n)
	for i := range list {
		list[i] = after(t, d, time.Hour, task)
	}
	if each := float64(heap()-before) / n; each > 300 {
		t.Errorf("an entry takes %.0f B, want 300 at most", each)
	}
	for _, one := range list {
		one.Cancel()
	}
	clear(list)
	list = nil
	if left := float64(heap()) - float64(before); left > n {
		t.Errorf("%.0f B are left, %.1f for each entry", left, left/n)
	}
	runtime.KeepAlive(list)
	runtime.KeepAlive(d)
}

// TestTimetable_NothingTicks: a timetable whose entries have been stopped looks at no
// clock.
func TestTimetable_NothingTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int64
		d := deskFor(t, timetable.Config{Now: func() time.Time { looks.Add(1); return time.Now() }})
		one := got[*timetable.Delayed[int]](t)(timetable.At(d.Timetable, d.start.Add(time.Hour), d.mark(0)))
		e := got[*timetable.Entry](t)(timetable.Cron(d.Timetable, "@daily", time.UTC, d.mark(0)))
		time.Sleep(90 * time.Second)
		one.Cancel()
		e.Stop()
		before := looks.Load()
		time.Sleep(24 * time.Hour)
		if n := looks.Load() - before; n != 0 {
			t.Errorf("it looked at the clock %d times", n)
		}
		d.want(t, nil, nil)
	})
}

// TestCron_LatestOfMany: of more missed instants than are counted one by one, the runs that
// are made up were not the latest.
func TestCron_LatestOfMany(t *testing.T) {
	for _, c := range []struct {
		rules timetable.Rules
		want  int
	}{
		{timetable.Rules{}, 1},
		{timetable.Rules{Missed: timetable.MissedSkip}, 1},
		{timetable.Rules{Missed: timetable.MissedAll, MissedMax: 5}, 5},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := deskFor(t, timetable.Config{ClockCheck: time.Second})
			var planned []string
			var last timetable.Skipped
			tt := got[*timetable.Timetable](t)(timetable.New(d.engine, timetable.Config{ClockCheck: time.Second,
				Now:       func() time.Time { return time.Now().Add(time.Duration(d.shift.Load())) },
				OnSkipped: func(s timetable.Skipped) { last = s },
			}))
			defer tt.Stop()
			got[*timetable.Entry](t)(timetable.CronWith(tt, "* * * * * *", time.UTC, c.rules, core.Func(func(ctx context.Context) (int, error) {
				at, _ := timetable.Planned(ctx)
				planned = append(planned, at.Sub(d.start).String())
				return 0, nil
			})))
			time.Sleep(500 * time.Millisecond)
			d.shift.Store(int64(10 * time.Hour))
			time.Sleep(600 * time.Millisecond)
			synctest.Wait()
			want := []string{"9h59m57s", "9h59m58s", "9h59m59s", "10h0m0s", "10h0m1s"}[5-c.want:]
			if diff := cmp.Diff(want, planned); diff != "" {
				t.Errorf("%v (-want +got):\n%s", c.rules.Missed, diff)
			}
			if want := 10*time.Hour + time.Duration(1-c.want)*time.Second; last.Count != 10_000-c.want || last.Last.Sub(d.start) != want {
				t.Errorf("%v: %d are told to be skipped, the last at %v, want %v", c.rules.Missed, last.Count, last.Last.Sub(d.start), want)
			}
		})
	}
}

// large is a task that takes memory.
type large struct{ space [1 << 16]byte }

func (l *large) Execute(context.Context) (int, error) { return len(l.space), nil }

// TestDelay_ForgetsItsTask: a result that was kept held the task.
func TestDelay_ForgetsItsTask(t *testing.T) {
	d := deskFor(t, timetable.Config{})
	begin := func(delay time.Duration) (*timetable.Delayed[int], weak.Pointer[large]) {
		task := new(large)
		return after(t, d, delay, core.Task[int](task)), weak.Make(task)
	}
	ran, first := begin(0)
	if _, err := ran.Await(t.Context()); err != nil {
		t.Fatal(err)
	}
	canceled, second := begin(time.Hour)
	canceled.Cancel()
	if err := d.engine.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 100 { // until the submission has returned
		if runtime.GC(); first.Value() == nil && second.Value() == nil {
			break
		}
	}
	if first.Value() != nil || second.Value() != nil {
		t.Error("a task is held that has ended")
	}
	runtime.KeepAlive(ran)
	runtime.KeepAlive(canceled)
}

// TestDelay_CancelStorm: tasks are cancelled at each moment of their submission, while there
// is room and is not. One that was cancelled before its body began does not begin, or finds
// its context ended.
func TestDelay_CancelStorm(t *testing.T) {
	for round := range rounds(150) {
		d := deskFor(t, timetable.Config{}, core.WithWorkers(1+round%3), core.WithQueueCapacity(1+round%2))
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 25 {
					var begun, canceled, wrong atomic.Bool
					delay := time.Duration(rand.IntN(50)) * time.Microsecond
					one, err := timetable.After(d.Timetable, delay, core.Func(func(ctx context.Context) (int, error) {
						begun.Store(true)
						wrong.Store(canceled.Load() && ctx.Err() == nil)
						return 1, nil
					}))
					if err != nil {
						t.Error(err)
						return
					}
					for range rand.IntN(300) {
						runtime.Gosched()
					}
					made := one.Cancel()
					canceled.Store(made && !begun.Load())
					n, err := one.Await(context.Background())
					if wrong.Load() || !made && err != nil || err != nil && !errors.Is(err, context.Canceled) {
						t.Errorf("Cancel returned %v, the result is %d, %v", made, n, err)
					}
				}
			})
		}
		all.Go(func() {
			for range 50 {
				_ = d.engine.Pause()
				runtime.Gosched()
				_, _ = d.engine.Resume(), d.engine.SetQueueCapacity(1+rand.IntN(3))
			}
		})
		all.Wait()
		if err := d.engine.Stats().Check(); err != nil {
			t.Error(err)
		}
	}
}
