//go:build !race

package benchmarks

// raceEnabled tells that the race detector is on.
const raceEnabled = false
