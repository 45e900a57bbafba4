package core_test

import (
	"context"
	"errors"
	"testing"

	"github.com/uptutu/goman/core"
)

// A task that has run, and is cancelled while it is queued to be run again, has
// started: by Cancel, or because its context has ended. The schedules have found
// that it said the contrary (TestSchedule_Again, "cancelled, unstarted, 1 starts").
func TestAgain_CancelledWhileQueuedAgain(t *testing.T) {
	for _, how := range []string{"Cancel", "context"} {
		t.Run(how, func(t *testing.T) {
			e := engineFor(t, core.WithWorkers(1))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			paused := make(chan struct{})
			f, err := core.Submit(ctx, e, core.Func(func(context.Context) (int, error) {
				defer close(paused)
				return 0, errors.Join(e.Pause(), core.Again(0, nil))
			}))
			if err != nil {
				t.Fatal(err)
			}
			receive(t, paused, "pause")
			synchronise(t, "second attempt", func() bool { s := e.Stats(); return s.Queued == 1 && s.Delayed == 0 })
			if how == "Cancel" && !f.Cancel() {
				t.Error("Cancel came too late")
			}
			cancel()
			if err := e.Resume(); err != nil {
				t.Fatal(err)
			}
			idle(t, e)
			_, err = f.Get()
			var cancelled *core.CancelError
			if !errors.As(err, &cancelled) || !cancelled.Started {
				t.Errorf("%+v", err)
			}
		})
	}
}
