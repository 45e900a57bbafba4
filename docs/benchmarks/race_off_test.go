//go:build !race

package main_test

// raceEnabled tells that the race detector is on.
const raceEnabled = false
