package schedulertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/uptutu/goman/core"
)

// driver makes the calls that the engine makes, one at a time, and checks the answers.
type driver struct {
	s      core.Scheduler
	model  Model // nil if the order is not judged
	mint   *mint
	random *rand.Rand
	judged fault // what is told; anything else is passed over

	stored  map[core.Job]int // live entries
	order   []core.Job       // the same, as they came
	dead    map[core.Job]int // entries of jobs that were claimed
	running []core.Job       // started and not completed
	ever    map[core.Job]bool

	free bool // see Spec.Free

	found error
	trace []note
}

// note is a call in the trace. It is put into words when somebody wants to read it.
type note struct {
	format string
	args   []any
}

// fault is a kind of wrong answer.
type fault uint

const (
	faultLost fault = 1 << iota
	faultTwice
	faultLen
	faultOrder
	faultIdle
	faultClaim
	faultSweep
)

func newDriver(spec *Spec, m *mint, random *rand.Rand, judged fault) (*driver, error) {
	s, err := spec.New()
	if err != nil {
		return nil, err
	}
	d := &driver{s: s, mint: m, random: random, judged: judged, free: spec.Free,
		stored: map[core.Job]int{}, dead: map[core.Job]int{}, ever: map[core.Job]bool{}}
	if spec.Model != nil {
		d.model = spec.Model()
	}
	if w, ok := s.(core.WakerSetter); ok {
		w.SetWaker(func() {})
	}
	d.resized(2)
	return d, nil
}

func (d *driver) fail(kind fault, format string, args ...any) {
	if d.found == nil && kind&d.judged != 0 {
		var tail []string
		for _, n := range d.trace[max(len(d.trace)-30, 0):] {
			tail = append(tail, d.words(n.format, n.args))
		}
		d.found = fmt.Errorf("%s\nafter %s", d.words(format, args), strings.Join(tail, ", "))
	}
}

func (d *driver) note(format string, args ...any) {
	d.trace = append(d.trace, note{format, args})
}

// words puts a call into words, with names for the jobs.
func (d *driver) words(format string, args []any) string {
	named := slices.Clone(args)
	for i, arg := range args {
		if job, ok := arg.(core.Job); ok {
			named[i] = d.name(job)
		}
	}
	return fmt.Sprintf(format, named...)
}

// name tells a job apart in a trace.
func (d *driver) name(job core.Job) string {
	if i := slices.Index(d.mint.jobs, job); i >= 0 {
		return fmt.Sprintf("job %d (%v, tenant %q, key %q)", i, job.Priority(), job.Tenant(), job.Key())
	}
	return fmt.Sprint(job)
}

func (d *driver) resized(workers int) {
	if r, ok := d.s.(core.Resizer); ok {
		d.note("Resized(%d)", workers)
		r.Resized(workers)
	}
}

func (d *driver) push(job core.Job) {
	d.note("Push(%s)", job)
	if r, ok := d.s.(core.Refuser); ok {
		if err := r.Refuse(job); err != nil {
			d.note("refused: %v", err)
			return
		}
	}
	d.s.Push(job)
	d.ever[job] = true
	d.stored[job]++
	d.order = append(d.order, job)
	if d.model != nil {
		d.model.Push(job)
	}
	d.checkLen()
}

// pop asks for a job, and reports whether a live one has started.
func (d *driver) pop() bool {
	for range 1000 {
		job, ok := d.s.Pop(d.random.IntN(2))
		if !ok {
			d.note("Pop() = none")
			if d.model != nil {
				if may := d.model.May(); len(may) > 0 {
					d.fail(faultIdle, "Pop gives out nothing, but %s may start", may[0])
				}
			}
			return false
		}
		d.note("Pop() = %s", job)
		switch {
		case d.stored[job] > 0:
			// A job that was claimed and is stored again may have both entries in
			// there: then it may come early.
			if d.model != nil && d.dead[job] == 0 {
				if may := d.model.May(); len(may) == 0 {
					d.fail(faultOrder, "%s starts, but nothing may", job)
				} else if !slices.Contains(may, job) {
					d.fail(faultOrder, "%s starts, but %s comes before it", job, may[0])
				}
			}
			d.start(job)
			d.checkLen()
			return true
		case d.dead[job] > 0:
			d.dead[job]--
		case d.ever[job]:
			d.fail(faultTwice, "%s is handed out once more", job)
		default:
			d.fail(faultTwice, "%s is handed out, but was never pushed", job)
			return false
		}
		d.tellCompleted(job) // the engine drops it
	}
	return false
}

func (d *driver) start(job core.Job) {
	d.remove(job)
	d.running = append(d.running, job)
	if d.model != nil {
		d.model.Started(job)
	}
}

func (d *driver) remove(job core.Job) {
	d.stored[job]--
	i := slices.Index(d.order, job)
	d.order = slices.Delete(d.order, i, i+1)
}

func (d *driver) tellCompleted(job core.Job) {
	if c, ok := d.s.(core.Completer); ok {
		c.Completed(job)
	}
}

// complete ends a running job, and pushes it again if again is set.
func (d *driver) complete(i int, again bool) {
	job := d.running[i]
	d.running = slices.Delete(d.running, i, i+1)
	d.note("Completed(%s)", job)
	d.tellCompleted(job)
	if d.model != nil {
		d.model.Completed(job)
	}
	if again {
		d.push(job)
	}
}

// yield lets all that run wait without a worker, then another start, and then go on in
// any order, or end first.
func (d *driver) yield() {
	y, ok := d.s.(core.Yielder)
	if !ok {
		return
	}
	waiting := slices.Clone(d.running)
	for _, job := range waiting {
		d.note("Yielded(%s)", job)
		y.Yielded(job)
	}
	// With nobody on a worker, nothing that may start is held back by a limit.
	if live := len(d.order); !d.pop() && live > 0 && d.free {
		d.fail(faultLost, "Pop gives out nothing, although all that run wait, and %d jobs are stored", live)
	}
	d.random.Shuffle(len(waiting), func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] })
	for _, job := range waiting {
		d.note("Resumed(%s)", job)
		y.Resumed(job)
	}
}

// claim asks whether a stored job may start out of its turn.
func (d *driver) claim(job core.Job) {
	var holder core.Job
	var ok bool
	if c, is := d.s.(core.Claimer); is {
		before := d.s.Len()
		holder, ok = c.Claim(job)
		if ok && d.s.Len() == before {
			d.dead[job]++
		}
	} else if _, is := d.s.(core.Completer); !is {
		ok = true
		d.dead[job]++
	}
	d.note("Claim(%s) = %s, %t", job, holder, ok)
	switch {
	case !ok && !holder.IsZero() && (holder == job || d.stored[holder] == 0 && !slices.Contains(d.running, holder)):
		d.fail(faultClaim, "%s is said to wait for %s, which has ended", job, holder)
	case ok && d.model != nil && !d.model.Open(job):
		d.fail(faultClaim, "%s is allowed to start", job)
	}
	if ok {
		d.start(job)
	}
	d.checkLen()
}

// sweep removes the stored jobs that choose returns true for.
func (d *driver) sweep(choose func(core.Job) bool) {
	s, ok := d.s.(core.Sweeper)
	if !ok {
		return
	}
	asked, over := map[core.Job]int{}, false
	dropped := map[core.Job]bool{}
	s.Sweep(func(job core.Job) bool {
		if over {
			d.fail(faultSweep, "drop is called after Sweep has returned")
		}
		asked[job]++
		if d.stored[job] == 0 {
			d.note("Sweep drops %s", job)
			if d.dead[job]--; d.dead[job] < 0 {
				d.fail(faultSweep, "Sweep asks about %s, which is not stored", job)
			}
			return true
		}
		if asked[job] <= d.stored[job]+d.dead[job] && choose(job) {
			d.note("Sweep drops %s", job)
			dropped[job] = true
			return true
		}
		return false
	})
	over = true
	if _, holds := d.s.(core.Completer); holds && len(dropped) > 1 {
		d.judged &^= faultOrder // the order in which it lets go what they held back is open
	}
	for job, n := range d.stored {
		if n > 0 && asked[job] != n+d.dead[job] {
			d.fail(faultSweep, "Sweep asks %d times about %s, which is stored once", asked[job], job)
		}
	}
	for _, job := range slices.Clone(d.order) {
		if dropped[job] {
			d.remove(job)
			d.dead[job] = 0
			if d.model != nil {
				d.model.Dropped(job)
			}
		}
	}
	d.checkLen()
}

func (d *driver) checkLen() {
	live, dead := len(d.order), 0
	for _, n := range d.dead {
		dead += max(n, 0)
	}
	if n := d.s.Len(); n < live || n > live+dead {
		d.fail(faultLen, "Len is %d, with %d jobs stored and %d dead entries", n, live, dead)
	}
}

// drain lets everything start and end.
func (d *driver) drain() {
	for {
		started := d.pop()
		if !started && len(d.running) == 0 {
			break
		}
		if len(d.running) > 0 && (!started || d.random.IntN(2) == 0) {
			d.complete(d.random.IntN(len(d.running)), false)
		}
		if d.found != nil {
			return
		}
	}
	if len(d.order) > 0 {
		d.fail(faultLost, "%s does not come out, although nothing runs any more", d.order[0])
	}
	if n := d.s.Len(); n != 0 && len(d.order) == 0 {
		d.fail(faultLost|faultLen, "Len is %d, but nothing comes out", n)
	}
}
