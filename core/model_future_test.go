package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/uptutu/goman/core"
)

// futureModel is one future and all who look at it.
type futureModel struct {
	*model
	task *modelTask

	waits []*futureWait
	order []string // in which order the callbacks have to be called
	nth   int      // callbacks so far
	calls []string // in which order they were, guarded by model.mu
	done  <-chan struct{}
}

// futureWait is a call that waits for the future.
type futureWait struct {
	what string
	end  context.CancelCauseFunc
	err  chan error
	due  time.Time // when it gives up; zero for never
}

// result compares what somebody was told with the model's verdict.
func (f *futureModel) result(what string, value int, err error) {
	v := f.task.verdict
	if f.compare(what, v, err); value != v.value {
		f.fatalf("%s: the value is %d, want %d", what, value, v.value)
	}
}

// gaveUp wants a *WaitError that says why.
func (f *futureModel) gaveUp(what string, cause, err error) {
	var gaveUp *core.WaitError
	if !errors.As(err, &gaveUp) || !errors.Is(err, cause) {
		f.fatalf("%s: %v, want to have given up because of %v", what, err, cause)
	}
}

// wait begins to wait. Who finds the future resolved is told at once, whatever its
// context says.
func (f *futureModel) wait(t *rapid.T) {
	if len(f.waits) > 8 {
		t.Skip("enough")
	}
	w := &futureWait{what: rapid.SampledFrom([]string{"Await", "Await, ended", "Get", "GetWithTimeout", "AwaitAny", "Done"}).Draw(t, "how"), err: make(chan error, 1)}
	f.did("%s", w.what)
	var ctx context.Context
	ctx, w.end = context.WithCancelCause(context.Background())
	d := unique(rapid.IntRange(0, 10).Draw(t, "timeout"), 5_000_011+f.step)
	future := f.task.future
	switch w.what {
	case "Await, ended":
		w.end(errModel)
	case "GetWithTimeout":
		w.due = time.Now().Add(d)
	}
	value := 0
	go func() {
		var err error
		switch w.what {
		case "Get":
			value, err = future.Get()
		case "GetWithTimeout":
			value, err = future.GetWithTimeout(d)
		case "AwaitAny":
			if _, err = core.AwaitAny(ctx, future); err == nil {
				value, err = future.Get()
			}
		case "Done":
			<-future.Done()
			value, err = future.Get()
		default:
			value, err = future.Await(ctx)
		}
		w.err <- err
	}()
	f.settle()
	switch {
	case f.task.at == atEnd:
		f.result(w.what, value, f.hear(w.what, w.err))
		return
	case w.what == "Await, ended":
		err := f.hear(w.what, w.err)
		if f.watch(f.task); f.task.at == atEnd && !errors.As(err, new(*core.WaitError)) {
			f.result(w.what, value, err)
			return
		}
		f.gaveUp(w.what, errModel, err)
		return
	case w.what == "GetWithTimeout" && d <= 0:
		f.gaveUp(w.what, core.ErrWaitTimeout, f.hear(w.what, w.err))
		return
	}
	f.waits = append(f.waits, w)
	f.watch(f.task)
}

// impatient ends the context of one who waits. The task is not touched.
func (f *futureModel) impatient(t *rapid.T) {
	i := slices.IndexFunc(f.waits, func(w *futureWait) bool { return w.what == "Await" || w.what == "AwaitAny" })
	if i < 0 {
		t.Skip("nobody can give up")
	}
	w := f.waits[i]
	f.waits = slices.Delete(f.waits, i, i+1)
	f.did("%s gives up", w.what)
	w.end(errModel)
	f.settle()
	f.gaveUp(w.what, errModel, f.hear(w.what, w.err))
}

// callback registers an OnDone function, which may panic, or end its goroutine.
func (f *futureModel) callback(t *rapid.T) {
	how := rapid.SampledFrom([]string{"returns", "returns", "panics", "exits", "nil"}).Draw(t, "how")
	f.did("OnDone, %s", how)
	if how == "nil" {
		f.task.future.OnDone(nil)
		return
	}
	f.nth++
	name := fmt.Sprintf("%d %s", f.nth, how)
	f.order = append(f.order, name)
	f.task.future.OnDone(func(value int, err error) {
		f.mu.Lock()
		f.calls = append(f.calls, name)
		f.mu.Unlock()
		if f.task.future.IsDone(); how == "panics" {
			panic(errBody)
		}
		endGoroutine(how == "exits")
	})
	f.settle()
	f.watch(f.task)
}

// sameChannel asks for Done again.
func (f *futureModel) sameChannel(*rapid.T) {
	done := f.task.future.Done()
	if f.settle(); f.done != nil && f.done != done {
		f.fatalf("Done returns another channel")
	}
	f.done = done
	f.watch(f.task)
}

// passes lets time pass, and those give up whose time is over.
func (f *futureModel) passes(t *rapid.T) {
	var next time.Time
	earliest := func(due time.Time) {
		if !due.IsZero() && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	for _, w := range f.waits {
		earliest(w.due)
	}
	for _, k := range f.tasks {
		earliest(k.due)
	}
	if next.IsZero() {
		t.Skip("nothing is due")
	}
	f.did("%v passes", time.Until(next))
	time.Sleep(time.Until(next))
	f.settle()
	f.expire(next)
	for i, w := range f.waits {
		if w.due.Equal(next) {
			f.waits = slices.Delete(f.waits, i, i+1)
			f.gaveUp(w.what, core.ErrWaitTimeout, f.hear(w.what, w.err))
			return
		}
	}
}

// checkAll compares what everybody has been told.
func (f *futureModel) checkAll(t *rapid.T) {
	over := f.task.at == atEnd
	f.failures = 0
	for _, name := range f.order {
		if over && strings.HasSuffix(name, "panics") {
			f.failures++
		}
	}
	f.model.check(t)
	for _, w := range f.waits {
		if over {
			f.compare(w.what, f.task.verdict, f.hear(w.what, w.err))
		} else {
			f.silent(w.what, w.err)
		}
	}
	var calls []string
	if over {
		f.waits, calls = nil, f.order
	}
	f.mu.Lock()
	diff := cmp.Diff(calls, f.calls)
	f.mu.Unlock()
	if diff != "" {
		f.fatalf("the callbacks:\n%s", diff)
	}
	if f.done != nil {
		select {
		case <-f.done:
			if !over {
				f.fatalf("Done is closed and the task has not ended")
			}
		default:
			if over {
				f.fatalf("Done is not closed and the task has ended")
			}
		}
	}
}

// TestModel_Future runs random sequences of all that can be asked of a future, before
// and after its task has ended in one of many ways, against the model.
func TestModel_Future(t *testing.T) {
	modelChecks(t, func(t *rapid.T) {
		f := &futureModel{model: newModel(t)}
		m := f.model
		defer m.stop(t)
		if rapid.Bool().Draw(t, "busy") { // so that it is queued for a while
			for range m.config.Workers {
				m.function()
			}
		}
		k := m.draw(t, rapid.Bool().Draw(t, "plain"))
		ctx := context.Background()
		if rapid.Bool().Draw(t, "context") {
			ctx, k.end = context.WithCancelCause(ctx)
		}
		var err error
		m.did("%v, %+v, obeys %v", k, k.attributes(0), k.obeys)
		if k.priority == core.Normal && k.limits == [2]time.Duration{} {
			k.future, err = core.TrySubmit(ctx, m.engine, m.body(k))
		} else {
			k.future, err = core.TrySubmitWith(ctx, m.engine, k.attributes(0), m.body(k))
		}
		m.settle()
		k.answer = nil
		if m.compare("the submission", verdict{}, err); m.admit(k, core.RejectFail) != nil {
			m.fatalf("it was let in")
		}
		m.advance()
		f.task = k
		commands := map[string]func(*rapid.T){
			"wait": f.wait, "wait more": f.wait, "impatient": f.impatient, "callback": f.callback, "callback more": f.callback, "done": f.sameChannel,
			"cancel": func(t *rapid.T) { m.rarely(t, m.cancel) }, "end context": func(t *rapid.T) { m.rarely(t, m.endContext) },
			"leave": func(t *rapid.T) { m.rarely(t, m.leave) }, "pass": func(t *rapid.T) { m.rarely(t, f.passes) },
			"pause": m.pause, "resume": m.resume, "shutdown": func(t *rapid.T) { m.rarely(t, m.shutdown) },
		}
		for name, command := range commands {
			commands[name] = m.step1(command)
		}
		commands[""] = f.checkAll
		t.Repeat(commands)
	})
}
