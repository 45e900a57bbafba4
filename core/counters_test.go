package core

import (
	"context"
	"testing"
)

// E-CORE-30: the counters have 64 bits on every platform; this runs for GOARCH=386
// too, where a misaligned or truncated one would show.
func TestStats_E_CORE_30_CountersPass32Bits(t *testing.T) {
	e, err := New(WithWorkers(2))
	if err != nil {
		t.Fatal(err)
	}
	const past = 1<<32 - 50 // tasks that have come and gone before
	slots := e.lockAll()
	e.in.accepted += past
	e.outside.tally.started += past
	e.outside.tally.ended[OutcomeSucceeded] += past
	e.unlockAll(slots)
	for range 100 {
		if _, err := Run(t.Context(), e, Func(func(context.Context) (int, error) { return 0, nil })); err != nil {
			t.Fatal(err)
		}
	}
	s := e.Stats()
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	if want := uint64(past + 100); s.Accepted != want || s.Succeeded != want || s.Queued != 0 || s.Running != 0 {
		t.Errorf("after %d tasks: %+v", want, s)
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
