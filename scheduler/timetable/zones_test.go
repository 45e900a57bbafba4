package timetable_test

import (
	"slices"
	"testing"
	"time"
)

// A second model of cron expressions, apart from fields.slow: it lists what a clock on the
// wall shows in each stretch of one offset, and which of that is new.

// change is a moment at which a zone's offset changes, in seconds.
type change struct {
	at       time.Time
	was, now int
}

func offsetAt(loc *time.Location, t time.Time) int {
	_, seconds := t.In(loc).Zone()
	return seconds
}

// changesOf finds the changes of a zone by asking for the offset, twice a day.
func changesOf(loc *time.Location, from, to time.Time) (list []change) {
	const step = 12 * time.Hour
	for t := from; t.Before(to); t = t.Add(step) {
		was, now := offsetAt(loc, t), offsetAt(loc, t.Add(step))
		if was == now {
			continue
		}
		before, after := t.Unix(), t.Add(step).Unix()
		for after-before > 1 {
			if middle := (before + after) / 2; offsetAt(loc, time.Unix(middle, 0)) == was {
				before = middle
			} else {
				after = middle
			}
		}
		list = append(list, change{time.Unix(after, 0), was, now})
	}
	return list
}

// stretches lists the instants of f between two times: in each stretch what is shown for the
// first time, at its begin what was skipped, and without hours all that is shown.
func (f fields) stretches(loc *time.Location, changes []change, from, to time.Time) (instants []time.Time) {
	begin := from.Add(-72 * time.Hour)
	offset := time.Duration(offsetAt(loc, begin)) * time.Second
	highest := begin.UTC().Add(offset)
	for _, c := range append(slices.Clone(changes), change{at: to}) {
		if !c.at.After(begin) || c.at.After(to) {
			continue
		}
		first, end := begin.UTC().Add(offset), c.at.UTC().Add(offset)
		for r := highest.Truncate(time.Minute); r.Before(first); r = r.Add(time.Minute) {
			if !r.Before(highest) && f.match(r) {
				instants = append(instants, begin) // it was skipped
				break
			}
		}
		if f.hour != nil && highest.After(first) {
			first = highest // what is before that comes again
		}
		for r := first.Add(time.Minute - 1).Truncate(time.Minute); r.Before(end); r = r.Add(time.Minute) {
			if f.match(r) {
				instants = append(instants, r.Add(-offset))
			}
		}
		if f.hour == nil || end.After(highest) {
			highest = end
		}
		begin, offset = c.at, time.Duration(c.now)*time.Second
	}
	instants = slices.CompactFunc(instants, time.Time.Equal)
	return slices.DeleteFunc(instants, func(t time.Time) bool { return !t.After(from) })
}

// TestCron_EveryChange compares around all changes of zones with odd rules: half an hour and
// twenty minutes, a day that is skipped or comes twice, offsets with seconds, changes at
// midnight, two hours, and twice in a month.
func TestCron_EveryChange(t *testing.T) {
	if raceEnabled {
		t.Skip("takes seconds, on one goroutine: go test -run TestCron ./scheduler/timetable")
	}
	zones := append(slices.Clone(cronZones), "Africa/Monrovia", "America/Anchorage", "America/Asuncion", "America/Havana", "America/Nuuk",
		"Antarctica/Casey", "Asia/Amman", "Asia/Beirut", "Asia/Manila", "Asia/Pyongyang", "Asia/Tehran", "Atlantic/Azores",
		"Europe/Amsterdam", "Europe/Dublin", "Europe/London", "Europe/Moscow", "Pacific/Auckland", "Pacific/Chatham",
		"Pacific/Fakaofo", "Pacific/Kwajalein")
	windows := 0
	for _, name := range zones {
		loc := zone(t, name)
		for _, years := range [][2]int{{1970, 1974}, {2009, 2013}, {2037, 2039}} {
			day := func(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
			changes := changesOf(loc, day(years[0]), day(years[1]))
			for _, f := range []fields{
				{[]int{0, 30}, []int{0, 1, 2, 3}, nil, nil, nil},
				{[]int{15}, nil, nil, nil, nil},
				{[]int{7, 59}, []int{0, 12, 23}, []int{1, 8, 15, 30}, nil, []int{0, 3}},
			} {
				spec := parse(t, f.String(), loc)
				for _, c := range changes {
					if c.at.Before(day(years[0]).Add(120*time.Hour)) || c.at.After(day(years[1]).Add(-72*time.Hour)) {
						continue
					}
					windows++
					for _, from := range []time.Duration{-30 * time.Hour, 10 * time.Minute, 40 * time.Minute} {
						at, to := c.at.Add(from), c.at.Add(max(-from, time.Hour)+10*time.Hour)
						for _, want := range f.stretches(loc, changes, at, to) {
							if next := spec.Next(at); !next.Equal(want) {
								t.Fatalf("%q in %s: after %v comes %v, want %v", f, name, at.In(loc), next, want.In(loc))
							}
							at = want
						}
						if next := spec.Next(at); next.Before(to) {
							t.Fatalf("%q in %s: after %v comes %v, which is too much", f, name, at.In(loc), next)
						}
					}
				}
			}
		}
	}
	if windows < 500 {
		t.Errorf("only %d changes were looked at", windows)
	}
}
