package middleware_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/middleware"
)

func TestLog(t *testing.T) {
	for name, c := range map[string]struct {
		level slog.Level
		task  core.TaskFunc[int]
		want  string
	}{
		"ended":  {slog.LevelInfo, answer(1), "level=INFO msg=\"task started\" task=T\nlevel=INFO msg=\"task ended\" task=T took=0s\n"},
		"failed": {slog.LevelError, fail(errFlaky), "level=ERROR msg=\"task failed\" task=T took=0s error=flaky\n"},
		"slow":   {slog.LevelWarn, nap(time.Minute), "level=WARN msg=\"task ended\" task=T took=1m0s slow=true\n"},
		"quick":  {slog.LevelWarn, nap(time.Second), ""},
		"Goexit": {slog.LevelError, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
			"level=ERROR msg=\"task failed\" task=T took=0s error=\"core: task called runtime.Goexit\"\n"},
		"again": {slog.LevelInfo, func(ctx context.Context) (int, error) {
			if core.Attempt(ctx) == 0 {
				return 0, core.Again(time.Hour, errFlaky)
			}
			return 1, nil
		}, "level=INFO msg=\"task started\" task=T\nlevel=INFO msg=\"task will be run again\" task=T took=0s after=1h0m0s error=flaky\n" +
			"level=INFO msg=\"task started\" task=T attempt=1\nlevel=INFO msg=\"task ended\" task=T attempt=1 took=0s\n"},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(b bench) {
				var out bytes.Buffer
				logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: c.level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					switch {
					case a.Key == slog.TimeKey:
						return slog.Attr{}
					case a.Key == "task" && a.Value.String() == map[bool]string{false: "core.TaskFunc[int]", true: "middleware.decorated[int]"}[b.decorate]:
						return slog.String("task", "T")
					}
					return a
				}}))
				log := must(middleware.NewLog(middleware.LogConfig{Logger: logger, Start: true, Slow: time.Second}))
				b.with(log.Intercept)(c.task).Get() //nolint:errcheck // some fail
				b.WaitIdle(b.Context())             //nolint:errcheck // the context does not end
				if diff := cmp.Diff(c.want, out.String()); diff != "" {
					b.Error(diff)
				}
			})
		})
	}
}

// The key and the tenant are told where there are any.
func TestLog_Attributes(t *testing.T) {
	bothWays(t, func(b bench) {
		if b.decorate {
			return
		}
		var out bytes.Buffer
		log := must(middleware.NewLog(middleware.LogConfig{Logger: slog.New(slog.NewTextHandler(&out, nil))}))
		must(b.Intercept(log.Intercept))
		f := must(core.SubmitWith(b.Context(), b.Engine, core.Attributes{Name: "n", Key: "k", Tenant: "t"}, core.Task[int](answer(1))))
		f.Get()                 //nolint:errcheck // it cannot fail
		b.WaitIdle(b.Context()) //nolint:errcheck // the context does not end
		if !bytes.Contains(out.Bytes(), []byte("task=n key=k tenant=t took=")) {
			b.Error(out.String())
		}
	})
}

func TestLog_Invalid(t *testing.T) {
	_, err := middleware.NewLog(middleware.LogConfig{})
	wantInvalid(t, "no logger", err)
	_, err = middleware.NewLog(middleware.LogConfig{Logger: slog.Default(), Slow: -1})
	wantInvalid(t, "negative", err)
}
