package balance

import (
	"fmt"
	"runtime/debug"

	"github.com/uptutu/goman/core"
)

// Balancer is how a [Group] chooses an engine for each task. The zero Balancer is
// [RoundRobin]. A Balancer is a value without state of its own: it may be given to
// several groups.
//
// A choice takes no lock and allocates nothing; BenchmarkBalancer measures each. It
// passes over engines that are paused or shut down, and an engine that refuses the
// task is followed by the next best: see [Group].
type Balancer struct {
	kind kind
	fn   func(engines []*core.Engine, attributes core.Attributes) int
}

type kind uint8

const (
	roundRobin kind = iota
	weightedRoundRobin
	leastLoaded
	powerOfTwo
	byKey
	byFunc
)

// RoundRobin gives each engine the next task in turn, weights left out. Of n tasks in a
// row each of k engines that take them gets n/k, rounded up or down. An engine that is
// passed over loses its turn to the others evenly.
//
// It costs one atomic addition, on a word that all submitters share.
func RoundRobin() Balancer { return Balancer{kind: roundRobin} }

// WeightedRoundRobin gives each engine tasks in proportion to its weight, and spreads
// them smoothly: with the weights 5, 1, 1 the order is a a b a c a a, not a a a a a b c.
// The order is computed when an engine joins, leaves or changes its weight; then a choice
// costs what one of [RoundRobin] does.
//
// The shares are exact in each round where the weights are whole numbers and their sum,
// divided by their greatest common divisor, is at most 4,096; the round is as long
// as that sum. Otherwise a round has 4,096 turns and a share is right to one turn of
// them; an engine that is due less than one has one, at the expense of the others.
//
// The algorithm is that of nginx, "upstream: smooth weighted round-robin balancing"
// (2012).
func WeightedRoundRobin() Balancer { return Balancer{kind: weightedRoundRobin} }

// LeastLoaded chooses the engine with the fewest tasks queued and running, divided by
// its weight; among equals any, by chance. It looks at every engine, so a choice costs a
// few nanoseconds for each. With many submitters at a time all of them may choose the
// same engine before its load is seen to grow: then [PowerOfTwo] spreads better.
//
// The load is counted by hooks, which cost each task of the engines about 100 ns: see
// BenchmarkGo. All tasks of an engine count, also those submitted past the group.
// The figure is exact if the engine was idle when it joined; otherwise it is off, for good,
// by the tasks that were being let in or ending at that moment.
//
// The newcomer counts too, (load+1)/weight, as in the weighted least-connection
// scheduling of the Linux Virtual Server (W. Zhang, 2000).
func LeastLoaded() Balancer { return Balancer{kind: leastLoaded} }

// PowerOfTwo draws two engines by chance and chooses the one with the smaller load, as
// [LeastLoaded] counts it. A choice costs the same for any number of engines, and the
// longest queue of n engines exceeds the mean by about log log n, where one engine drawn
// by chance would have log n / log log n (Azar, Broder, Karlin, Upfal, 1999; Mitzenmacher,
// "The Power of Two Choices in Randomized Load Balancing", 2001).
//
// Where both are passed over, the least loaded of the others is chosen.
func PowerOfTwo() Balancer { return Balancer{kind: powerOfTwo} }

// ByKey sends tasks with the same key to the same engine: [core.Attributes].Key, or what
// the task's method Key says. Tasks without a key go round robin.
//
// It is rendezvous hashing, the highest random weight (Thaler, Ravishankar, 1998). When an
// engine joins n others, 1/(n+1) of the keys move, all of them to it; when one of n
// leaves, its own 1/n move, spread over the others; no other key moves. An engine that
// comes back gets its keys back. Weights are shares of the keys, by the logarithmic
// method (Schindelhauer, Schomaker, 2005): a change of one weight moves keys only to or
// from that engine.
//
// A key whose engine is full, paused or shut down goes to the engine that would be its
// own without that one, for as long as that lasts. So it keeps no order of the tasks of a
// key, and does not promise that only one runs at a time: that is a scheduler's work. Where
// a key belongs differs between two groups and two runs of a program.
//
// A choice costs a hash of the key, and some nanoseconds for each engine, more if the
// weights differ.
func ByKey() Balancer { return Balancer{kind: byKey} }

// ByFunc asks fn, which returns the index of an engine in engines. attributes are those
// that the caller gave, completed by what the task brings. fn is called once for each
// submission, on the goroutine of the submitter, by any number of them at a time and
// outside every lock, and must not change the slice. If the engine that it has chosen
// does not take the task, the next one in the slice is asked, and so on around.
//
// Where fn panics or the index is none of engines', the submission is refused with a
// [*BalancerError].
func ByFunc(fn func(engines []*core.Engine, attributes core.Attributes) int) Balancer {
	return Balancer{kind: byFunc, fn: fn}
}

// String returns the balancer's name, such as "round robin".
func (b Balancer) String() string {
	names := [...]string{"round robin", "weighted round robin", "least loaded", "power of two choices", "by key", "by function"}
	return names[b.kind]
}

// validate reports what is wrong with b.
func (b Balancer) validate() error {
	if b.kind == byFunc && b.fn == nil {
		return fmt.Errorf("%w: the function given to ByFunc is nil", core.ErrInvalid)
	}
	return nil
}

// countsLoad reports whether the engines' loads have to be counted.
func (b Balancer) countsLoad() bool {
	return b.kind == leastLoaded || b.kind == powerOfTwo
}

// wish is what a choice depends on besides the engines.
type wish struct {
	key   string // for ByKey
	index int    // for ByFunc: what the function has answered
}

// wish finds out what a task asks for. It is all that is done for each task, whatever
// becomes of it.
func (g *Group) wish(r *roster, attrs *core.Attributes, task any) (w wish, err error) {
	switch g.balancer.kind {
	case byKey:
		if attrs != nil && attrs.Key != "" {
			w.key = attrs.Key
		} else if t, ok := task.(core.Keyed); ok && !isNil(task) {
			w.key = t.Key()
		}
	case byFunc:
		w.index, err = g.askFunc(r, attrs, task)
	}
	return w, err
}

// askFunc asks the user's function.
func (g *Group) askFunc(r *roster, attrs *core.Attributes, task any) (index int, err error) {
	var given core.Attributes
	if attrs != nil {
		given = *attrs
	}
	if !isNil(task) {
		completeAttributes(&given, task)
	}
	if len(r.engines) == 0 {
		return 0, nil // nobody to choose from: the submission will say so
	}
	if index, err = g.callFunc(r, given); err != nil {
		return 0, err
	}
	if index < 0 || index >= len(r.engines) {
		return 0, &BalancerError{Group: g.name, Engines: len(r.engines), Index: index}
	}
	return index, nil
}

// callFunc calls the function of ByFunc.
func (g *Group) callFunc(r *roster, given core.Attributes) (index int, err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			err = &BalancerError{Group: g.name, Engines: len(r.engines), Panic: v, Stack: debug.Stack()}
		}
	}()
	index = g.balancer.fn(r.engines, given)
	returned = true
	return index, nil
}

// completeAttributes fills what the caller left out from the task's own methods, as far
// as a choice may depend on it.
func completeAttributes(a *core.Attributes, task any) {
	if t, ok := task.(core.Prioritized); ok && a.Priority == 0 {
		a.Priority = t.Priority()
	}
	if t, ok := task.(core.Keyed); ok && a.Key == "" {
		a.Key = t.Key()
	}
	if t, ok := task.(core.Tenanted); ok && a.Tenant == "" {
		a.Tenant = t.Tenant()
	}
	if t, ok := task.(core.Named); ok && a.Name == "" {
		a.Name = t.Name()
	}
	if t, ok := task.(core.Labeled); ok && a.Labels == nil {
		a.Labels = t.Labels()
	}
}

// choose returns the index of the engine to ask next, or -1 if there is none that runs
// and was not asked. asked is nil for the first choice.
//
// It is a switch and not an interface because what is passed to an interface's method
// is allocated.
func (g *Group) choose(r *roster, asked []bool, w wish) int {
	switch g.balancer.kind {
	case leastLoaded:
		return r.leastLoaded(asked)
	case powerOfTwo:
		return r.powerOfTwo(asked)
	case byKey:
		if w.key != "" {
			return r.byKey(asked, g.hash(w.key))
		}
	case byFunc:
		return r.from(w.index, asked)
	}
	return r.inTurn(asked)
}

// free reports whether engine i runs and was not asked.
func (r *roster) free(i int, asked []bool) bool {
	if asked != nil && asked[i] {
		return false
	}
	e := r.engines[i]
	return !e.IsPaused() && !e.IsShutdown()
}

// from returns the first free engine from start on, around the circle, or -1.
func (r *roster) from(start int, asked []bool) int {
	n := len(r.engines)
	for k := range n {
		if i := (start + k) % n; r.free(i, asked) {
			return i
		}
	}
	return -1
}
