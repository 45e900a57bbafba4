package queuetest

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"
)

// inside runs f, in a bubble if the queue goes by the clock. A panic of f comes out.
func inside(t harness, s *Spec, f func() error) (err error) {
	if s.Order != Delayed {
		return f()
	}
	return bubble(t, f)
}

func bubble(t harness, f func() error) (err error) {
	var panicked any
	t.Bubble(func() {
		defer func() { panicked = recover() }()
		err = f()
	})
	if panicked != nil {
		panic(panicked)
	}
	return err
}

// checkCapacity fills and drains, several times around: the capacity is reached,
// is not exceeded, and nothing is refused below it. One and odd numbers are where
// schemes of sequence numbers break.
func checkCapacity(t harness, s *Spec, _ effort) error {
	for _, capacity := range s.capacities() {
		err := inside(t, s, func() error { return guard(func() error { return fillAndDrain(s, capacity) }) })
		if err != nil {
			return fmt.Errorf("capacity %d: %w", capacity, err)
		}
	}
	return nil
}

func fillAndDrain(s *Spec, capacity int) error {
	turn := 0
	m := newMachine(s, s.New(capacity), capacity, func(n int, _ string) int { turn++; return turn % n })
	size := limited(m.judge.cap)
	if err := m.check(); err != nil {
		return fmt.Errorf("when it is new: %w", err)
	}
	if err := m.pop(); err != nil {
		return fmt.Errorf("when it is new: %w", err)
	}
	for lap := range 5 {
		for len(m.judge.stored) < size {
			if err := m.push(); err != nil {
				return fmt.Errorf("lap %d: %w", lap, err)
			}
		}
		for range min(size, lap+1) { // full, one less, full
			if err := m.times(2, m.push); err != nil {
				return fmt.Errorf("lap %d, full: %w", lap, err)
			}
			if err := m.check(); err != nil {
				return fmt.Errorf("lap %d, full: %w", lap, err)
			}
			if s.Order == Delayed {
				break
			}
			if err := m.pop(); err != nil {
				return fmt.Errorf("lap %d, full: %w", lap, err)
			}
		}
		if err := m.empty(); err != nil {
			return fmt.Errorf("lap %d: %w", lap, err)
		}
	}
	return nil
}

// checkModel does what rapid makes up and judges each answer.
func checkModel(t harness, s *Spec, e effort) error {
	for range e.of(20) { // of 100 sequences each, or what -rapid.checks says
		rapid.Check(t, func(rt *rapid.T) {
			err := inside(t, s, func() error { return runModel(rt, s) })
			if err != nil {
				rt.Fatal(err)
			}
		})
		if t.Failed() {
			break
		}
	}
	return nil
}

func runModel(rt *rapid.T, s *Spec) error {
	choose := func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(rt, what) }
	capacity := rapid.SampledFrom(s.capacities()).Draw(rt, "capacity")
	m := newMachine(s, s.New(capacity), capacity, choose)
	actions := map[string]func(*rapid.T){}
	for _, a := range m.actions() {
		actions[a.name] = func(rt *rapid.T) {
			if err := a.do(); err != nil {
				rt.Fatal(err)
			}
		}
	}
	actions[""] = func(rt *rapid.T) {
		if err := m.check(); err != nil {
			rt.Fatal(err)
		}
	}
	rt.Repeat(actions)
	return m.empty()
}

// checkWrap walks where the counters wrap around.
func checkWrap(t harness, s *Spec, e effort) error {
	for _, capacity := range s.capacities() {
		for i, start := range starts(capacity) {
			random := e.random("wrap", i)
			err := inside(t, s, func() error {
				return guard(func() error {
					m := newMachine(s, s.NewAt(capacity, start), capacity, randomly(random))
					return m.walk(50 + 4*min(capacity, 100))
				})
			})
			if err != nil {
				return fmt.Errorf("capacity %d, counters that start at %#x: %w", capacity, start, err)
			}
		}
	}
	return nil
}

// starts are where counters begin that wrap around soon.
func starts(capacity int) (all []uint64) {
	c := uint64(capacity)
	for _, limit := range []uint64{1 << 16, 1 << 31, 1 << 32, 1 << 63, 0} {
		for _, before := range []uint64{1, 2, c, 2*c + 1, 3 * c} {
			if start := limit - before; !slices.Contains(all, start) {
				all = append(all, start)
			}
		}
	}
	return append(all, 0)
}

// checkFairness serves keys from a long queue, whose keys come and go.
func checkFairness(t harness, s *Spec, e effort) error {
	capacity := s.capacities()[len(s.capacities())-1]
	for i := range e.of(20) {
		random := e.random("fairness", i)
		err := guard(func() error {
			heavy := random.IntN(keys)
			quiet := random.IntN(keys)
			choose := func(n int, what string) int {
				switch k := random.IntN(n); {
				case what != "key":
					return k
				case random.IntN(2) == 0:
					return heavy
				case k == quiet && random.IntN(20) > 0:
					return heavy
				default:
					return k
				}
			}
			m := newMachine(s, s.New(capacity), capacity, choose)
			for range 200 {
				if err := m.times(random.IntN(60), func() error {
					if len(m.judge.stored) >= 400 {
						return nil
					}
					return m.push()
				}); err != nil {
					return err
				}
				if err := m.times(random.IntN(60), m.pop); err != nil {
					return err
				}
			}
			return m.empty()
		})
		if err != nil {
			return fmt.Errorf("run %d: %w", i, err)
		}
	}
	return nil
}

// checkSlack measures by how much a long queue misses its order. It uses a queue
// as one goroutine does, and so measures the worst pops, not the worst luck.
func checkSlack(_ harness, s *Spec, e effort) error {
	q := s.New(SlackDepth)
	random := e.random("slack", 0)
	alive := newSums(1 << 17)
	errs := make([]int, 0, 100_000)
	place := map[int]int{} // by ID
	id := 0
	push := func() error {
		it := &Item{ID: id, Cost: 1}
		id++
		at := it.ID
		if s.Order == Priority {
			it.Rank = random.IntN(1 << 17)
			if s.Ranks > 0 {
				it.Rank %= s.Ranks
			}
			at = it.Rank
		}
		if !q.TryPush(it) {
			return fmt.Errorf("a push was refused with %d of %d items in the queue", len(place), SlackDepth)
		}
		place[it.ID] = at
		alive.add(at%(1<<17), 1)
		return nil
	}
	for range SlackDepth - 1 {
		if err := push(); err != nil {
			return err
		}
	}
	for range min(e.of(100_000), 120_000) {
		if err := push(); err != nil {
			return err
		}
		it, ok := q.TryPop()
		if !ok {
			return fmt.Errorf("a pop found nothing with %d items in the queue", SlackDepth)
		}
		at, known := place[it.ID]
		if !known {
			return fmt.Errorf("a pop gave item %d, which was not in the queue", it.ID)
		}
		delete(place, it.ID)
		errs = append(errs, alive.below(at%(1<<17)))
		alive.add(at%(1<<17), -1)
	}
	return judgeSlack(s.Slack, errs)
}

func judgeSlack(slack Slack, errs []int) error {
	slices.Sort(errs)
	sum := 0
	for _, n := range errs {
		sum += n
	}
	mean, p999, most := float64(sum)/float64(len(errs)), errs[len(errs)*999/1000], errs[len(errs)-1]
	figures := fmt.Sprintf("the error of %d pops with %d items has mean %.2f, 99.9th percentile %d, maximum %d", len(errs), SlackDepth, mean, p999, most)
	switch {
	case most > slack.Max:
		return fmt.Errorf("%s: the maximum should be %d", figures, slack.Max)
	case slack.Mean > 0 && mean > slack.Mean:
		return fmt.Errorf("%s: the mean should be %.2f", figures, slack.Mean)
	case slack.P999 > 0 && p999 > slack.P999:
		return fmt.Errorf("%s: the percentile should be %d", figures, slack.P999)
	}
	return nil
}

// sums counts below a place (Fenwick, "A new data structure for cumulative
// frequency tables", 1994).
type sums []int

func newSums(n int) sums { return make(sums, n+1) }

func (f sums) add(place, n int) {
	for i := place + 1; i < len(f); i += i & -i {
		f[i] += n
	}
}

// below returns the sum of the places below one.
func (f sums) below(place int) (sum int) {
	for i := place; i > 0; i -= i & -i {
		sum += f[i]
	}
	return sum
}
