// Package scheduler holds orders over the jobs of an engine, as values that nest.
// Package timetable adds tasks at a time, package balance spreads tasks over engines.
//
// An engine runs what is queued in the order of its [core.Scheduler]. Without one it has
// core's built-in scheduler, which is the fastest, and first in, first out for what
// comes from outside. Take one of these where that is not the order that you need:
//
//   - [Priority]: what is urgent first, with [Aging] so that nothing starves, and with
//     workers that are kept for what is urgent.
//   - [Fair]: tenants in turn, each a share by its weight.
//   - [Deadline]: the earliest deadline first, and what cannot be met refused.
//   - [Keyed]: the tasks of a key one after another, or a few at a time.
//   - [LIFO]: the newest first.
//   - [FromQueue]: the order of any queue of package queue, or of your own.
//   - [FIFO]: what the others are made of.
//
// They nest. A scheduler that has others in it makes them with a function: [NewFIFO],
// [NewFair], or one of yours.
//
//	core.New(core.WithScheduler(scheduler.NewPriority(scheduler.Aging(5*time.Second), scheduler.NewFair)))
//
// is an engine with priorities, within each of which the tenants take turns; and
//
//	scheduler.NewKeyed(1, func() (*scheduler.Priority, error) {
//		return scheduler.NewPriority(scheduler.Strict(), scheduler.NewFIFO)
//	})
//
// keeps the order of each key, and takes the most urgent of the keys' first tasks.
// What is outermost counts first: in a Priority of Keyed ones the order of a key holds
// within one priority.
//
// All are made by their functions; only a FIFO and a LIFO can be used as they come. A
// scheduler serves one engine, which calls its methods one at a time under its lock: do
// not give the same one, or the option with it, to a second engine.
// So none of them has a lock of its own, and each says in its documentation how long a
// job waits at most, what it costs and what memory it takes. All are tested by package
// schedulertest, alone and in pairs; yours can be, too.
package scheduler
