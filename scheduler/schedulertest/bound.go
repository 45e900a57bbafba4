package schedulertest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/uptutu/goman/core"
)

// checkBound lets others come without end, and counts how many start before one job of
// each kind.
func checkBound(s *Spec, e effort) error {
	jobs, err := newMint(s)
	if err != nil {
		return err
	}
	defer jobs.close()
	for victim := range s.Kinds {
		for rival := range s.Kinds + 2 {
			for _, queued := range []int{0, 1, 20} {
				random := rand.New(rand.NewPCG(e.seed, uint64(victim<<16|rival)))
				kind := func() int {
					if rival < s.Kinds {
						return rival
					}
					return random.IntN(s.Kinds)
				}
				if err := overtaken(s, jobs, victim, queued, kind); err != nil {
					return fmt.Errorf("kind %d, others of kind %d (from %d on mixed): %w", victim, rival, s.Kinds, err)
				}
			}
		}
	}
	return nil
}

func overtaken(s *Spec, jobs *mint, victim, queued int, kind func() int) error {
	d, err := newDriver(s, jobs, rand.New(rand.NewPCG(1, 1)), 0)
	if err != nil {
		return err
	}
	pool := make(map[int][]core.Job)
	for _, job := range jobs.jobs {
		pool[jobs.kinds[job]] = append(pool[jobs.kinds[job]], job)
	}
	push := func(kind int) core.Job {
		var job core.Job
		if free := pool[kind]; len(free) > 0 {
			job, pool[kind] = free[0], free[1:]
		} else {
			job = jobs.job(kind)
		}
		d.s.Push(job)
		return job
	}
	for range queued {
		push(kind())
	}
	job := push(victim)
	bound := s.Bound(queued)
	for before := range bound + 1 {
		push(kind())
		started, ok := d.s.Pop(0)
		if !ok {
			return fmt.Errorf("nothing starts, with %d jobs stored", d.s.Len())
		}
		if started == job {
			return nil
		}
		d.tellCompleted(started)
		pool[jobs.kinds[started]] = append(pool[jobs.kinds[started]], started)
		if s.Step > 0 {
			time.Sleep(s.Step) // in a bubble
		}
		if before == bound {
			break
		}
	}
	return fmt.Errorf("a job that came when %d were queued was overtaken by more than %d", queued, bound)
}
