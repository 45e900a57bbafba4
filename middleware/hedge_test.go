package middleware_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
	"github.com/uptutu/goman/middleware"
)

// run is what a run of a hedged task does.
type run struct {
	takes time.Duration
	err   error
	value int
	panic bool
	exit  bool
}

func TestHedge(t *testing.T) {
	slow := errors.New("slow")
	for name, c := range map[string]struct {
		runs     []run // each is to be started a second after the one before it
		value    int
		err      error
		took     time.Duration
		launched uint64
	}{
		"quick":                {[]run{{takes: time.Second - 1, value: 1}}, 1, nil, time.Second - 1, 0},
		"the second wins":      {[]run{{takes: time.Hour}, {takes: time.Second / 2, value: 2}}, 2, nil, 1500 * time.Millisecond, 1},
		"the first wins":       {[]run{{takes: 1500 * time.Millisecond, value: 1}, {takes: time.Hour}}, 1, nil, 1500 * time.Millisecond, 1},
		"the third wins":       {[]run{{takes: time.Hour}, {takes: time.Hour}, {takes: time.Second, value: 3}}, 3, nil, 3 * time.Second, 2},
		"no more than allowed": {[]run{{takes: 10 * time.Second, value: 1}, {takes: time.Hour}, {takes: time.Hour}}, 1, nil, 10 * time.Second, 2},
		"fails at once":        {[]run{{err: errFlaky}}, 0, errFlaky, 0, 0},
		"one fails":            {[]run{{takes: time.Minute, value: 1}, {err: errFlaky}, {takes: time.Hour}}, 1, nil, time.Minute, 2},
		"the first fails":      {[]run{{takes: 1500 * time.Millisecond, err: errFlaky}, {takes: time.Minute, value: 2}, {takes: time.Hour}}, 2, nil, 61 * time.Second, 2},
		"all fail":             {[]run{{takes: time.Minute, err: slow}, {takes: time.Second, err: errFlaky}, {takes: time.Second, err: slow}}, 0, errFlaky, time.Minute, 2},
		"the second panics":    {[]run{{takes: time.Minute, value: 1}, {panic: true}, {takes: time.Hour}}, 1, nil, time.Minute, 2},
		"all panic":            {[]run{{takes: 1500 * time.Millisecond, panic: true}, {panic: true}}, 0, core.ErrPanicked, 1500 * time.Millisecond, 1},
		"the second exits":     {[]run{{takes: time.Minute, value: 1}, {exit: true}, {takes: time.Hour}}, 1, nil, time.Minute, 2},
		"the first exits":      {[]run{{takes: 1500 * time.Millisecond, exit: true}, {takes: time.Hour}}, 0, core.ErrGoexit, 1500 * time.Millisecond, 1},
		"asks for another run": {[]run{{takes: 1500 * time.Millisecond, err: core.Again(time.Minute, nil)}, {takes: time.Hour}, {value: 3}}, 3, nil, 61500 * time.Millisecond, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := coretest.New(t, core.WithWorkers(1), quietly())
				hedge := must(middleware.NewHedge[int](middleware.HedgeConfig{After: time.Second, Max: 2}))
				var next atomic.Int64
				task := hedge.Decorate(core.Func(func(ctx context.Context) (int, error) {
					r := c.runs[next.Add(1)-1]
					if _, err := nap(r.takes)(ctx); err != nil {
						return 0, err
					}
					if r.panic {
						panic("oh")
					}
					if r.exit {
						runtime.Goexit()
					}
					return r.value, r.err
				}))
				d := took(func() {
					v, err := must(core.Submit(t.Context(), e, task)).Get()
					if v != c.value || !errors.Is(err, c.err) {
						t.Error(v, err)
					}
				})
				if d != c.took || hedge.Launched() != c.launched {
					t.Errorf("%v, %d more runs", d, hedge.Launched())
				}
				if want := map[bool]uint64{true: 1}[c.err == core.ErrPanicked || c.err == core.ErrGoexit]; e.Stats().Panicked != want {
					t.Errorf("%+v", e.Stats())
				}
			})
		})
	}
}

// E-MID-13: the context of the run that was taken is alive when what is around reads its
// result; those of the others have ended, and they have returned.
func TestHedge_E_MID_13_WinnersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(1))
		hedge := must(middleware.NewHedge[context.Context](middleware.HedgeConfig{After: time.Second}))
		var inside atomic.Int64
		var first context.Context
		task := hedge.Decorate(core.Func(func(ctx context.Context) (context.Context, error) {
			defer inside.Add(-1)
			if inside.Add(1) == 1 {
				first = ctx
				<-ctx.Done()
				time.Sleep(time.Second) // it does not return at once
				return nil, ctx.Err()
			}
			return ctx, nil
		}))
		d := took(func() {
			alive := must(core.Run(t.Context(), e, core.Func(func(ctx context.Context) (bool, error) {
				winner, err := task.Execute(ctx)
				return winner.Err() == nil && first.Err() != nil && inside.Load() == 0, err
			})))
			if !alive {
				t.Error("it had ended")
			}
		})
		if d != 2*time.Second {
			t.Error(d)
		}
	})
}

// The task is cancelled: all its runs are.
func TestHedge_Cancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(1))
		hedge := must(middleware.NewHedge[int](middleware.HedgeConfig{After: time.Second, Max: 5}))
		f := must(core.Submit(t.Context(), e, hedge.Decorate(nap(time.Hour))))
		time.Sleep(2500 * time.Millisecond)
		f.Cancel()
		if _, err := f.Get(); !errors.Is(err, context.Canceled) || hedge.Launched() != 2 {
			t.Error(err, hedge.Launched())
		}
	})
}

// No further run is started for a task that has been cancelled and goes on.
func TestHedge_CancelledAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(1))
		hedge := must(middleware.NewHedge[int](middleware.HedgeConfig{After: time.Second, Max: 5}))
		f := must(core.Submit(t.Context(), e, hedge.Decorate(core.Func(func(context.Context) (int, error) {
			time.Sleep(time.Minute)
			return 1, nil
		}))))
		time.Sleep(1500 * time.Millisecond)
		f.Cancel()
		f.Get() //nolint:errcheck // it may have ended well
		if n := hedge.Launched(); n != 1 {
			t.Error(n)
		}
	})
}

func TestHedge_Budget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := coretest.New(t, core.WithWorkers(1))
		hedge := must(middleware.NewHedge[int](middleware.HedgeConfig{After: time.Second, Budget: must(middleware.NewBudget(0.25, 1))}))
		for range 8 {
			must(core.Run(t.Context(), e, hedge.Decorate(nap(time.Minute))))
		}
		if n := hedge.Launched(); n != 2 { // the one that was there, and one for the four after it
			t.Error(n)
		}
	})
}

func TestHedge_Invalid(t *testing.T) {
	for name, c := range map[string]middleware.HedgeConfig{"none": {}, "after": {After: -1}, "max": {After: 1, Max: -1}} {
		_, err := middleware.NewHedge[int](c)
		wantInvalid(t, name, err)
	}
}

// Runs end at the same instant as others are started.
func TestHedge_SameInstant(t *testing.T) {
	e := coretest.New(t, core.WithWorkers(4))
	hedge := must(middleware.NewHedge[int](middleware.HedgeConfig{After: 20 * time.Microsecond, Max: 3}))
	task := hedge.Decorate(core.Func(func(ctx context.Context) (int, error) {
		select {
		case <-time.After(20 * time.Microsecond):
			return 1, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}))
	var futures []*core.Future[int]
	for range 2000 {
		futures = append(futures, must(core.Submit(t.Context(), e, task)))
	}
	for _, f := range futures {
		if v, err := f.Get(); v != 1 || err != nil {
			t.Fatal(v, err)
		}
	}
}
