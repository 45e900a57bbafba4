//go:build !goman_points

package point

import "sync"

// Enabled reports whether the points do anything in this build.
const Enabled = false

// At is a point where another goroutine may go first. It must not be called with
// a mutex held.
func At(Site) {}

// Yield is At inside a loop that waits for somebody else's step.
func Yield(Site) {}

// Fail reports whether the step at site is to fail although it need not. Only
// steps that may fail anyway ask.
func Fail(Site) bool { return false }

// Enter is called at the beginning of a goroutine of the engine: it gives it a
// name that is the same in every run.
func Enter(role string, id int) {}

// Lock locks a mutex that may be held at a point. Under a controller who finds it
// taken is at site, and looks again when it is its turn.
func Lock(mu *sync.Mutex, _ Site) { mu.Lock() }

// Mute makes the points of the calling goroutine pass until Unmute, for a call
// that is made with a mutex held as well as without.
func Mute() {}

// Unmute undoes Mute.
func Unmute() {}
