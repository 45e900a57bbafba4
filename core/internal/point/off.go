//go:build !goman_points

package point

import "sync"

// Enabled reports whether the points do anything in this build.
const Enabled = false

// At is a point where another goroutine may go first. A mutex that is held there
// must be a [Mutex].
func At(Site) {}

// Yield is At inside a loop that waits for somebody else's step.
func Yield(Site) {}

// Fail reports whether the step at site is to fail although it need not. Only
// steps that may fail anyway ask.
func Fail(Site) bool { return false }

// Enter is called at the beginning of a goroutine of the engine: it gives it a
// name that is the same in every run.
func Enter(role string, id int) {}

// Mutex is a sync.Mutex. With the build tag it may be held at a point.
type Mutex = sync.Mutex
