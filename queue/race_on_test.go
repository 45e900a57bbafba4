//go:build race

package queue

// raceEnabled tells that the race detector is on: it allocates by itself, and takes
// its time.
const raceEnabled = true
