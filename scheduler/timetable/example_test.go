package timetable_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/scheduler/timetable"
)

func ExampleAfter() {
	engine, _ := core.New()
	defer engine.Shutdown(context.Background())
	tt, _ := timetable.New(engine, timetable.Config{})
	defer tt.Stop()

	reminder, _ := timetable.After(tt, 10*time.Millisecond, core.Func(func(context.Context) (string, error) {
		return "tea is ready", nil
	}))
	text, err := reminder.Await(context.Background()) // reminder.Cancel() would take it back
	fmt.Println(text, err)
	// Output: tea is ready <nil>
}

// The times of a timetable are exact, and take no time, in a bubble of testing/synctest.
func ExampleCron() {
	synctest.Test(new(testing.T), func(*testing.T) { // in a test, give its own t
		engine, _ := core.New()
		defer engine.Shutdown(context.Background())
		tt, _ := timetable.New(engine, timetable.Config{})
		defer tt.Stop()

		report := core.Func(func(ctx context.Context) (int, error) {
			planned, _ := timetable.Planned(ctx)
			fmt.Println("report of", planned.Format(time.DateTime))
			return 0, nil
		})
		tokyo := time.FixedZone("Tokyo", 9*60*60)
		entry, _ := timetable.Cron(tt, "30 6 * * mon-fri", tokyo, report)
		time.Sleep(3*24*time.Hour - 12*time.Hour) // from midnight of Saturday, UTC

		fmt.Println("next:", entry.Info().Next.Format(time.DateTime))
	})
	// Output:
	// report of 2000-01-03 06:30:00
	// next: 2000-01-04 06:30:00
}

// A run that is due while the one before still runs waits for its end. After a stall of
// the program every run would be made up for, one after the other.
func ExampleEveryWith() {
	synctest.Test(new(testing.T), func(*testing.T) {
		engine, _ := core.New()
		defer engine.Shutdown(context.Background())
		tt, _ := timetable.New(engine, timetable.Config{})
		defer tt.Stop()

		start := time.Now()
		slow := core.Func(func(context.Context) (int, error) {
			fmt.Println(time.Since(start))
			time.Sleep(70 * time.Second)
			return 0, nil
		})
		_, _ = timetable.EveryWith(tt, time.Minute, timetable.Rules{
			Overlap:    timetable.OverlapQueue,
			Missed:     timetable.MissedAll,
			Attributes: core.Attributes{Name: "sync", RunLimit: time.Hour},
		}, slow)
		time.Sleep(230 * time.Second)
	})
	// Output:
	// 1m0s
	// 2m10s
	// 3m20s
}

// What was not due when the timetable was stopped can be added to another.
func ExampleTimetable_Stop() {
	engine, _ := core.New()
	defer engine.Shutdown(context.Background())
	tt, _ := timetable.New(engine, timetable.Config{})
	_, _ = timetable.AfterWith(tt, time.Hour, core.Attributes{Name: "clean up"}, core.Func(func(context.Context) (int, error) { return 0, nil }))

	next, _ := timetable.New(engine, timetable.Config{})
	for _, undone := range tt.Stop() {
		fmt.Println(undone.Name, undone.Resubmit(next))
	}
	fmt.Println(len(next.Entries()), "entry,", len(next.Stop()), "handed back again")
	// Output:
	// clean up <nil>
	// 1 entry, 1 handed back again
}

func ExampleParseCron() {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		fmt.Println(err)
		return
	}
	spec, _ := timetable.ParseCron("30 2 * * *", berlin)
	at := time.Date(2026, 3, 28, 0, 0, 0, 0, berlin)
	for range 3 {
		at = spec.Next(at)
		fmt.Println(at)
	}
	_, err = timetable.ParseCron("0 0 30 2 *", berlin)
	fmt.Println(err)
	// Output:
	// 2026-03-28 02:30:00 +0100 CET
	// 2026-03-29 03:00:00 +0200 CEST
	// 2026-03-30 02:30:00 +0200 CEST
	// timetable: wrong cron expression "0 0 30 2 *": no such day ever comes
}
