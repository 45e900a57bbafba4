//go:build !race

package queue

// raceEnabled tells that the race detector is on.
const raceEnabled = false
