// Package coretest helps to test code that uses package core.
//
//	New       an engine whose end is checked at the end of the test
//	Verify    the same check for an engine made elsewhere
//	Recorder  keeps what happened, and waits for it: events instead of sleeps
//	Seeded    an engine that starts one task at a time, in the order that a seed chooses
//	Seed      the seed: from the environment, or drawn, and told when the test fails
//
// New, Verify and Recorder work inside a bubble of [testing/synctest] and outside.
// Seeded needs a bubble: only there it can be known that a step has come to rest.
// There is no clock to be faked: inside a bubble limits and delays are exact and
// take no time.
//
// The guide is docs/testing.md in the repository. The package imports the standard
// library and package core only, but the former includes package testing: import
// it from tests.
package coretest
