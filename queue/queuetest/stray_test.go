package queuetest

import (
	"sync/atomic"
	"testing"
)

// TestController_Strays: a goroutine that an earlier test has given up comes to the
// points while a controller is at work that does not know it, and must pass.
func TestController_Strays(t *testing.T) {
	before := strays.Swap(true)
	defer strays.Store(before)
	var stop atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for !stop.Load() {
			point()
		}
	}()
	defer func() { stop.Store(true); <-ended }()
	s := ringSpec("")
	for i := range 20 {
		random := small(1).random("strays", i)
		var p *plan
		if err := bubble(tester{t}, func() error {
			p = newPlan(&s, random, 40, 3)
			p.controlled(newController(random, p.steps))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for name, err := range p.history.checks() {
			t.Errorf("%s: %v", name, err)
		}
	}
}
