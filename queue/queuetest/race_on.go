//go:build race

package queuetest

// raceEnabled tells that the race detector is on, which makes everything slower.
const raceEnabled = true
