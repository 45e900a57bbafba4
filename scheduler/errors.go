package scheduler

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/uptutu/goman/core"
)

// ErrDeadlineUnmeetable says that a [Deadline] that may refuse tasks expects this one to
// end after its deadline. It is matched with errors.Is.
var ErrDeadlineUnmeetable = errors.New("scheduler: the deadline cannot be met")

// invalidf is an error that matches [core.ErrInvalid] and says what is allowed.
func invalidf(format string, args ...any) error {
	return fmt.Errorf("scheduler: "+format+": %w", append(args, core.ErrInvalid)...)
}

// isNil reports whether v is nil, or holds a nil pointer.
func isNil(v any) bool {
	value := reflect.ValueOf(v)
	return !value.IsValid() || value.Kind() == reflect.Pointer && value.IsNil()
}
