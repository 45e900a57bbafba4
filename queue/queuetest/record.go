package queuetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// worker is a goroutine of a history: what it will do, and what came of it.
type worker struct {
	index  int
	q      Queue
	calls  []call
	events []event
	now    func() int64
	yield  func() // between calls
	err    error  // a panic of the queue
}

// guarded is run for a goroutine of its own, where a panic would end the process.
func (w *worker) guarded() {
	w.err = guard(func() error {
		w.run()
		return nil
	})
}

// call is what a worker is going to do.
type call struct {
	kind  kind
	items []*Item // to be pushed
	n     int     // how many to take; more than one is a batch
}

// run makes the calls. The events of a batch are those of its items, each as long
// as the batch took: it need not be atomic.
func (w *worker) run() {
	for _, c := range w.calls {
		w.yield()
		e := event{kind: c.kind, worker: w.index, call: w.now()}
		switch {
		case c.kind == length:
			e.n = w.q.Len()
			w.note(e)
		case c.kind == push && len(c.items) > 1:
			n := w.q.(BatchPusher).PushAll(c.items)
			w.batch(e, c.items[:n], c.items[n:min(n+1, len(c.items))])
		case c.kind == push:
			e.item = c.items[0]
			e.ok = w.q.TryPush(e.item)
			w.note(e)
		case c.kind == pop && c.n > 1:
			w.popMany(e, c.n, w.q.(BatchPopper).PopAll)
		case c.kind == pop:
			e.item, e.ok = w.q.TryPop()
			w.note(e)
		case c.n > 1:
			w.popMany(e, c.n, w.q.(BatchStealer).StealAll)
		default:
			e.item, e.ok = w.q.(Stealer).TrySteal()
			w.note(e)
		}
	}
}

func (w *worker) note(e event) {
	e.ret = w.now()
	w.events = append(w.events, e)
}

// batch notes the items that were moved; if none were, that was a refusal.
func (w *worker) batch(e event, moved, refused []*Item) {
	e.ret = w.now()
	for i, it := range moved {
		e.item, e.ok, e.place = it, true, i
		w.events = append(w.events, e)
	}
	if len(moved) == 0 {
		e.item, e.ok = nil, false
		if len(refused) > 0 {
			e.item = refused[0]
		}
		w.events = append(w.events, e)
	}
}

func (w *worker) popMany(e event, n int, from func([]*Item) int) {
	into := make([]*Item, n)
	w.batch(e, into[:from(into)], nil)
}

// plan makes up a queue and what several workers do with it.
type plan struct {
	s       *Spec
	q       Queue
	prefill []*Item
	workers []*worker
	history *history
	steps   int // about how many there will be
}

// role says which calls a worker may make.
type role struct{ pushes, pops, steals bool }

// crowd returns the roles of some producers and some consumers, or as many as the
// queue allows.
func (s *Spec) crowd(producers, consumers int) (all []role) {
	q := s.New(s.capacities()[0])
	if _, ok := q.(Stealer); ok {
		all = append(all, role{pushes: true, pops: true})
		for range consumers {
			all = append(all, role{steals: true})
		}
		return all
	}
	if s.Producers == One {
		producers = 1
	}
	if s.Consumers == One {
		consumers = 1
	}
	for range producers {
		all = append(all, role{pushes: true})
	}
	for range consumers {
		all = append(all, role{pops: true})
	}
	return all
}

// mixed is crowd for queues where a goroutine may be both.
func (s *Spec) mixed(random *rand.Rand, workers int) []role {
	all := s.crowd(max(1, workers/2), max(1, workers-workers/2))
	if _, steals := s.New(s.capacities()[0]).(Stealer); s.Producers == Many && s.Consumers == Many && !steals && random.IntN(3) > 0 {
		for i := range all {
			all[i] = role{pushes: true, pops: true}
		}
	}
	return all
}

// newPlan draws one with about as many calls as said, for a history of the kind
// that finds most: short, with few items, often full and often empty.
func newPlan(s *Spec, random *rand.Rand, calls, workers int) *plan {
	capacity := s.capacities()[random.IntN(len(s.capacities()))]
	p := &plan{s: s, history: &history{s: s, cap: s.wantCap(capacity)}}
	how := ""
	if s.NewAt != nil && random.IntN(2) == 0 {
		all := starts(capacity)
		start := all[random.IntN(len(all))]
		p.q = s.NewAt(capacity, start)
		how = fmt.Sprintf(", counters from %#x", start)
	} else {
		p.q = s.New(capacity)
	}
	p.history.how = fmt.Sprintf("made for %d%s", capacity, how)
	id := 0
	item := func() *Item {
		it := &Item{ID: id, Cost: 1 + random.IntN(MaxCost), Key: random.IntN(keys), Due: time.Now().Add(-time.Second)}
		if s.Order == Priority {
			it.Rank = random.IntN(ranks)
			if s.Ranks > 0 {
				it.Rank %= s.Ranks
			}
		}
		id++
		return it
	}
	if n := min(limited(p.history.cap), 8); random.IntN(3) > 0 {
		for range random.IntN(n + 1) {
			p.prefill = append(p.prefill, item())
		}
	}
	roles := s.mixed(random, workers)
	for i, r := range roles {
		w := &worker{index: i, q: p.q}
		bias := random.IntN(5)
		for range max(1, calls/len(roles)) {
			if random.IntN(12) == 0 {
				bias = random.IntN(5) // a phase of filling, or of draining
			}
			w.calls = append(w.calls, p.draw(random, r, bias, item))
		}
		p.workers = append(p.workers, w)
	}
	p.steps = calls * 4
	return p
}

func (p *plan) draw(random *rand.Rand, r role, bias int, item func() *Item) call {
	if !p.s.NoLen && random.IntN(16) == 0 {
		return call{kind: length}
	}
	many := 1
	if random.IntN(6) == 0 {
		many = 2 + random.IntN(3)
	}
	if r.pushes && (!r.pops || random.IntN(5) >= bias) {
		if _, ok := p.q.(BatchPusher); !ok {
			many = 1
		}
		c := call{kind: push}
		for range many {
			c.items = append(c.items, item())
		}
		return c
	}
	if r.steals {
		if _, ok := p.q.(BatchStealer); !ok {
			many = 1
		}
		return call{kind: steal, n: many}
	}
	if _, ok := p.q.(BatchPopper); !ok {
		many = 1
	}
	return call{kind: pop, n: many}
}

// perturbed carries out the plan with real goroutines that yield now and then.
func (p *plan) perturbed(patience time.Duration) {
	begin := time.Now()
	now := func() int64 { return int64(time.Since(begin)) }
	p.before(now)
	var left atomic.Int64
	left.Store(5_000_000)
	yield := func() {
		if left.Add(-1) < 0 {
			runtime.Goexit()
		}
		if rand.Uint32()&7 == 0 {
			runtime.Gosched()
		}
	}
	if p.s.Points != nil {
		p.s.Points(yield)
		defer p.s.Points(nil)
	}
	between := func() {
		if rand.Uint32()&1 == 0 {
			runtime.Gosched()
		}
	}
	var wait sync.WaitGroup
	gate := make(chan struct{})
	for _, w := range p.workers {
		w.now, w.yield = now, between
		wait.Go(func() {
			<-gate
			w.guarded()
		})
	}
	close(gate)
	if err := await(&wait, patience, still); err != nil {
		abandon(&wait, p.s.Points)
		p.history.cut = err.Error()
		return
	}
	if left.Load() < 0 {
		p.history.cut = "a call went round and round without an end: a livelock"
		return
	}
	p.after(now)
}

// controlled carries out the plan in a bubble, one goroutine at a time.
func (p *plan) controlled(c *controller) {
	var clock atomic.Int64
	now := func() int64 { return clock.Add(1) }
	p.before(now)
	if p.s.Points != nil {
		p.s.Points(c.at)
		defer p.s.Points(nil)
	}
	for _, w := range p.workers {
		w.now = now
		c.start(func(point func()) {
			w.yield = point
			w.guarded()
		})
	}
	if err := c.run(func() (bool, error) { return false, errors.New("a call blocks that must not") }); err != nil {
		p.history.cut = err.Error()
		return
	}
	if p.s.Points != nil {
		p.s.Points(nil)
	}
	p.after(now)
}

// before pushes what is there from the beginning.
func (p *plan) before(now func() int64) {
	w := &worker{index: -1, q: p.q, now: now, yield: func() {}}
	for _, it := range p.prefill {
		w.calls = append(w.calls, call{kind: push, items: []*Item{it}})
	}
	w.run()
	p.history.events = w.events
}

// after drains the queue and gathers the events.
func (p *plan) after(now func() int64) {
	for _, w := range p.workers {
		if w.err != nil {
			p.history.cut = w.err.Error()
			return
		}
	}
	total := len(p.history.events)
	for _, w := range p.workers {
		p.history.events = append(p.history.events, w.events...)
		total += len(w.events)
	}
	w := &worker{index: -1, q: p.q, now: now, yield: func() {}}
	for range total + 2 {
		w.calls = []call{{kind: pop, n: 1}}
		w.run()
		if !w.events[len(w.events)-1].ok {
			break
		}
	}
	p.history.events = append(p.history.events, w.events...)
	p.history.complete()
}

// await waits for goroutines that should need little time, and gives up on them
// when progress has been the same number for as long as patience lasts.
func await(wait *sync.WaitGroup, patience time.Duration, progress func() int64) error {
	done := make(chan struct{})
	go func() {
		wait.Wait()
		close(done)
	}()
	ticker := time.NewTicker(patience)
	defer ticker.Stop()
	for last := progress(); ; {
		select {
		case <-done:
			return nil
		case <-ticker.C:
		}
		if now := progress(); now != last {
			last = now
			continue
		}
		stacks := make([]byte, 64<<10)
		return fmt.Errorf("nothing has moved for %v\n%s", patience, stacks[:runtime.Stack(stacks, true)])
	}
}

// abandon ends goroutines that await has given up on. One that goes round and round in a
// call of the queue ends at a point, if the queue has any.
func abandon(wait *sync.WaitGroup, points func(func())) {
	if points != nil {
		points(runtime.Goexit)
		defer points(nil)
	}
	if await(wait, time.Second, still) != nil {
		strays.Store(true)
	}
}

// still is the progress of what should be over at once.
func still() int64 { return 0 }
