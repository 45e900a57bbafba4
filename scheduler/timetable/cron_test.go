package timetable_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/uptutu/goman/scheduler/timetable"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func parse(t testing.TB, expression string, loc *time.Location) *timetable.CronSpec {
	t.Helper()
	spec, err := timetable.ParseCron(expression, loc)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

const cronStamp = "2006-01-02 15:04:05 -0700"

// comes checks the instants that follow a time of the zone.
func comes(t *testing.T, expression, in, after string, want ...string) {
	t.Helper()
	loc := zone(t, in)
	at, err := time.ParseInLocation("2006-01-02 15:04:05", after, loc)
	if err != nil {
		t.Fatal(err)
	}
	spec := parse(t, expression, loc)
	var got []string
	for range want {
		at = spec.Next(at)
		got = append(got, at.Format(cronStamp))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%q in %s after %s (-want +got):\n%s", expression, in, after, diff)
	}
}

func TestCron_E_SCH_13_RareDays(t *testing.T) {
	comes(t, "0 0 29 2 *", "UTC", "2095-06-01 00:00:00", "2096-02-29 00:00:00 +0000", "2104-02-29 00:00:00 +0000")
	comes(t, "0 12 31 * *", "UTC", "2026-01-31 12:00:00", "2026-03-31 12:00:00 +0000", "2026-05-31 12:00:00 +0000", "2026-07-31 12:00:00 +0000")
	comes(t, "0 0 * 2 mon#5", "UTC", "2073-01-01 00:00:00", "2112-02-29 00:00:00 +0000")
	comes(t, "0 0 L * *", "UTC", "2027-02-01 00:00:00", "2027-02-28 00:00:00 +0000", "2027-03-31 00:00:00 +0000")
	comes(t, "0 0 15W * *", "UTC", "2026-08-01 00:00:00", "2026-08-14 00:00:00 +0000")
	comes(t, "0 0 * * fri#L", "UTC", "2026-11-01 00:00:00", "2026-11-27 00:00:00 +0000")
	// Both kinds of day restricted: either, as in crontab(5).
	comes(t, "0 0 13 * fri", "UTC", "2026-11-10 00:00:00", "2026-11-13 00:00:00 +0000", "2026-11-20 00:00:00 +0000",
		"2026-11-27 00:00:00 +0000", "2026-12-04 00:00:00 +0000", "2026-12-11 00:00:00 +0000", "2026-12-13 00:00:00 +0000")
	comes(t, "*/20 59 23 31 12 *", "UTC", "2026-12-31 23:59:30", "2026-12-31 23:59:40 +0000", "2027-12-31 23:59:00 +0000")
	comes(t, "@daily", "Asia/Kathmandu", "2026-11-25 10:00:00", "2026-11-26 00:00:00 +0545")
}

func TestCron_DaylightSaving(t *testing.T) {
	const ny, howe = "America/New_York", "Australia/Lord_Howe"
	// Skipped: once, right after the gap.
	comes(t, "30 2 * * *", ny, "2026-03-07 12:00:00", "2026-03-08 03:00:00 -0400", "2026-03-09 02:30:00 -0400")
	comes(t, "10,20,30 2 * * *", ny, "2026-03-07 12:00:00", "2026-03-08 03:00:00 -0400", "2026-03-09 02:10:00 -0400")
	comes(t, "0 2,3 * * *", ny, "2026-03-07 12:00:00", "2026-03-08 03:00:00 -0400", "2026-03-09 02:00:00 -0400")
	comes(t, "*/30 * * * *", ny, "2026-03-08 01:00:00", "2026-03-08 01:30:00 -0500", "2026-03-08 03:00:00 -0400", "2026-03-08 03:30:00 -0400")
	comes(t, "15 * * * *", ny, "2026-03-08 01:00:00", "2026-03-08 01:15:00 -0500", "2026-03-08 03:00:00 -0400", "2026-03-08 03:15:00 -0400")
	// Repeated: once, the first time.
	comes(t, "30 1 * * *", ny, "2026-10-31 12:00:00", "2026-11-01 01:30:00 -0400", "2026-11-02 01:30:00 -0500")
	comes(t, "0,30 1,2 * * *", ny, "2026-10-31 12:00:00", "2026-11-01 01:00:00 -0400", "2026-11-01 01:30:00 -0400",
		"2026-11-01 02:00:00 -0500", "2026-11-01 02:30:00 -0500")
	// But an expression without hours goes on at its distance.
	comes(t, "*/30 * * * *", ny, "2026-11-01 00:30:00", "2026-11-01 01:00:00 -0400", "2026-11-01 01:30:00 -0400",
		"2026-11-01 01:00:00 -0500", "2026-11-01 01:30:00 -0500", "2026-11-01 02:00:00 -0500")
	// Half an hour, both ways.
	comes(t, "15 2 * * *", howe, "2026-10-03 12:00:00", "2026-10-04 02:30:00 +1100", "2026-10-05 02:15:00 +1100")
	comes(t, "45 2 * * *", howe, "2026-10-03 12:00:00", "2026-10-04 02:45:00 +1100", "2026-10-05 02:45:00 +1100")
	comes(t, "45 1 * * *", howe, "2026-04-04 12:00:00", "2026-04-05 01:45:00 +1100", "2026-04-06 01:45:00 +1030")
	comes(t, "15 1,2 * * *", howe, "2026-04-05 00:00:00", "2026-04-05 01:15:00 +1100", "2026-04-05 02:15:00 +1030")
	// A gap at midnight, a gap of a whole day.
	comes(t, "0 0 * * *", "America/Sao_Paulo", "2018-11-03 12:00:00", "2018-11-04 01:00:00 -0200", "2018-11-05 00:00:00 -0200")
	comes(t, "0 6 * * *", "Pacific/Apia", "2011-12-29 07:00:00", "2011-12-31 00:00:00 +1400", "2011-12-31 06:00:00 +1400")
	// A day that has no such time otherwise.
	comes(t, "30 2 8 3 *", ny, "2026-03-01 00:00:00", "2026-03-08 03:00:00 -0400", "2027-03-08 02:30:00 -0500")
}

func TestCron_E_SCH_13_WrongSpecs(t *testing.T) {
	for _, c := range []struct {
		expression string
		zone       *time.Location
		why        string
	}{
		{"0 0 30 2 *", time.UTC, "no such day ever comes"},
		{"0 0 31 4,6,9,11 *", time.UTC, "no such day ever comes"},
		{"0 0 * 2 thu#6", time.UTC, ""},
		{", 0 * * *", time.UTC, "no such day ever comes"},
		{"0 0 * * *", nil, "it has no zone"},
		{"TZ=Asia/Tokyo 0 0 * * *", time.UTC, "one of them is allowed"},
		{"TZ=Mars/Olympus 0 0 * * *", nil, "unknown time zone"},
		{"TZ=../../etc/passwd 0 0 * * *", nil, ""},
		{"TZ= 0 0 * * *", nil, "empty timezone"},
		{"TZ=Asia/Tokyo", nil, "missing fields"},
		{"CRON_TZ=Asia/Tokyo ", nil, "missing fields"},
		{"", time.UTC, "empty"},
		{"   ", time.UTC, "empty"},
		{"* * * *", time.UTC, "found 4"},
		{"60 * * * *", time.UTC, "above maximum"},
		{"* 24 * * *", time.UTC, "above maximum"},
		{"*/0 * * * *", time.UTC, "positive"},
		{"@every 1h", time.UTC, "use Every"},
		{"@reboot", time.UTC, "unrecognized"},
		{"H * * * *", time.UTC, ""},
		{strings.Repeat("1,", 1000) + "1 * * * *", time.UTC, "too long"},
		{strings.Repeat("* ", 1<<20), time.UTC, ""},
		{strings.Repeat("*", 1<<20), time.UTC, ""},
		{"TZ=" + strings.Repeat("a/", 1<<16) + " * * * * *", nil, ""},
	} {
		spec, err := timetable.ParseCron(c.expression, c.zone)
		if spec != nil || !errors.Is(err, timetable.ErrCron) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%.50q in %v: %v, %.500v; want an error with %q", c.expression, c.zone, spec, err, c.why)
		} else if n := len(err.Error()); n > 500 {
			t.Errorf("%.50q: an error of %d bytes", c.expression, n)
		}
	}
}

func TestCron_ZoneInTheExpression(t *testing.T) {
	spec := parse(t, " CRON_TZ=Asia/Tokyo  0 6 * * *", nil)
	got := spec.Next(time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)).Format(cronStamp)
	if want := "2026-11-26 06:00:00 +0900"; got != want {
		t.Errorf("next is %s, want %s", got, want)
	}
	if got, want := parse(t, "0 6 * * *", time.UTC).String(), "0 6 * * * UTC"; got != want {
		t.Errorf("String is %q, want %q", got, want)
	}
}

// fields are the restrictions of a cron expression; nil is *.
type fields struct{ minute, hour, dom, month, dow []int }

func (f fields) String() string {
	var words []string
	for _, list := range [][]int{f.minute, f.hour, f.dom, f.month, f.dow} {
		word := strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]")
		if list == nil {
			word = "*"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func holds(list []int, n int) bool { return list == nil || slices.Contains(list, n) }

// match reports whether a clock that shows t, a time of UTC, shows one of f.
func (f fields) match(t time.Time) bool {
	day := holds(f.dom, t.Day()) && holds(f.dow, int(t.Weekday()))
	if f.dom != nil && f.dow != nil {
		day = holds(f.dom, t.Day()) || holds(f.dow, int(t.Weekday()))
	}
	return holds(f.minute, t.Minute()) && holds(f.hour, t.Hour()) && holds(f.month, int(t.Month())) && day
}

// slow finds the instants of f by watching a clock from minute to minute.
func (f fields) slow(loc *time.Location, from, to time.Time) (instants []time.Time) {
	show := func(t time.Time) time.Time {
		_, offset := t.In(loc).Zone()
		return t.UTC().Add(time.Duration(offset) * time.Second)
	}
	start := from.Add(-48 * time.Hour)
	shown, highest := show(start), show(start)
	for t := start; t.Before(to); t = t.Add(time.Minute) {
		was := shown
		shown = show(t)
		// Readings that are new, or new since the clock was put back.
		since := highest
		if f.hour == nil {
			since = was
			if shown.Before(was) {
				since = shown.Add(-time.Minute)
			}
		}
		comes := false
		for r := since.Add(time.Minute); !r.After(shown); r = r.Add(time.Minute) {
			comes = comes || f.match(r)
		}
		if comes && t.After(from) {
			instants = append(instants, t)
		}
		if shown.After(highest) {
			highest = shown
		}
	}
	return instants
}

func checkCron(t interface {
	Fatalf(format string, args ...any)
}, f fields, loc *time.Location, from, to time.Time) {
	spec, err := timetable.ParseCron(f.String(), loc)
	if errors.Is(err, timetable.ErrCron) && strings.Contains(err.Error(), "no such day") {
		spec = nil
	} else if err != nil {
		t.Fatalf("%v", err)
	}
	at := from
	for _, want := range f.slow(loc, from, to) {
		if spec == nil {
			t.Fatalf("%q never comes, but does at %v", f, want.In(loc))
		}
		next := spec.Next(at)
		if !next.Equal(want) {
			t.Fatalf("%q in %v: after %v comes %v, want %v", f, loc, at.In(loc), next, want.In(loc))
		}
		at = next
	}
	if spec != nil {
		if next := spec.Next(at); !next.IsZero() && next.Before(to) {
			t.Fatalf("%q in %v: after %v comes %v, which is too much", f, loc, at.In(loc), next)
		}
	}
}

var cronZones = []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu",
	"Pacific/Apia", "Africa/Casablanca", "Antarctica/Troll", "America/St_Johns", "Asia/Gaza", "America/Caracas"}

// TestCron_Model compares with watching the clock, around changes of all zones.
func TestCron_Model(t *testing.T) {
	zones := make(map[string]*time.Location)
	for _, name := range cronZones {
		zones[name] = zone(t, name)
	}
	rapid.Check(t, func(t *rapid.T) {
		list := func(label string, low, high int) []int {
			if rapid.Bool().Draw(t, label+" is *") {
				return nil
			}
			list := rapid.SliceOfNDistinct(rapid.IntRange(low, high), 1, 6, rapid.ID).Draw(t, label)
			slices.Sort(list)
			return list
		}
		f := fields{list("minute", 0, 59), list("hour", 0, 4), list("dom", 1, 31), nil, list("dow", 0, 6)}
		if rapid.IntRange(0, 9).Draw(t, "some months") == 0 {
			f.month = list("month", 1, 12)
		}
		loc := zones[rapid.SampledFrom(cronZones).Draw(t, "zone")]
		from := time.Date(1990, 1, 1, 0, 0, 0, 0, loc).Add(time.Duration(rapid.IntRange(0, 47*365*24*60).Draw(t, "minute from 1990")) * time.Minute)
		if _, change := from.ZoneBounds(); !change.IsZero() {
			from = change.Add(-time.Duration(rapid.IntRange(0, 36*60).Draw(t, "minutes before the change")) * time.Minute)
		}
		from = from.Truncate(time.Minute)
		checkCron(t, f, loc, from, from.Add(96*time.Hour))
	})
}

// TestCron_TenYears compares with watching the clock for ten years.
func TestCron_TenYears(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("takes seconds, on one goroutine: go test -run TestCron ./scheduler/timetable")
	}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	checkCron(t, fields{[]int{15, 30}, []int{1, 2}, nil, nil, nil}, zone(t, "Europe/Berlin"), from, from.AddDate(10, 0, 0))
	checkCron(t, fields{[]int{0, 45}, nil, []int{1, 29, 31}, nil, []int{0}}, zone(t, "Australia/Lord_Howe"), from, from.AddDate(10, 0, 0))
}

// TestCron_LastDayOfLeapYear: Go's time.Time.ZoneBounds says of that day that its offset
// has ended before, from the year on for which the zone has a rule alone.
func TestCron_LastDayOfLeapYear(t *testing.T) {
	comes(t, "0 12 1 3 *", "Europe/Berlin", "2096-12-31 12:00:00", "2097-03-01 12:00:00 +0100")
	comes(t, "0 12 31 12 *", "Europe/Berlin", "2096-12-30 12:00:00", "2096-12-31 12:00:00 +0100", "2097-12-31 12:00:00 +0100")
}

// FuzzParseCron looks for an expression that is taken and does not go on.
func FuzzParseCron(f *testing.F) {
	for _, seed := range []string{"0 0 29 2 *", "*/7 22-2 L-3 * mon#2", "CRON_TZ=Europe/Berlin 30 2 * * *", "@weekly", "TZ=", "0 0 30 2 *", "1,,2 * * * 7"} {
		f.Add(seed, int64(0))
	}
	berlin := zone(f, "Europe/Berlin")
	f.Fuzz(func(t *testing.T, expression string, unix int64) {
		spec, err := timetable.ParseCron(expression, berlin)
		if err != nil {
			if spec, err = timetable.ParseCron(expression, nil); err != nil {
				if !errors.Is(err, timetable.ErrCron) {
					t.Fatalf("%v does not match ErrCron", err)
				}
				return
			}
		}
		at := time.Unix(unix%(1<<33), 0)
		for range 20 {
			next := spec.Next(at)
			if !next.After(at) {
				t.Fatalf("%q: after %v comes %v", expression, at, next)
			}
			at = next
		}
	})
}

func BenchmarkCron(b *testing.B) {
	berlin := zone(b, "Europe/Berlin")
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	b.Run("Next", func(b *testing.B) {
		spec := parse(b, "30 2 * * mon-fri", berlin)
		at := start
		for b.Loop() {
			if at = spec.Next(at); at.Year() > 2036 {
				at = start
			}
		}
	})
	b.Run("Parse", func(b *testing.B) {
		for b.Loop() {
			parse(b, "30 2 * * mon-fri", berlin)
		}
	})
	b.Run("Never", func(b *testing.B) {
		for b.Loop() {
			if _, err := timetable.ParseCron("0 0 30 2 *", berlin); err == nil {
				b.Fatal("it comes")
			}
		}
	})
}
