// Package balance spreads tasks over several engines.
//
// A [Group] has engines that join and leave while it is in use, and one [Balancer], which
// chooses the engine of each task:
//
//   - [RoundRobin], the default: each in turn.
//   - [WeightedRoundRobin]: each in turn, shares by weight.
//   - [LeastLoaded]: the one with the fewest tasks queued and running.
//   - [PowerOfTwo]: the better of two drawn by chance, for many engines.
//   - [ByKey]: equal keys to the same engine, as long as it is there.
//   - [ByFunc]: your own choice.
//
// Tasks are submitted as to one engine, by functions of the same names: [Submit], [Run],
// [SubmitAll], [Group.Go] and so on. An engine that is full, paused or shut down is passed
// over.
//
// One engine with more workers does the same work with one queue, and is faster. Several
// are for work that has to be kept apart: a queue and workers for each disk, each
// connection, each version of a configuration.
package balance
