// Package point lets tests steer the code.
package point

// At is a point.
func At() {}

// Fail reports whether a step is to fail.
func Fail() bool { return false }
