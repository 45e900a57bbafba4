package core_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
)

// What is demanded after each run.

// errorf reports the first thing that is wrong: the rest follows from it.
func (r *nthRun) errorf(format string, args ...any) {
	r.t.Helper()
	if r.wrong.Swap(true) {
		return
	}
	r.t.Errorf("%s, %v: "+format, append([]any{r.c.name, r.b}, args...)...)
}

// surfaced judges that fn has not returned: it panicked with v, or was ended.
func (r *nthRun) surfaced(what string, v any) {
	switch {
	case v == nil && r.b.how == exiting && r.b.fired.Load():
	case v == boom{r.b} && r.b.site.caller:
	default:
		r.errorf("%s does not return: %v", what, v)
	}
}

// explains reports whether err is what the bomb has done.
func (r *nthRun) explains(err error) bool {
	if !r.b.fired.Load() {
		return false
	}
	var p *core.PanicError
	switch r.b.how {
	case panicking:
		return r.b.site.task && (errors.As(err, &p) && p.Value == boom{r.b} || r.b.site.name == "OnFull" && errors.Is(err, core.ErrInvalid))
	case exiting:
		return errors.Is(err, core.ErrGoexit)
	}
	switch r.b.site.name {
	case "Priority", "OnFull":
		return errors.Is(err, core.ErrInvalid)
	case "option", "interceptor":
		return errors.Is(err, core.ErrConfig) || errors.Is(err, core.ErrInvalid)
	case "context's Err", "base Err":
		return errors.Is(err, boom{r.b}) || errors.Is(err, context.Canceled)
	}
	return r.b.site.task && errors.Is(err, boom{r.b})
}

// allowed reports whether err is one of want; nil stands for success.
func allowed(err error, want []error) bool {
	return slices.ContainsFunc(want, func(w error) bool {
		return w == nil && err == nil || w != nil && errors.Is(err, w)
	})
}

// unlessRun returns err if it is a refusal.
func unlessRun(err error) error {
	var refused *core.RefusedError
	if errors.As(err, &refused) {
		return err
	}
	return nil
}

func capacityOf(c *nthConfig) int {
	var config core.Config
	for _, option := range c.options {
		option(&config)
	}
	if config.QueueCapacity == 0 {
		return core.DefaultQueueCapacity
	}
	return config.QueueCapacity
}

// stuck is how many jobs the user's scheduler has forgotten.
func (r *nthRun) stuck() int {
	if r.b.site.loses && r.b.fired.Load() {
		return r.e.Stats().Queued
	}
	return 0
}

// settle waits until the load is over, in time that is bounded.
func (r *nthRun) settle() {
	r.pass(time.Minute)
	r.act("WaitIdle", func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := r.e.WaitIdle(ctx); err != nil && r.stuck() == 0 {
			r.errorf("after the load: %v; %+v", err, r.e.Stats())
		}
	})
	r.pass(2 * time.Minute)
	s := r.e.Stats()
	if err := s.Check(); err != nil {
		r.errorf("after the load: %v", err)
	}
	if stuck := r.stuck(); s.Queued != stuck || stuck > 1 || stuck == 0 && s.Running > 0 || s.Running != s.Waiting || s.Blocked != 0 || s.Idle != s.Workers {
		r.errorf("after the load: %+v", s)
	}
	if n := r.open.Load(); n != 0 && r.stuck() == 0 {
		r.errorf("%d calls have not returned after the load: %+v", n, s)
	}
}

// probe demands that as many tasks run at a time, and as many fit into the queue, as
// are configured.
func (r *nthRun) probe() {
	r.b.safe.Store(true)
	defer r.b.safe.Store(false)
	s, stuck := r.e.Stats(), r.stuck()
	if r.b.site.name != "option" && (s.Workers != r.c.workers || s.Capacity != capacityOf(r.c)) {
		r.errorf("%d workers and a capacity of %d: %+v", r.c.workers, capacityOf(r.c), s)
	}
	gate := make(chan struct{})
	for range s.Workers {
		r.plain("probe", func() { <-gate })
	}
	if got := r.e.Stats(); got.Running-got.Waiting != s.Workers || got.Idle != 0 {
		r.errorf("%d of %d run: %+v", got.Running, s.Workers, got)
	}
	fits := 0
	var err error
	for err == nil && fits <= s.Capacity {
		e := r.add("fits")
		if _, err = e.answer(nil, r.e.TryGo(e.function(nil))); err == nil {
			fits++
		}
	}
	synctest.Wait()
	if want := s.Capacity - stuck; fits != want || !errors.Is(err, core.ErrQueueFull) {
		r.errorf("%d fit into the queue, not %d: %v; %+v", fits, want, err, r.e.Stats())
	}
	close(gate)
	synctest.Wait()
	if s := r.e.Stats(); s.Running != s.Waiting || s.Queued != stuck {
		r.errorf("after the probe: %+v", s)
	}
}

// stop ends the engine in the way of its configuration, while it is busy.
func (r *nthRun) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	background := context.Background()
	gate := make(chan struct{})
	for range r.c.workers {
		r.submit(r.ctx(background), r.below("obeys", nil), core.Attributes{}, func(ctx context.Context) (int, error) {
			select {
			case <-gate:
			case <-ctx.Done():
				return 0, ctx.Err()
			}
			f, err := r.child(ctx, r.add("late child"), one)
			if err != nil {
				return 1, nil // refused, or not
			}
			return f.Await(ctx)
		})
	}
	delayed := r.add("delayed", core.ErrUndone)
	delayed.most = 2
	r.submit(r.ctx(background), delayed, core.Attributes{}, again(time.Hour))
	for range 2 {
		e := r.submit(background, r.add("queued"), core.Attributes{}, one)
		r.on(e, "OnDone", func(f *core.Future[int]) { f.OnDone(func(int, error) { _ = r.b.call("OnDone") }) })
	}
	if r.c.base {
		r.endBase()
		synctest.Wait()
	}
	switch r.c.stop {
	case "forced":
		r.stubborn()
		r.act("Shutdown", func() {
			ctx, cancel := context.WithTimeout(background, time.Second)
			defer cancel()
			_ = r.e.Shutdown(r.ctx(ctx))
		})
	case "Close":
		r.stubborn()
		r.act("Close", func() {
			ctx, cancel := context.WithTimeout(background, time.Second)
			defer cancel()
			_ = r.e.Close(r.ctx(ctx))
		})
	case "inside":
		r.submit(background, r.add("stops"), core.Attributes{}, func(ctx context.Context) (int, error) {
			if err := r.e.Shutdown(ctx); !errors.Is(err, core.ErrInsideTask) {
				return 0, err
			}
			return 1, nil
		})
		fallthrough
	default:
		r.act("Shutdown", func() { _ = r.e.Shutdown(r.ctx(background)) })
	}
	r.submit(r.ctx(background), r.add("too late"), core.Attributes{}, one)
	r.pass(5 * time.Second)
	close(gate)
	r.pass(5 * time.Second)
}

// stubborn ignores the end of its context.
func (r *nthRun) stubborn() {
	r.submit(context.Background(), r.add("stubborn"), core.Attributes{}, func(context.Context) (int, error) {
		<-r.last
		return 1, nil
	})
}

// end demands that the engine comes to its end, and that nothing was lost.
func (r *nthRun) end() {
	r.b.safe.Store(true)
	if r.e == nil {
		return
	}
	began := time.Now()
	ended := false
	r.act("the last Shutdown", func() {
		patience := time.Hour
		if r.c.stop == "forced" || r.c.stop == "Close" {
			patience = time.Second // there is a stubborn task, and who should have stopped it may be lost
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if r.b.site.loses {
			_ = r.e.Close(ctx) // a drain would wait for what was forgotten
		} else {
			_ = r.e.Shutdown(ctx)
		}
		ended = true
	})
	if r.pass(time.Minute); !ended {
		r.errorf("Shutdown takes longer than %v; %+v", time.Since(began), r.e.Stats())
	}
	close(r.last)
	r.pass(time.Minute)
	s := r.e.Stats()
	if err := s.Check(); err != nil {
		r.errorf("at the end: %v", err)
	}
	if !r.e.IsClosed() || s.Queued != 0 || s.Running != 0 || s.Blocked != 0 || s.Goroutines != 0 {
		r.errorf("at the end: closed %v; %+v", r.e.IsClosed(), s)
	}
	if n := r.open.Load(); n != 0 {
		r.errorf("%d calls have not returned: %+v", n, s)
	}
	if told := r.b.fired.Load() && r.b.how == panicking && r.b.site.told(); told && s.Failures == 0 {
		r.errorf("the panic was not counted: %+v", s)
	}
	r.account(s)
	// The other hooks were told all the same.
	if ends, all := r.told.ended.Load(), s.Accepted; !r.c.bare && r.b.how != exiting && !r.b.site.caller &&
		(ends != all || r.told.accepted.Load() != all || r.told.rejected.Load() != s.Rejected.Total()) {
		r.errorf("hooks were told of %d accepted, %d ended and %d rejected ones: %+v",
			r.told.accepted.Load(), ends, r.told.rejected.Load(), s)
	}
}

// told reports whether a panic of s counts as a failure.
func (s site) told() bool {
	return strings.HasPrefix(s.name, "hook ") || slices.Contains([]string{"OnDone", "OnPanic", "OnFull", "Push", "Push, stored",
		"Pop", "Pop, taken", "Len", "Completed", "Claim", "Claim, taken", "Sweep", "Sweep, half", "Sweep, done", "Resized"}, s.name)
}
