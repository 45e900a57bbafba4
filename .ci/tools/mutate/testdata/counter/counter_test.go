package counter

import (
	"sync"
	"testing"
)

func TestCounter(t *testing.T) {
	c := New(50)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 20 {
				if !c.Add() {
					t.Error("refused")
				}
			}
		})
	}
	c.Wait(40)
	wg.Wait()
	if c.n != 40 {
		t.Errorf("%d counted, want 40", c.n)
	}
}

func TestMax(t *testing.T) {
	var at int64
	Max(&at, 3)
	Max(&at, 2)
	if at != 3 {
		t.Errorf("max is %d, want 3", at)
	}
}
