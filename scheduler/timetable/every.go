package timetable

import (
	"time"

	"github.com/uptutu/goman/core"
)

// MinPeriod is the shortest period of [Every].
const MinPeriod = time.Millisecond

// Every runs task every period, for the first time one period from now. Runs are
// planned at multiples of the period, by the monotonic clock, so they do not drift; for a
// pause of that length between runs let the task return core.Again. What the
// task returns is lost, but for its error in [EntryInfo]. The error matches core.ErrInvalid, for
// instance if the period is shorter than [MinPeriod], or [ErrStopped]; then there is no entry.
func Every[T any](tt *Timetable, period time.Duration, task core.Task[T]) (*Entry, error) {
	return EveryWith(tt, period, Rules{}, task)
}

// EveryWith is Every with rules: attributes, jitter, and what becomes of runs that are
// missed or would overlap.
func EveryWith[T any](tt *Timetable, period time.Duration, rules Rules, task core.Task[T]) (*Entry, error) {
	switch {
	case period < MinPeriod:
		return nil, invalidf("the period is %v, allowed are %v and more", period, MinPeriod)
	case rules.Jitter >= period:
		return nil, invalidf("the jitter is %v, allowed is less than the period of %v", rules.Jitter, period)
	}
	return again(tt, periodic{time.Now(), period}, false, rules, task)
}

// Cron runs task by a cron expression in a time zone: see [ParseCron] for both. It is an
// error that matches [ErrCron] if no instant ever comes, or the zone is missing. The other
// errors are those of [Every].
//
// [CronSpec.Next] says what happens when clocks change for daylight-saving time,
// [Timetable] when somebody sets them. The jitter may be longer than the time between two
// runs: they still come in the order in which they were planned.
func Cron[T any](tt *Timetable, expression string, zone *time.Location, task core.Task[T]) (*Entry, error) {
	return CronWith(tt, expression, zone, Rules{}, task)
}

// CronWith is Cron with rules: attributes, jitter, and what becomes of runs that are
// missed or would overlap.
func CronWith[T any](tt *Timetable, expression string, zone *time.Location, rules Rules, task core.Task[T]) (*Entry, error) {
	spec, err := ParseCron(expression, zone)
	if err != nil {
		return nil, err
	}
	return again(tt, spec, true, rules, task)
}

// repeated is an entry that comes several times, and its body.
type repeated[T any] struct {
	entry  Entry
	series series
	task   core.Task[T]
}

func (r *repeated[T]) submit(ctx *submission) (any, error) {
	future, err := submit(ctx, &r.entry, r.task)
	if err == nil {
		future.OnDone(func(_ T, err error) { r.entry.finished(err) })
	}
	return future, err
}

// again adds an entry to tt that comes several times.
func again[T any](tt *Timetable, plan plan, wall bool, rules Rules, task core.Task[T]) (*Entry, error) {
	if err := rules.check(); err != nil {
		return nil, err
	}
	if err := checkTask(tt, rules.Attributes, task); err != nil {
		return nil, err
	}
	r := &repeated[T]{task: task}
	r.series = series{plan: plan, rules: rules, body: r}
	e := &r.entry
	*e = Entry{tt: tt, name: nameOf(rules.Attributes, task), attributes: keep(rules.Attributes), series: &r.series, wall: wall}
	e.planFrom(plan.next(e.now()))
	if err := tt.add(e); err != nil {
		return nil, err
	}
	return e, nil
}
