package core_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

// A child that was submitted with a context derived from its parent's outlives
// the parent, keeps the values, and still ends by the derived context's deadline,
// by the submitter's context, and by the engine's.
func TestContext_DerivedChild(t *testing.T) {
	mine := errors.New("mine")
	for _, end := range []string{"by itself", "deadline", "submitter", "base", "cancel", "explicit"} {
		for _, look := range []string{"done", "poll"} {
			t.Run(end+"/"+look, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					base, cancelBase := context.WithCancelCause(context.Background())
					defer cancelBase(nil)
					e := engineFor(t, core.WithWorkers(2), core.WithBaseContext(base))
					ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), ctxKey("own"), "o"))
					defer cancel(nil)
					var child *core.Future[string]
					stop := func() {}
					parent, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (int, error) {
						derived := context.WithValue(ctx, ctxKey("inner"), "i")
						switch end {
						case "deadline":
							derived, stop = context.WithTimeout(derived, time.Minute)
						case "explicit":
							derived, stop = context.WithCancel(derived)
						}
						started := make(chan struct{})
						var err error
						child, err = core.Submit(derived, e, core.Func(func(ctx context.Context) (string, error) {
							if look == "done" {
								ctx.Done()
							}
							close(started)
							time.Sleep(time.Second) // the parent has returned
							if ctx.Err() != nil && end != "explicit" {
								t.Errorf("after the parent: %v, %v", ctx.Err(), context.Cause(ctx))
							}
							got, _ := ctx.Value(ctxKey("own")).(string)
							inner, _ := ctx.Value(ctxKey("inner")).(string)
							if look == "done" {
								select {
								case <-ctx.Done():
								case <-time.After(time.Hour):
								}
							} else {
								for range 3600 {
									if ctx.Err() != nil {
										break
									}
									time.Sleep(time.Second)
								}
							}
							return got + inner, context.Cause(ctx)
						}))
						if err != nil {
							return 0, err
						}
						<-started
						if end == "explicit" {
							stop()
						}
						return 1, nil
					}))
					if err != nil {
						t.Fatal(err)
					}
					if _, err := parent.Get(); err != nil {
						t.Fatal(err)
					}
					begin := time.Now()
					time.Sleep(30 * time.Second)
					switch end {
					case "submitter":
						cancel(mine)
					case "base":
						cancelBase(mine)
					case "cancel":
						child.CancelCause(mine)
					}
					v, err := child.Get()
					took := time.Since(begin)
					stop()
					want, within := mine, 31*time.Second
					switch end {
					case "by itself":
						want, within = nil, 2*time.Hour
					case "deadline":
						want, within = context.DeadlineExceeded, 62*time.Second
					case "explicit":
						want, within = context.Canceled, 31*time.Second
					}
					if !errors.Is(err, want) || took > within || v != "oi" && end != "explicit" {
						t.Errorf("%q, %v after %v", v, err, took)
					}
				})
			})
		}
	}
}

// The same over several generations that all have returned, each with a context
// derived from the one before; nothing of it stays with the submitter's context.
func TestContext_DerivedGenerations(t *testing.T) {
	mine := errors.New("mine")
	for _, end := range []string{"submitter", "deadline"} {
		synctest.Test(t, func(t *testing.T) {
			e := engineFor(t, core.WithWorkers(4))
			ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), ctxKey("own"), "o"))
			defer cancel(nil)
			var last *core.Future[string]
			var stops []context.CancelFunc
			var descend func(ctx context.Context, level int) (string, error)
			descend = func(ctx context.Context, level int) (string, error) {
				if level == 0 {
					select {
					case <-ctx.Done():
					case <-time.After(time.Hour):
					}
					own, _ := ctx.Value(ctxKey("own")).(string)
					return own, context.Cause(ctx)
				}
				derived := context.WithValue(ctx, ctxKey("level"), level)
				if end == "deadline" && level == 3 {
					var stop context.CancelFunc
					derived, stop = context.WithTimeout(derived, time.Minute)
					stops = append(stops, stop)
				}
				f, err := core.Submit(derived, e, core.Func(func(ctx context.Context) (string, error) {
					time.Sleep(time.Second) // whoever submitted it has returned
					return descend(ctx, level-1)
				}))
				last = f
				return "", err
			}
			if _, err := core.Submit(ctx, e, core.Func(func(ctx context.Context) (string, error) { return descend(ctx, 3) })); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			time.Sleep(30 * time.Second)
			synctest.Wait()
			if last.IsDone() {
				_, err := last.Get()
				t.Fatalf("it has ended with its forefathers: %v", err)
			}
			want, within := mine, 30*time.Second
			if end == "submitter" {
				cancel(mine)
			} else {
				want, within = context.DeadlineExceeded, time.Minute
			}
			v, err := last.Get()
			if took := time.Since(begin); v != "o" || !errors.Is(err, want) || took != within {
				t.Errorf("%s: %q, %v after %v", end, v, err, took)
			}
			for _, stop := range stops {
				stop()
			}
		})
	}
}
