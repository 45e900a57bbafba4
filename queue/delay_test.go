package queue

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// epoch is when the queues of these tests are made.
var epoch = time.Date(2024, 2, 28, 23, 59, 59, 999_999_999, time.UTC)

func atEpoch() time.Time { return epoch }

// delayed is an item of the model.
type delayed struct {
	id  int
	due time.Duration // after epoch
	// tick is that of due, or the one to which the queue had come if it was later.
	tick time.Duration
}

// delayPair is a queue and its model: a list sorted by tick, then by arrival.
type delayPair struct {
	queue   *DelayQueue[int]
	tick    time.Duration
	now     time.Duration
	come    time.Duration // the tick to which the queue has come
	stored  []delayed
	handles []Handle // also those that have left
}

func newDelayPair(tick time.Duration) *delayPair {
	return &delayPair{queue: made(NewDelayQueue(DelayConfig[int]{Tick: tick, Now: atEpoch})), tick: tick}
}

func (p *delayPair) ticks(due time.Duration) time.Duration {
	ticks := due / p.tick
	if due%p.tick > 0 {
		ticks++
	}
	return ticks
}

func (p *delayPair) add(delay time.Duration) {
	due := p.now + delay
	if delay > 0 && due < p.now {
		due = math.MaxInt64
	}
	handle, _ := p.queue.Add(len(p.handles), epoch.Add(due))
	item := delayed{len(p.handles), due, max(p.ticks(due), p.come)}
	p.handles = append(p.handles, handle)
	i := len(p.stored)
	for i > 0 && item.tick < p.stored[i-1].tick {
		i--
	}
	p.stored = slices.Insert(p.stored, i, item)
}

func (p *delayPair) cancel(t rapid.TB, id int) {
	got, ok := p.queue.Cancel(p.handles[id])
	i := slices.IndexFunc(p.stored, func(item delayed) bool { return item.id == id })
	if ok != (i >= 0) || ok && got != id {
		t.Fatalf("cancelled %d, %v, want %d, %v", got, ok, id, i >= 0)
	}
	if ok {
		p.stored = slices.Delete(p.stored, i, i+1)
	}
}

// comes reports whether an item's tick will ever come.
func (p *delayPair) comes(item delayed) bool {
	return item.due < math.MaxInt64 && item.tick <= math.MaxInt64/p.tick
}

// pop pops one due item of both and reports whether there was one.
func (p *delayPair) pop(t rapid.TB, now time.Duration) bool {
	got, ok := p.queue.PopDue(epoch.Add(now))
	tick := max(now/p.tick, p.come)
	want := len(p.stored) > 0 && p.comes(p.stored[0]) && p.stored[0].tick <= tick
	if ok != want || ok && got != p.stored[0].id {
		t.Fatalf("at %v: popped %d, %v of %v", now, got, ok, p.stored)
	}
	if !ok {
		p.come = tick
		return false
	}
	if due := p.stored[0].due; due > p.now {
		t.Fatalf("left at %v, due at %v", p.now, due)
	}
	p.come = p.stored[0].tick
	p.stored = p.stored[1:]
	return true
}

func (p *delayPair) check(t rapid.TB) {
	if p.queue.Len() != len(p.stored) {
		t.Fatalf("Len %d, want %d", p.queue.Len(), len(p.stored))
	}
	next, ok := p.queue.NextDue()
	if want := len(p.stored) > 0 && p.comes(p.stored[0]); ok != want {
		t.Fatalf("NextDue %v, %v of %v", next, ok, p.stored)
	}
	if ok {
		if want := epoch.Add(time.Duration(int64(p.stored[0].tick) * int64(p.tick))); !next.Equal(want) {
			t.Fatalf("NextDue %v, want %v", next, want)
		}
	}
}

const (
	day  = 24 * time.Hour
	year = 365 * day
)

func TestDelayQueue_Model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newDelayPair(rapid.SampledFrom([]time.Duration{1, 7, time.Millisecond, time.Hour}).Draw(t, "tick"))
		p.queue.wheel.added = rapid.SampledFrom(orderStarts).Draw(t, "start")
		spans := rapid.OneOf(
			rapid.Int64Range(-2, 200),
			rapid.Int64Range(0, 1<<14),
			rapid.Int64Range(0, 1<<40),
			rapid.SampledFrom([]int64{0, 1, 63, 64, 65, 4095, 4096, 4097, int64(day / p.tick), int64(10 * year / p.tick)}),
		)
		span := func(t *rapid.T) time.Duration {
			n := spans.Draw(t, "ticks")
			if n > math.MaxInt64/int64(p.tick) {
				n = math.MaxInt64 / int64(p.tick)
			}
			return time.Duration(n)*p.tick + time.Duration(rapid.Int64Range(-1, 1).Draw(t, "ns"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "n") {
					p.add(span(t))
				}
			},
			"add many of one time": func(t *rapid.T) {
				delay := span(t)
				for range rapid.IntRange(1, 100).Draw(t, "n") {
					p.add(delay)
				}
			},
			"cancel": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "n") {
					if len(p.handles) > 0 {
						p.cancel(t, rapid.IntRange(0, len(p.handles)-1).Draw(t, "id"))
					}
				}
			},
			"time passes": func(t *rapid.T) {
				if d := max(span(t), 0); p.now+d >= p.now {
					p.now += d
				}
				for range rapid.IntRange(1, 300).Draw(t, "n") {
					if !p.pop(t, p.now) {
						break
					}
				}
			},
			"to the next": func(t *rapid.T) {
				if next, ok := p.queue.NextDue(); ok {
					p.now = max(p.now, next.Sub(epoch))
					if !p.pop(t, p.now) {
						t.Fatal("nothing was due")
					}
				}
			},
			"time goes back": func(t *rapid.T) {
				p.pop(t, -time.Hour)
			},
			"": func(t *rapid.T) { p.check(t) },
		})
	})
}

// FuzzDelayQueue reads pairs of bytes: what to do, and a number whose high bits are
// an exponent.
func FuzzDelayQueue(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0x33, 0, 0xff, 2, 0x44, 1, 0, 3, 0, 2, 0xff})
	f.Add([]byte{0, 0x61, 0, 0x61, 2, 0x60, 3, 0, 0, 1, 3, 0, 3, 0, 3, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		p := newDelayPair(3)
		for ; len(ops) >= 2; ops = ops[2:] {
			n := time.Duration(ops[1]&15) << (ops[1] >> 4 * 3)
			switch ops[0] % 4 {
			case 0:
				p.add(n)
			case 1:
				if len(p.handles) > 0 {
					p.cancel(t, int(n)%len(p.handles))
				}
			case 2:
				if p.now+n >= p.now {
					p.now += n
				}
				p.pop(t, p.now)
			case 3:
				if next, ok := p.queue.NextDue(); ok {
					p.now = max(p.now, next.Sub(epoch))
				}
				p.pop(t, p.now)
			}
			p.check(t)
		}
	})
}

func TestDelayQueue_E_QUE_11_Delays(t *testing.T) {
	const (
		tick     = time.Millisecond
		lastTick = time.Duration(math.MaxInt64 / int64(tick) * int64(tick))
	)
	for _, c := range []struct {
		name  string
		delay time.Duration
		at    time.Duration // when it may leave; negative for never
	}{
		{"0", 0, 0},
		{"negative", -time.Hour, 0},
		{"the most negative", math.MinInt64, 0},
		{"1 ns", 1, tick},
		{"a tick but 1 ns", tick - 1, tick},
		{"1 tick", tick, tick},
		{"a tick and 1 ns", tick + 1, 2 * tick},
		{"a lap of the first level", 64 * tick, 64 * tick},
		{"a lap but a tick", 63 * tick, 63 * tick},
		{"two laps and a tick", 129 * tick, 129 * tick},
		{"a day", day, day},
		{"ten years", 10 * year, 10 * year},
		{"the last tick", lastTick, lastTick},
		{"beyond the last tick", lastTick + 1, -1},
		{"the longest", math.MaxInt64, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := made(NewDelayQueue(DelayConfig[int]{Now: atEpoch}))
			handle, _ := q.Add(1, epoch.Add(c.delay))
			for _, before := range []time.Duration{0, c.at / 2, c.at - 1} {
				if before >= 0 && before < c.at {
					if _, ok := q.PopDue(epoch.Add(before)); ok {
						t.Errorf("left after %v", before)
					}
				}
			}
			next, ok := q.NextDue()
			if ok != (c.at >= 0) || ok && !next.Equal(epoch.Add(c.at)) {
				t.Errorf("NextDue %v, %v", next, ok)
			}
			if c.at >= 0 {
				if _, ok := q.PopDue(epoch.Add(c.at)); !ok {
					t.Errorf("did not leave after %v", c.at)
				}
				return
			}
			for range 3 {
				if _, ok := q.PopDue(epoch.AddDate(1000, 0, 0)); ok {
					t.Error("left early")
				}
			}
			if item, ok := q.Cancel(handle); !ok || item != 1 || q.Len() != 0 {
				t.Errorf("Cancel = %v, %v", item, ok)
			}
		})
	}
}

// A due time that a Duration cannot tell is never early, whatever the clock says.
func TestDelayQueue_E_QUE_11_BeyondTheRange(t *testing.T) {
	for _, tick := range []time.Duration{1, time.Hour, math.MaxInt64} {
		q := made(NewDelayQueue(DelayConfig[int]{Tick: tick, Now: atEpoch}))
		q.Add(1, epoch.AddDate(400, 0, 0))
		q.Add(2, epoch.AddDate(-400, 0, 0))
		if item, ok := q.PopDue(epoch.AddDate(300, 0, 0)); !ok || item != 2 {
			t.Errorf("tick %v: popped %d, %v", tick, item, ok)
		}
		if item, ok := q.PopDue(epoch.AddDate(399, 0, 0)); ok {
			t.Errorf("tick %v: popped %d", tick, item)
		}
	}
}

func TestDelayQueue_E_QUE_12_CancelGivesMemoryBack(t *testing.T) {
	q := made(NewDelayQueue(DelayConfig[int]{Now: atEpoch}))
	random := rand.New(rand.NewPCG(1, 2))
	handles := make([]Handle, sized(1_000_000))
	base := heapBytes()
	for i := range handles {
		handles[i], _ = q.Add(i, epoch.Add(time.Duration(random.Int64N(int64(30*day)))))
	}
	full := heapBytes() - base
	random.Shuffle(len(handles), func(i, j int) { handles[i], handles[j] = handles[j], handles[i] })
	for _, handle := range handles {
		if _, ok := q.Cancel(handle); !ok {
			t.Fatal("not there")
		}
	}
	if left := heapBytes() - base; left > orderBase {
		t.Errorf("%d bytes are left of %d", left, full)
	}
	if next, ok := q.NextDue(); ok || q.Len() != 0 {
		t.Errorf("NextDue %v, Len %d", next, q.Len())
	}
}

func TestDelayQueue_CancelledItemsAreNotKept(t *testing.T) {
	q := made(NewDelayQueue(DelayConfig[*orderItem]{}))
	refs := forgotten(300, func(item *orderItem) func() {
		handle, _ := q.Add(item, time.Now().Add(time.Hour))
		return func() { q.Cancel(handle) }
	})
	if alive := liveRefs(refs); alive != 100 || q.Len() != 100 {
		t.Errorf("%d items are alive, %d are stored", alive, q.Len())
	}
}

// 10 years of a day's errands, by the clock of a bubble.
func TestDelayQueue_Years(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type errand struct {
			due   time.Time
			every time.Duration
		}
		q := made(NewDelayQueue(DelayConfig[errand]{
			Tick: time.Millisecond,
			Due:  func(e errand) time.Time { return e.due },
		}))
		start := time.Now()
		for _, every := range []time.Duration{11 * time.Hour, day, 7*day + time.Nanosecond, year, 3 * year} {
			q.TryPush(errand{start.Add(every), every})
		}
		runs := map[time.Duration]int{}
		for {
			next, _ := q.NextDue()
			if next.Sub(start) > 10*year {
				break
			}
			time.Sleep(time.Until(next))
			e, ok := q.TryPop()
			if late := time.Since(e.due); !ok || late < 0 || late >= time.Millisecond {
				t.Fatalf("after %v: %v, %v, late by %v", time.Since(start), e, ok, late)
			}
			runs[e.every]++
			e.due = e.due.Add(e.every)
			q.TryPush(e)
		}
		for every, n := range runs {
			if want := int(10 * year / every); n != want {
				t.Errorf("every %v: %d runs, want %d", every, n, want)
			}
		}
		if q.Len() != 5 {
			t.Errorf("Len %d", q.Len())
		}
	})
}

func TestDelayQueue_Contract(t *testing.T) {
	now := epoch
	q := made(NewDelayQueue(DelayConfig[int]{
		Now: func() time.Time { return now },
		Due: func(item int) time.Time { return epoch.Add(time.Duration(item) * time.Second) },
	}))
	for _, item := range []int{3, 1, 2, 0, 60} {
		q.TryPush(item)
	}
	into := make([]int, 2)
	for _, step := range []struct {
		at   time.Duration
		want []int
	}{{0, []int{0}}, {0, nil}, {5 * time.Second, []int{1, 2}}, {5 * time.Second, []int{3}}, {time.Hour, []int{60}}} {
		now = epoch.Add(step.at)
		if n := q.PopAll(into); !slices.Equal(into[:n], step.want) {
			t.Errorf("after %v: %v, want %v", step.at, into[:n], step.want)
		}
	}
	// Without Due an item is due at once, behind those that are.
	now = epoch
	q = made(NewDelayQueue(DelayConfig[int]{Now: func() time.Time { return now }}))
	q.TryPush(1)
	q.Add(2, epoch.Add(time.Second))
	now = epoch.Add(time.Minute)
	q.TryPush(3)
	if n := q.PopAll(into); n != 2 || !slices.Equal(into, []int{1, 2}) || q.Len() != 1 {
		t.Errorf("%v, %d are left", into[:n], q.Len())
	}
	if item, ok := q.TryPop(); !ok || item != 3 {
		t.Errorf("TryPop = %d, %v", item, ok)
	}
}

func TestDelayQueue_InvalidAndFull(t *testing.T) {
	if q, err := NewDelayQueue(DelayConfig[int]{Tick: -1}); q != nil || !errors.Is(err, ErrInvalid) {
		t.Errorf("a negative tick: %v, %v", q, err)
	}
	q := made(NewDelayQueue(DelayConfig[int]{Now: atEpoch}))
	q.wheel.entries.limit = 1
	q.wheel.added = 1<<64 - 1
	q.TryPush(0)
	q.TryPop() // so that the next has the place of the zero Handle
	for i := range q.Cap() {
		if !q.TryPush(i) {
			t.Fatalf("push %d of %d was refused", i, q.Cap())
		}
	}
	if handle, ok := q.Add(1, epoch); ok || handle != (Handle{}) || q.TryPush(1) || q.Len() != slabNodes {
		t.Errorf("a full queue took an item: %v, Len %d", handle, q.Len())
	}
	for _, handle := range []Handle{{}, {seq: 9, index: 1}, {seq: 1, index: none}} {
		if _, ok := q.Cancel(handle); ok {
			t.Errorf("%v names an item", handle)
		}
	}
	if item, ok := q.TryPop(); !ok || item != 0 || !q.TryPush(1) {
		t.Errorf("popped %d, or there is no room after it", item)
	}
}

// Against a heap of all, at a size at which every level of a day has many.
func TestDelayQueue_ManyInOrder(t *testing.T) {
	n := sized(300_000)
	q := made(NewDelayQueue(DelayConfig[int64]{Now: atEpoch}))
	random := rand.New(rand.NewPCG(3, 4))
	want := make([]int64, n)
	for i := range want {
		want[i] = random.Int64N(int64(2*day)) >> random.IntN(30)
		q.Add(want[i], epoch.Add(time.Duration(want[i])))
	}
	slices.SortStableFunc(want, func(a, b int64) int {
		const tick = int64(time.Millisecond)
		return cmp.Compare((a+tick-1)/tick, (b+tick-1)/tick)
	})
	for i, want := range want {
		next, ok := q.NextDue()
		got, popped := q.PopDue(next)
		if !ok || !popped || got != want {
			t.Fatalf("%d: popped %d, %v at %v, want %d", i, got, popped, next, want)
		}
	}
}
