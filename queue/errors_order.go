package queue

import (
	"errors"
	"fmt"
)

// ErrInvalid is what a constructor answers to an argument that can never be
// right, such as a missing function or a number out of its range. It comes
// wrapped in an error that says what is allowed: match it with errors.Is.
var ErrInvalid = errors.New("queue: invalid argument")

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}
