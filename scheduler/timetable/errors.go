package timetable

import (
	"context"
	"errors"
	"fmt"

	"github.com/uptutu/goman/core"
)

// The errors of timetables. Each is matched with errors.Is.
var (
	// ErrCron: a cron expression or its zone can never be right. It comes from
	// ParseCron, Cron and CronWith, which say why.
	ErrCron = errors.New("timetable: wrong cron expression")
	// ErrStopped: the timetable has been stopped, or its engine has; then it also
	// matches core.ErrClosed. It is why an entry is not taken, and why a task at a
	// time or after a delay is undone; then it also matches core.ErrUndone.
	ErrStopped = errors.New("timetable: stopped")
)

// invalidf returns an error that matches core.ErrInvalid and says what is allowed.
func invalidf(format string, args ...any) error {
	return fmt.Errorf("timetable: "+format+": %w", append(args, core.ErrInvalid)...)
}

// stopError is why a timetable has ended, because of cause, or nil if it was stopped.
func stopError(engine string, cause error) error {
	if cause == nil {
		return fmt.Errorf("%w: engine %s", ErrStopped, engine)
	}
	return fmt.Errorf("%w: %w: engine %s", ErrStopped, cause, engine)
}

// ending is why ctx has ended. It matches the cause and the context's own error.
func ending(ctx context.Context) error {
	cause, own := context.Cause(ctx), ctx.Err()
	if errors.Is(cause, own) {
		return cause
	}
	return fmt.Errorf("%w (%w)", cause, own)
}
