package queue

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Whoever waits for an item that is due later: contexts end, earlier items come, calls
// that do not wait take some away. At no full millisecond does anybody sleep beside an
// item that is due, and with the queue closed all end with the last item.
func TestBlocking_TimedNobodySleepsBesideAnItem(t *testing.T) {
	for seed := range uint64(rounds(600)) {
		synctest.Test(t, func(t *testing.T) { timedRound(t, rand.New(rand.NewPCG(seed, 7)), seed) })
	}
}

func timedRound(t *testing.T, random *rand.Rand, seed uint64) {
	const span = 50 // milliseconds
	at := func() time.Duration { return time.Duration(random.IntN(span)) * time.Millisecond }
	began := time.Now()
	delay := made(NewDelayQueue(DelayConfig[time.Duration]{
		Due: func(due time.Duration) time.Time { return began.Add(due) },
	}))
	b := must(NewBlocking(must(NewLocked(delay))))
	var mu sync.Mutex
	waiting, popped, pushed := 0, 0, random.IntN(12)
	got := func(due time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		popped++
		if time.Since(began) < due {
			t.Errorf("seed %d: what is due after %v left after %v", seed, due, time.Since(began))
		}
	}
	for range pushed {
		when, due := at(), at()
		go func() {
			time.Sleep(when)
			b.TryPush(due)
		}()
	}
	for range random.IntN(6) {
		when, limit := at(), at()
		if random.IntN(2) == 0 {
			limit = time.Hour
		}
		go func() {
			time.Sleep(when)
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			for {
				mu.Lock()
				waiting++
				mu.Unlock()
				due, err := b.Pop(ctx)
				mu.Lock()
				waiting--
				mu.Unlock()
				if err != nil {
					return
				}
				got(due)
			}
		}()
	}
	for range random.IntN(4) {
		when := at()
		go func() {
			time.Sleep(when)
			if due, ok := b.TryPop(); ok {
				got(due)
			}
		}()
	}
	for range 2 * span {
		time.Sleep(time.Millisecond)
		synctest.Wait()
		mu.Lock()
		idle := waiting
		mu.Unlock()
		if next, ok := b.due(); ok && !next.After(time.Now()) && idle > 0 {
			t.Fatalf("seed %d: after %v %d wait, and an item is due", seed, time.Since(began), idle)
		}
	}
	b.Close()
	for due := range b.All() {
		got(due)
	}
	synctest.Wait()
	if waiting != 0 || popped != pushed {
		t.Errorf("seed %d: %d wait on, %d of %d items left", seed, waiting, popped, pushed)
	}
}
