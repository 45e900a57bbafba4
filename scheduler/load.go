package scheduler

import (
	"time"

	"github.com/uptutu/goman/core"
)

// load estimates how long a job will have to wait in a Deadline: the expected running
// time of what is queued with an earlier deadline, and the rest of what runs, over the
// number of workers.
type load struct {
	workers int64
	began   time.Time
	names   map[string]observed
	other   observed // all names together, and those for which there is no room

	// sums has the queued jobs by deadline, in ticks: for a level l and a number n,
	// those of the deadlines from n·4^l to (n+1)·4^l. It is a
	// tree of which the empty parts are left out (P. Fenwick, A New Data Structure
	// for Cumulative Frequency Tables, 1994, with four children).
	sums map[sumKey]sum
	most int // entries at once since the map was made

	running map[core.Job]startedJobs
	count   int64 // jobs that run
	starts  int64 // the sum of the times at which they started
	charged int64 // and of how long they are expected to take
}

// observed is how long tasks take.
type observed struct {
	usual int64
	seen  int
}

// sum is a number of jobs and how long they are expected to take.
type sum struct{ jobs, cost int64 }

func (s sum) plus(other sum) sum { return sum{s.jobs + other.jobs, s.cost + other.cost} }

// sumKey is a level and, in its lower bits, a number.
type sumKey uint64

func keyOf(level int, n uint64) sumKey { return sumKey(uint64(level)<<loadBits | n) }

const (
	loadTick   = time.Millisecond
	loadBits   = 40           // 2^40 ticks are 34 years
	loadLevels = loadBits / 2 // of 2 bits each
	loadNames  = 1000         // at most so many names are told apart
	loadSeen   = 8            // so many tasks make an estimate
)

func newLoad() *load {
	return &load{
		workers: 1,
		began:   time.Now(),
		names:   make(map[string]observed),
		sums:    make(map[sumKey]sum),
		running: make(map[core.Job]startedJobs),
	}
}

// usual returns how long job is expected to take, and whether that is known.
func (l *load) usual(job core.Job) (cost int64, known bool) {
	o, ok := l.names[job.Name()]
	if ok && o.seen >= loadSeen {
		return o.usual, true
	}
	return l.other.usual, !ok && len(l.names) >= loadNames
}

// tick returns the tick in which a deadline lies; those that are past are in the
// first, those that are too far away in the last.
func (l *load) tick(due int64) uint64 {
	d := (due/int64(loadTick) - l.began.UnixNano()/int64(loadTick))
	return uint64(min(max(d, 0), 1<<loadBits-1))
}

// queued notes that a job is queued, and left that it is no more.
func (l *load) queued(due, cost int64) { l.add(due, sum{1, cost}) }
func (l *load) left(due, cost int64)   { l.add(due, sum{-1, -cost}) }

func (l *load) add(due int64, change sum) {
	n := l.tick(due)
	for level := range loadLevels {
		key := keyOf(level, n)
		if changed := l.sums[key].plus(change); changed.jobs == 0 {
			delete(l.sums, key)
		} else {
			l.sums[key] = changed
		}
		n >>= 2
	}
	l.most = max(l.most, len(l.sums))
	l.sums = shrunk(l.sums, &l.most)
}

// before returns how long a job with that deadline has to wait.
func (l *load) before(due int64, now time.Time) int64 {
	n := l.tick(due)
	ahead := l.sums[keyOf(0, n)] // those of the same tick count as earlier
	for level := range loadLevels {
		for i := range n & 3 {
			ahead = ahead.plus(l.sums[keyOf(level, n&^3|i)])
		}
		n >>= 2
	}
	if ahead.jobs+l.count < l.workers {
		return 0 // there is a worker that has nothing to do
	}
	rest := l.charged - (l.count*int64(now.Sub(l.began)) - l.starts) // of what runs
	return (ahead.cost + max(rest, 0)) / l.workers
}

func (l *load) started(job core.Job, cost int64) {
	at := int64(time.Since(l.began))
	r := l.running[job]
	l.running[job] = startedJobs{r.count + 1, r.at + at, r.charged + cost}
	l.count++
	l.starts += at
	l.charged += cost
}

func (l *load) completed(job core.Job) {
	r := l.running[job]
	if r.count == 0 {
		return
	}
	at, charged := r.at/r.count, r.charged/r.count
	if r.count == 1 {
		delete(l.running, job)
	} else {
		l.running[job] = startedJobs{r.count - 1, r.at - at, r.charged - charged}
	}
	l.count--
	l.starts -= at
	l.charged -= charged
	took := max(int64(time.Since(l.began))-at, 1)
	l.other = l.other.with(took)
	name := job.Name()
	if o, ok := l.names[name]; ok || len(l.names) < loadNames {
		l.names[name] = o.with(took)
	}
}

func (o observed) with(took int64) observed {
	return observed{average(o.usual, took), o.seen + 1}
}
