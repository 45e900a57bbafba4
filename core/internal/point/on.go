//go:build goman_points

package point

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Enabled reports whether the points do anything in this build.
const Enabled = true

// active is the controller of the schedule that runs at present. Package-level
// state is allowed here, because it does not exist without the build tag.
var active atomic.Pointer[Controller]

// At is a point where another goroutine may go first. A mutex that is held there
// must be a [Mutex].
func At(site Site) {
	if c := active.Load(); c == nil || !c.stop(site, false, "") {
		perturb(site)
	}
}

// Yield is At inside a loop that waits for somebody else's step.
func Yield(site Site) {
	if c := active.Load(); c == nil || !c.stop(site, true, "") {
		perturb(site)
	}
}

// Fail reports whether the step at site is to fail although it need not. Only
// steps that may fail anyway ask. It may be called with a mutex held.
func Fail(site Site) bool {
	if c := active.Load(); c != nil {
		if fails, mine := c.fails(site); mine {
			return fails
		}
	}
	return stress.faults > 0 && unit(stress.draw(site)) < stress.faults
}

// Enter is called at the beginning of a goroutine of the engine: it gives it a
// name that is the same in every run.
func Enter(role string, id int) {
	c := active.Load()
	if c == nil || !c.stop(Begin, false, role+"#"+strconv.Itoa(id)) {
		perturb(Begin)
	}
}

// Mutex is a sync.Mutex that may be held at a point. Who finds it taken is at a
// point too, and looks again when it is let go: who waits for a sync.Mutex is not
// durably blocked, and the controller would wait for ever.
type Mutex struct{ sync.Mutex }

// Lock is that of sync.Mutex.
func (m *Mutex) Lock() {
	for !m.TryLock() {
		if c := active.Load(); c == nil || !c.stop(Locked, true, "") {
			m.Mutex.Lock()
			return
		}
		runtime.Gosched() // the schedule may be over
	}
}

// perturbation is what the points do if there is no controller.
type perturbation struct {
	seed   uint64
	faults float64
	draws  atomic.Uint64
}

var stress = newPerturbation()

func newPerturbation() *perturbation {
	p := &perturbation{seed: uint64(time.Now().UnixNano())}
	if seed, err := strconv.ParseUint(os.Getenv("GOMAN_POINTS_SEED"), 10, 64); err == nil {
		p.seed = seed
	}
	if faults, err := strconv.ParseFloat(os.Getenv("GOMAN_POINTS_FAULTS"), 64); err == nil {
		p.faults = faults
	}
	return p
}

// draw returns the next random word. Which goroutine gets which is left to the
// runtime, so a seed repeats the mood of a run, not the run.
func (p *perturbation) draw(site Site) uint64 {
	return mix(p.seed ^ mix(p.draws.Add(1)) ^ uint64(site)<<56)
}

func perturb(site Site) {
	if stress.draw(site)%8 == 0 {
		runtime.Gosched()
	}
}

// StressSeed returns the seed of the perturbation, for a test's log.
func StressSeed() uint64 { return stress.seed }

// mix is the finaliser of splitmix64: every bit of x changes half of the result's.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// unit makes a number in [0, 1) of x.
func unit(x uint64) float64 { return float64(x>>11) / (1 << 53) }
