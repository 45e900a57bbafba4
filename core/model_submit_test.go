package core_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
)

// How tasks of the model come in, and what their bodies do.

// admit is the admission of k, which was not told that its context has ended.
func (m *model) admit(k *modelTask, policy core.RejectPolicy) (refused error) {
	if m.closedTo(k) {
		return m.refuse(k, &m.rejected.Closed, core.ErrClosed)
	}
	if len(m.door) == 0 && m.room() > 0 {
		m.enter(k, true)
		return nil
	}
	if policy == 0 {
		policy = m.config.Reject
	}
	if policy == core.RejectAsk {
		policy = m.answers
	}
	if policy == core.RejectCallerRuns && m.paused {
		policy = core.RejectWait
	}
	switch policy {
	case core.RejectWait:
		k.at = atDoor
		m.door = append(m.door, k)
	case core.RejectCallerRuns:
		m.accepted++
		k.foreign = true
		m.begin(k)
	case core.RejectDiscardNewest:
		if k.function {
			return m.refuse(k, &m.rejected.Discard, core.ErrDiscarded)
		}
		m.accepted++
		m.finish(k, verdict{outcome: core.OutcomeDiscarded, errs: []error{core.ErrDiscarded}})
	case core.RejectDiscardOldest, core.RejectDisplaceLowest:
		victim := m.victim(k, policy)
		if victim == nil || m.room() < 0 {
			return m.refuse(k, &m.rejected.Full, core.ErrQueueFull)
		}
		m.finish(victim, verdict{outcome: core.OutcomeDiscarded, errs: []error{core.ErrDiscarded}})
		m.enter(k, true)
	default:
		return m.refuse(k, &m.rejected.Full, core.ErrQueueFull)
	}
	return nil
}

func (m *model) closedTo(k *modelTask) bool {
	return m.draining && (k.parent == nil || m.stopping || m.finished || !m.config.AcceptChildren)
}

func (m *model) refuse(k *modelTask, counter *uint64, err error) error {
	*counter++
	m.refusedWith(k, err)
	return err
}

func (m *model) refusedWith(k *modelTask, err error) {
	k.at, k.verdict = atNowhere, verdict{errs: []error{err}}
}

// victim is the task that is given up for k; nil for none.
func (m *model) victim(k *modelTask, policy core.RejectPolicy) *modelTask {
	if _, sweeps := m.config.Scheduler.(core.Sweeper); m.custom && !sweeps {
		return nil
	}
	may := slices.Clone(m.line)
	if policy == core.RejectDisplaceLowest {
		lowest := k.priority
		for _, t := range may {
			lowest = min(lowest, t.priority)
		}
		may = slices.DeleteFunc(may, func(t *modelTask) bool { return t.priority != lowest || lowest == k.priority })
		slices.Reverse(may)
	}
	// The built-in scheduler keeps children with their worker, in no order with others.
	loose := func(t *modelTask) bool { return t.parent != nil && !m.custom || t.stale }
	if i := slices.IndexFunc(may, func(t *modelTask) bool { return loose(t) && t.isDone() }); i >= 0 {
		return may[i]
	}
	if slices.ContainsFunc(may, func(t *modelTask) bool { return !loose(t) }) {
		may = slices.DeleteFunc(may, loose)
	}
	if len(may) == 0 {
		return nil
	}
	return may[0]
}

// draw makes a new task.
func (m *model) draw(t *rapid.T, plain bool) *modelTask {
	k := m.newTask()
	k.obeys = rapid.Bool().Draw(t, "obeys")
	if !plain {
		k.priority = core.Priority(rapid.IntRange(1, 4).Draw(t, "priority"))
		for i := range k.limits {
			if ms := rapid.IntRange(-10, 20).Draw(t, "limit"); ms < 0 {
				k.limits[i] = -1
			} else if ms < 10 {
				k.limits[i] = unique(ms, 2*k.id+i)
			}
		}
	}
	return k
}

func (m *model) newTask() *modelTask {
	k := &modelTask{id: len(m.tasks) + 1, priority: core.Normal, orders: make(chan order), answer: make(chan error, 1), at: atNowhere}
	k.unlimited = m.config.QueueLimit == 0 && m.config.RunLimit == 0
	m.tasks = append(m.tasks, k)
	return k
}

// unique is a duration of some milliseconds that no other is a multiple of, or
// nearly: so no two things happen at the same time by chance. Zero stays zero.
func unique(ms, salt int) time.Duration {
	if ms == 0 {
		return 0
	}
	return time.Duration(ms)*time.Millisecond + time.Duration(uint32(salt)*2654435761%999_983)
}

func (k *modelTask) attributes(policy core.RejectPolicy) core.Attributes {
	return core.Attributes{Priority: k.priority, QueueLimit: k.limits[0], RunLimit: k.limits[1], Reject: policy}
}

// hand notes the future of k on the goroutine that has submitted it.
func (m *model) hand(k *modelTask) func(*core.Future[int], error) error {
	return func(future *core.Future[int], err error) error {
		m.handing.Lock()
		defer m.handing.Unlock()
		k.future = future
		return err
	}
}

// submit is one task by one of the ways in.
func (m *model) submit(t *rapid.T) {
	way := rapid.SampledFrom([]string{"Submit", "SubmitWith", "SubmitWith", "TrySubmit", "Run", "RunWith", "Go", "GoContext", "TryGo"}).Draw(t, "way")
	k := m.draw(t, way != "SubmitWith" && way != "RunWith")
	policy := core.RejectPolicy(0)
	if way == "SubmitWith" || way == "RunWith" {
		policy = core.RejectPolicy(rapid.IntRange(0, int(core.RejectDisplaceLowest)).Draw(t, "policy"))
	}
	m.answers = core.RejectPolicy(rapid.IntRange(1, int(core.RejectDisplaceLowest)).Draw(t, "answer"))
	ctx := context.Background()
	if !slices.Contains([]string{"Go", "TryGo"}, way) && rapid.Bool().Draw(t, "context") {
		ctx, k.end = context.WithCancelCause(ctx)
	}
	call := map[string]func() error{
		"Submit":     func() error { return m.hand(k)(core.Submit(ctx, m.engine, m.body(k))) },
		"SubmitWith": func() error { return m.hand(k)(core.SubmitWith(ctx, m.engine, k.attributes(policy), m.body(k))) },
		"TrySubmit":  func() error { return m.hand(k)(core.TrySubmit(ctx, m.engine, m.body(k))) },
		"Run":        func() error { _, err := core.Run(ctx, m.engine, m.body(k)); return err },
		"RunWith":    func() error { _, err := core.RunWith(ctx, m.engine, k.attributes(policy), m.body(k)); return err },
		"Go":         func() error { return m.engine.Go(m.plain(k)) },
		"GoContext":  func() error { return m.engine.GoContext(ctx, m.plain(k)) },
		"TryGo":      func() error { return m.engine.TryGo(m.plain(k)) },
	}[way]
	m.did("%s %v, %+v, obeys %v, answer %v", way, k, k.attributes(policy), k.obeys, m.answers)
	answer := k.answer
	go func() {
		err := errExited
		defer func() { answer <- err }()
		err = call()
	}()
	m.settle()
	k.run = way == "Run" || way == "RunWith"
	k.watched = k.run
	if way == "Go" || way == "GoContext" || way == "TryGo" {
		k.function, k.obeys = true, false
	}
	if way == "TrySubmit" || way == "TryGo" {
		policy = core.RejectFail
	}
	_ = m.admit(k, policy)
}

// errExited is the answer of a goroutine that a task has ended.
var errExited = errors.New("the goroutine was ended")

// function keeps a worker busy.
func (m *model) function() {
	k := m.newTask()
	k.function, k.answer = true, nil
	if err := m.engine.Go(m.plain(k)); err != nil {
		m.fatalf("%v", err)
	}
	m.settle()
	_ = m.admit(k, 0)
	m.advance()
}

// batch is many at once, which do not wait.
func (m *model) batch(t *rapid.T) {
	n := rapid.IntRange(1, 5).Draw(t, "size")
	if m.free() > 0 && !m.paused {
		n = min(n, m.room()) // or else workers make room while the others come
		m.loose = true
	}
	way := rapid.SampledFrom([]string{"TrySubmitAll", "SubmitAllWith", "GoAll"}).Draw(t, "way")
	policy := core.RejectFail
	if way == "SubmitAllWith" {
		policy = rapid.SampledFrom([]core.RejectPolicy{core.RejectFail, core.RejectDiscardNewest, core.RejectDiscardOldest,
			core.RejectDisplaceLowest}).Draw(t, "policy")
	}
	if way == "GoAll" {
		n = min(n, m.room()) // or else it would wait
	}
	if n <= 0 {
		t.Skip("there is no room")
	}
	var all []*modelTask
	var tasks []core.Task[int]
	var functions []func()
	for range n {
		k := m.draw(t, true)
		all, tasks, functions = append(all, k), append(tasks, m.body(k)), append(functions, m.plain(k))
	}
	m.did("%s of %d, %v, to task %d", way, n, policy, len(m.tasks))
	var futures []*core.Future[int]
	var err error
	var taken int
	switch way {
	case "TrySubmitAll":
		futures, err = core.TrySubmitAll(context.Background(), m.engine, tasks)
		taken = len(futures)
	case "SubmitAllWith":
		futures, err = core.SubmitAllWith(context.Background(), m.engine, core.Attributes{Priority: core.High, Reject: policy}, tasks)
		taken = len(futures)
	default:
		taken, err = m.engine.GoAll(context.Background(), functions)
	}
	for i, f := range futures {
		all[i].future = f
	}
	m.settle()
	var refused error
	for i, k := range all {
		if way == "SubmitAllWith" {
			k.priority = core.High
		}
		if way == "GoAll" {
			k.function, k.obeys = true, false
		}
		k.answer = nil
		if refused != nil {
			continue
		}
		if refused = m.admit(k, policy); refused != nil {
			if i != taken {
				m.fatalf("%d of %d were taken, want %d", taken, n, i)
			}
			m.compare("a batch", k.verdict, err)
		}
	}
	if refused == nil && (taken != n || err != nil) {
		m.fatalf("%d of %d were taken: %v", taken, n, err)
	}
}

// spawn is a task that a running one submits.
func (m *model) spawn(t *rapid.T) {
	parent := m.pick(t, "parent", func(k *modelTask) bool { return k.at == atWork && k.awaits == nil && !k.function })
	k := m.draw(t, false)
	k.parent, k.answer = parent, nil
	m.did("%v submits %v, %+v, obeys %v", parent, k, k.attributes(0), k.obeys)
	var err error
	parent.orders <- order{do: func(ctx context.Context) {
		k.future, err = core.TrySubmitWith(ctx, m.engine, k.attributes(0), m.body(k))
	}}
	m.settle()
	if m.mixed = true; !m.custom {
		m.order = nil
	}
	switch {
	case m.closedTo(k) && (m.finished || !m.config.AcceptChildren):
		_ = m.refuse(k, &m.rejected.Closed, core.ErrClosed)
	case parent.dead():
		_ = m.refuse(k, &m.rejected.Context, parent.causes[0])
		k.verdict.errs = parent.causes
	default:
		_ = m.admit(k, core.RejectFail)
	}
	m.compare("a child", k.verdict, err)
}

// wrong is a submission that can never be right.
func (m *model) wrong(t *rapid.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errModel)
	_, nilTask := core.Submit[int](ctx, m.engine, nil)
	var noContext context.Context
	_, nilContext := core.Submit(noContext, m.engine, value(1))
	_, over := core.Submit(ctx, m.engine, value(1))
	m.rejected.Invalid += 2
	m.compare("a nil task", verdict{errs: []error{core.ErrInvalid}}, nilTask)
	m.compare("a nil context", verdict{errs: []error{core.ErrInvalid}}, nilContext)
	if m.draining {
		m.rejected.Closed++
		m.compare("after Shutdown", verdict{errs: []error{core.ErrClosed}}, over)
		return
	}
	m.rejected.Context++
	m.compare("a context that has ended", verdict{errs: []error{errModel}}, over)
}

// order is what a running body is to do.
type order struct {
	do    func(context.Context) // and go on
	end   string                // or how to end
	after time.Duration
}

// body is the task k: it does what it is told.
func (m *model) body(k *modelTask) core.Task[int] {
	return core.Func(func(ctx context.Context) (int, error) {
		m.note(k)
		var ended <-chan struct{}
		if k.obeys {
			ended = ctx.Done()
		}
		for {
			select {
			case <-m.abort:
				return 0, nil
			case <-ended:
				return 0, ctx.Err()
			case o := <-k.orders:
				if o.do != nil {
					o.do(ctx)
					continue
				}
				return k.leave(o)
			}
		}
	})
}

// plain is k as a function.
func (m *model) plain(k *modelTask) func() {
	return func() {
		m.note(k)
		select {
		case <-m.abort:
		case o := <-k.orders:
			_, _ = k.leave(o)
		}
	}
}

func (m *model) note(k *modelTask) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.started = append(m.started, k)
}

// endGoroutine calls Goexit, if it is to.
func endGoroutine(really bool) {
	if really {
		runtime.Goexit()
	}
}

// leave is the end of a body.
func (k *modelTask) leave(o order) (int, error) {
	switch o.end {
	case "fail":
		return 0, errBody
	case "panic":
		panic(errBody)
	case "goexit":
		endGoroutine(true)
	case "again":
		return 0, core.Again(o.after, errBody)
	}
	return k.id, nil
}
