package schedulertest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/uptutu/goman/core"
)

// probe is an inner scheduler that wants to be told everything, and keeps count.
type probe struct {
	jobs    []core.Job
	out     map[core.Job]int // started less completed
	yielded map[core.Job]bool
	resized int
	wakers  int
	faults  *[]error
	swept   *int
	refuse  *error
}

func (p *probe) fault(format string, args ...any) {
	*p.faults = append(*p.faults, fmt.Errorf("the inner scheduler: "+format, args...))
}

func (p *probe) Push(job core.Job) {
	if p.resized == 0 || p.wakers == 0 {
		p.fault("Push comes before Resized (%d calls) and SetWaker (%d)", p.resized, p.wakers)
	}
	p.jobs = append(p.jobs, job)
}

func (p *probe) Pop(int) (job core.Job, ok bool) {
	if len(p.jobs) == 0 {
		return job, false
	}
	job, p.jobs = p.jobs[0], p.jobs[1:]
	p.out[job]++
	return job, true
}

func (p *probe) Len() int { return len(p.jobs) }

func (p *probe) Completed(job core.Job) {
	if p.out[job]--; p.out[job] < 0 {
		p.fault("Completed for a job that has not started there")
	}
}

func (p *probe) Claim(job core.Job) (core.Job, bool) {
	for i, stored := range p.jobs {
		if stored == job {
			p.jobs = append(p.jobs[:i:i], p.jobs[i+1:]...)
			p.out[job]++
			return core.Job{}, true
		}
	}
	return core.Job{}, false
}

func (p *probe) Sweep(drop func(core.Job) bool) {
	kept := p.jobs[:0]
	for _, job := range p.jobs {
		*p.swept++
		if !drop(job) {
			kept = append(kept, job)
		}
	}
	p.jobs = kept
}

func (p *probe) Resized(workers int)   { p.resized = workers }
func (p *probe) SetWaker(wake func())  { p.wakers++ }
func (p *probe) Refuse(core.Job) error { return *p.refuse }

func (p *probe) Yielded(job core.Job) {
	if p.out[job] == 0 {
		p.fault("Yielded for a job that has not started there")
	}
	p.yielded[job] = true
}

func (p *probe) Resumed(job core.Job) {
	if !p.yielded[job] {
		p.fault("Resumed for a job that has not yielded")
	}
	delete(p.yielded, job)
}

// bare is an inner scheduler that wants to be told nothing.
type bare struct{ jobs []core.Job }

func (b *bare) Push(job core.Job) { b.jobs = append(b.jobs, job) }
func (b *bare) Len() int          { return len(b.jobs) }
func (b *bare) Pop(int) (job core.Job, ok bool) {
	if len(b.jobs) == 0 {
		return job, false
	}
	job, b.jobs = b.jobs[0], b.jobs[1:]
	return job, true
}

// checkNesting puts inner schedulers into the outer one.
func checkNesting(s *Spec, e effort) error {
	plain := *s
	plain.Model = nil
	plain.New = func() (core.Scheduler, error) {
		return s.Nest(func() (core.Scheduler, error) { return new(bare), nil })
	}
	calls := mix{push: 4, pop: 3, complete: 3, again: 1, claim: 2, sweep: 1, resize: 1}
	if err := sequences(faultLost|faultTwice, calls)(&plain, e); err != nil {
		return fmt.Errorf("over one without optional interfaces: %w", err)
	}
	failing := errors.New("schedulertest: not made")
	if _, err := s.Nest(func() (core.Scheduler, error) { return nil, failing }); !errors.Is(err, failing) {
		return errors.New("an inner one that cannot be made: the error is not that of its function")
	}
	for round := range e.rounds(100) {
		if err := nestedRound(s, rand.New(rand.NewPCG(e.seed, uint64(round)))); err != nil {
			return err
		}
	}
	return nil
}

func nestedRound(s *Spec, random *rand.Rand) error {
	var probes []*probe
	var faults []error
	var refuse error
	swept := 0
	nested := *s
	nested.Model = nil
	nested.New = func() (core.Scheduler, error) {
		return s.Nest(func() (core.Scheduler, error) {
			p := &probe{out: map[core.Job]int{}, yielded: map[core.Job]bool{}, faults: &faults, swept: &swept, refuse: &refuse}
			probes = append(probes, p)
			return p, nil
		})
	}
	jobs, err := newMint(&nested)
	if err != nil {
		return err
	}
	defer jobs.close()
	d, err := newDriver(&nested, jobs, random, ^fault(0))
	if err != nil {
		return err
	}
	var pool []int
	for range 40 {
		d.step(mix{push: 5, pop: 3, complete: 2, again: 1, claim: 1}, &pool)
	}
	tellYields(d)
	d.resized(7)
	stored := 0
	for _, p := range probes {
		if stored += len(p.jobs); p.resized != 7 && len(p.jobs) > 0 {
			faults = append(faults, fmt.Errorf("an inner scheduler is not told of Resized(7), the last was %d", p.resized))
		}
	}
	if d.sweep(func(core.Job) bool { return false }); swept != stored {
		faults = append(faults, fmt.Errorf("Sweep asks about %d of the %d jobs in the inner schedulers", swept, stored))
	}
	refuse = errors.New("no")
	if r, ok := d.s.(core.Refuser); !ok || !errors.Is(r.Refuse(jobs.job(0)), refuse) {
		faults = append(faults, errors.New("what an inner scheduler refuses is not refused"))
	}
	refuse = nil
	d.drain()
	for _, p := range probes {
		for job, n := range p.out {
			if n != 0 {
				faults = append(faults, fmt.Errorf("an inner scheduler is not told that %s was completed", job))
			}
		}
	}
	return errors.Join(append(faults, d.found)...)
}

// tellYields lets what runs wait for a while without a worker.
func tellYields(d *driver) {
	y, ok := d.s.(core.Yielder)
	if !ok {
		d.judged = ^fault(0)
		d.fail(faultLost, "it is no core.Yielder, which an inner scheduler may want")
		return
	}
	waiting := slices.Clone(d.running)
	for _, job := range waiting {
		d.note("Yielded(%s)", job)
		y.Yielded(job)
	}
	d.pop()
	for _, job := range waiting {
		d.note("Resumed(%s)", job)
		y.Resumed(job)
	}
}
