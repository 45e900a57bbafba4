//go:build race

package flow_test

// raceEnabled tells that the race detector is on: it allocates by itself, so
// allocations cannot be counted.
const raceEnabled = true
