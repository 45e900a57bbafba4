package queue

import (
	"errors"
	"fmt"
)

// The sentinel errors. Each is matched with errors.Is.
var (
	// ErrCapacity: a constructor was asked for a capacity it does not allow.
	ErrCapacity = errors.New("queue: invalid capacity")
	// ErrNil: a constructor was given nil where it needs a value.
	ErrNil = errors.New("queue: nil argument")
	// ErrClosed: the queue was closed and takes no more items; from Pop, also that
	// all items have left.
	ErrClosed = errors.New("queue: closed")
)

// maxCapacity bounds what a bounded queue can be asked for, so that doubling it
// cannot overflow an int of 32 bits.
const maxCapacity = 1 << 30

// checkCapacity says what is wrong with a capacity, and what is allowed.
func checkCapacity(kind string, capacity int) error {
	if capacity < 1 || capacity > maxCapacity {
		return fmt.Errorf("%w: %s of %d items, allowed are 1 to %d", ErrCapacity, kind, capacity, maxCapacity)
	}
	return nil
}
