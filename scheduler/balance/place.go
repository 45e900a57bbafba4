package balance

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/uptutu/goman/core"
)

// submission is a task on its way through the group, once the engine of first choice
// has not taken it.
type submission struct {
	ask    func(*core.Engine) error // submits to an engine, without waiting
	insist func(*core.Engine) error // submits to an engine, which does what the policy says
	policy core.RejectPolicy        // of the task, if it has one
	try    bool                     // do not wait, whatever the policy
	wish   wish

	roster  *roster // the engines that are asked
	first   int     // the one of them that was asked before, or -1
	refusal error   // its reason
}

// looks is how often who finds all engines full lets others run and asks again,
// before it waits. See BenchmarkFull.
const looks = 4

// outcome is what came of asking all engines.
type outcome struct {
	taken   bool
	full    int // the first that was full, or -1
	reasons []error
}

// place finds an engine for t.
//
//	all engines in the balancer's order -> accepted
//	                                    -> none was full: refused, for each one's reason
//	                                    -> full: what the policy says, which may be to wait
//
// Those who wait already come first: then one engine's policy is all that is asked for.
func (g *Group) place(ctx context.Context, t *submission) error {
	if g.room.waiting.Load() > 0 {
		policy := core.RejectFail
		if first := g.choose(t.roster, nil, t.wish); !t.try && first >= 0 {
			policy = t.policyOf(t.roster.engines[first])
		} else if first < 0 {
			policy = core.RejectPolicy(0) // nobody runs: those who wait will be told so too
		}
		switch policy {
		case core.RejectFail:
			return g.refuse(fmt.Errorf("%w: others wait for room", core.ErrQueueFull))
		case core.RejectWait:
			return g.wait(ctx, t)
		}
	}
	found := g.askAll(ctx, t)
	if found.taken {
		return nil
	}
	if t.try || found.full < 0 {
		return g.refuse(found.reasons...)
	}
	switch policy := t.policyOf(t.roster.engines[found.full]); policy {
	case core.RejectWait:
		// With tiny tasks there is room again before a goroutine could go to sleep.
		for range looks {
			runtime.Gosched()
			if t.first = -1; g.room.waiting.Load() > 0 {
				break
			}
			if found = g.askAll(ctx, t); found.taken {
				return nil
			}
		}
		return g.wait(ctx, t)
	case core.RejectFail:
		return g.refuse(found.reasons...)
	}
	if err := t.insist(t.roster.engines[found.full]); err != nil {
		return g.refuse(append(found.reasons, err)...)
	}
	g.landed(t.roster.seats[found.full])
	return nil
}

// policyOf returns the reject policy of the task, or else of e.
func (t *submission) policyOf(e *core.Engine) core.RejectPolicy {
	if t.policy != 0 {
		return t.policy
	}
	return e.Config().Reject
}

// askAll asks every engine of the group.
func (g *Group) askAll(ctx context.Context, t *submission) outcome {
	for {
		found := g.askRoster(ctx, t)
		now := g.roster.Load()
		if found.taken || now == t.roster {
			return found
		}
		t.roster, t.first = now, -1 // engines have joined or left meanwhile
	}
}

// askRoster asks every engine of t.roster once: those that run in the order of the
// balancer, then, if none of them is merely full, the paused ones, and last those that
// were shut down, which take what their own tasks submit.
func (g *Group) askRoster(ctx context.Context, t *submission) outcome {
	r, found := t.roster, outcome{full: -1}
	if len(r.engines) == 0 {
		found.reasons = []error{ErrNoEngine}
		return found
	}
	asked := make([]bool, len(r.engines))
	if t.first >= 0 {
		asked[t.first] = true
		if found.refusedBy(ctx, t.first, t.refusal) {
			return found
		}
	}
	ask := func(i int) (over bool) {
		asked[i] = true
		if err := t.ask(r.engines[i]); err != nil {
			return found.refusedBy(ctx, i, err)
		}
		g.landed(r.seats[i])
		found.taken = true
		return true
	}
	for i := g.choose(r, asked, t.wish); i >= 0; i = g.choose(r, asked, t.wish) {
		if ask(i) {
			return found
		}
	}
	runs := found.full >= 0 // some engine does, and may have room soon
	for _, shut := range []bool{false, true} {
		for i, e := range r.engines {
			switch {
			case asked[i] || e.IsShutdown() && !shut:
			case runs && e.IsPaused():
				asked[i] = true
				found.reasons = append(found.reasons, fmt.Errorf("%w: engine %s", ErrPaused, e.Name()))
			default:
				if ask(i) {
					return found
				}
			}
		}
	}
	return found
}

// refusedBy notes the reason of engine i. It reports whether it is one that every engine
// would have; then it is the only one.
func (a *outcome) refusedBy(ctx context.Context, i int, err error) (over bool) {
	if errors.Is(err, core.ErrInvalid) || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		a.full, a.reasons = -1, []error{err}
		return true
	}
	a.reasons = append(a.reasons, err)
	if a.full < 0 && errors.Is(err, core.ErrQueueFull) {
		a.full = i
	}
	return false
}
