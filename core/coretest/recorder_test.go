package coretest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
)

func TestRecorder_EachKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec coretest.Recorder
		engine := coretest.New(t, core.WithHooks(rec.Hooks()), core.WithWorkers(1))
		reason := errors.New("busy")
		submit(t, engine, "again", func(ctx context.Context) error {
			if core.Attempt(ctx) == 0 {
				return core.Again(time.Minute, reason)
			}
			return nil
		})
		if err := engine.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
		submit(t, engine, "bad", func(context.Context) error { panic("ouch") })
		synctest.Wait()
		if _, err := core.SubmitWith[int](t.Context(), engine, named("none"), nil); err == nil {
			t.Fatal("a nil task was accepted")
		}
		if err := engine.Pause(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range rec.Events() {
			if e.Kind != coretest.Accepted { // may come late
				_, text, _ := strings.Cut(e.String(), " ")
				got = append(got, text)
			}
		}
		want := []string{
			"started again", "retried again #1 after 1m0s: busy", "started again #1", "ended again #1 succeeded",
			"started bad", "panicked bad: core: engine TestRecorder_EachKind: task bad panicked: ouch",
			"ended bad panicked: core: engine TestRecorder_EachKind: task bad panicked: ouch",
			"rejected none: core:", "changed paused",
		}
		if len(got) != len(want) {
			t.Fatalf("got %q", got)
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("event %d is %q, want %q", i, got[i], want[i])
			}
		}
		if _, err := rec.WaitFor(t.Context(), func(e coretest.Event) bool { return e.Kind == coretest.Accepted && e.Job.Name() == "bad" }); err != nil {
			t.Error(err)
		}
		out := rec.Outcomes()
		if len(out) != 2 || out["again"][core.OutcomeSucceeded] != 1 || out["bad"][core.OutcomePanicked] != 1 || out["bad"][core.OutcomeSucceeded] != 0 {
			t.Errorf("outcomes %v", out)
		}
	})
}

func TestRecorder_WaitCounts(t *testing.T) {
	engine := coretest.New(t, core.WithWorkers(1))
	rec := coretest.Record(t, engine)
	gate := make(chan struct{})
	for range 3 {
		submit(t, engine, "a", func(context.Context) error { <-gate; return nil })
	}
	if err := rec.WaitStarted(soon(t), "a", 1); err != nil {
		t.Fatal(err)
	}
	if s := engine.Stats(); s.Running != 1 {
		t.Errorf("after WaitStarted %d run", s.Running)
	}
	var waiters sync.WaitGroup
	for n := range 30 {
		waiters.Go(func() {
			if err := rec.WaitEnded(soon(t), []string{"a", ""}[n%2], n%4); err != nil {
				t.Error(err)
			}
			if have := rec.Outcomes()["a"][core.OutcomeSucceeded]; have < n%4 {
				t.Errorf("WaitEnded(%d) returned after %d", n%4, have)
			}
		})
	}
	close(gate)
	waiters.Wait()
}

func TestRecorder_WaitForComing(t *testing.T) {
	engine := coretest.New(t)
	rec := coretest.Record(t, engine)
	const n = 50
	var waiters sync.WaitGroup
	for i := range n {
		waiters.Go(func() {
			name := fmt.Sprint("task ", i)
			e, err := rec.WaitFor(soon(t), func(e coretest.Event) bool { return e.Kind == coretest.Ended && e.Name == name })
			if err != nil || e.Outcome != core.OutcomeSucceeded || e.Seq == 0 {
				t.Errorf("%v, %v", e, err)
			}
		})
	}
	for i := range n {
		submit(t, engine, fmt.Sprint("task ", i), nothing)
	}
	waiters.Wait()
}

func TestRecorder_GivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := coretest.New(t)
		rec := coretest.Record(t, engine)
		submit(t, engine, "a", nothing)
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, cause)
		defer cancel()
		err := rec.WaitEnded(ctx, "a", 2)
		if !errors.Is(err, cause) || !errors.Is(err, context.DeadlineExceeded) ||
			!strings.Contains(err.Error(), `2 ends of "a", of which there were 1: enough`) || !strings.Contains(err.Error(), "ended a succeeded") {
			t.Errorf("WaitEnded: %v", err)
		}
		if _, err = rec.WaitFor(ctx, func(coretest.Event) bool { return false }); !errors.Is(err, cause) {
			t.Errorf("WaitFor: %v", err)
		}
		// What has happened is found whatever the context says.
		if err := rec.WaitStarted(ctx, "a", 1); err != nil {
			t.Errorf("WaitStarted: %v", err)
		}
	})
}

func TestRecorder_Invalid(t *testing.T) {
	var rec coretest.Recorder
	var none context.Context
	for _, err := range []error{
		rec.WaitEnded(none, "a", 1),
		func() error { _, err := rec.WaitFor(t.Context(), nil); return err }(),
		func() error { _, err := rec.WaitFor(none, func(coretest.Event) bool { return true }); return err }(),
	} {
		if !errors.Is(err, core.ErrInvalid) {
			t.Error(err)
		}
	}
	f := &fakeTB{}
	f.want(t, true, f.run(func() { coretest.Record(f, new(core.Engine)) }), "core: invalid argument")
}

func TestRecorder_KeepsTheNewest(t *testing.T) {
	rec := coretest.Recorder{Keep: 7}
	engine := coretest.New(t, core.WithHooks(rec.Hooks()), core.WithWorkers(1))
	for range 100 {
		submit(t, engine, "a", nothing)
	}
	if err := rec.WaitEnded(soon(t), "a", 100); err != nil {
		t.Fatal(err)
	}
	if _, err := rec.WaitFor(soon(t), func(e coretest.Event) bool { return e.Kind == coretest.Ended }); err != nil {
		t.Error(err)
	}
	events := rec.Events()
	if len(events) != 7 || rec.Dropped() < 193 { // the last Accepted may be on its way
		t.Fatalf("%d are kept, %d dropped", len(events), rec.Dropped())
	}
	for i, e := range events[1:] {
		if e.Seq != events[i].Seq+1 {
			t.Errorf("event %d comes after %d", e.Seq, events[i].Seq)
		}
	}
}

// Who looks for too long is told, and does not wait for what it has missed.
func TestRecorder_Overrun(t *testing.T) {
	rec := coretest.Recorder{Keep: 5}
	engine := coretest.New(t, core.WithHooks(rec.Hooks()))
	submit(t, engine, "first", nothing)
	_, err := rec.WaitFor(soon(t), func(e coretest.Event) bool {
		if e.Seq == 1 {
			for range 20 {
				submit(t, engine, "a", nothing)
			}
			if err := rec.WaitEnded(soon(t), "a", 20); err != nil {
				t.Error(err)
			}
		}
		return e.Name == "none"
	})
	if err == nil || !strings.Contains(err.Error(), "dropped") {
		t.Errorf("WaitFor: %v", err)
	}
}

func TestRecord_EndsWithTheTest(t *testing.T) {
	engine := coretest.New(t)
	f := &fakeTB{}
	var rec *coretest.Recorder
	f.run(func() { rec = coretest.Record(f, engine) })
	submit(t, engine, "a", nothing)
	if err := engine.WaitIdle(soon(t)); err != nil {
		t.Fatal(err)
	}
	if n := len(rec.Events()); n != 0 {
		t.Errorf("%d events were told to a recorder of another test", n)
	}
}

func TestKind_String(t *testing.T) {
	for k, want := range map[coretest.Kind]string{coretest.Accepted: "accepted", coretest.Changed: "changed", 99: "kind(99)"} {
		if got := k.String(); got != want {
			t.Errorf("%d is %q", k, got)
		}
	}
}
