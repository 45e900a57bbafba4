package queue

import (
	"errors"
	"fmt"
	"math"
	"reflect"
)

// The sentinel errors. Each is matched with errors.Is.
var (
	// ErrInvalid: a constructor was given an argument that can never be right, such
	// as a missing function or a number out of its range. The error says what is
	// allowed.
	ErrInvalid = errors.New("queue: invalid argument")
	// ErrCapacity: that argument was the capacity. It matches ErrInvalid too.
	ErrCapacity = fmt.Errorf("%w: capacity", ErrInvalid)
	// ErrClosed: the queue was closed and takes no more items; from Pop, also that
	// all items have left.
	ErrClosed = errors.New("queue: closed")
)

// invalidf returns an error that matches ErrInvalid and says what is allowed.
func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

var errNilContext = invalidf("the context is nil")

// isNil reports whether a queue is missing. A nil pointer would otherwise show as a
// panic far away.
func isNil(queue any) bool {
	v := reflect.ValueOf(queue)
	return queue == nil || v.Kind() == reflect.Pointer && v.IsNil()
}

const (
	// maxCapacity bounds what a bounded queue can be asked for, so that rounding it up
	// to a power of two cannot overflow an int of 32 bits.
	maxCapacity = 1 << 30
	// maxBytes bounds the memory for it: a make of more may panic.
	maxBytes = min(math.MaxInt, 1<<47)
)

// checkCapacity says what is wrong with a capacity, and what is allowed. Slot is what
// is allocated for each item.
func checkCapacity[Slot any](kind string, capacity int) error {
	if capacity < 1 || capacity > maxCapacity {
		return fmt.Errorf("%w of %s is %d, allowed are 1 to %d", ErrCapacity, kind, capacity, maxCapacity)
	}
	if size := uint64(reflect.TypeFor[Slot]().Size()); size > maxBytes/uint64(ceilPow2(capacity)) {
		return fmt.Errorf("%w of %s is %d, too much for memory at %d bytes each", ErrCapacity, kind, capacity, size)
	}
	return nil
}
