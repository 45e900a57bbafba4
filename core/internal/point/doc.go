// Package point lets a test decide which goroutine of the engine takes its next
// step, and makes steps fail that may.
//
// At each synchronisation step (announce, re-check, park, claim, …) core calls
// [At] with the name of the step, a [Site]. In an ordinary build the calls are
// empty functions that inline to nothing: a test compiles a function with and
// without them and compares the size. With the build tag goman_points they do one
// of two things.
//
// # Controlled schedules
//
// Inside Run, a goroutine that reaches a point stops there. All goroutines run in
// a testing/synctest bubble, so the controller knows when every other goroutine
// is at a point or truly blocked (channel, condition, timer: real ones, nothing is
// wrapped). Then it chooses one of those at a point, by a seed, and lets it go to
// its next. The same seed gives the same trace. If nobody is at a point, fake time
// passes; if nothing happens in a day of it, that is a found hang.
//
//	point.Check(t, point.Config{Strategy: point.Mixed}, 5000, func(c *point.Controller) {
//		e := engineFor(c, core.WithWorkers(1)) // c is a testing.TB; the engine lives in the bubble
//		c.Go("a", func() { … })                // an actor of the scenario
//		c.Go("b", func() { … })
//		c.Join()
//	})
//
// A random walk finds what needs many coincidences of no special order; PCT
// (Burckhardt et al., ASPLOS 2010: random priorities, depth-1 changes) finds what
// needs a few in a certain order. Neither finds all of what the other does: Mixed
// takes turns.
//
// # Perturbation
//
// Without a controller, every eighth point or so calls runtime.Gosched: ordinary
// stress tests find more that way. GOMAN_POINTS_SEED sets the seed, and
// GOMAN_POINTS_FAULTS the share of the steps that may fail which do; zero is the
// default.
//
// # Traps
//
//   - No point inside a critical section, but that of a [Mutex]. Who waits for a
//     sync.Mutex is not durably blocked, so the controller would wait for ever;
//     after a minute it shows all stacks and ends the process.
//   - A point between the look at a state and the compare-and-swap, not before both:
//     otherwise nobody can come between, and a store in its place is never found.
//   - A point in a loop that waits for somebody else's step must be [Yield], or
//     PCT lets the loop turn for ever.
//   - A goroutine that is let go runs to its next point: two steps without a point
//     between them are one. A scenario puts At(Actor) between its own.
//   - No time-outs as a net: where one ends a wait that would never end, a lost
//     wake-up looks like a slow answer. Wait without end; a hang is found.
//   - Two goroutines must not run at the same time for long: there must be a point
//     right after each place where a goroutine is woken, and at the beginning of
//     each goroutine ([Enter]). A select with two ready cases and the order of a
//     map are chosen by the runtime: where they matter the trace does not repeat.
//   - Names must be stable: an actor's, or role and number. Goroutines of timers and
//     of context.AfterFunc have none, and are numbered as they come.
//   - Everything the scenario uses must be made inside: the runtime forbids channels
//     and timers across a bubble's border. A channel made outside does not count as
//     durably blocking.
//   - Code that spins only if there are more processors does not do so here: Run
//     sets GOMAXPROCS to one. Do not run it beside parallel tests.
//   - rapid.Check goes outside Run, not inside.
//   - A panic in a goroutine of the engine ends the process. Set GOMAN_POINTS_LOG to a
//     file and run the test again: the file then tells the schedule.
//   - A schedule that fails may leave its goroutines behind, asleep for ever.
package point
