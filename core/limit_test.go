package core_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

// A task that waits longer than its queue limit fails without having started,
// exactly then, while all workers are busy.
func TestQueueLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithName("slow"), core.WithWorkers(1), core.WithQueueLimit(time.Hour))
		release := occupy(t, e, 1)
		begin := time.Now()
		submit := func(limit time.Duration) *core.Future[int] {
			f, err := core.SubmitWith(context.Background(), e, core.Attributes{Name: "x", QueueLimit: limit},
				core.Func(func(context.Context) (int, error) { return 1, nil }))
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		short, standard, none := submit(time.Minute), submit(0), submit(-1)
		ran := false
		if err := e.Go(func() { ran = true }); err != nil { // the default counts for functions too
			t.Fatal(err)
		}
		for f, limit := range map[*core.Future[int]]time.Duration{short: time.Minute, standard: time.Hour} {
			v, err := f.Get()
			var timeout *core.TimeoutError
			if v != 0 || !errors.Is(err, core.ErrQueueTimeout) || !errors.Is(err, context.DeadlineExceeded) ||
				errors.Is(err, core.ErrTaskTimeout) || !errors.As(err, &timeout) || timeout.Started || timeout.Late ||
				timeout.Limit != limit || timeout.Engine != "slow" || timeout.Task != "x" || !timeout.Timeout() {
				t.Errorf("%d, %v", v, err)
			}
		}
		if waited := time.Since(begin); waited != time.Hour {
			t.Errorf("it took %v", waited)
		}
		synctest.Wait()
		if s := e.Stats(); s.TimedOut != 3 || s.Queued != 1 {
			t.Errorf("%+v", s)
		}
		time.Sleep(1000 * time.Hour)
		release()
		if v, err := none.Get(); v != 1 || err != nil {
			t.Errorf("without a limit: %d, %v", v, err)
		}
		idle(t, e)
		if ran {
			t.Error("the function ran after its limit")
		}
	})
}

// An expired task gives its room to one that waits for it.
func TestQueueLimit_MakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(1))
		release := occupy(t, e, 1)
		if _, err := core.SubmitWith(context.Background(), e, core.Attributes{QueueLimit: time.Minute}, value(1)); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		must(t, e, value(2))
		if waited := time.Since(begin); waited != time.Minute {
			t.Errorf("it waited %v for room", waited)
		}
		release()
	})
}

// The run limit ends the task's context with ErrTaskTimeout; what the future says
// depends on how the task takes it.
func TestRunLimit(t *testing.T) {
	for name, c := range map[string]struct {
		body func(ctx context.Context) (int, error)
		late bool
		err  error
		took time.Duration
	}{
		"obeys with Err":     {func(ctx context.Context) (int, error) { <-ctx.Done(); return 1, ctx.Err() }, false, context.DeadlineExceeded, time.Minute},
		"obeys with Cause":   {func(ctx context.Context) (int, error) { <-ctx.Done(); return 1, context.Cause(ctx) }, false, core.ErrTaskTimeout, time.Minute},
		"obeys by deadline":  {func(ctx context.Context) (int, error) { <-ctx.Done(); return 1, context.DeadlineExceeded }, false, context.DeadlineExceeded, time.Minute},
		"late with a value":  {func(context.Context) (int, error) { time.Sleep(time.Hour); return 1, nil }, true, nil, time.Hour},
		"late with an error": {func(context.Context) (int, error) { time.Sleep(time.Hour); return 1, io.EOF }, true, io.EOF, time.Hour},
		"polls": {func(ctx context.Context) (int, error) {
			for ctx.Err() == nil {
				time.Sleep(time.Second + 1)
			}
			return 1, context.Cause(ctx)
		}, false, core.ErrTaskTimeout, 60 * (time.Second + 1)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, from := range []string{"attributes", "engine", "task"} {
				synctest.Test(t, func(t *testing.T) {
					attrs, limit := core.Attributes{Name: "x"}, time.Duration(0)
					switch from {
					case "attributes":
						attrs.RunLimit, limit = time.Minute, time.Second
					case "engine":
						limit = time.Minute
					}
					e := engineFor(t, core.WithWorkers(1), core.WithRunLimit(limit), quietly())
					begin := time.Now()
					var task core.Task[int] = core.Func(c.body)
					if from == "task" {
						task = limited{core.Func(c.body)}
					}
					f, err := core.SubmitWith(context.Background(), e, attrs, task)
					if err != nil {
						t.Fatal(err)
					}
					if c.late {
						time.Sleep(time.Minute + 1)
						synctest.Wait()
						if s := e.Stats(); s.Overdue != 1 || f.IsDone() {
							t.Errorf("%+v", s)
						}
					}
					v, err := f.Get()
					var timeout *core.TimeoutError
					if v != 1 || !errors.Is(err, core.ErrTaskTimeout) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, core.ErrQueueTimeout) ||
						!errors.As(err, &timeout) || !timeout.Started || timeout.Late != c.late || timeout.Limit != time.Minute || !errors.Is(timeout.Err, c.err) {
						t.Errorf("%d, %v", v, err)
					}
					if took := time.Since(begin); took != c.took {
						t.Errorf("it took %v", took)
					}
					if s := e.Stats(); s.TimedOut != 1 || s.Overdue != 0 {
						t.Errorf("%+v", s)
					}
				})
			}
		})
	}
}

// limited is a task with a run limit of its own.
type limited struct{ core.Task[int] }

func (limited) Limits() (queue, run time.Duration) { return 0, time.Minute }

// A limit that is not reached changes nothing, nor does a negative one.
func TestRunLimit_NotReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithRunLimit(time.Minute), core.WithQueueLimit(time.Minute))
		for _, limit := range []time.Duration{0, -1, time.Hour} {
			for _, sleep := range []time.Duration{0, 59 * time.Second} {
				f, err := core.SubmitWith(context.Background(), e, core.Attributes{RunLimit: limit}, core.Func(func(ctx context.Context) (int, error) {
					time.Sleep(sleep)
					return 1, ctx.Err()
				}))
				if err != nil {
					t.Fatal(err)
				}
				if v, err := f.Get(); v != 1 || err != nil {
					t.Errorf("%d, %v", v, err)
				}
			}
		}
		f, err := core.SubmitWith(context.Background(), e, core.Attributes{RunLimit: -1}, core.Func(func(ctx context.Context) (int, error) {
			time.Sleep(time.Hour)
			return 1, ctx.Err()
		}))
		if err != nil {
			t.Fatal(err)
		}
		if v, err := f.Get(); v != 1 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
	})
}

// The run limit that counts is the one in force when the task starts.
func TestRunLimit_Reconfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engineFor(t, core.WithWorkers(1))
		release := occupy(t, e, 1)
		f := must(t, e, core.Func(func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }))
		if err := e.Reconfigure(core.WithRunLimit(time.Minute)); err != nil {
			t.Fatal(err)
		}
		release()
		if _, err := f.Get(); !errors.Is(err, core.ErrTaskTimeout) {
			t.Error(err)
		}
	})
}

// A task cancelled before its limit, and one that is cancelled after it: the
// first verdict stays.
func TestRunLimit_AndCancel(t *testing.T) {
	mine := errors.New("mine")
	for _, first := range []string{"cancel", "limit"} {
		synctest.Test(t, func(t *testing.T) {
			e := engineFor(t, core.WithRunLimit(time.Minute), quietly())
			f := must(t, e, core.Func(func(ctx context.Context) (int, error) {
				<-ctx.Done()
				cause := context.Cause(ctx)
				time.Sleep(time.Hour) // tidies up
				return 0, cause
			}))
			if first == "cancel" {
				time.Sleep(time.Second)
			} else {
				time.Sleep(time.Hour / 2)
			}
			if won := f.CancelCause(mine); won != (first == "cancel") {
				t.Errorf("CancelCause: %v", won)
			}
			_, err := f.Get()
			var c *core.CancelError
			var l *core.TimeoutError
			if errors.As(err, &c) != (first == "cancel") || errors.As(err, &l) != (first == "limit") || errors.Is(err, mine) != (first == "cancel") {
				t.Errorf("%s first: %v", first, err)
			}
		})
	}
}

// E-FUT-13: the run limit passes at the instant at which the task ends. There is
// one verdict, the value is always delivered, and both verdicts occur.
func TestRunLimit_E_FUT_13_SameInstant(t *testing.T) {
	seeds := 1000
	if testing.Short() {
		seeds = 200
	}
	var intime, late, obeyed atomic.Int64
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(seed), 1))
			const limit = time.Minute
			e := engineFor(t, core.WithWorkers(1), quietly())
			obey := random.IntN(3) == 0
			early := time.Duration(0)
			if random.IntN(3) == 0 {
				early = 1 // a nanosecond before
			}
			gosched := random.IntN(4)
			f, err := core.SubmitWith(context.Background(), e, core.Attributes{RunLimit: limit}, core.Func(func(ctx context.Context) (int, error) {
				if obey {
					select {
					case <-ctx.Done():
						return 7, ctx.Err()
					case <-time.After(limit - early):
						return 7, nil
					}
				}
				time.Sleep(limit - early)
				for range gosched {
					runtime.Gosched()
				}
				return 7, nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			done := f.Done()
			<-done
			v, err := f.Get()
			synctest.Wait()
			time.Sleep(time.Hour) // whatever comes late changes nothing
			again, errAgain := f.Get()
			var timeout *core.TimeoutError
			if v != 7 || again != 7 || err != errAgain {
				t.Errorf("%d, %v and then %d, %v", v, err, again, errAgain)
			}
			switch {
			case err == nil:
				intime.Add(1)
			case errors.As(err, &timeout) && timeout.Late && timeout.Err == nil:
				late.Add(1)
			case errors.As(err, &timeout) && !timeout.Late && obey:
				obeyed.Add(1)
			default:
				t.Errorf("%v", err)
			}
			if s := e.Stats(); s.Succeeded+s.TimedOut != 1 || (s.TimedOut == 1) != (err != nil) || s.Overdue != 0 {
				t.Errorf("%v: %+v", err, s)
			}
		})
	}
	t.Logf("in time %d, late %d, obeyed %d", intime.Load(), late.Load(), obeyed.Load())
	if intime.Load() == 0 || late.Load()+obeyed.Load() == 0 {
		unseen(t, "an allowed outcome never occurred")
	}
}

// The queue limit, the start and a cancellation at one instant: each task has
// one verdict and the figures agree.
func TestQueueLimit_SameInstant(t *testing.T) {
	var ran, expired, cancelled int
	for seed := range 300 {
		synctest.Test(t, func(t *testing.T) {
			e := engineFor(t, core.WithWorkers(1))
			release := occupy(t, e, 1)
			f, err := core.SubmitWith(context.Background(), e, core.Attributes{QueueLimit: time.Minute}, value(7))
			if err != nil {
				t.Fatal(err)
			}
			after := time.Minute - time.Duration(seed%2)
			time.AfterFunc(after, release)
			won := make(chan bool, 1)
			if seed%3 == 0 {
				time.AfterFunc(after, func() { won <- f.Cancel() })
			} else {
				won <- false
			}
			v, err := f.Get()
			did := <-won
			switch {
			case err == nil && v == 7:
				ran++
			case errors.Is(err, core.ErrQueueTimeout) && v == 0:
				expired++
			case errors.Is(err, context.Canceled) && did:
				cancelled++
			default:
				t.Errorf("%d, %v, cancelled %v", v, err, did)
			}
			idle(t, e)
			if s := e.Stats(); s.Ended() != 2 {
				t.Errorf("%+v", s)
			}
		})
	}
	t.Logf("ran %d, expired %d, cancelled %d", ran, expired, cancelled)
	if ran == 0 || expired == 0 || cancelled == 0 {
		unseen(t, "an allowed outcome never occurred")
	}
}

// Limits of a day on many short tasks leave no timers behind.
func TestLimits_LeaveNoTimers(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2), core.WithQueueLimit(24*time.Hour), core.WithRunLimit(24*time.Hour))
	load := func() {
		for range 10_000 {
			must(t, e, value(1))
		}
		idle(t, e)
	}
	load()
	base := heap()
	load()
	load()
	if grown := heap() - base; grown > 1<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}
