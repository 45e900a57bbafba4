package flow

import (
	"runtime"
	"runtime/debug"

	"github.com/uptutu/goman/core"
)

// fault is how a call on another goroutine has ended without returning: a panic, or, if
// that is nil, runtime.Goexit.
type fault struct{ panic *core.PanicError }

// newFault returns the fault of a panic with value, nil for Goexit. It is called by a
// function that the panic has deferred.
func newFault(engine string, value any) *fault {
	if value == nil {
		return &fault{}
	}
	if value, ok := value.(*core.PanicError); ok && value != nil { // of a part of the part
		return &fault{value}
	}
	return &fault{&core.PanicError{Engine: engine, Task: helperName, Value: value, Stack: debug.Stack()}}
}

// again does to this goroutine what f has done to the other. A nil fault does nothing.
func (f *fault) again() {
	switch {
	case f == nil:
	case f.panic != nil:
		panic(f.panic)
	default:
		runtime.Goexit()
	}
}
