package timetable_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/scheduler/timetable"
)

func TestEvery_Overlap_E_SCH_15(t *testing.T) {
	for _, c := range []struct {
		overlap      timetable.OverlapPolicy
		ran, skipped []string
	}{
		{timetable.OverlapSkip, []string{"10s", "40s", "1m10s"}, []string{"overlap 1", "overlap 1", "overlap 1", "overlap 1", "overlap 1"}},
		{timetable.OverlapQueue, []string{"10s", "34s", "58s", "1m22s"}, []string{"overlap 1", "overlap 1", "overlap 1", "overlap 1"}},
		{timetable.OverlapAllow, []string{"10s", "20s", "30s", "40s", "50s", "1m0s", "1m10s", "1m20s"}, nil},
	} {
		t.Run(c.overlap.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := deskFor(t, timetable.Config{}, core.WithWorkers(5))
				e := every(t, d, 10*time.Second, timetable.Rules{Overlap: c.overlap}, d.mark(24*time.Second))
				time.Sleep(86 * time.Second)
				e.Stop()
				time.Sleep(time.Hour)
				d.want(t, c.ran, c.skipped)
				if info := e.Info(); info.Active != 0 || int(info.Runs) != len(c.ran) || int(info.Skipped) != len(c.skipped) {
					t.Errorf("%+v", info)
				}
			})
		})
	}
}

// TestEvery_Paused_E_SCH_15: the engine is paused for ten periods.
func TestEvery_Paused_E_SCH_15(t *testing.T) {
	for overlap, want := range map[timetable.OverlapPolicy]int{
		timetable.OverlapSkip: 1, timetable.OverlapQueue: 2, timetable.OverlapAllow: 10,
	} {
		t.Run(overlap.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := deskFor(t, timetable.Config{}, core.WithWorkers(1))
				_ = d.engine.Pause()
				e := every(t, d, time.Second, timetable.Rules{Overlap: overlap}, value(0))
				time.Sleep(10*time.Second + time.Millisecond)
				synctest.Wait()
				if info := e.Info(); info.Active+info.Waiting != want || int(info.Skipped) != 10-want {
					t.Errorf("paused: %+v, want %d to run", info, want)
				}
				_ = d.engine.Resume()
				synctest.Wait()
				if info := e.Info(); int(info.Runs) != want || info.Active != 0 {
					t.Errorf("resumed: %+v, want %d runs", info, want)
				}
			})
		})
	}
}

// TestEvery_Missed_E_SCH_15: the queue is full for ten and a half periods.
func TestEvery_Missed_E_SCH_15(t *testing.T) {
	at := func(seconds ...float64) (texts []string) {
		for _, s := range seconds {
			texts = append(texts, time.Duration(s*float64(time.Second)).String())
		}
		return texts
	}
	for name, c := range map[string]struct {
		rules        timetable.Rules
		ran, skipped []string
	}{
		"once": {timetable.Rules{Missed: timetable.MissedOnce, Overlap: timetable.OverlapAllow}, at(10.5, 10.5, 11, 12), []string{"missed 8"}},
		// The first run is queued only now, so the one that makes up for the others is
		// one too many.
		"once, no overlap": {timetable.Rules{}, at(10.5, 11, 12), []string{"missed 8", "overlap 1"}},
		"skip":             {timetable.Rules{Missed: timetable.MissedSkip, Grace: time.Millisecond}, at(10.5, 11, 12), []string{"missed 9"}},
		"skip, grace":      {timetable.Rules{Missed: timetable.MissedSkip, Overlap: timetable.OverlapAllow}, at(10.5, 10.5, 11, 12), []string{"missed 8"}},
		"all":              {timetable.Rules{Missed: timetable.MissedAll}, at(10.5, 10.5, 10.5, 10.5, 10.5, 10.5, 10.5, 10.5, 10.5, 10.5, 11, 12), nil},
		"all of 3":         {timetable.Rules{Missed: timetable.MissedAll, MissedMax: 3}, at(10.5, 10.5, 10.5, 10.5, 11, 12), []string{"missed 6"}},
		"all, allow": {timetable.Rules{Missed: timetable.MissedAll, Overlap: timetable.OverlapAllow},
			at(10.5, 10.5, 10.5, 10.5, 10.5, 10.5, 10.5, 10.5, 10.5, 10.5, 11, 12), nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := deskFor(t, timetable.Config{}, core.WithWorkers(1), core.WithQueueCapacity(1))
				block(t, d, 10*time.Second+500*time.Millisecond)
				e := every(t, d, time.Second, c.rules, d.mark(0))
				time.Sleep(12*time.Second + time.Millisecond)
				d.want(t, c.ran, c.skipped)
				if info := e.Info(); int(info.Runs) != len(c.ran) || info.Runs+info.Skipped != 12 {
					t.Errorf("%+v", info)
				}
			})
		})
	}
}

// TestEvery_Planned: each run is told its planned time, and made-up ones come in order.
func TestEvery_Planned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deskFor(t, timetable.Config{}, core.WithWorkers(1), core.WithQueueCapacity(1))
		block(t, d, 5*time.Second+500*time.Millisecond)
		every(t, d, time.Second, timetable.Rules{Missed: timetable.MissedAll, MissedMax: 3}, core.Func(func(ctx context.Context) (int, error) {
			planned, ok := timetable.Planned(ctx)
			d.note(fmt.Sprint(planned.Sub(d.start), ok))
			return 0, nil
		}))
		time.Sleep(6*time.Second + time.Millisecond)
		d.want(t, []string{"1s true", "3s true", "4s true", "5s true", "6s true"}, []string{"missed 1"})
	})
}

func TestEvery_Jitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deskFor(t, timetable.Config{})
		const jitter = 9 * time.Second
		different := make(map[time.Duration]bool)
		var last time.Time
		e := every(t, d, 10*time.Second, timetable.Rules{Jitter: jitter}, core.Func(func(ctx context.Context) (int, error) {
			planned, _ := timetable.Planned(ctx)
			late := time.Since(planned)
			if late < 0 || late > jitter {
				t.Errorf("%v late, want 0 to %v", late, jitter)
			}
			if !last.IsZero() && planned.Sub(last) != 10*time.Second {
				t.Errorf("planned %v after the one before", planned.Sub(last))
			}
			different[late], last = true, planned
			return 0, nil
		}))
		time.Sleep(1000*time.Second - time.Millisecond + jitter)
		synctest.Wait()
		if info := e.Info(); info.Runs < 99 || info.Skipped != 0 || len(different) < 90 {
			t.Errorf("%+v, %d different delays", info, len(different))
		}
	})
}

func TestTimetable_Entries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deskFor(t, timetable.Config{})
		tokyo := zone(t, "Asia/Tokyo")
		named := timetable.Rules{Attributes: core.Attributes{Name: "report"}}
		got[*timetable.Entry](t)(timetable.CronWith(d.Timetable, "0 12 * * *", tokyo, named, value(0)))
		every(t, d, time.Minute, timetable.Rules{}, value(0))
		after(t, d, time.Hour, core.Task[int](mailer{}))
		got[*timetable.Delayed[int]](t)(timetable.At(d.Timetable, d.start.Add(time.Second), value(0)))
		time.Sleep(90 * time.Second)
		var texts []string
		for _, e := range d.Entries() {
			info := e.Info()
			texts = append(texts, fmt.Sprintf("%s | %s | %s", info.Name, info.When, info.Next.UTC().Format("02 15:04:05")))
		}
		if diff := cmp.Diff([]string{
			"core.TaskFunc[int] | every 1m0s | 01 00:02:00",
			"mail | after 1h0m0s | 01 01:00:00",
			"report | 0 12 * * * Asia/Tokyo | 01 03:00:00",
		}, texts); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
	})
}

// mailer is a task that brings a name.
type mailer struct{}

func (mailer) Execute(context.Context) (int, error) { return 0, nil }
func (mailer) Name() string                         { return "mail" }

// TestCron_Clock_E_SCH_14: the wall clock is set while entries wait.
func TestCron_Clock_E_SCH_14(t *testing.T) {
	set := func(by time.Duration, rules timetable.Rules, ran, skipped []string, next string) func(*testing.T) {
		return func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // begins at midnight, UTC
				d := deskFor(t, timetable.Config{}, core.WithWorkers(1)) // so that the order is that of submission
				say := func(what string) core.Task[int] {
					return core.Func(func(context.Context) (int, error) {
						d.note(fmt.Sprint(what, " ", time.Since(d.start)))
						return 0, nil
					})
				}
				cron := got[*timetable.Entry](t)(timetable.CronWith(d.Timetable, "0 * * * *", time.UTC, rules, say("cron")))
				time.Sleep(90 * time.Minute)
				d.want(t, []string{"cron 1h0m0s"}, nil)
				every(t, d, 100*time.Minute, timetable.Rules{}, say("every"))
				after(t, d, 40*time.Minute, say("after"))
				got[*timetable.Delayed[int]](t)(timetable.At(d.Timetable, d.start.Add(3*time.Hour), say("at")))
				d.shift.Store(int64(by))
				time.Sleep(119*time.Minute + 59*time.Second) // to 3:29:59
				d.want(t, ran, skipped)
				if got := cron.Info().Next.UTC().Format("02 15:04"); got != next {
					t.Errorf("the next run is at %s, want %s", got, next)
				}
			})
		}
	}
	once, skip, all := timetable.Rules{}, timetable.Rules{Missed: timetable.MissedSkip}, timetable.Rules{Missed: timetable.MissedAll, Overlap: timetable.OverlapAllow}
	// At 1:30 it is 4:30: the instants of 2, 3 and 4 o'clock were passed over.
	t.Run("+3h, once", set(3*time.Hour, once, []string{"cron 1h31m0s", "at 1h31m0s", "cron 2h0m0s", "after 2h10m0s", "cron 3h0m0s", "every 3h10m0s"}, []string{"missed 2"}, "01 07:00"))
	t.Run("+3h, skip", set(3*time.Hour, skip, []string{"at 1h31m0s", "cron 2h0m0s", "after 2h10m0s", "cron 3h0m0s", "every 3h10m0s"}, []string{"missed 3"}, "01 07:00"))
	t.Run("+3h, all", set(3*time.Hour, all, []string{"cron 1h31m0s", "cron 1h31m0s", "cron 1h31m0s", "at 1h31m0s", "cron 2h0m0s", "after 2h10m0s", "cron 3h0m0s", "every 3h10m0s"}, nil, "01 07:00"))
	// At 1:30 it is 22:30 of the day before: 1 o'clock does not come again, 2 o'clock
	// after 3:30.
	t.Run("-3h", set(-3*time.Hour, once, []string{"after 2h10m0s", "every 3h10m0s"}, nil, "01 02:00"))
	// Back by more than a day: it plans anew.
	t.Run("-300h", set(-300*time.Hour, once, []string{"cron 2h0m0s", "after 2h10m0s", "cron 3h0m0s", "every 3h10m0s"}, nil, "19 16:00"))
	// By a little: never early.
	t.Run("-50ms", set(-50*time.Millisecond, once, []string{"cron 2h0m0.05s", "after 2h10m0s", "cron 3h0m0.05s", "at 3h0m0.05s", "every 3h10m0s"}, nil, "01 04:00"))
}

// TestCron_TenYearsOnTheClock: once per planned instant, never early, for ten years
// of which the machine sleeps now and then.
func TestCron_TenYearsOnTheClock(t *testing.T) {
	for _, missed := range []timetable.MissedPolicy{timetable.MissedOnce, timetable.MissedSkip, timetable.MissedAll} {
		t.Run(missed.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := deskFor(t, timetable.Config{ClockCheck: time.Hour})
				berlin := zone(t, "Europe/Berlin")
				spec := parse(t, "30 2 * * *", berlin)
				var planned []time.Time
				now := func() time.Time { return time.Now().Add(time.Duration(d.shift.Load())) }
				rules := timetable.Rules{Missed: missed, Overlap: timetable.OverlapAllow}
				e := got[*timetable.Entry](t)(timetable.CronWith(d.Timetable, "30 2 * * *", berlin, rules, core.Func(func(ctx context.Context) (int, error) {
					instant, _ := timetable.Planned(ctx)
					if now().Before(instant) {
						t.Errorf("run before its time, %v", instant)
					}
					d.mu.Lock()
					planned = append(planned, instant)
					d.mu.Unlock()
					return 0, nil
				})))
				asleep := 0 // instants that passed while the machine slept
				for range 100 {
					time.Sleep(31*24*time.Hour + 7*time.Hour)
					synctest.Wait()
					before := now()
					d.shift.Add(int64(133 * time.Hour)) // it sleeps for five days and a half
					for at := spec.Next(before); !at.After(now()); at = spec.Next(at) {
						asleep++
					}
					time.Sleep(2 * time.Hour)
					synctest.Wait()
				}
				var all []time.Time
				for at := spec.Next(d.start); !at.After(now()); at = spec.Next(at) {
					all = append(all, at)
				}
				info := e.Info()
				if int(info.Runs) != len(planned) || int(info.Runs+info.Skipped) != len(all) {
					t.Errorf("%d runs, %d skipped, %d planned, of %d instants", info.Runs, info.Skipped, len(planned), len(all))
				}
				// An instant between the jump of the clock and the look at it counts too.
				least, most := asleep-100, asleep
				switch missed {
				case timetable.MissedSkip:
					least, most = asleep, asleep+100
				case timetable.MissedAll:
					least, most = 0, 0
				}
				if n := int(info.Skipped); n < least || n > most {
					t.Errorf("%d skipped, want %d to %d", n, least, most)
				}
				seen := make(map[int64]bool)
				for _, instant := range planned {
					if seen[instant.Unix()] || !spec.Next(instant.Add(-1)).Equal(instant) {
						t.Fatalf("%v was run twice, or was not planned", instant)
					}
					seen[instant.Unix()] = true
				}
			})
		})
	}
}

// hostile is a task whose name panics, or ends the goroutine, when the engine asks.
type hostile struct {
	asked int
	fn    func()
}

func (*hostile) Execute(context.Context) (int, error) { return 0, nil }

func (h *hostile) Name() string {
	if h.asked++; h.asked > 1 { // it is asked for once as it is added
		h.fn()
	}
	return "hostile"
}

func TestTimetable_HostileFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(strings.Builder)
		told := 0
		engine := deskFor(t, timetable.Config{}).engine
		tt := got[*timetable.Timetable](t)(timetable.New(engine, timetable.Config{
			Logger: slog.New(slog.NewTextHandler(log, nil)),
			OnSkipped: func(s timetable.Skipped) {
				if told++; told == 1 {
					panic("first")
				}
				runtime.Goexit()
			}}))
		defer tt.Stop()
		panics := got[*timetable.Delayed[int]](t)(timetable.After(tt, time.Second, core.Task[int](&hostile{fn: func() { panic("no name") }})))
		exits := got[*timetable.Delayed[int]](t)(timetable.After(tt, time.Second, core.Task[int](&hostile{fn: runtime.Goexit})))
		busy := got[*timetable.Entry](t)(timetable.Every(tt, time.Second, core.Func(func(context.Context) (int, error) {
			time.Sleep(2500 * time.Millisecond)
			return 0, nil
		})))
		if _, err := panics.Await(t.Context()); !errors.Is(err, core.ErrPanicked) {
			t.Errorf("the result is %v", err)
		}
		if _, err := exits.Await(t.Context()); !errors.Is(err, core.ErrGoexit) {
			t.Errorf("the result is %v", err)
		}
		time.Sleep(5500 * time.Millisecond)
		synctest.Wait()
		if info := busy.Info(); info.Runs != 2 || told != 4 {
			t.Errorf("%+v, told %d times", info, told)
		}
		if !strings.Contains(log.String(), "OnSkipped panicked") {
			t.Errorf("the log is %q", log)
		}
	})
}

// TestTimetable_LogsWhatIsSkipped: without OnSkipped it is in the log.
func TestTimetable_LogsWhatIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(strings.Builder)
		engine := deskFor(t, timetable.Config{}).engine
		tt := got[*timetable.Timetable](t)(timetable.New(engine, timetable.Config{Logger: slog.New(slog.NewTextHandler(log, nil))}))
		defer tt.Stop()
		rules := timetable.Rules{Attributes: core.Attributes{Name: "backup"}}
		got[*timetable.Entry](t)(timetable.EveryWith(tt, time.Second, rules, core.Func(func(context.Context) (int, error) {
			time.Sleep(1500 * time.Millisecond)
			return 0, errors.New("no disk")
		})))
		time.Sleep(2800 * time.Millisecond)
		synctest.Wait()
		if !strings.Contains(log.String(), "task=backup reason=overlap count=1") {
			t.Errorf("the log is %q", log)
		}
		if info := tt.Entries()[0].Info(); info.Err == nil || info.Err.Error() != "no disk" {
			t.Errorf("%+v", info)
		}
	})
}

// TestCron_LongSleep: a clock that is put forward by years costs neither a burst nor
// much time.
func TestCron_LongSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deskFor(t, timetable.Config{})
		e := got[*timetable.Entry](t)(timetable.Cron(d.Timetable, "* * * * *", time.UTC, d.mark(0)))
		time.Sleep(30 * time.Second)
		d.shift.Store(int64(10 * 365 * 24 * time.Hour))
		time.Sleep(100 * time.Second)
		d.want(t, []string{"1m0s", "2m0s"}, []string{"missed 9999"})
		if got, want := e.Info().Next.Sub(d.start.Round(0)), 10*365*24*time.Hour+3*time.Minute; got != want {
			t.Errorf("the next run is %v after the start, want %v", got, want)
		}
	})
}
