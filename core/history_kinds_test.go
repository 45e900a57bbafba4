package core_test

import (
	"context"
	"errors"
	"fmt"
	"math/bits"

	"github.com/anishathalye/porcupine"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/internal/point"
)

// next is a step of a model with one next state, and none one that is not allowed.
func next(state any) []any { return []any{state} }

func nextIf(ok bool, state any) []any {
	if !ok {
		return nil
	}
	return next(state)
}

// futureState is a future of one task, whose body looks once whether it was cancelled,
// and obeys.
type futureState struct {
	phase     string // queued, doomed (cancelled and not yet resolved), running, returned, done
	cancelled string // while it runs: "", claimed by a Cancel, or in effect
	looked    string // what the body has seen
	verdict   string // ran, cancelled, never
}

var futureHistory = historyKind{
	name:  "future",
	kinds: []string{"cancel", "cancel", "await", "await inside", "give up", "look", "isDone", "done", "onDone"},
	model: porcupine.NondeterministicModel{
		Init: func() []any { return next(futureState{phase: "queued"}) },
		Step: func(state, input, output any) []any {
			return stepFuture(state.(futureState), input.(historyInput).kind, output.(historyOutput))
		},
	},
	run: runFuture,
}

func stepFuture(s futureState, kind string, out historyOutput) []any {
	done := s.phase == "done"
	switch kind {
	case "start":
		ok := s.phase == "queued"
		s.phase = "running"
		return nextIf(ok, s)
	case "body looks":
		ok := s.phase == "running" && out.ok == (s.cancelled == "in effect")
		s.looked = fmt.Sprint(out.ok)
		return nextIf(ok, s)
	case "return": // from now on it cannot be cancelled
		ok := s.phase == "running" && s.looked != ""
		s.phase = "returned"
		return nextIf(ok, s)
	case "end": // its future is resolved, a moment later
		ok := s.phase == "returned"
		s.phase, s.verdict = "done", "ran"
		if s.looked == "true" {
			s.verdict = "cancelled"
		}
		return nextIf(ok, s)
	case "resolve": // a task that never ran
		ok := s.phase == "doomed" || s.verdict == "never"
		s.phase, s.verdict = "done", "never"
		return nextIf(ok, s)
	case "cancel":
		switch {
		case !out.ok:
			return nextIf(done || s.phase == "returned" || s.phase == "doomed" || s.cancelled != "", s)
		case s.phase == "queued": // a worker may have it already, and finds out
			return []any{futureState{phase: "done", verdict: "never"}, futureState{phase: "doomed"}}
		}
		ok := s.phase == "running" && s.cancelled == ""
		s.cancelled = "claimed"
		return nextIf(ok, s)
	case "cancel's effect":
		if s.cancelled == "claimed" {
			s.cancelled = "in effect"
		}
		return next(s)
	case "result": // somebody has waited for it
		return nextIf(done && out.text == s.verdict, s)
	case "gave up":
		return nextIf(!done, s)
	case "isDone":
		return nextIf(out.ok == done, s)
	case "done": // the channel may be closed a moment later
		return nextIf(done || !out.ok, s)
	}
	return nil
}

// verdictOf tells in a word how the task ended, or that the wait was given up.
func verdictOf(err error) (text string, gaveUp bool) {
	var cancelled *core.CancelError
	var wait *core.WaitError
	switch {
	case err == nil:
		return "ran", false
	case errors.As(err, &wait):
		return "", true
	case errors.As(err, &cancelled) && cancelled.Started:
		return "cancelled", false
	case errors.As(err, &cancelled):
		return "never", false
	}
	return err.Error(), false
}

func runFuture(h *history, p historyProgram, e *core.Engine, spawn func(string, func()), join func()) {
	engine := engineClient
	submitted := h.call()
	f, err := core.Submit(context.Background(), e, core.Func(func(ctx context.Context) (int, error) {
		h.add(engine, submitted, historyInput{kind: "start"}, historyOutput{})
		point.At(point.Actor)
		call := h.call()
		cause := context.Cause(ctx)
		h.add(engine, call, historyInput{kind: "body looks"}, historyOutput{ok: cause != nil})
		point.At(point.Actor)
		call = h.call()
		h.addUntil(engine, call, historyInput{kind: "return"}, historyOutput{}, never)
		h.addUntil(engine, call, historyInput{kind: "end"}, historyOutput{}, never)
		return 1, cause
	}))
	if err != nil {
		h.add(engine, submitted, historyInput{kind: "not submitted"}, historyOutput{text: err.Error()})
		return
	}
	result := func(client int, call int64, err error) {
		text, gaveUp := verdictOf(err)
		if gaveUp {
			h.add(client, call, historyInput{kind: "gave up"}, historyOutput{})
			return
		}
		h.add(client, call, historyInput{kind: "result"}, historyOutput{text: text})
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	done := f.Done()
	for i, thread := range p.threads {
		spawn(fmt.Sprint("thread", i), func() {
			for _, c := range thread {
				breath(c.arg)
				call := h.call()
				switch c.kind {
				case "cancel":
					made := f.Cancel()
					if h.add(i, call, historyInput{kind: "cancel"}, historyOutput{ok: made}); made {
						h.add(i, call, historyInput{kind: "cancel's effect"}, historyOutput{})
					}
				case "await":
					_, err := f.Await(context.Background())
					result(i, call, err)
				case "await inside":
					_, err := core.Run(context.Background(), e, core.Func(func(ctx context.Context) (int, error) { return f.Await(ctx) }))
					result(i, call, err)
				case "give up":
					_, err := f.Await(ended)
					result(i, call, err)
				case "look":
					_, err := f.GetWithTimeout(0)
					result(i, call, err)
				case "isDone":
					h.add(i, call, historyInput{kind: "isDone"}, historyOutput{ok: f.IsDone()})
				case "done":
					closed := false
					select {
					case <-done:
						closed = true
					default:
					}
					h.add(i, call, historyInput{kind: "done"}, historyOutput{ok: closed})
				case "onDone":
					called := make(chan struct{})
					f.OnDone(func(_ int, err error) {
						result(i, call, err)
						close(called)
					})
					<-called
				}
			}
		})
	}
	join()
	call := h.call()
	_, err = f.Await(context.Background())
	if result(engine+1, call, err); err != nil {
		if text, _ := verdictOf(err); text == "never" {
			h.addUntil(engine, submitted, historyInput{kind: "resolve"}, historyOutput{}, never)
		}
	}
}

// admissionState is which tasks are queued, a bit for each, which of them take up room,
// and how much there is. A task that leaves the queue gives its room back a moment
// later: until then a submitter may be told that the queue is full.
type admissionState struct {
	queued, room uint32
	capacity     int
}

var admissionHistory = historyKind{
	name:  "admission",
	kinds: []string{"submit", "submit", "submit", "function", "complete", "capacity", "cancel", "stats"},
	model: porcupine.NondeterministicModel{
		Init: func() []any { return next(admissionState{}) },
		Step: func(state, input, output any) []any {
			s, in, out := state.(admissionState), input.(historyInput), output.(historyOutput)
			bit := uint32(1) << in.id
			switch in.kind {
			case "submit":
				if bits.OnesCount32(s.room) >= s.capacity {
					return nextIf(!out.ok, s)
				}
				s.queued, s.room = s.queued|bit, s.room|bit
				return nextIf(out.ok, s)
			case "leave": // it was started, or cancelled
				ok := s.queued&bit != 0
				s.queued &^= bit
				return nextIf(ok, s)
			case "room":
				ok := s.queued&bit == 0 && s.room&bit != 0
				s.room &^= bit
				return nextIf(ok, s)
			case "capacity":
				s.capacity = out.n
				return next(s)
			case "stats":
				return nextIf(out.n == bits.OnesCount32(s.queued), s)
			}
			return nil
		},
	},
	run: runAdmission,
}

func runAdmission(h *history, p historyProgram, e *core.Engine, spawn func(string, func()), join func()) {
	engine := engineClient
	h.add(engine, h.call(), historyInput{kind: "capacity"}, historyOutput{n: p.capacity})
	tokens := make(chan struct{}, 32)
	for i, thread := range p.threads {
		spawn(fmt.Sprint("thread", i), func() {
			var mine *core.Future[int]
			var began chan struct{}
			var submitted int64
			id := 0
			for j, c := range thread {
				breath(c.arg)
				call := h.call()
				switch c.kind {
				case "submit":
					id, submitted, began = 5*i+j, call, make(chan struct{})
					mine = h.submitTask(e, i, id, call, tokens, began)
				case "function":
					n := 5*i + j
					err := e.TryGo(func() {
						h.addLeave(n, call)
						<-tokens
					})
					h.addAdmission(i, n, call, err)
				case "complete":
					tokens <- struct{}{}
				case "capacity":
					n := 1 + c.arg%4
					if err := e.SetQueueCapacity(n); err != nil {
						n = -1
					}
					h.add(i, call, historyInput{kind: "capacity"}, historyOutput{n: n})
				case "stats":
					h.add(i, call, historyInput{kind: "stats"}, historyOutput{n: e.Stats().Queued})
				case "cancel":
					if mine == nil {
						continue
					}
					mine.Cancel()
					_, _ = mine.Get()
					select {
					case <-began:
					default: // it never began
						h.addLeave(id, submitted)
					}
					mine = nil
				}
			}
		})
	}
	join()
	close(tokens) // in the end everything runs
	_ = e.WaitIdle(context.Background())
}

// submitTask submits a task that runs until it gets a token or is cancelled. It closes
// began when it does.
func (h *history) submitTask(e *core.Engine, client, id int, call int64, tokens chan struct{}, began chan struct{}) *core.Future[int] {
	task := core.Func(func(ctx context.Context) (int, error) {
		h.addLeave(id, call)
		close(began)
		select {
		case <-tokens:
		case <-ctx.Done():
		}
		return 1, ctx.Err()
	})
	var f *core.Future[int]
	var err error
	if id%2 == 0 {
		f, err = core.TrySubmit(context.Background(), e, task)
	} else {
		f, err = core.SubmitWith(context.Background(), e, core.Attributes{Reject: core.RejectFail}, task)
	}
	h.addAdmission(client, id, call, err)
	return f
}

// addLeave records that a task has left the queue by now, and given its room back.
func (h *history) addLeave(id int, submitted int64) {
	h.add(engineClient, submitted, historyInput{"leave", id}, historyOutput{})
	h.add(engineClient, submitted, historyInput{"room", id}, historyOutput{})
}

// addAdmission records what a submitter was told.
func (h *history) addAdmission(client, id int, call int64, err error) {
	if err != nil && !errors.Is(err, core.ErrQueueFull) {
		h.add(client, call, historyInput{"refused", id}, historyOutput{text: err.Error()})
		return
	}
	h.add(client, call, historyInput{"submit", id}, historyOutput{ok: err == nil})
}

// pauseState is which tasks are queued, a bit for each, and whether none may start.
type pauseState struct {
	queued uint32
	paused bool
}

var pauseHistory = historyKind{
	name:  "pause",
	kinds: []string{"pause", "resume", "isPaused", "submit", "function"},
	model: porcupine.NondeterministicModel{
		Init: func() []any { return next(pauseState{}) },
		Step: func(state, input, output any) []any {
			s, in, out := state.(pauseState), input.(historyInput), output.(historyOutput)
			bit := uint32(1) << in.id
			switch in.kind {
			case "submit":
				if out.ok {
					s.queued |= bit
				}
				return next(s)
			case "leave":
				ok := s.queued&bit != 0 && !s.paused
				s.queued &^= bit
				return nextIf(ok, s)
			case "pause", "resume":
				s.paused = in.kind == "pause"
				return nextIf(out.ok, s)
			case "isPaused":
				return nextIf(out.ok == s.paused, s)
			}
			return nil
		},
	},
	run: runPause,
}

func runPause(h *history, p historyProgram, e *core.Engine, spawn func(string, func()), join func()) {
	engine := engineClient
	resume := func(client int) {
		call := h.call()
		h.add(client, call, historyInput{kind: "resume"}, historyOutput{ok: e.Resume() == nil})
	}
	for i, thread := range p.threads {
		spawn(fmt.Sprint("thread", i), func() {
			for j, c := range thread {
				breath(c.arg)
				call, id := h.call(), 5*i+j
				body := func() { h.add(engine, call, historyInput{"leave", id}, historyOutput{}) }
				switch c.kind {
				case "pause":
					h.add(i, call, historyInput{kind: "pause"}, historyOutput{ok: e.Pause() == nil})
				case "resume":
					resume(i)
				case "isPaused":
					h.add(i, call, historyInput{kind: "isPaused"}, historyOutput{ok: e.IsPaused()})
				case "function":
					h.addAdmission(i, id, call, e.TryGo(body))
				case "submit":
					_, err := core.TrySubmit(context.Background(), e, core.Func(func(context.Context) (int, error) { body(); return 1, nil }))
					h.addAdmission(i, id, call, err)
				}
			}
		})
	}
	join()
	resume(engine + 1)
	_ = e.WaitIdle(context.Background())
}
