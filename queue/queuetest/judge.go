package queuetest

import (
	"fmt"
	"slices"
	"time"
)

// judge follows a queue that one goroutine uses, and says whether each answer is
// right. It does not foretell answers: several may be.
type judge struct {
	s      *Spec
	cap    int
	stored []entry
	came   int // how many entries there have been
	shares *shares
}

// entry is an item that the queue has.
type entry struct {
	item *Item
	came int
	due  time.Time // that of the item, or when it came if that is later
}

func newJudge(s *Spec, capacity int) *judge {
	return &judge{s: s, cap: capacity, shares: newShares(s)}
}

// pushed notes what a push has answered.
func (j *judge) pushed(it *Item, ok bool) error {
	fits := len(j.stored) < j.cap
	switch {
	case !ok && fits:
		return fmt.Errorf("a push was refused with %d of %d items in the queue", len(j.stored), j.cap)
	case !ok:
		return nil
	case !fits:
		return fmt.Errorf("a push succeeded with %d items in a queue for %d", len(j.stored), j.cap)
	}
	j.add(it)
	return nil
}

func (j *judge) add(it *Item) {
	e := entry{item: it, came: j.came}
	if j.s.Order == Delayed {
		e.due = later(it.Due, time.Now())
	}
	j.came++
	j.stored = append(j.stored, e)
	j.shares.came(it.Key)
}

// popped notes what a pop has answered.
func (j *judge) popped(it *Item, ok bool) error {
	if !ok {
		return j.nothing("a pop", it)
	}
	i, err := j.find("a pop", it)
	if err != nil {
		return err
	}
	if j.s.Order == Delayed && it.Due.After(time.Now()) {
		return fmt.Errorf("item %d left %v before it was due", it.ID, time.Until(it.Due))
	}
	passed := 0
	var first *Item
	for _, e := range j.stored {
		if j.before(e, j.stored[i]) {
			passed++
			first = e.item
		}
	}
	if passed > j.s.Slack.Max {
		return fmt.Errorf("a pop gave %s, before %d others that go first, among them %s", j.name(it), passed, j.name(first))
	}
	j.remove(i)
	return j.shares.served(it)
}

// stolen notes what a thief has got.
func (j *judge) stolen(it *Item, ok bool) error {
	if !ok {
		return j.nothing("a steal", it)
	}
	i, err := j.find("a steal", it)
	if err != nil {
		return err
	}
	if i != 0 {
		return fmt.Errorf("a steal gave item %d, before item %d, which came first", it.ID, j.stored[0].item.ID)
	}
	j.remove(0)
	return nil
}

// nothing is for an answer that the queue has nothing to give.
func (j *judge) nothing(call string, it *Item) error {
	if it != nil {
		return fmt.Errorf("%s that failed gave item %d all the same", call, it.ID)
	}
	for _, e := range j.stored {
		if j.s.Order != Delayed || !e.due.Add(j.s.Tick).After(time.Now()) {
			return fmt.Errorf("%s found nothing, and %s was there, one of %d", call, j.name(e.item), len(j.stored))
		}
	}
	return nil
}

// find returns the place of what has left.
func (j *judge) find(call string, it *Item) (int, error) {
	if it == nil {
		return 0, fmt.Errorf("%s succeeded and gave nothing", call)
	}
	i := slices.IndexFunc(j.stored, func(e entry) bool { return e.item == it })
	if i < 0 {
		return 0, fmt.Errorf("%s gave item %d, which was not in the queue: it had left, or never come", call, it.ID)
	}
	return i, nil
}

func (j *judge) remove(i int) {
	key := j.stored[i].item.Key
	j.stored = slices.Delete(j.stored, i, i+1)
	j.shares.left(key)
}

// before reports whether a must leave before b if both are there.
func (j *judge) before(a, b entry) bool {
	switch j.s.Order {
	case FIFO:
		return a.came < b.came
	case LIFO:
		return a.came > b.came
	case Priority:
		return a.item.Rank < b.item.Rank || a.item.Rank == b.item.Rank && j.s.Stable && a.came < b.came
	case Delayed:
		// One that came late may count as due when it came, or when it should have been.
		if a.due.Equal(b.due) && a.item.Due.Equal(b.item.Due) {
			return j.s.Stable && a.came < b.came
		}
		return a.due.Before(b.item.Due) && !a.due.Add(j.s.Tick).After(b.item.Due)
	}
	return a.item.Key == b.item.Key && a.came < b.came
}

// name describes an item by what its place depends on.
func (j *judge) name(it *Item) string { return name(j.s, it) }

func name(s *Spec, it *Item) string {
	switch s.Order {
	case Priority:
		return fmt.Sprintf("item %d of rank %d", it.ID, it.Rank)
	case Delayed:
		return fmt.Sprintf("item %d, due at %v", it.ID, it.Due)
	case Fair:
		return fmt.Sprintf("item %d of key %d", it.ID, it.Key)
	}
	return fmt.Sprintf("item %d", it.ID)
}

// due returns when the next item may leave.
func (j *judge) due() (time.Time, bool) {
	var next time.Time
	for i, e := range j.stored {
		if i == 0 || e.due.Before(next) {
			next = e.due
		}
	}
	return next, len(j.stored) > 0
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// shares holds the served costs of keys against each other.
type shares struct {
	s      *Spec
	stored [keys]int
	ahead  [keys][keys]span // how far the first is ahead of the second
}

// span is where a difference has been since both keys had items.
type span struct{ now, low, high float64 }

func newShares(s *Spec) *shares { return &shares{s: s} }

func (f *shares) came(key int) {
	f.stored[key]++
	if f.stored[key] == 1 {
		f.forget(key)
	}
}

func (f *shares) left(key int) {
	f.stored[key]--
	if f.stored[key] == 0 {
		f.forget(key)
	}
}

// forget begins new intervals for a key.
func (f *shares) forget(key int) {
	for other := range keys {
		f.ahead[key][other] = span{}
		f.ahead[other][key] = span{}
	}
}

// served notes an item that has just left, and reports a difference that has
// become too big. Where it was the key's last, the interval is over.
func (f *shares) served(it *Item) error {
	if f.s.Fairness == 0 || f.stored[it.Key] == 0 {
		return nil
	}
	for other := range keys {
		if other == it.Key || f.stored[other] == 0 {
			continue
		}
		d := &f.ahead[it.Key][other]
		if other < it.Key {
			d = &f.ahead[other][it.Key]
			d.now -= float64(it.Cost) / f.s.weight(it.Key)
		} else {
			d.now += float64(it.Cost) / f.s.weight(it.Key)
		}
		d.low, d.high = min(d.low, d.now), max(d.high, d.now)
		if over := d.high - d.low; over > f.s.Fairness+1e-9 {
			return fmt.Errorf("while keys %d and %d had items all the time, one was served %.1f more than the other, with a bound of %.1f",
				min(it.Key, other), max(it.Key, other), over, f.s.Fairness)
		}
	}
	return nil
}

// limited is a number of items to try with, for queues without a limit.
func limited(n int) int {
	if n > 1<<20 {
		return 300
	}
	return n
}
