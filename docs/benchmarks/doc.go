// Command benchmarks measures goman beside other libraries and what one would write by
// hand, and writes RESULTS.md and its plots. From the root of the repository:
//
//	go run ./docs/benchmarks                # all, in about an hour
//	go run ./docs/benchmarks -run '^W[12]'  # some, printed
//	go run ./docs/benchmarks -quick         # briefly, for a check: fails on allocations
//
// What is compared is a workload, W1 to W13 and some more, by contenders: an engine, a
// queue, a peer. Each peer stands behind the small interface pool, in a file peer_….go.
// Each workload says what its figure is, what the baseline, and what goman's ratio to it
// must be, and aims to be.
//
// A machine that is shared is measured like this. Each measurement is a process of its own,
// which starts one contender and does some short rounds. The contenders of a workload take
// turns, in random order, at least six times. Of the rounds those are kept in which the
// kernel let the process wait least for a processor, by /proc/self/task/*/schedstat: the
// third is chosen by that wait, never by what was measured. Shown are medians, the spread,
// and the time that the processors worked, besides that of the clock.
//
// W14, an urgent task behind 10,000 others, and the shares of tenants are tests:
//
//	go test -v -run Table ./docs/benchmarks
//
// Their tables are made in testing/synctest bubbles, where a task takes exactly the time
// that it sleeps and everything else takes none. So they show what an order does, and
// not what a machine does. BenchmarkDelayed is of the machine.
package main
