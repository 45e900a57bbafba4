package queue

import (
	"errors"
	"strings"
	"testing"
)

// Each constructor that can refuse its arguments says which queue it would have made.
func TestErrors_NameTheKind(t *testing.T) {
	number := func(n int) int { return n }
	errs := map[string][]error{
		"MPMC":       {errorOf(NewMPMC[int](0))},
		"SPSC":       {errorOf(NewSPSC[int](0))},
		"Levels":     {errorOf(NewLevels(0, number)), errorOf(NewLevels[int](1, nil))},
		"Heap":       {errorOf(NewHeap[int](nil))},
		"KeyHeap":    {errorOf(NewKeyHeap[int, int](nil))},
		"MultiQueue": {errorOf(NewMultiQueue(-1, number)), errorOf(NewMultiQueue[int, int](1, nil))},
		"DelayQueue": {errorOf(NewDelayQueue(DelayConfig[int]{Tick: -1}))},
		"Fair": {
			errorOf(NewFair(FairConfig[int, int]{})),
			errorOf(NewFair(FairConfig[int, int]{Key: number, Quantum: -1})),
		},
		"Locked":   {errorOf(NewLocked[int](nil))},
		"Blocking": {errorOf(NewBlocking[int](nil))},
	}
	for kind, errs := range errs {
		for _, err := range errs {
			if !errors.Is(err, ErrInvalid) || !strings.HasPrefix(err.Error(), "queue: ") || !strings.Contains(err.Error(), kind) {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
}

// errorOf returns the error of a constructor.
func errorOf[Q any](_ Q, err error) error { return err }
