package balance

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
)

// modelEngine is what the model knows of an engine: its only worker is busy for good, so
// what it accepts stays queued.
type modelEngine struct {
	engine       *core.Engine
	release      func()
	capacity     int
	queued       int
	paused, shut bool
	member       bool
}

func (m *modelEngine) runs() bool { return !m.paused && !m.shut }

// model drives a group and a model of it.
type model struct {
	group    *Group
	engines  []*modelEngine
	accepted uint64
	refused  uint64
	next     int
	balancer Balancer
}

func (m *model) newEngine(t *rapid.T) *modelEngine {
	e := &modelEngine{capacity: rapid.IntRange(1, 3).Draw(t, "capacity")}
	var err error
	m.next++
	e.engine, err = core.New(core.WithName(fmt.Sprint("e", m.next)), core.WithWorkers(1), core.WithQueueCapacity(e.capacity))
	if err != nil {
		t.Fatal(err)
	}
	gate, started := make(chan struct{}), make(chan struct{})
	if err := e.engine.Go(func() { close(started); <-gate }); err != nil {
		t.Fatal(err)
	}
	<-started
	e.release = func() { close(gate) }
	m.engines = append(m.engines, e)
	return e
}

func (m *model) members() (list []*modelEngine) {
	for _, e := range m.group.Engines() {
		i := slices.IndexFunc(m.engines, func(x *modelEngine) bool { return x.engine == e })
		list = append(list, m.engines[i])
	}
	return list
}

// takers are the engines one of which has to take the next task: those that run and have
// room; if none runs the paused ones that have.
func (m *model) takers() (list []*modelEngine) {
	runs := false
	for _, e := range m.members() {
		runs = runs || e.runs()
	}
	for _, e := range m.members() {
		if e.queued < e.capacity && !e.shut && (e.runs() || !runs) {
			list = append(list, e)
		}
	}
	return list
}

// submitted compares what came of a submission of n tasks, of which accepted were, with
// the model.
func (m *model) submitted(t *rapid.T, n, accepted int, err error) {
	members := m.members()
	room := 0
	for _, e := range m.takers() {
		room += e.capacity - e.queued
	}
	if most := min(n, room); accepted != most || (err == nil) != (accepted == n) {
		t.Fatalf("%d of %d were accepted, there was room for %d: %v", accepted, n, room, err)
	}
	m.accepted += uint64(accepted)
	found := 0
	for _, e := range m.engines {
		now := e.engine.Stats().Queued
		if now != e.queued {
			if !slices.Contains(m.takers(), e) {
				t.Fatalf("%s took a task, those that should are %v", e.engine.Name(), m.takers())
			}
			found += now - e.queued
		}
	}
	for _, e := range m.engines {
		e.queued = e.engine.Stats().Queued
	}
	if found != accepted {
		t.Fatalf("%d were accepted, %d are queued", accepted, found)
	}
	if err == nil {
		return
	}
	m.refused++
	var full, closed bool
	for _, e := range members {
		full = full || !e.shut && (e.runs() || !slices.ContainsFunc(members, (*modelEngine).runs))
		closed = closed || e.shut
	}
	if errors.Is(err, core.ErrQueueFull) != full || errors.Is(err, core.ErrClosed) != closed || errors.Is(err, ErrNoEngine) != (len(members) == 0) {
		t.Fatalf("full %v, closed %v, engines %d: %v", full, closed, len(members), err)
	}
	if refused, ok := errors.AsType[*Error](err); !ok || len(refused.Reasons) != max(len(members), 1) {
		t.Fatalf("%d engines: %v", len(members), err)
	}
}

func (m *model) any(t *rapid.T, what string, ok func(*modelEngine) bool) *modelEngine {
	var list []*modelEngine
	for _, e := range m.engines {
		if ok(e) {
			list = append(list, e)
		}
	}
	if len(list) == 0 {
		t.Skip(what)
	}
	return list[rapid.IntRange(0, len(list)-1).Draw(t, "engine")]
}

func (m *model) check(t *rapid.T) {
	s := m.group.Stats()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	var queued int
	for _, e := range m.engines {
		queued += e.queued
	}
	// Each engine has one task from before it joined, if it ever did.
	if s.Refused != m.refused || s.Total.Queued != int(m.accepted) || queued != int(m.accepted) || s.Waiting != 0 {
		t.Fatalf("%d accepted, %d refused: %+v", m.accepted, m.refused, s)
	}
}

func TestGroup_Model(t *testing.T) {
	ctx := soon(t)
	rapid.Check(t, func(rt *rapid.T) {
		balancers := append(allBalancers(), ByFunc(func(engines []*core.Engine, _ core.Attributes) int { return len(engines) / 2 }))
		m := &model{balancer: rapid.SampledFrom(balancers).Draw(rt, "balancer")}
		defer func() {
			for _, e := range m.engines {
				e.release()
				_ = e.engine.Resume()
				if err := e.engine.Shutdown(ctx); err != nil {
					t.Error(err)
				}
			}
		}()
		var first []*core.Engine
		for range rapid.IntRange(1, 4).Draw(rt, "engines") {
			e := m.newEngine(rt)
			e.member = true
			first = append(first, e.engine)
		}
		var err error
		if m.group, err = New(Config{Balancer: m.balancer, Engines: first}); err != nil {
			rt.Fatal(err)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"": m.check,
			"try": func(t *rapid.T) {
				_, err := TrySubmit(ctx, m.group, answer(1))
				m.submitted(t, 1, btoi(err == nil), err)
			},
			"try with a key": func(t *rapid.T) {
				_, err := TrySubmitWith(ctx, m.group, core.Attributes{Key: rapid.StringN(1, 3, 3).Draw(t, "key")}, answer(1))
				m.submitted(t, 1, btoi(err == nil), err)
			},
			"try a function": func(t *rapid.T) {
				err := m.group.TryGo(func() {})
				m.submitted(t, 1, btoi(err == nil), err)
			},
			"submit, and fail if it is full": func(t *rapid.T) {
				_, err := SubmitWith(ctx, m.group, core.Attributes{Reject: core.RejectFail}, answer(1))
				m.submitted(t, 1, btoi(err == nil), err)
			},
			"submit where there is room": func(t *rapid.T) {
				if len(m.takers()) == 0 {
					t.Skip("it would wait")
				}
				_, err := Submit(ctx, m.group, answer(1))
				m.submitted(t, 1, btoi(err == nil), err)
			},
			"try a batch": func(t *rapid.T) {
				n := rapid.IntRange(1, 6).Draw(t, "tasks")
				futures, err := TrySubmitAll(ctx, m.group, answers(n))
				m.submitted(t, n, len(futures), err)
			},
			"pause": func(t *rapid.T) {
				e := m.any(t, "none runs", (*modelEngine).runs)
				e.paused = true
				if err := e.engine.Pause(); err != nil {
					t.Fatal(err)
				}
			},
			"resume": func(t *rapid.T) {
				e := m.any(t, "none is paused", func(e *modelEngine) bool { return e.paused })
				e.paused = false
				if err := e.engine.Resume(); err != nil {
					t.Fatal(err)
				}
			},
			"shut down": func(t *rapid.T) {
				e := m.any(t, "all are shut down", func(e *modelEngine) bool { return !e.shut })
				e.shut, e.paused = true, false
				go func() { _ = e.engine.Shutdown(ctx) }()
				for !e.engine.IsShutdown() || e.engine.IsPaused() {
					runtime.Gosched()
				}
			},
			"join": func(t *rapid.T) {
				var e *modelEngine
				if rapid.Bool().Draw(t, "new") && len(m.engines) < 8 {
					e = m.newEngine(t)
				} else {
					e = m.any(t, "none", func(*modelEngine) bool { return true })
				}
				err := m.group.JoinWeighted(e.engine, float64(rapid.IntRange(1, 4).Draw(t, "weight")))
				switch {
				case e.shut:
					if !errors.Is(err, core.ErrClosed) {
						t.Fatal(err)
					}
				case e.member:
					if !errors.Is(err, ErrMember) {
						t.Fatal(err)
					}
				case err != nil:
					t.Fatal(err)
				default:
					e.member = true
				}
			},
			"leave": func(t *rapid.T) {
				e := m.any(t, "none", func(*modelEngine) bool { return true })
				err := m.group.Leave(e.engine)
				if e.member != (err == nil) || err != nil && !errors.Is(err, ErrNotMember) {
					t.Fatal(err)
				}
				e.member = false
			},
			"weigh": func(t *rapid.T) {
				e := m.any(t, "none", func(e *modelEngine) bool { return e.member })
				if err := m.group.SetWeight(e.engine, rapid.Float64Range(MinWeight, MaxWeight).Draw(t, "weight")); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
