package queuetest

import (
	"math"
	"testing"
	"time"
)

// TestCorrect runs the suite on queues that are right. One that fails here has
// found a mistake of the suite, or of a queue of these tests.
func TestCorrect(t *testing.T) {
	correct := map[string]Spec{
		"ring":     ringSpec(""),
		"line":     lineSpec(""),
		"stack":    stackSpec(""),
		"deque":    dequeSpec(""),
		"monitor":  monitorSpec(""),
		"alarm":    alarmSpec(""),
		"channel":  {New: newChannel, NewBlocking: newPipe, Closed: errClosed},
		"FIFO":     fullSpec("", Spec{}),
		"LIFO":     fullSpec("", Spec{Order: LIFO}),
		"priority": rankedSpec("", Spec{Order: Priority, Stable: true}),
		"levels":   rankedSpec("", Spec{Order: Priority, Stable: true, Ranks: 4}),
		"delayed":  fullSpec("", Spec{Order: Delayed, Stable: true}),
		"keyed":    fullSpec("", Spec{Order: Fair}),
		"fair":     drrSpec(""),
		"lanes":    lanesSpec(""),
		"relaxed":  fullSpec("", Spec{Slack: Slack{Max: 3}}),
		"tick":     fullSpec("", Spec{Order: Delayed, Tick: 10 * time.Millisecond}),
	}
	for name, s := range correct {
		t.Run(name, func(t *testing.T) { run(tester{t}, &s, small(0.1)) })
	}
}

func TestSpec_Validate(t *testing.T) {
	for name, s := range map[string]Spec{
		"nothing":                {},
		"unknown order":          {New: newChannel, Order: Fair + 1},
		"unknown access":         {New: newChannel, Consumers: One + 1},
		"unknown answer":         {New: newChannel, Missed: -1},
		"no capacity":            {New: newChannel, Capacities: []int{1, 0}},
		"slack of a stack":       {New: newChannel, Order: LIFO, Slack: Slack{Max: 1}},
		"ranks without priority": {New: newChannel, Ranks: 2},
		"negative":               {New: newChannel, Keeps: -1},
		"fairness of a ring":     {New: newChannel, Fairness: 1},
		"bounded shrinks":        {New: newChannel, Shrinks: true},
		"two owners":             {New: dequeSpec("").New, Order: LIFO},
		"no mean":                {New: newChannel, Slack: Slack{Max: 1, Mean: math.NaN()}},
		"negative percentile":    {New: newChannel, Slack: Slack{Max: 1, P999: -1}},
		"no fairness":            {New: newChannel, Order: Fair, Fairness: math.NaN()},
		"no weight":              {New: newChannel, Order: Fair, Weight: func(key int) int { return key }},
		"a tick without end":     {New: newChannel, Order: Delayed, Tick: math.MaxInt64},
	} {
		if err := s.validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
		rec := newRecorder(t)
		rec.Run("run", func(h harness) { run(h, &s, small(0.01)) })
		if !rec.Failed() && len(rec.names()) != 1 {
			t.Errorf("%s: Run did not fail", name)
		}
	}
}
