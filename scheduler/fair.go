package scheduler

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/uptutu/goman/core"
)

// Fair gives the tenants of the tasks (core.Attributes.Tenant) their turns, each a
// share by its weight: whatever one tenant submits delays the others by its share
// only. Tasks without one are those of tenant "". Each tenant has a scheduler of its
// own, which orders its jobs.
//
// It is deficit round robin (M. Shreedhar and G. Varghese, Efficient Fair Queueing
// using Deficit Round Robin, SIGCOMM 1995), over tenants that come and go: one exists
// as long as it has a job that waits or runs, and one that comes again stands at the
// end of the ring, if it has no turn saved. A turn lets as many jobs start as the
// tenant's weight says; or, ByTime, jobs of as much running time as the usual job takes,
// times the weight. How long a job takes is known when it has ended, so it is charged what
// the tenant's jobs usually take, and the rest then. A tenant that has no job any more
// loses its credit and its debt, and is forgotten once it has nothing to save: a thousand
// of them are remembered at most.
//
// Who submits little waits little, whatever others have queued: a tenant that comes to
// have a job has its turn before those in the ring, if it has saved one. It begins with
// four, and saves those of rounds of the ring that pass without it, up to four. So a small
// burst is ahead as well, and yet nobody has more turns than the others for long. Between two turns of the
// ring no more than sixteen saved ones are taken, so whoever makes up tenants gains no more
// than that. (FQ-CoDel, RFC 8290, puts new flows ahead in this manner.)
//
// Waiting: by count, the k-th job of a tenant of weight w starts in its ceil(k/w)-th
// turn at the latest, and between two turns of a tenant each other one starts no more
// jobs than its weight, besides the saved turns, at most sixteen before each turn of the
// ring. That holds for tenants that are neither at their limit nor held back by their own
// scheduler, and counts entries of cancelled jobs, of which there are never more than live
// ones, but for 64. Jobs that are run in place by who
// waits for them count too: if they are more than the weight, turns are passed over.
//
// Cost: a look-up of the tenant for each Push and end, and the turn, at any number of
// tenants (BenchmarkScheduler); ByTime two looks at the clock. Memory: about 200 bytes
// for a tenant that has jobs or is remembered, besides its scheduler.
type Fair struct {
	cfg  FairConfig
	make func() (nested, error)
	told settings

	tenants map[string]*tenant
	most    int // tenants at once since the map was made
	count   int // stored jobs
	spare   *nested

	ready  tenantList  // the ring of those with jobs that may start
	fresh  tenantList  // those that have a saved turn before the ring
	ahead  int         // saved turns taken since the last turn of the ring
	passed int64       // rounds of the ring, in roundUnits
	idle   tenantList  // those without any job, remembered while they have less than all saved
	held   tenantList  // those whose own scheduler gives none out
	woken  atomic.Bool // the waker was called since

	began   time.Time
	usual   int64 // what a job takes, in nanoseconds
	quantum int64 // what it took when this round began
	turns   int   // given in this round
	starts  map[core.Job]startedJobs
}

// settings is what the engine has told, for an inner scheduler that is made later.
type settings struct {
	workers int
	wake    func()
}

func (s *settings) tell(inner *nested) {
	if s.wake != nil {
		inner.SetWaker(s.wake)
	}
	if s.workers > 0 {
		inner.Resized(s.workers)
	}
}

// FairConfig tells how a Fair is made. The zero value is valid.
type FairConfig struct {
	// Weight tells a tenant's weight, each time that it comes to have jobs, 1 to
	// MaxWeight; what lies outside counts as the nearest. The default is 1 for all.
	Weight func(tenant string) int
	// InFlight is how many workers the tasks of one tenant may occupy at a time, 0 for
	// any number. A task that waits inside occupies none, and one that runs in place of
	// who waits for it takes none; when a task goes on after a wait, the tenant may be
	// above its limit until another task of it has ended.
	InFlight int
	// ByTime shares running time and not the number of tasks. The time counts from
	// the start to the end of a task, what it waits inside included.
	ByTime bool
}

// MaxWeight is the largest weight of a tenant.
const MaxWeight = 1 << 20

// maxQuantum, 36 minutes, times MaxWeight does not overflow. Jobs that usually take
// longer take several turns for it.
const maxQuantum = math.MaxInt64 / MaxWeight / 4

// tenant is one that has a job.
type tenant struct {
	name   string
	jobs   *nested
	weight int64
	credit int64 // in jobs or nanoseconds
	usual  int64 // what its jobs take
	queued int
	tally  tally
	alive  int   // started and not completed
	saved  int64 // turns that it may have before the others, in roundUnits, at seen
	seen   int64
	ahead  bool // it is to have one when it comes to have a job that may start

	list       *tenantList // that it is in; nil without a job that may start, or at its limit
	next, prev *tenant
}

// startedJobs is when a job was started, and what it was charged. A function may run
// several times at once: then it is the sum.
type startedJobs struct {
	count   int64
	at      int64
	charged int64
}

// NewFair makes a Fair of tenants of equal weight, by number of tasks, first in, first
// out. The error is nil: see NewFIFO.
func NewFair() (*Fair, error) { return NewFairWith(FairConfig{}, NewFIFO) }

// NewFairWith makes a Fair whose tenants' own schedulers are made by inner: NewFIFO,
// or a function of the user's. If that fails later on, the job is refused for which
// it was called. The error matches core.ErrInvalid if cfg or inner is wrong, or is the
// one that inner has returned.
func NewFairWith[S core.Scheduler](cfg FairConfig, inner func() (S, error)) (*Fair, error) {
	if cfg.InFlight < 0 {
		return nil, invalidf("%d tasks in flight for a tenant: allowed is 1 or more, or 0 for any number", cfg.InFlight)
	}
	s := &Fair{
		cfg:     cfg,
		make:    func() (nested, error) { return makeNested("Fair", inner) },
		tenants: make(map[string]*tenant),
		began:   time.Now(),
		quantum: 1,
	}
	if cfg.ByTime {
		s.starts = make(map[core.Job]startedJobs)
	}
	first, err := s.make()
	if err != nil {
		return nil, err
	}
	s.spare = &first
	return s, nil
}

// Push implements core.Scheduler.
func (s *Fair) Push(job core.Job) {
	t, known, err := s.tenant(job)
	if err != nil {
		panic(err) // a new job was refused before; this one is run again
	}
	if !known {
		s.tenants[t.name] = t
		s.most = max(s.most, len(s.tenants))
	}
	if t.list == &s.idle {
		t.weight = s.weight(t.name)
		s.move(t, nil)
	}
	if t.queued == 0 && t.list == nil {
		t.ahead = s.saved(t) >= roundUnit
	}
	defer func() { // also if it panics: it may have stored job
		s.recount(t)
		s.place(t, true)
	}()
	t.jobs.Push(job)
}

// tenant returns the tenant of job, made if need be, but not kept yet.
func (s *Fair) tenant(job core.Job) (t *tenant, known bool, err error) {
	name := job.Tenant()
	if t = s.tenants[name]; t != nil {
		return t, true, nil
	}
	t = &tenant{name: name, weight: s.weight(name), usual: s.usual, jobs: s.spare, saved: maxSaved * roundUnit, seen: s.passed}
	s.spare = nil
	if t.jobs == nil {
		made, err := s.make()
		if err != nil {
			return nil, false, err
		}
		t.jobs = &made
		s.told.tell(t.jobs)
	}
	return t, false, nil
}

func (s *Fair) weight(tenant string) int64 {
	if s.cfg.Weight == nil {
		return 1
	}
	return int64(min(max(s.cfg.Weight(tenant), 1), MaxWeight))
}

// Pop implements core.Scheduler.
func (s *Fair) Pop(worker int) (core.Job, bool) {
	if s.woken.Swap(false) {
		for s.held.first != nil {
			s.move(s.held.first, &s.ready)
		}
	}
	poor := 0 // how many in a row could not pay
	for l := s.next(); l != nil; l = s.next() {
		if poor == s.ready.count && l == &s.ready { // all have had their turns
			s.skip()
			poor = 0
		}
		t := l.first
		if !l.turn {
			l.turn = true
			s.begin(t)
		}
		if t.credit <= 0 {
			poor++
			s.move(t, &s.ready)
			continue
		}
		job, ok := t.jobs.Pop(worker)
		if !ok {
			poor = 0
			s.move(t, &s.held)
			continue
		}
		t.tally.started(job)
		s.started(t, job)
		if s.recount(t); t.credit <= 0 {
			s.move(t, &s.ready)
		}
		s.place(t, false)
		return job, true
	}
	return core.Job{}, false
}

// started counts and charges a job that starts.
func (s *Fair) started(t *tenant, job core.Job) {
	t.alive++
	if !s.cfg.ByTime {
		t.credit--
		return
	}
	charge := max(t.usual, 1)
	t.credit -= charge
	running := s.starts[job]
	running.count++
	running.at += s.now()
	running.charged += charge
	s.starts[job] = running
}

// Completed implements core.Completer.
func (s *Fair) Completed(job core.Job) {
	t := s.tenants[job.Tenant()]
	if t == nil {
		return
	}
	t.alive--
	t.tally.completed(job)
	if s.cfg.ByTime {
		s.settle(t, job)
	}
	t.jobs.Completed(job)
	s.recount(t)
	s.place(t, true)
}

// settle charges a job what it has taken.
func (s *Fair) settle(t *tenant, job core.Job) {
	running := s.starts[job]
	if running.count == 0 {
		return
	}
	at, charged := running.at/running.count, running.charged/running.count
	if running.count == 1 {
		delete(s.starts, job)
	} else {
		s.starts[job] = startedJobs{running.count - 1, running.at - at, running.charged - charged}
	}
	took := max(s.now()-at, 1)
	t.credit += charged - took
	t.usual = average(t.usual, took)
	s.usual = average(s.usual, took)
}

// average is the moving average of about the last eight values.
func average(old, value int64) int64 {
	if old == 0 {
		return value
	}
	return old + (value-old)/8
}

func (s *Fair) now() int64 { return int64(time.Since(s.began)) }

// recount asks the tenant's scheduler how many jobs it has left.
func (s *Fair) recount(t *tenant) {
	n := t.jobs.Len()
	s.count += n - t.queued
	t.queued = n
}

// place puts a tenant where it belongs after something has changed. again tells that
// its own scheduler may give out a job where it did not before.
func (s *Fair) place(t *tenant, again bool) {
	limited := s.cfg.InFlight > 0 && t.tally.running >= s.cfg.InFlight
	switch {
	case t.queued == 0 || limited:
		if s.move(t, nil); t.queued == 0 && t.alive == 0 {
			s.move(t, &s.idle)
			s.tidy()
		}
	case t.list == nil && t.ahead:
		t.ahead = false
		s.move(t, &s.fresh)
	case t.list == nil || again && t.list == &s.held:
		s.move(t, &s.ready)
	}
}

// forget drops a tenant that has no job any more.
func (s *Fair) forget(t *tenant) {
	delete(s.tenants, t.name)
	if s.spare == nil {
		s.spare = t.jobs
	}
	s.tenants = shrunk(s.tenants, &s.most)
}
