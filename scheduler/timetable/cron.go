package timetable

import (
	"fmt"
	"strings"
	"time"

	cron "github.com/netresearch/go-cron"
)

// A CronSpec is a cron expression in a time zone: instants that follow each other.
// It comes from [ParseCron], does not change, and is safe for concurrent use.
type CronSpec struct {
	spec    *cron.SpecSchedule
	zone    *time.Location
	hourly  bool // all hours: it says nothing of the time of day
	written string
}

// cronParser reads five fields, or six with the seconds first, and descriptors. Its
// own default is that a day has to match both its fields; crontab(5) has DowOrDom.
// There are 40 years at most between two days of any kind: the 29 February of 2072
// is a Monday, and as 2100 is no leap year the next such Monday is in 2112.
var cronParser = cron.MustNewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month |
	cron.Dow | cron.Descriptor | cron.DowOrDom | cron.Extended).WithMaxSearchYears(50)

// ParseCron reads a cron expression, in the zone in which its times are meant.
//
// The five fields are minute, hour, day of the month, month and day of the week; a
// field of seconds may stand before them. They hold *, numbers, English names of
// three letters, lists (1,15), ranges (mon-fri, 22-2) and steps (*/5). A day of the
// month may be L (the last), L-3 or 15W (the weekday nearest to the 15th), a day of
// the week may be fri#2 or fri#L (the second and the last Friday). If both kinds of
// day are restricted, a day that matches either will do, as in crontab(5). @hourly,
// @daily, @weekly, @monthly and @yearly are expressions too. @every is none: use
// [Every].
//
// The zone may instead be named before the fields, as in "TZ=Asia/Tokyo 0 6 * * *" or
// with CRON_TZ; then zone must be nil. What cannot be read, an expression of which no
// instant ever comes, such as that of 30 February, no zone, an unknown one and two of
// them are errors that match [ErrCron]. Parsing takes some microseconds, and less than a
// millisecond for what never comes. See BenchmarkCron.
func ParseCron(expression string, zone *time.Location) (*CronSpec, error) {
	fields := strings.TrimSpace(expression)
	named := strings.HasPrefix(fields, "TZ=") || strings.HasPrefix(fields, "CRON_TZ=")
	switch {
	case named && zone != nil:
		return nil, badCron(expression, fmt.Sprintf("it names a zone, and %v is given too: one of them is allowed", zone))
	case !named && zone == nil:
		return nil, badCron(expression, "it has no zone: give one, such as time.UTC, or begin it with CRON_TZ=Asia/Tokyo")
	}
	schedule, err := cronParser.Parse(fields)
	if err != nil {
		return nil, badCron(expression, err.Error())
	}
	spec, ok := schedule.(*cron.SpecSchedule)
	if !ok {
		return nil, badCron(expression, "@every has no instants of its own: use Every")
	}
	if named {
		zone = spec.Location
	}
	// It is asked for readings of a wall clock, which are times of UTC to it.
	spec.Location = time.UTC
	if spec.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, badCron(expression, "no such day ever comes")
	}
	const allHours = 1<<24 - 1
	return &CronSpec{spec: spec, zone: zone, hourly: spec.Hour&allHours == allHours, written: fields}, nil
}

func badCron(expression, why string) error {
	return fmt.Errorf("%w %.200q: %s", ErrCron, expression, why) // it may be of any length
}

// Next returns the first instant after the time given, in the zone of s. It takes
// some microseconds.
//
// Where clocks are put forward, the times that are skipped come once, all together, at
// the instant of the change: 02:30 on the day on which 02:00 is followed by 03:00 is
// 03:00. Where clocks are put back, a time that is repeated comes once, the first
// time, for an expression that names hours. One that names none (* in the
// field of hours) is not about the time of day but about the distance: "*/15 * * * *"
// goes on through the repeated hour, as in cron(8). A change may be of any length, as
// the 30 minutes of Lord Howe Island.
func (s *CronSpec) Next(after time.Time) time.Time {
	after = after.Round(0).In(s.zone)
	begin, _ := after.ZoneBounds()
	end := stretchEnd(after)
	reading := onWall(after)
	if !s.hourly {
		reading = later(reading, highest(after, begin))
	}
	next := s.spec.Next(reading)
	at, from := after, after // a time in the stretch at hand, and its begin
	for !next.IsZero() {
		instant := next.Add(-offset(at))
		if end.IsZero() || instant.Before(end) {
			return later(instant, from).In(s.zone) // earlier if it was skipped before from
		}
		if s.hourly && offset(end) < offset(end.Add(-1)) {
			next = s.spec.Next(onWall(end).Add(-1)) // the hour begins again
		}
		at, from, end = end, end, stretchEnd(end)
	}
	return time.Time{}
}

// String returns the expression and the zone.
func (s *CronSpec) String() string { return s.written + " " + s.zone.String() }

// stretchEnd returns when the offset at t may end; zero if never. By the rules for the
// far future ZoneBounds takes each year for 365 days, so on the last day of a leap year it
// returns a time that has passed.
func stretchEnd(t time.Time) time.Time {
	_, end := t.ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		end = time.Date(t.UTC().Year()+1, 1, 1, 0, 0, 0, 0, time.UTC).In(t.Location())
	}
	return end
}

// onWall returns what a wall clock shows at t, as a time of UTC.
func onWall(t time.Time) time.Time { return t.UTC().Add(offset(t)) }

// offset is that of t's zone at t.
func offset(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// highest returns the highest reading that the clock has come to before the stretch of
// one offset that has begun at begin and in which t lies. Clocks are put back by a day
// at most, so older stretches do not count.
func highest(t, begin time.Time) (reading time.Time) {
	for !begin.IsZero() && t.Sub(begin) <= 26*time.Hour {
		before := begin.Add(-1)
		reading = later(reading, onWall(before))
		begin, _ = before.ZoneBounds()
	}
	return reading
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
