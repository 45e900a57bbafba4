package queuetest

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// machine is a queue that one goroutine uses, and its judge.
type machine struct {
	s      *Spec
	q      Queue
	judge  *judge
	choose chooser
	next   int     // the ID of the next item
	gone   []*Item // some that have left
}

func newMachine(s *Spec, q Queue, capacity int, choose chooser) *machine {
	return &machine{s: s, q: q, judge: newJudge(s, s.wantCap(capacity)), choose: choose}
}

// item makes an item with attributes of its own.
func (m *machine) item() *Item {
	it := &Item{ID: m.next, Cost: 1}
	m.next++
	switch m.s.Order {
	case Priority:
		it.Rank = m.rank()
	case Fair:
		it.Key = m.choose(keys, "key")
		it.Cost = 1 + m.choose(MaxCost, "cost")
	case Delayed:
		it.Due = time.Now().Add(m.delay())
	}
	return it
}

func (m *machine) rank() int {
	if m.s.Ranks > 0 {
		return m.choose(m.s.Ranks, "rank")
	}
	if m.choose(16, "extreme") == 0 {
		return []int{math.MinInt, math.MinInt + 1, math.MaxInt - 1, math.MaxInt}[m.choose(4, "rank")]
	}
	return m.choose(6, "rank")
}

// delay is from one in the past to years. Powers of two of ticks are where the
// wheels of a timing wheel meet.
func (m *machine) delay() time.Duration {
	tick := max(m.s.Tick, time.Millisecond)
	switch m.choose(6, "delay") {
	case 0:
		return -time.Duration(m.choose(3, "past")) * tick
	case 1:
		return tick*time.Duration(1+m.choose(4, "ticks")) - time.Duration(m.choose(2, "less"))
	case 2, 3:
		return time.Duration(m.choose(300, "ticks")) * tick / 2
	case 4:
		return tick<<m.choose(24, "power") + time.Duration(m.choose(3, "around")-1)*tick
	}
	return time.Duration(m.choose(20*365*24, "hours")) * time.Hour
}

// action is something a machine does.
type action struct {
	name string
	do   func() error
}

// actions are those that the queue has.
func (m *machine) actions() []action {
	all := []action{
		{"push", m.push},
		{"pop", m.pop},
		{"fill", m.fill},
		{"drain", m.drain},
	}
	add := func(ok bool, name string, do func() error) {
		if ok {
			all = append(all, action{name, do})
		}
	}
	_, pushes := m.q.(BatchPusher)
	_, pops := m.q.(BatchPopper)
	_, steals := m.q.(Stealer)
	_, stealsAll := m.q.(BatchStealer)
	_, removes := m.q.(Remover)
	_, updates := m.q.(Updater)
	_, timer := m.q.(Timer)
	add(pushes, "pushAll", m.pushAll)
	add(pops, "popAll", m.popAll)
	add(steals, "steal", m.steal)
	add(stealsAll, "stealAll", m.stealAll)
	add(removes, "remove", m.removeOne)
	add(updates, "update", m.update)
	add(m.s.Order == Delayed, "wait", m.wait)
	add(m.s.Order == Delayed && timer, "next", m.nextDue)
	return all
}

func (m *machine) push() error {
	it := m.item()
	return m.judge.pushed(it, m.q.TryPush(it))
}

func (m *machine) pop() error {
	it, ok := m.q.TryPop()
	return m.left(it, ok, m.judge.popped)
}

func (m *machine) steal() error {
	it, ok := m.q.(Stealer).TrySteal()
	return m.left(it, ok, m.judge.stolen)
}

func (m *machine) left(it *Item, ok bool, judge func(*Item, bool) error) error {
	if err := judge(it, ok); err != nil {
		return err
	}
	if ok {
		m.keep(it)
	}
	return nil
}

func (m *machine) keep(it *Item) {
	if m.gone = append(m.gone, it); len(m.gone) > 8 {
		m.gone = m.gone[1:]
	}
}

// fill pushes many, so that the queue is often full.
func (m *machine) fill() error {
	return m.times(1+m.choose(min(m.judge.cap, 64)+1, "items"), m.push)
}

// drain pops many, so that it is often empty.
func (m *machine) drain() error {
	return m.times(1+m.choose(min(m.judge.cap, 64)+1, "items"), m.pop)
}

func (m *machine) times(n int, do func() error) error {
	for range n {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) pushAll() error {
	items := make([]*Item, m.choose(8, "items"))
	for i := range items {
		items[i] = m.item()
	}
	n := m.q.(BatchPusher).PushAll(items)
	if n < 0 || n > len(items) {
		return fmt.Errorf("a PushAll of %d items returned %d", len(items), n)
	}
	for i, it := range items[:min(n+1, len(items))] {
		if err := m.judge.pushed(it, i < n); err != nil {
			return fmt.Errorf("a PushAll of %d items returned %d: %w", len(items), n, err)
		}
	}
	return nil
}

func (m *machine) popAll() error {
	into := make([]*Item, m.choose(8, "items"))
	n := m.q.(BatchPopper).PopAll(into)
	return m.batch("PopAll", into, n, m.judge.popped)
}

func (m *machine) stealAll() error {
	into := make([]*Item, m.choose(8, "items"))
	n := m.q.(BatchStealer).StealAll(into)
	return m.batch("StealAll", into, n, m.judge.stolen)
}

// batch judges a batch that has left. A short one need not mean that there was no
// more, but an empty one does.
func (m *machine) batch(call string, into []*Item, n int, judge func(*Item, bool) error) error {
	if n < 0 || n > len(into) {
		return fmt.Errorf("%s into %d places returned %d", call, len(into), n)
	}
	for _, it := range into[:n] {
		if err := m.left(it, true, judge); err != nil {
			return fmt.Errorf("%s into %d places returned %d: %w", call, len(into), n, err)
		}
	}
	if n == 0 && len(into) > 0 {
		return judge(nil, false)
	}
	return nil
}

// some returns an item that is there, or one that is not.
func (m *machine) some() (it *Item, place int) {
	if n := len(m.judge.stored); n > 0 && (len(m.gone) == 0 || m.choose(4, "gone") > 0) {
		place = m.choose(n, "place")
		return m.judge.stored[place].item, place
	}
	if len(m.gone) > 0 {
		return m.gone[m.choose(len(m.gone), "place")], -1
	}
	return nil, -1
}

func (m *machine) removeOne() error {
	it, place := m.some()
	if it == nil {
		return nil
	}
	if ok := m.q.(Remover).Remove(it); ok != (place >= 0) {
		return fmt.Errorf("a Remove of %s returned %v", m.judge.name(it), ok)
	}
	if place >= 0 {
		m.judge.remove(place)
		m.keep(it)
	}
	return nil
}

func (m *machine) update() error {
	it, place := m.some()
	if it == nil {
		return nil
	}
	old, rank := it.Rank, m.rank()
	it.Rank = rank
	if ok := m.q.(Updater).Update(it); ok != (place >= 0) {
		return fmt.Errorf("an Update of item %d from rank %d to %d returned %v", it.ID, old, rank, ok)
	}
	return nil
}

// wait lets time pass, or waits until the next item is due.
func (m *machine) wait() error {
	if due, ok := m.judge.due(); ok && m.choose(2, "until") == 0 {
		time.Sleep(time.Until(due.Add(m.s.Tick)))
		return nil
	}
	time.Sleep(max(m.delay(), 0))
	return nil
}

func (m *machine) nextDue() error {
	due, ok := m.q.(Timer).NextDue()
	want, stored := m.judge.due()
	switch {
	case ok != stored:
		return fmt.Errorf("a NextDue returned %v with %d items in the queue", ok, len(m.judge.stored))
	case ok && due.After(later(want, time.Now()).Add(m.s.Tick)):
		return fmt.Errorf("a NextDue returned %v, and an item is due at %v", due, want)
	case ok && due.Before(want.Add(-m.s.Tick)) && due.After(time.Now()):
		return fmt.Errorf("a NextDue returned %v, and nothing is due before %v", due, want)
	}
	return nil
}

// check is what holds whenever nothing is under way.
func (m *machine) check() error {
	if n := m.q.Len(); !m.s.NoLen && n != len(m.judge.stored) {
		return fmt.Errorf("a Len of %d with %d items in the queue", n, len(m.judge.stored))
	}
	if n, want := m.q.Cap(), m.judge.cap; n != want {
		return fmt.Errorf("a Cap of %d, and it should be %d", n, want)
	}
	return nil
}

// walk does n random actions, and leaves the queue empty.
func (m *machine) walk(n int) error {
	actions := m.actions()
	for range n {
		a := actions[m.choose(len(actions), "action")]
		if err := errors.Join(a.do(), m.check()); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
	}
	return m.empty()
}

// empty pops what is there.
func (m *machine) empty() error {
	for len(m.judge.stored) > 0 {
		if due, ok := m.judge.due(); ok && m.s.Order == Delayed {
			time.Sleep(time.Until(due.Add(m.s.Tick)))
		}
		if err := m.pop(); err != nil {
			return fmt.Errorf("at the end: %w", err)
		}
	}
	if err := m.pop(); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	return m.check()
}
