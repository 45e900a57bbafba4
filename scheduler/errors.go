package scheduler

import (
	"errors"
	"fmt"
)

// The sentinel errors. Each is matched with errors.Is.
var (
	// ErrInvalid: an argument that can never be right, such as a missing function. The
	// error says what is allowed.
	ErrInvalid = errors.New("scheduler: invalid argument")
	// ErrDeadlineUnmeetable: a Deadline that may refuse tasks expects this one to end
	// after its deadline.
	ErrDeadlineUnmeetable = errors.New("scheduler: the deadline cannot be met")
)

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}
