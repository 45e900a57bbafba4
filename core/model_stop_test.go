package core_test

import (
	"context"
	"errors"
	"time"

	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
)

// The end of the model's engine, and the calls that wait for it.

// modelCall is a call of WaitIdle, Shutdown or Close.
type modelCall struct {
	end    context.CancelCauseFunc
	err    chan error
	forces bool // it is Close
}

func (m *model) call(fn func(context.Context) error) *modelCall {
	ctx, end := context.WithCancelCause(context.Background())
	c := &modelCall{end: end, err: make(chan error, 1)}
	go func() { c.err <- fn(ctx) }()
	m.settle()
	return c
}

func (m *model) waitIdle(*rapid.T) { m.idlers = append(m.idlers, m.call(m.engine.WaitIdle)) }

// shutdown is a call of Shutdown or Close.
func (m *model) shutdown(t *rapid.T) {
	if len(m.stops) > 2 || m.forced != nil && !m.finished {
		t.Skip("not now")
	}
	forces := rapid.IntRange(0, 2).Draw(t, "forces") == 0
	if m.finished {
		c := m.call(m.engine.Shutdown)
		m.compare("Shutdown at the end", verdict{}, <-c.err)
		return
	}
	m.did("shutdown, forced %v", forces)
	var c *modelCall
	if forces {
		c = m.call(m.engine.Close)
	} else {
		c = m.call(m.engine.Shutdown)
	}
	m.stops = append(m.stops, c)
	m.drain()
	if forces {
		m.force(c)
	}
}

// giveUp ends the context of one who waits.
func (m *model) giveUp(t *rapid.T) {
	m.did("a call gives up waiting")
	if len(m.idlers) > 0 {
		c := m.idlers[0]
		m.idlers = m.idlers[1:]
		c.end(errModel)
		m.settle()
		m.compare("WaitIdle", verdict{errs: []error{errModel}}, <-c.err)
		return
	}
	switch {
	case m.forced != nil && m.forced.forces && !m.finished: // Close waits as long as its context lets it
		m.forced.end(errModel)
		m.settle()
		m.abandon()
	case m.forced == nil && len(m.stops) == 1: // the last who waits
		m.stops[0].end(errModel)
		m.settle()
		m.cause = errModel
		m.force(m.stops[0])
		m.grace = time.Now().Add(m.config.CancelGrace)
	case m.forced == nil && len(m.stops) > 1:
		c := m.stops[0]
		m.stops = m.stops[1:]
		c.end(errModel)
		m.settle()
		var report *core.ShutdownError
		if err := <-c.err; !errors.As(err, &report) || !report.Draining || !errors.Is(err, errModel) {
			m.fatalf("Shutdown, and another waits: %v", err)
		}
	default:
		t.Skip("nobody waits")
	}
}

// drain is the beginning of the end.
func (m *model) drain() {
	m.draining, m.paused = true, false
	for len(m.door) > 0 {
		k := m.door[0]
		m.leaveQueue(k)
		_ = m.refuse(k, &m.rejected.Closed, core.ErrClosed)
	}
	for _, k := range m.tasks {
		if k.at == atDelay {
			m.handBack(k)
		}
	}
}

func (m *model) handBack(k *modelTask) {
	m.undone++
	m.finish(k, verdict{outcome: core.OutcomeUndone, errs: []error{core.ErrUndone}})
}

// force is the forced stop.
func (m *model) force(by *modelCall) {
	m.forced, m.stopping = by, true
	for len(m.line) > 0 {
		m.handBack(m.line[0])
	}
	m.ran = m.count(atWork)
	var running []*modelTask
	for _, k := range m.tasks {
		if k.at == atWork {
			running = append(running, k)
			k.causes = append(k.causes, core.ErrShutdown)
		}
	}
	for _, k := range running {
		m.react(k)
	}
}

// abandon is the end of the forced stop's patience.
func (m *model) abandon() {
	tangled := false
	m.grace = time.Time{}
	var given []*modelTask
	for _, k := range m.tasks {
		if k.at == atWork {
			given = append(given, k)
			tangled = tangled || k.awaits != nil
			k.given, k.awaits = true, nil
		}
	}
	m.ignoring = len(given)
	for _, k := range given {
		m.finish(k, verdict{outcome: core.OutcomeAbandoned, errs: []error{core.ErrAbandoned}})
	}
	for _, k := range m.tasks {
		if k.given && tangled { // one waits on the stack of another: let them be
			k.given, k.answer = false, nil
		}
	}
}

// afterwards compares what those are told who wait, once the model has gone as far
// as it can.
func (m *model) afterwards() {
	idle := len(m.line)+m.count(atDelay)+m.count(atWork) == 0
	m.finished = m.draining && idle
	if idle {
		for _, c := range m.idlers {
			m.compare("WaitIdle", verdict{}, m.hear("WaitIdle", c.err))
		}
		m.idlers = nil
	}
	if m.finished {
		m.grace = time.Time{}
		for _, c := range m.stops {
			m.compareReport(m.hear("Shutdown or Close", c.err))
		}
		m.stops = nil
	}
	for _, c := range append(m.idlers, m.stops...) {
		m.silent("a call that has to wait", c.err)
	}
	for _, k := range m.tasks {
		m.compareAnswer(k)
		for _, seen := range k.seen {
			if k.at == atEnd {
				m.compare("who waits for "+k.String(), k.verdict, m.hear(k.String(), seen))
			} else {
				m.silent(k.String(), seen)
			}
		}
		if k.at == atEnd {
			k.seen = nil
		}
	}
}

// hear returns what has been told by now.
func (m *model) hear(what string, ch chan error) error {
	select {
	case err := <-ch:
		return err
	default:
		m.fatalf("%s should have been told", what)
		return nil
	}
}

func (m *model) silent(what string, ch chan error) {
	select {
	case err := <-ch:
		m.fatalf("%s was told %v too early", what, err)
	default:
	}
}

// compareReport compares what Shutdown or Close returns.
func (m *model) compareReport(err error) {
	var report *core.ShutdownError
	switch {
	case m.undone == 0 && m.ran == 0:
		m.compare("Shutdown", verdict{}, err)
	case !errors.As(err, &report) || report.Draining || len(report.Undone) != m.undone || len(report.Ignoring) != m.ignoring ||
		report.Canceled != m.ran-m.ignoring || report.Cause != m.cause:
		m.fatalf("%d undone, %d ran, %d ignore it: %v", m.undone, m.ran, m.ignoring, err)
	}
}

// compareAnswer compares what the submitter of k is told.
func (m *model) compareAnswer(k *modelTask) {
	switch {
	case k.answer == nil:
		return
	case k.at == atDoor:
		m.silent("a submitter at the door", k.answer)
		return
	case k.at == atNowhere:
		m.compare("a submitter", k.verdict, m.hear("a submitter", k.answer))
	case k.foreign && (k.at == atWork || k.given):
		m.silent("a submitter who runs the task", k.answer)
		return
	case k.run && !k.lost && k.at != atEnd:
		m.silent("who runs a task", k.answer)
		return
	default:
		err := m.hear("a submitter", k.answer)
		var gaveUp *core.WaitError
		switch {
		case err == errExited && k.exited:
		case err == errExited && len(k.verdict.errs) == 1 && k.verdict.errs[0] == core.ErrGoexit:
		case k.run && k.lost && errors.As(err, &gaveUp):
		case k.run:
			m.compare("who runs a task", k.verdict, err)
		default:
			m.compare("a submitter", verdict{}, err)
		}
	}
	k.answer = nil
}
