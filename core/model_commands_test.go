package core_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
)

// The commands of the model, but for submission (model_submit_test.go) and the end
// (model_stop_test.go).

// pick draws a task.
func (m *model) pick(t *rapid.T, what string, may func(*modelTask) bool) *modelTask {
	var ids []int
	for _, k := range m.tasks {
		if may(k) {
			ids = append(ids, k.id)
		}
	}
	if len(ids) == 0 {
		t.Skip("there is none")
	}
	return m.tasks[rapid.SampledFrom(ids).Draw(t, what)-1]
}

// rarely does it once in four times.
func (m *model) rarely(t *rapid.T, command func(*rapid.T)) {
	if rapid.IntRange(0, 3).Draw(t, "now") > 0 {
		t.Skip("not now")
	}
	command(t)
}

// leave ends a running task.
func (m *model) leave(t *rapid.T) {
	k := m.pick(t, "task", func(k *modelTask) bool { return k.at == atWork && k.awaits == nil || k.given })
	o := order{end: rapid.SampledFrom([]string{"return", "return", "fail", "panic", "goexit", "again", "again"}).Draw(t, "how")}
	if o.end == "again" {
		o.after = unique(rapid.IntRange(0, 20).Draw(t, "after"), 1_000_003+31*len(m.tasks)+m.step)
		if k.function || slices.ContainsFunc(m.tasks, func(c *modelTask) bool { return c.parent == k }) {
			t.Skip("it cannot")
		}
	}
	if o.end == "fail" && k.function {
		t.Skip("it cannot")
	}
	m.did("%v ends: %+v", k, o)
	k.orders <- o
	m.settle()
	m.left(k, o)
}

// left is what becomes of a task that has ended in the way of o.
func (m *model) left(k *modelTask, o order) {
	switch {
	case k.given:
		k.given, k.exited = false, o.end == "goexit"
		m.late++
	case o.end == "panic":
		m.finish(k, verdict{outcome: core.OutcomePanicked, errs: []error{core.ErrPanicked}})
	case o.end == "goexit":
		m.finish(k, verdict{outcome: core.OutcomePanicked, errs: []error{core.ErrGoexit}})
	case o.end == "again" && k.dead():
		m.obey(k)
	case o.end == "again":
		m.again(k, o.after)
	case k.expired:
		v := verdict{outcome: core.OutcomeTimedOut, errs: []error{core.ErrTaskTimeout}, late: true}
		if o.end == "return" {
			v.value = k.id
		}
		m.finish(k, v)
	case o.end == "fail":
		m.finish(k, verdict{outcome: core.OutcomeFailed, errs: []error{errBody}})
	default:
		m.finish(k, verdict{outcome: core.OutcomeSucceeded, value: k.id})
	}
}

// again is the wish of k to be run again.
func (m *model) again(k *modelTask, after time.Duration) {
	m.retried++
	k.attempts++
	if k.granted { // it was started out of turn, and its first entry still counts
		m.order, k.stale = nil, true
	}
	k.slot, k.foreign, k.expired, k.own = false, false, false, nil
	for _, t := range m.tasks {
		if t.awaits == k && t.inside && !m.draining { // it sleeps from now on
			t.inside = false
			k.watched = true
			m.order, k.stale = nil, true
		}
	}
	defer func() {
		for _, t := range m.tasks {
			if t.awaits == k && t.dead() && t.wants == 0 {
				m.wake(t) // its context had ended while k ran on its goroutine
			}
		}
	}()
	switch {
	case m.draining:
		m.handBack(k)
	case after > 0:
		k.at, k.due = atDelay, time.Now().Add(after)
	default:
		m.enter(k, false)
	}
}

// await is a wait of a running task for another.
func (m *model) await(t *rapid.T) {
	k := m.pick(t, "task", func(k *modelTask) bool { return k.at == atWork && k.awaits == nil && !k.function && !k.dead() })
	target := m.pick(t, "target", func(t *modelTask) bool { return t.future != nil && t.at != atNowhere })
	m.did("%v awaits %v", k, target)
	ring := false
	for next := target; next != nil && target.at != atEnd; next = next.awaits {
		ring = ring || next == k
		if next.wants != 0 {
			break // its wait is over, it only wants a slot
		}
	}
	k.orders <- order{do: func(ctx context.Context) {
		_, err := target.future.Await(ctx)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.resumed[k] = err
	}}
	m.settle()
	k.awaits = target
	switch {
	case ring:
		k.awaits = nil
		var deadlock *core.DeadlockError
		if err := m.resumed[k]; !errors.As(err, &deadlock) {
			m.fatalf("%v waits for %v, which is a ring: %v", k, target, err)
		}
		delete(m.resumed, k)
	case target.at == atEnd:
		m.goOn(k)
	case target.at == atQueue && !m.paused && !m.stopping && !k.foreign:
		m.leaveQueue(target)
		k.inside, k.slot = true, false
		m.begin(target)
	default:
		k.slot = false
		m.grant(target)
		if target.parent != k {
			m.watch(target)
		}
	}
}

// grant is the question for whom a sleeping task waits in the end. If that one is
// queued, and its scheduler lets it start out of turn, it counts as started, and is
// the next.
func (m *model) grant(k *modelTask) {
	for k.awaits != nil && k.wants == 0 {
		k = k.awaits
	}
	if m.claims() && k.at == atQueue && !slices.Contains(m.granted, k) {
		m.granted, k.granted = append(m.granted, k), true
	}
}

// watch is that somebody waits for k from now on.
func (m *model) watch(k *modelTask) {
	k.watched = true
	if k.at == atQueue && k.dead() {
		m.finish(k, verdict{outcome: core.OutcomeCanceled, errs: k.causes, started: k.attempts > 0})
	}
}

// cancel is Cancel or CancelCause.
func (m *model) cancel(t *rapid.T) {
	k := m.pick(t, "task", func(k *modelTask) bool { return k.future != nil && k.at != atNowhere })
	cause := rapid.SampledFrom([]error{context.Canceled, errModel}).Draw(t, "cause")
	m.did("cancel %v: %v", k, cause)
	made := k.future.CancelCause(cause)
	m.settle()
	want := k.at != atEnd && k.own == nil
	if made != want {
		t.Fatalf("CancelCause of %v: %v", k, made)
	}
	switch k.at {
	case atQueue, atDelay:
		m.finish(k, verdict{outcome: core.OutcomeCanceled, errs: []error{cause}, started: k.attempts > 0})
	case atWork:
		if k.own == nil {
			k.own = cause
			m.kill(k, cause)
		}
	}
}

// endContext ends the context that a task was submitted with.
func (m *model) endContext(t *rapid.T) {
	k := m.pick(t, "task", func(k *modelTask) bool { return k.end != nil })
	m.did("end the context of %v", k)
	k.end(errModel)
	m.settle()
	k.end = nil
	k.lost = true
	m.kill(k, errModel)
}

// pass lets time pass, from one event to the next.
func (m *model) pass(t *rapid.T) {
	until := time.Now().Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "ms")) * time.Millisecond)
	for {
		next := until
		for _, k := range m.tasks {
			if !k.due.IsZero() && k.due.Before(next) {
				next = k.due
			}
		}
		force := !m.grace.IsZero() && m.grace.Before(next)
		if force {
			next = m.grace
		}
		m.did("%v passes", time.Until(next))
		time.Sleep(time.Until(next))
		m.settle()
		switch {
		case force:
			m.abandon()
		case next.Equal(until):
			return
		default:
			m.expire(next)
		}
		m.advance()
		m.step++
		m.loose, m.tied = false, false
	}
}

// expire is that a limit or a delay of some tasks has passed.
func (m *model) expire(now time.Time) {
	var marked []*modelTask
	due := 0
	for _, k := range m.tasks {
		if k.due.Equal(now) {
			due++
		}
	}
	m.tied = due > 1
	for _, k := range slices.Clone(m.tasks) {
		if !k.due.Equal(now) {
			continue
		}
		k.due = time.Time{}
		switch k.at {
		case atQueue:
			m.finish(k, verdict{outcome: core.OutcomeTimedOut, errs: []error{core.ErrQueueTimeout}})
		case atDelay:
			m.enter(k, false)
		case atWork:
			if k.expired, k.tied = true, m.tied; !k.function && k.own == nil {
				k.own = core.ErrTaskTimeout
				marked = append(marked, m.mark(k, core.ErrTaskTimeout)...)
			}
		}
	}
	m.loose = len(m.door) > 0 && len(marked) > 1 // room and slots come free at the same time
	for _, k := range marked {
		m.react(k)
	}
}

func (m *model) pause(*rapid.T) {
	m.did("pause")
	err := m.engine.Pause()
	m.settle()
	m.compareClosed("Pause", m.draining, err)
	m.paused = !m.draining
}

func (m *model) resume(*rapid.T) {
	m.did("resume")
	err := m.engine.Resume()
	m.settle()
	m.compareClosed("Resume", m.finished, err)
	m.paused = false
}

func (m *model) compareClosed(what string, closed bool, err error) {
	if closed {
		m.compare(what, verdict{errs: []error{core.ErrClosed}}, err)
		return
	}
	m.compare(what, verdict{}, err)
}

// change is one setting, or several as one step, or one that is wrong.
func (m *model) change(t *rapid.T) {
	c := m.config
	var options []core.Option
	which := rapid.SampledFrom([]string{"workers", "capacity", "several", "wrong"}).Draw(t, "which")
	if which == "workers" || which == "several" {
		c.Workers = rapid.IntRange(1, 4).Draw(t, "workers")
		options = append(options, core.WithWorkers(c.Workers))
	}
	if which == "capacity" || which == "several" {
		c.QueueCapacity = rapid.SampledFrom([]int{1, 1, 2, 3, 6, core.Unbounded}).Draw(t, "capacity")
		options = append(options, core.WithQueueCapacity(c.QueueCapacity))
	}
	var err error
	switch which {
	case "workers":
		err = m.engine.Resize(c.Workers)
	case "capacity":
		err = m.engine.SetQueueCapacity(c.QueueCapacity)
	case "several":
		c.QueueLimit = unique(rapid.IntRange(0, 20).Draw(t, "queue limit"), 7)
		c.RunLimit = unique(rapid.IntRange(0, 20).Draw(t, "run limit"), 11)
		if c.Reject != core.RejectAsk {
			c.Reject = core.RejectPolicy(rapid.IntRange(1, int(core.RejectDisplaceLowest)).Draw(t, "policy"))
		}
		options = append(options, core.WithReject(c.Reject), core.WithQueueLimit(c.QueueLimit), core.WithRunLimit(c.RunLimit))
		err = m.engine.Reconfigure(options...)
	default:
		err = m.engine.Reconfigure(core.WithWorkers(c.Workers+1), core.WithQueueCapacity(-7))
		m.compare("a wrong capacity", verdict{errs: []error{core.ErrConfig}}, err)
		return
	}
	m.did("%s: %d workers, capacity %d, limits %v and %v, %v", which, c.Workers, c.QueueCapacity, c.QueueLimit, c.RunLimit, c.Reject)
	m.settle()
	m.compareClosed("Reconfigure", m.finished, err)
	if err != nil {
		return
	}
	m.changes++
	if c.Workers > 1 && !m.custom {
		m.order = nil
	}
	more := c.Workers > m.config.Workers+1
	m.config = c
	for m.letInOne() { // the capacity changes before the workers do
	}
	m.loose = len(m.door) > 0 && more
}

// observe adds somebody who waits for a future.
func (m *model) observe(t *rapid.T) {
	k := m.pick(t, "task", func(k *modelTask) bool { return k.future != nil && k.at != atNowhere && len(k.seen) < 4 })
	seen := make(chan error, 1)
	how := rapid.SampledFrom([]string{"Done", "OnDone", "Await", "ended", "timeout"}).Draw(t, "how")
	m.did("somebody looks at %v: %s", k, how)
	switch how {
	case "Done":
		done := k.future.Done()
		go func() {
			select {
			case <-done:
				_, err := k.future.Get()
				seen <- err
			case <-m.abort:
			}
		}()
	case "OnDone":
		k.future.OnDone(func(_ int, err error) { seen <- err })
	case "Await":
		go func() {
			_, err := k.future.Get()
			seen <- err
		}()
	case "ended":
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(errModel)
		_, err := k.future.Await(ctx)
		m.settle()
		if err == nil || !errors.Is(err, errModel) {
			m.watch(k)
		}
		m.look(k, errModel, err)
		m.watch(k)
		return
	default:
		_, err := k.future.GetWithTimeout(-time.Second)
		m.look(k, core.ErrWaitTimeout, err)
		return // that is a look and no wait
	}
	m.settle()
	k.seen = append(k.seen, seen)
	m.watch(k)
}

// look is a wait that does not last.
func (m *model) look(k *modelTask, gaveUp, err error) {
	if k.at == atEnd {
		m.compare(k.String(), k.verdict, err)
	} else if !errors.Is(err, gaveUp) {
		m.fatalf("%v has not ended, and who looks is told %v", k, err)
	}
}
