package timetable_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/scheduler/timetable"
)

// plot is what happens in one run of TestTimetable_Conserves.
type plot struct {
	delays  []time.Duration
	cancel  []time.Duration // when the delayed tasks are cancelled; 0 is never
	entries []plotEntry
	blocks  []time.Duration // how long the queue is full, and is not, in turns
	stop    time.Duration   // 0 is never
}

type plotEntry struct {
	period, takes time.Duration
	rules         timetable.Rules
}

func drawPlot(t *rapid.T) (p plot) {
	seconds := func(low, high int, label string) time.Duration {
		return time.Duration(rapid.IntRange(low, high).Draw(t, label)) * time.Second / 2
	}
	for range rapid.IntRange(0, 5).Draw(t, "delays") {
		p.delays = append(p.delays, seconds(0, 100, "delay"))
		p.cancel = append(p.cancel, seconds(0, 100, "cancelled"))
	}
	for range rapid.IntRange(0, 3).Draw(t, "entries") {
		p.entries = append(p.entries, plotEntry{seconds(1, 20, "period"), seconds(0, 20, "takes"), timetable.Rules{
			Missed:    timetable.MissedPolicy(rapid.IntRange(0, 2).Draw(t, "missed")),
			MissedMax: rapid.IntRange(0, 5).Draw(t, "missed max"),
			Overlap:   timetable.OverlapPolicy(rapid.IntRange(0, 2).Draw(t, "overlap")),
		}})
	}
	for range rapid.IntRange(0, 3).Draw(t, "blocks") {
		p.blocks = append(p.blocks, seconds(1, 40, "full"), seconds(1, 40, "not full"))
	}
	if rapid.Bool().Draw(t, "stopped") {
		p.stop = seconds(1, 100, "stop")
	}
	return p
}

// TestTimetable_Conserves: whatever happens, each task that runs once has one end, each
// planned run takes place or is told of, none is early, none is planned twice, and none
// overlaps that must not.
func TestTimetable_Conserves(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlot(rt)
		var fault string
		synctest.Test(t, func(t *testing.T) { fault = p.play(t) })
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}

func (p plot) play(t *testing.T) (fault string) {
	var mu sync.Mutex
	fail := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fault += fmt.Sprintf(format, args...) + "\n"
	}
	var told atomic.Int64
	d := deskFor(t, timetable.Config{OnSkipped: func(s timetable.Skipped) { told.Add(int64(s.Count)) }},
		core.WithWorkers(100), core.WithQueueCapacity(1))

	ends := make([]string, len(p.delays))
	var waiters sync.WaitGroup
	for i, delay := range p.delays {
		one, err := timetable.After(d.Timetable, delay, core.Func(func(context.Context) (int, error) {
			if since := time.Since(d.start); since < delay || len(p.blocks) == 0 && since > delay {
				fail("task %d of %v ran after %v", i, delay, since)
			}
			return i, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		if p.cancel[i] > 0 {
			time.AfterFunc(p.cancel[i], func() { one.Cancel() })
		}
		waiters.Go(func() {
			switch _, err := one.Await(context.Background()); {
			case err == nil:
				ends[i] = "ran"
			case errors.Is(err, core.ErrUndone):
				ends[i] = "undone"
			case errors.Is(err, context.Canceled):
				ends[i] = "cancelled"
			default:
				fail("task %d ended with %v", i, err)
			}
		})
	}
	entries := make([]*timetable.Entry, len(p.entries))
	for i, e := range p.entries {
		var active int
		seen := make(map[time.Time]bool)
		entries[i] = every(t, d, e.period, e.rules, core.Func(func(ctx context.Context) (int, error) {
			planned, _ := timetable.Planned(ctx)
			mu.Lock()
			early, twice := time.Now().Before(planned), seen[planned]
			seen[planned] = true
			active++
			overlap := active > 1 && e.rules.Overlap != timetable.OverlapAllow
			mu.Unlock()
			if early || twice || overlap || planned.Sub(d.start)%e.period != 0 {
				fail("entry %d: the run of %v: early %v, twice %v, overlaps %v", i, planned.Sub(d.start), early, twice, overlap)
			}
			time.Sleep(e.takes)
			mu.Lock()
			active--
			mu.Unlock()
			return 0, nil
		}))
	}
	go func() { // a pause keeps the queue full without a task that the end would have to wait for
		for i, length := range p.blocks {
			if i%2 == 0 {
				_ = d.engine.Pause()
			} else {
				_ = d.engine.Resume()
			}
			time.Sleep(length)
		}
		_ = d.engine.Resume()
	}()
	var undone []timetable.Undone
	if p.stop > 0 {
		time.Sleep(p.stop)
		undone = d.Stop()
	}
	time.Sleep(200*time.Second + time.Nanosecond - time.Since(d.start)) // nothing is full any more
	waiters.Wait()
	synctest.Wait()

	count := make(map[string]int)
	for _, end := range ends {
		count[end]++
	}
	if count["undone"] != len(undone) || count["ran"]+count["cancelled"]+count["undone"] != len(ends) {
		fail("%v, and %d were handed back", count, len(undone))
	}
	skipped := 0
	for i, e := range entries {
		info := e.Info()
		skipped += int(info.Skipped)
		planned := int(200 * time.Second / p.entries[i].period)
		if got := int(info.Runs+info.Skipped) + info.Waiting; p.stop == 0 && got != planned {
			fail("entry %d: %+v are %d runs, want %d", i, info, got, planned)
		}
	}
	if int(told.Load()) != skipped {
		fail("told of %d skipped runs, want %d", told.Load(), skipped)
	}
	d.Stop()
	time.Sleep(time.Hour)
	return fault
}

// TestTimetable_Concurrent: many goroutines add, cancel, look and stop.
func TestTimetable_Concurrent(t *testing.T) {
	ends := make(map[string]int64)
	for range rounds(200) {
		d := deskFor(t, timetable.Config{}, core.WithWorkers(4), core.WithQueueCapacity(8))
		const goroutines, each = 8, 20
		var ran, value, canceled, undone, refused atomic.Int64
		var all sync.WaitGroup
		stop := make(chan struct{}, goroutines*each)
		for g := range goroutines {
			all.Go(func() {
				for i := range each {
					one, err := timetable.After(d.Timetable, time.Duration(i*g)*time.Microsecond, core.Func(func(context.Context) (int, error) {
						ran.Add(1)
						return 0, nil
					}))
					stop <- struct{}{}
					if err != nil {
						if !errors.Is(err, timetable.ErrStopped) {
							t.Errorf("After: %v", err)
						}
						refused.Add(1)
						continue
					}
					d.Entries()
					one.Entry().Info()
					if i%3 == 0 {
						one.Cancel()
					}
					all.Go(func() {
						switch _, err := one.Await(context.Background()); {
						case err == nil:
							value.Add(1)
						case errors.Is(err, core.ErrUndone):
							undone.Add(1)
						case errors.Is(err, context.Canceled):
							canceled.Add(1)
						default:
							t.Errorf("Await: %v", err)
						}
					})
				}
			})
		}
		var back atomic.Int64
		for _, after := range []int{60, 40} { // the two Stops come when 60 to 100 of the 160 were added
			all.Go(func() {
				for range after {
					<-stop
				}
				back.Add(int64(len(d.Stop())))
			})
		}
		all.Wait()
		if n := value.Load() + undone.Load() + canceled.Load() + refused.Load(); n != goroutines*each {
			t.Errorf("%d tasks have an end, want %d", n, goroutines*each)
		}
		if undone.Load() != back.Load() || ran.Load() < value.Load() {
			t.Errorf("%d undone, %d handed back, %d ran, %d results", undone.Load(), back.Load(), ran.Load(), value.Load())
		}
		ends["run"] += value.Load()
		ends["undone"] += undone.Load()
		ends["cancelled"] += canceled.Load()
		ends["refused"] += refused.Load()
	}
	for end, n := range ends {
		if n == 0 {
			t.Errorf("none was %s: %v", end, ends)
		}
	}
}

// TestTimetable_ShutdownRaces: the engine ends while tasks become due.
func TestTimetable_ShutdownRaces(t *testing.T) {
	for i := range rounds(200) {
		d := deskFor(t, timetable.Config{}, core.WithWorkers(2), core.WithQueueCapacity(2))
		var list []*timetable.Delayed[int]
		for n := range 50 {
			list = append(list, after(t, d, time.Duration(n*5)*time.Microsecond, value(n)))
		}
		time.AfterFunc(time.Duration(i)*time.Microsecond, func() { _ = d.engine.Shutdown(context.Background()) })
		ran, undone := 0, 0
		for n, one := range list {
			switch v, err := one.Await(t.Context()); {
			case err == nil && v == n:
				ran++
			case errors.Is(err, core.ErrUndone) && errors.Is(err, core.ErrClosed):
				undone++
			default:
				t.Errorf("task %d: %d, %v", n, v, err)
			}
		}
		if back := len(d.Stop()); back != undone || ran+undone != len(list) {
			t.Errorf("%d ran, %d undone, %d handed back", ran, undone, back)
		}
	}
}

// rounds is less with -short.
func rounds(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}
