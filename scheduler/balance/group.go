package balance

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/uptutu/goman/core"
)

// The limits of a group.
const (
	// MaxEngines is how many engines a group may have.
	MaxEngines = 1024
	// MinWeight is the least weight of an engine.
	MinWeight = 0.001
	// MaxWeight is the largest weight of an engine.
	MaxWeight = 1_000_000
	// DefaultWeight is the weight of an engine that was given none.
	DefaultWeight = 1
)

// Config describes a [Group].
type Config struct {
	// Name of the group in errors and statistics. Default: "group".
	Name string
	// Balancer chooses an engine for each task. Default: RoundRobin.
	Balancer Balancer
	// Engines are those that are in the group from the beginning, at least one and at
	// most MaxEngines. The slice is copied.
	Engines []*core.Engine
	// Weights are those of Engines, MinWeight to MaxWeight. Default, nil: DefaultWeight
	// for each. RoundRobin and ByFunc do not look at them.
	Weights []float64
}

// Group submits tasks to one of several engines, by [Submit] and the other functions that
// take a group, and [Group.Go]. A [Balancer] chooses the engine. Engines join and leave
// while the group is in use. All methods may be called by any number of goroutines.
//
// # Which engine
//
// The balancer chooses among the engines that run. If the engine does not take the task,
// because its queue is full, it was shut down at this moment, or its scheduler has failed,
// the next best is asked, and so on. Engines that are paused are asked only if no engine
// runs, those that were shut down only after all others: they take what a task of theirs
// submits, if [core.Config.AcceptChildren] is set. So a task is refused only if each
// engine has a reason, and the [*Error] holds them all. (A paused engine's is
// [ErrPaused] where others run.)
//
// When every engine that could take the task is full, the reject policy counts: that of
// the task's attributes, or else of the engine that was asked first. Under
// [core.RejectWait], the default, Submit waits for room in any of the engines, in the
// order of arrival; every other policy is carried out by the engine that was asked first.
// While others wait, who comes later does not overtake them, and a submission that does
// not wait is refused with [core.ErrQueueFull].
//
// An engine of a group may be used directly as well. Those who wait for room in its own
// queue come before those who wait in the group.
//
// # Waiting inside a task
//
// A task may submit to the group it came from, and wait for the result, with its own
// context. It does not hold its worker up, neither when it waits for room nor when the
// other task runs on another engine.
//
// # Cost
//
// A submission takes no lock of the group and allocates nothing beside what core
// allocates: BenchmarkSubmit, BenchmarkGo. Each engine that refuses a task costs
// an error. A wait for room costs some microseconds and allocates; as long as somebody
// waits, the engines tell the group of each task that starts or ends, by hooks. The
// optional methods of a task, such as [core.Keyed], are called once for each engine that
// is asked, and once more by ByKey and ByFunc.
type Group struct {
	// Immutable after New.
	name     string
	balancer Balancer
	seed     maphash.Seed

	roster  atomic.Pointer[roster] // replaced as a whole
	refused atomic.Uint64
	room    room

	mu      sync.Mutex // serialises changes of what follows, and of roster
	closed  bool       // Shutdown or Close has begun
	watched bool       // the engines tell of room
	leavers []*leaver
	settled core.Stats // of engines that have left and are forgotten
}

// roster is the engines of a group at one time. It does not change.
type roster struct {
	seats   []*seat
	engines []*core.Engine // the same
	weights []float64      // theirs
	even    bool           // the weights are equal
	turns   *turns
	round   []uint16 // the order of turns, if it is not that of engines
}

// seat is the place of an engine in the group.
type seat struct {
	engine *core.Engine
	place  uint64      // see byKey
	base   core.Stats  // what had ended when it joined
	gone   atomic.Bool // it has left
	load   load

	// Guarded by Group.mu.
	uncount func() // takes the hooks back that count the load
	unwatch func() // takes the hooks back that tell of room
}

// New makes a group. It does not own the engines until [Group.Shutdown] or
// [Group.Close] ends them all.
//
// The error matches [core.ErrConfig] and names every fault; each matches what is wrong as
// well: [ErrNoEngine], [ErrMember] for an engine given twice, [ErrTooMany],
// [core.ErrInvalid] for one that is nil or was not made by [core.New] and for a weight
// that is not a number of the range, [core.ErrClosed] for an engine that was shut down.
func New(config Config) (*Group, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	g := &Group{name: config.Name, balancer: config.Balancer, seed: maphash.MakeSeed()}
	if g.name == "" {
		g.name = "group"
	}
	seats := make([]*seat, len(config.Engines))
	weights := slices.Clone(config.Weights)
	if weights == nil {
		weights = slices.Repeat([]float64{DefaultWeight}, len(seats))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, e := range config.Engines {
		seats[i] = g.seat(e)
	}
	g.roster.Store(g.newRoster(seats, weights))
	return g, nil
}

// Validate reports everything that is wrong with c, joined. All of it matches
// core.ErrConfig.
func (c *Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("balance: %w: "+format, append([]any{core.ErrConfig}, args...)...))
	}
	if err := c.Balancer.validate(); err != nil {
		fault("Balancer: %w", err)
	}
	if len(c.Engines) == 0 {
		fault("Engines: %w: give one at least", ErrNoEngine)
	}
	if len(c.Engines) > MaxEngines {
		fault("Engines: %w: there are %d, allowed are %d", ErrTooMany, len(c.Engines), MaxEngines)
	}
	for i, e := range c.Engines {
		if err := checkEngine(e); err != nil {
			fault("Engines[%d]: %w", i, err)
		} else if first := slices.Index(c.Engines, e); first < i {
			fault("Engines[%d]: %w: it is Engines[%d] too", i, ErrMember, first)
		}
	}
	if c.Weights != nil && len(c.Weights) != len(c.Engines) {
		fault("Weights: %w: there are %d for %d engines", core.ErrInvalid, len(c.Weights), len(c.Engines))
	}
	for i, w := range c.Weights {
		if err := checkWeight(w); err != nil {
			fault("Weights[%d]: %w", i, err)
		}
	}
	return errors.Join(faults...)
}

// checkEngine reports why e cannot join a group.
func checkEngine(e *core.Engine) error {
	switch {
	case e.Name() == "": // that of every engine which New has made is not
		return fmt.Errorf("%w: the engine is nil or was not made by core.New", core.ErrInvalid)
	case e.IsShutdown():
		return fmt.Errorf("%w: engine %s: it would take nothing", core.ErrClosed, e.Name())
	}
	return nil
}

func checkWeight(w float64) error {
	if math.IsNaN(w) || w < MinWeight || w > MaxWeight {
		return fmt.Errorf("%w: weight %v: allowed is %v to %v", core.ErrInvalid, w, MinWeight, MaxWeight)
	}
	return nil
}

func (g *Group) made() bool { return g != nil && g.roster.Load() != nil }

// Name returns the group's name: Config.Name, or "group".
func (g *Group) Name() string {
	if g == nil {
		return ""
	}
	return g.name
}

// Engines returns the engines of the group, in the order in which they joined.
func (g *Group) Engines() []*core.Engine {
	if !g.made() {
		return nil
	}
	return slices.Clone(g.roster.Load().engines)
}

// Join adds engine to the group, with [DefaultWeight]. From then on it is chosen, also for
// those who wait for room.
//
// The error matches [ErrMember] if it is in the group, [ErrTooMany], [core.ErrInvalid] if
// it is nil or was not made by [core.New], or [core.ErrClosed] if the engine or the group
// was shut down. Joining copies lists, and computes the order of [WeightedRoundRobin]:
// for 1,000 engines some milliseconds.
func (g *Group) Join(engine *core.Engine) error { return g.JoinWeighted(engine, DefaultWeight) }

// JoinWeighted is Join with a weight, MinWeight to MaxWeight; the error matches
// [core.ErrInvalid] if it is another.
func (g *Group) JoinWeighted(engine *core.Engine, weight float64) error {
	return g.change(func() error {
		if err := errors.Join(checkEngine(engine), checkWeight(weight)); err != nil {
			return err
		}
		if g.closed {
			return fmt.Errorf("%w: Shutdown or Close of the group has begun", core.ErrClosed)
		}
		return g.join(engine, weight)
	})
}

// Leave takes engine out of the group. From then on it is not chosen; what it has
// accepted runs, and counts in [Group.Stats]. The engine goes on: end it with
// [core.Engine.Shutdown], whose report hands back what it has not run.
//
// A submission that is on its way while Leave is called may still reach the engine. If it
// was shut down meanwhile the task goes to another one.
//
// The error matches [ErrNotMember] if engine is not in the group.
func (g *Group) Leave(engine *core.Engine) error {
	return g.change(func() error {
		old := g.roster.Load()
		i, err := old.find(engine)
		if err != nil {
			return err
		}
		seats, weights := slices.Clone(old.seats), slices.Clone(old.weights)
		g.roster.Store(g.newRoster(slices.Delete(seats, i, i+1), slices.Delete(weights, i, i+1)))
		seat := old.seats[i]
		seat.removeHooks()
		// First gone: a task that the look at the figures does not see is accepted after
		// it, and whoever has submitted that sees gone, and calls late.
		seat.gone.Store(true)
		g.leavers = append(g.leavers, newLeaver(seat))
		return nil
	})
}

// SetWeight changes the weight of engine, MinWeight to MaxWeight. The error matches
// [core.ErrInvalid] if it is another, or [ErrNotMember].
func (g *Group) SetWeight(engine *core.Engine, weight float64) error {
	return g.change(func() error {
		if err := checkWeight(weight); err != nil {
			return err
		}
		old := g.roster.Load()
		i, err := old.find(engine)
		if err != nil {
			return err
		}
		weights := slices.Clone(old.weights)
		weights[i] = weight
		g.roster.Store(g.newRoster(old.seats, weights))
		return nil
	})
}

// Weight returns the weight of engine, 0 if it is not in the group.
func (g *Group) Weight(engine *core.Engine) float64 {
	if g.made() {
		r := g.roster.Load()
		if i := slices.Index(r.engines, engine); i >= 0 {
			return r.weights[i]
		}
	}
	return 0
}

// change makes a change of the group's engines, and lets those who wait for room look
// again.
func (g *Group) change(what func() error) error {
	if !g.made() {
		return errNoGroup()
	}
	g.mu.Lock()
	err := what()
	g.reap()
	g.mu.Unlock()
	if err != nil {
		return fmt.Errorf("balance: group %s: %w", g.name, err)
	}
	g.room.wake()
	return nil
}

// join takes engine in. The caller holds mu.
func (g *Group) join(engine *core.Engine, weight float64) error {
	old := g.roster.Load()
	switch {
	case slices.Contains(old.engines, engine):
		return fmt.Errorf("%w: engine %s", ErrMember, engine.Name())
	case len(old.engines) == MaxEngines:
		return fmt.Errorf("%w: allowed are %d", ErrTooMany, MaxEngines)
	}
	seats, weights := slices.Clone(old.seats), slices.Clone(old.weights)
	g.roster.Store(g.newRoster(append(seats, g.seat(engine)), append(weights, weight)))
	return nil
}

// find returns the index of engine.
func (r *roster) find(engine *core.Engine) (int, error) {
	i := slices.Index(r.engines, engine)
	switch {
	case i >= 0:
		return i, nil
	case engine.Name() == "":
		return i, fmt.Errorf("%w: it is nil or was not made by core.New", ErrNotMember)
	}
	return i, fmt.Errorf("%w: engine %s", ErrNotMember, engine.Name())
}

// seat makes a seat for engine, and puts in the hooks that it needs. The caller holds mu.
func (g *Group) seat(engine *core.Engine) *seat {
	s := &seat{engine: engine, place: g.placeOf(engine)}
	if g.balancer.countsLoad() {
		s.uncount, _ = engine.AddHooks(s.load.hooks()) // no error: New has made the engine
	}
	now := engine.Stats()
	s.load.correct(now.Queued + now.Running)
	s.base = g.baseOf(engine, now)
	if g.watched {
		g.watch(s)
	}
	return s
}

// removeHooks takes back what the group has put into the engine.
func (s *seat) removeHooks() {
	if s.uncount != nil {
		s.uncount()
		s.uncount = nil
	}
	if s.unwatch != nil {
		s.unwatch()
		s.unwatch = nil
	}
}

// newRoster makes a roster. The turns go on where those of the present one are.
func (g *Group) newRoster(seats []*seat, weights []float64) *roster {
	r := &roster{seats: seats, weights: weights, even: equal(weights)}
	for _, s := range seats {
		r.engines = append(r.engines, s.engine)
	}
	size := len(seats)
	if g.balancer.kind == weightedRoundRobin {
		if r.round = weightedRound(weights); r.round != nil {
			size = len(r.round)
		}
	}
	if size > 0 {
		var place uint64
		if old := g.roster.Load(); old != nil && old.turns != nil {
			place = old.turns.place()
		}
		r.turns = newTurns(size, place)
	}
	return r
}
