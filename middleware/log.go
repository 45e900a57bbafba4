package middleware

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/uptutu/goman/core"
)

// LogConfig says what a [Log] logs.
type LogConfig struct {
	// Logger is where it logs to. It must be given.
	Logger *slog.Logger
	// Level is that of a run that ended well, or that will be repeated. Those that
	// failed have slog.LevelError. Default: slog.LevelInfo, which is zero.
	Level slog.Level
	// Start tells that the start of each run is logged, too, at Level.
	Start bool
	// Slow is how long a run may take; one that took longer is logged as slow, at
	// slog.LevelWarn if it did not fail. Default: no run is slow.
	Slow time.Duration
}

// Log logs the end of each run of a task, and its start if asked: the task's name, key and
// tenant where it has them, how often it has been run before, how long the run took, and
// its error. What is not logged because of its level costs two readings of the clock, about
// 80 ns (BenchmarkPolicy).
type Log struct{ config LogConfig }

// NewLog makes a Log. The error matches core.ErrInvalid and names all faults of config.
func NewLog(config LogConfig) (*Log, error) {
	var faults []error
	if config.Logger == nil {
		faults = append(faults, invalidf("LogConfig.Logger is nil, and must be given"))
	}
	if config.Slow < 0 {
		faults = append(faults, invalidf("LogConfig.Slow is %v, and must not be negative", config.Slow))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Log{config}, nil
}

// Intercept is a [core.Interceptor].
func (l *Log) Intercept(next core.Handler) core.Handler {
	if !(l != nil && l.config.Logger != nil) {
		panic(notMade("Log")) // which the engine, and Decorate, make an error of
	}
	return func(ctx context.Context, job core.Job) (err error) {
		if l.config.Start && l.config.Logger.Enabled(ctx, l.config.Level) {
			l.config.Logger.LogAttrs(ctx, l.config.Level, "task started", describe(job)...)
		}
		begin := time.Now()
		err = core.ErrGoexit // unless next returns
		defer func() { l.ended(ctx, job, time.Since(begin), err) }()
		err = next(ctx, job)
		return err
	}
}

func (l *Log) ended(ctx context.Context, job core.Job, took time.Duration, err error) {
	again, repeated := wish(err)
	slow := l.config.Slow > 0 && took > l.config.Slow
	level, what := l.config.Level, "task ended"
	switch {
	case repeated:
		what = "task will be run again"
	case err != nil:
		level, what = slog.LevelError, "task failed"
	}
	if slow {
		level = max(level, slog.LevelWarn)
	}
	if !l.config.Logger.Enabled(ctx, level) {
		return
	}
	attrs := append(describe(job), slog.Duration("took", took))
	if slow {
		attrs = append(attrs, slog.Bool("slow", true))
	}
	if repeated {
		attrs = append(attrs, slog.Duration("after", again.After))
		err = again.Cause
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	l.config.Logger.LogAttrs(ctx, level, what, attrs...)
}

// describe returns what tells job from others.
func describe(job core.Job) []slog.Attr {
	attrs := append(make([]slog.Attr, 0, 8), slog.String("task", job.Name()))
	if key := job.Key(); key != "" {
		attrs = append(attrs, slog.String("key", key))
	}
	if tenant := job.Tenant(); tenant != "" {
		attrs = append(attrs, slog.String("tenant", tenant))
	}
	if n := job.Attempt(); n > 0 {
		attrs = append(attrs, slog.Int("attempt", n))
	}
	return attrs
}
