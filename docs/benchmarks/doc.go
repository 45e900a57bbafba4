// Package benchmarks holds comparisons with other pools. They are tests and benchmarks:
//
//	go test -v -run Table ./benchmarks
//
// The tables are made in testing/synctest bubbles, where a task takes exactly the time
// that it sleeps and everything else takes none. So they show what an order does, and
// not what a machine does. BenchmarkDelayed is of the machine.
package benchmarks
