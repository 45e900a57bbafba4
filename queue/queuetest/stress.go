package queuetest

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// stress lets many items through a queue as fast as it can, with nothing beside it
// that would put the goroutines in order: each consumer keeps to itself what it
// has got, and it is looked at when all is over.
type stress struct {
	s     *Spec
	q     Queue
	roles []role
	each  int // items of each producer
	made  func(*Item)

	patience  time.Duration
	due       time.Time // of all items: past
	producing atomic.Int64
	given     atomic.Bool // up: nothing has moved for long
	moved     []counter   // of each worker
	next      []*Item     // what each worker could not push
	got       [][]*Item   // of each worker, in its order
	left      []*Item     // what was drained at the end
	errs      []error
}

// counter is one worker's, on a cache line of its own. Nobody but the watchdog
// looks at it, so it puts no two workers in order.
type counter struct {
	n atomic.Int64
	_ [120]byte
}

func (r *stress) progress() (n int64) {
	for i := range r.moved {
		n += r.moved[i].n.Load()
	}
	return n
}

func newStress(s *Spec, q Queue, roles []role, each int, patience time.Duration) *stress {
	n := len(roles)
	return &stress{
		s: s, q: q, roles: roles, each: each, patience: patience, due: time.Now().Add(-time.Hour), made: func(*Item) {},
		moved: make([]counter, n), next: make([]*Item, n), got: make([][]*Item, n), errs: make([]error, n+1),
	}
}

func (r *stress) run() error {
	if r.s.Points != nil { // they are for other properties
		r.s.Points(nil)
	}
	var wait, sampling sync.WaitGroup
	for _, role := range r.roles {
		if role.pushes {
			r.producing.Add(1)
		}
	}
	for i, role := range r.roles {
		wait.Go(func() {
			r.errs[i] = guard(func() error { return r.work(i, role) })
		})
	}
	stop := make(chan struct{})
	if !r.s.NoLen {
		sampling.Go(func() { r.errs[len(r.roles)] = guard(func() error { return r.sample(stop) }) })
	}
	err := await(&wait, 3*r.patience, r.progress)
	if err != nil {
		r.given.Store(true)
		abandon(&wait, r.s.Points)
	}
	close(stop)
	sampling.Wait()
	if err = errors.Join(append(r.errs, err)...); err != nil {
		return err
	}
	return r.drain()
}

// work is one worker's life.
func (r *stress) work(index int, role role) error {
	next, idle, last := 0, time.Time{}, int64(0)
	done := !role.pushes
	for {
		moved := false
		if !done {
			moved = r.produce(index, &next)
			if next == r.each {
				done = true
				r.producing.Add(-1)
			}
		}
		ended := r.producing.Load() == 0
		if (role.pops && (!role.pushes || next%3 == 0 || done)) || role.steals {
			moved = r.consume(index, role) || moved
		}
		switch {
		case moved:
			r.moved[index].n.Add(1)
			idle = time.Time{}
			continue
		case ended || r.given.Load():
			return nil
		case idle.IsZero():
			idle, last = time.Now(), r.progress()
		case time.Since(idle) > r.patience && r.progress() == last:
			r.given.Store(true)
			return fmt.Errorf("worker %d could neither push nor pop for %v, and neither could others", index, r.patience)
		}
		runtime.Gosched()
	}
}

// produce pushes one item or a few, and reports whether it could.
func (r *stress) produce(index int, next *int) bool {
	if b, ok := r.q.(BatchPusher); ok && r.next[index] == nil && *next%5 == 0 && r.each-*next >= 3 {
		items := []*Item{r.item(index, *next), r.item(index, *next+1), r.item(index, *next+2)}
		n := b.PushAll(items)
		*next += n
		return n > 0
	}
	if r.next[index] == nil {
		r.next[index] = r.item(index, *next)
	}
	if !r.q.TryPush(r.next[index]) {
		return false
	}
	r.next[index] = nil
	*next++
	return true
}

func (r *stress) item(index, number int) *Item {
	it := &Item{ID: index*r.each + number, producer: index, number: number, Cost: 1 + number%MaxCost, Key: number % keys, Due: r.due}
	it.Rank = number % max(1, min(r.s.Ranks, ranks))
	if r.s.Order == Priority && r.s.Ranks == 0 {
		it.Rank = number % ranks
	}
	it.note = noteOf(it)
	r.made(it)
	return it
}

func noteOf(it *Item) uint64 { return uint64(it.ID)*0x9e3779b97f4a7c15 + 1 }

// consume takes one item or a few.
func (r *stress) consume(index int, role role) bool {
	var one [1]*Item
	many, n := one[:], 0
	batch := len(r.got[index])%7 == 0
	switch q := r.q.(type) {
	case BatchStealer:
		if role.steals && batch {
			many = make([]*Item, 3)
			n = q.StealAll(many)
		}
	case BatchPopper:
		if role.pops && batch {
			many = make([]*Item, 3)
			n = q.PopAll(many)
		}
	}
	if n == 0 {
		var ok bool
		if role.steals {
			many[0], ok = r.q.(Stealer).TrySteal()
		} else {
			many[0], ok = r.q.TryPop()
		}
		if !ok {
			return false
		}
		n = 1
	}
	for _, it := range many[:n] {
		r.got[index] = append(r.got[index], it)
		r.look(index, it)
	}
	return true
}

// look reads what the producer wrote, and writes over it: without an order between
// them the race detector reports it, and without a detector the note is wrong.
func (r *stress) look(index int, it *Item) {
	if it == nil {
		panic("a pop succeeded and gave nothing")
	}
	if it.note != noteOf(it) && r.errs[index] == nil {
		panic(fmt.Sprintf("item %d was popped twice, or before it was written", it.ID))
	}
	it.note = 0
}

// sample asks for the length all the time.
func (r *stress) sample(stop chan struct{}) error {
	most := r.q.Cap()
	for {
		if n := r.q.Len(); n < 0 || n > most {
			return fmt.Errorf("a Len of %d, with room for %d", n, most)
		}
		select {
		case <-stop:
			return nil
		default:
			runtime.Gosched()
		}
	}
}

// drain empties the queue when nobody uses it, and counts.
func (r *stress) drain() error {
	pushed := 0
	for _, role := range r.roles {
		if role.pushes {
			pushed += r.each
		}
	}
	for range pushed + 1 {
		it, ok := r.q.TryPop()
		if !ok {
			break
		}
		r.left = append(r.left, it)
	}
	seen := make([]bool, len(r.roles)*r.each)
	n := 0
	for _, got := range append(r.got, r.left) {
		for _, it := range got {
			if it == nil || it.ID >= len(seen) {
				return errors.New("a pop gave what was never pushed")
			}
			if seen[it.ID] {
				return fmt.Errorf("item %d has left twice", it.ID)
			}
			seen[it.ID] = true
			n++
		}
	}
	if n != pushed {
		return fmt.Errorf("%d items were pushed, and %d have left an empty queue", pushed, n)
	}
	if l := r.q.Len(); !r.s.NoLen && l != 0 {
		return fmt.Errorf("the drained queue has a Len of %d", l)
	}
	return nil
}

// stressItems is how many items go through a queue in all at scale 1.
const stressItems = 1_000_000

// crowds are the numbers of producers and consumers.
var crowds = [][2]int{{1, 1}, {2, 2}, {4, 4}, {1, 4}, {4, 1}}

func eachCrowd(s *Spec, e effort, check func(*stress) error) error {
	n := 0
	for _, capacity := range s.capacities() {
		crowd := crowds[n%len(crowds)]
		n++
		roles := s.crowd(crowd[0], crowd[1])
		producers := 0
		for _, r := range roles {
			if r.pushes {
				producers++
			}
		}
		each := max(100, e.of(stressItems)/len(s.capacities())/producers)
		q := s.New(capacity)
		if s.NewAt != nil && n%2 == 0 {
			q = s.NewAt(capacity, 1<<32-uint64(each/2))
		}
		r := newStress(s, q, roles, each, e.patience)
		err := r.run()
		if err == nil {
			err = check(r)
		}
		if err != nil {
			return fmt.Errorf("capacity %d, %d goroutines: %w", capacity, len(roles), err)
		}
	}
	return nil
}

// checkExactlyOnce wants each item to leave once, after what its producer wrote.
func checkExactlyOnce(_ harness, s *Spec, e effort) error {
	return eachCrowd(s, e, func(*stress) error { return nil })
}

// keepsProducers reports whether a consumer sees the items of one producer in order,
// at least those of one rank or key.
func (s *Spec) keepsProducers() bool {
	if !s.exactOrder() {
		return false
	}
	return s.Order == FIFO || s.Order == Fair || s.Order == Priority && s.Stable
}

// checkProducerOrder wants that each consumer does.
func checkProducerOrder(_ harness, s *Spec, e effort) error {
	return eachCrowd(s, e, func(r *stress) error {
		type class struct{ producer, rank, key int }
		for _, got := range r.got {
			last := map[class]int{}
			for _, it := range got {
				c := class{producer: it.producer}
				switch s.Order {
				case Priority:
					c.rank = it.Rank
				case Fair:
					c.key = it.Key
				}
				if n, ok := last[c]; ok && n > it.number {
					return fmt.Errorf("a consumer got item %d of a producer after item %d of it", it.number, n)
				}
				last[c] = it.number
			}
		}
		return nil
	})
}
