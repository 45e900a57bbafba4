package balance

import (
	"context"
	"sync"

	"github.com/uptutu/goman/core"
)

// Shutdown ends all engines of the group at the same time, each as
// [core.Engine.Shutdown] does: it refuses new work, runs what is queued, and when ctx ends
// it hands back what has not started. From then on no engine joins. Engines that have left
// are not ended.
//
// It returns nil if each engine has ended well, otherwise a [*ShutdownError]. It may
// be called again and concurrently. A task of one of the engines that calls it with its
// own context begins the end of all and waits for the others, but gets
// [core.ErrInsideTask] for its own. The error matches [core.ErrInvalid] if ctx is nil or
// the group was not made by New.
func (g *Group) Shutdown(ctx context.Context) error { return g.stop(ctx, (*core.Engine).Shutdown) }

// Close ends all engines of the group at the same time and by force, each as
// [core.Engine.Close] does. Otherwise it is as Shutdown.
func (g *Group) Close(ctx context.Context) error { return g.stop(ctx, (*core.Engine).Close) }

func (g *Group) stop(ctx context.Context, end func(*core.Engine, context.Context) error) error {
	if !g.made() {
		return errNoGroup()
	}
	if isNilContext(ctx) {
		return &Error{Group: g.name, Reasons: []error{errNilContext()}}
	}
	g.mu.Lock()
	g.closed = true
	engines := g.roster.Load().engines
	g.mu.Unlock()
	errs := make([]error, len(engines))
	var all sync.WaitGroup
	for i, e := range engines {
		all.Go(func() { errs[i] = end(e, ctx) })
	}
	all.Wait()
	g.room.wake()
	var reports []error
	for _, err := range errs {
		if err != nil {
			reports = append(reports, err)
		}
	}
	if reports == nil {
		return nil
	}
	return &ShutdownError{Group: g.name, Reports: reports}
}
