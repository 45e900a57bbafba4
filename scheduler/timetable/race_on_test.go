//go:build race

package timetable_test

// raceEnabled tells that the race detector is on, with which everything takes longer.
const raceEnabled = true
