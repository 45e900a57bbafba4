//go:build goman_points

package point

import "sync/atomic"

var hook atomic.Pointer[func()]

// Set makes f the function that At calls, in the whole process; nil means none.
func Set(f func()) {
	if f == nil {
		hook.Store(nil)
		return
	}
	hook.Store(&f)
}

// At marks a synchronisation step, where a test may take another goroutine on.
func At() {
	if f := hook.Load(); f != nil {
		(*f)()
	}
}
