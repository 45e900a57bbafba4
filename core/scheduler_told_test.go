package core_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/uptutu/goman/core"
)

var errTooMuch = errors.New("too much")

// refusing is a line that takes no tasks of a certain name.
type refusing struct {
	line
	asked int
}

func (s *refusing) Refuse(job core.Job) error {
	s.asked++
	switch job.Name() {
	case "unwanted":
		return errTooMuch
	case "panic":
		panic("of Refuse")
	case "exit":
		runtime.Goexit()
	}
	return nil
}

func named(name string) core.Attributes { return core.Attributes{Name: name} }

// Whoever submits what the scheduler refuses is told why, by each way in, and nobody
// else notices.
func TestScheduler_Refuser(t *testing.T) {
	s := new(refusing)
	e := engineFor(t, core.WithWorkers(1), core.WithQueueCapacity(2), core.WithScheduler(s), quietly())
	ctx := soon(t)
	refused := func(err error) {
		t.Helper()
		var typed *core.RefusedError
		if !errors.Is(err, errTooMuch) || !errors.As(err, &typed) || typed.Reason != errTooMuch {
			t.Fatalf("refused with %v", err)
		}
	}
	_, err := core.SubmitWith(ctx, e, named("unwanted"), value(1))
	refused(err)
	_, err = core.TrySubmitWith(ctx, e, named("unwanted"), value(1))
	refused(err)
	if _, err = core.SubmitWith(ctx, e, named("panic"), value(1)); !errors.Is(err, core.ErrPanicked) {
		t.Fatalf("a Refuse that panics: %v", err)
	}

	// One that waits for room is asked when there is some.
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	var queued []*core.Future[int]
	for range 2 {
		f, err := core.Submit(ctx, e, value(2))
		if err != nil {
			t.Fatal(err)
		}
		queued = append(queued, f)
	}
	ended := make(chan error)
	go func() {
		_, err := core.SubmitWith(ctx, e, named("unwanted"), value(3))
		ended <- err
	}()
	for e.Stats().Blocked != 1 {
		runtime.Gosched()
	}
	if err := e.Resume(); err != nil {
		t.Fatal(err)
	}
	refused(<-ended)

	// A refused newcomer displaces nobody.
	for _, f := range queued {
		if _, err := f.Await(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	keep, err := core.Submit(ctx, e, value(4))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = core.Submit(ctx, e, value(5)); err != nil {
		t.Fatal(err)
	}
	oldest := named("unwanted")
	oldest.Reject = core.RejectDiscardOldest
	_, err = core.SubmitWith(ctx, e, oldest, value(6))
	refused(err)
	if err := e.Resume(); err != nil {
		t.Fatal(err)
	}
	if n, err := keep.Await(ctx); n != 4 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}

	// What runs again is not asked about.
	n, err := core.RunWith(ctx, e, named("again"), core.Func(func(ctx context.Context) (int, error) {
		if core.Attempt(ctx) == 0 {
			return 0, core.Again(0, nil)
		}
		return 7, nil
	}))
	if n != 7 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if err := e.WaitIdle(ctx); err != nil {
		t.Fatal(err)
	}
	if s.asked != 10 {
		t.Errorf("Refuse was called %d times, want 10", s.asked)
	}
	if got := e.Stats().Rejected; got.Refused != 4 || got.Internal != 1 {
		t.Errorf("%d refused and %d by a panic, want 4 and 1", got.Refused, got.Internal)
	}
}

// The error and the log name the method that has failed, also where two are called one
// after another.
func TestScheduler_NamesTheMethod(t *testing.T) {
	var log logbook
	e := engineFor(t, core.WithScheduler(new(refusing)), log.option())
	ctx := soon(t)
	submit := func(name string) (err error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, err = core.SubmitWith(ctx, e, named(name), value(1))
		}()
		<-done
		return err
	}
	_ = submit("exit") // which ends the goroutine; from now on the methods are called apart
	if err := submit("exit"); !errors.Is(err, core.ErrGoexit) || !contains(err.Error(), "scheduler's Refuse") {
		t.Errorf("Goexit of Refuse: %v", err)
	}
	if err := submit("panic"); !errors.Is(err, core.ErrPanicked) || !contains(err.Error(), "scheduler's Refuse") {
		t.Errorf("panic of Refuse: %v", err)
	}
	endEngine(t, e)
	if text := log.String(); contains(text, "scheduler's Push") {
		t.Errorf("the log blames Push:\n%s", text)
	}
}

// single lets one job run at a time, but for those that hold no worker.
type single struct {
	line
	running          int
	yielded, resumed int
	out              map[core.Job]bool
}

func (s *single) Pop(worker int) (core.Job, bool) {
	if s.running > 0 {
		return core.Job{}, false
	}
	job, ok := s.line.Pop(worker)
	if ok {
		s.running++
	}
	return job, ok
}

func (s *single) Claim(core.Job) (core.Job, bool) { return core.Job{}, false }

func (s *single) Completed(job core.Job) {
	if s.out[job] {
		delete(s.out, job)
		return
	}
	s.running--
}

func (s *single) Yielded(job core.Job) {
	s.yielded++
	s.out[job] = true
	s.running--
}

func (s *single) Resumed(job core.Job) {
	s.resumed++
	if s.out[job] {
		delete(s.out, job)
		s.running++
	}
}

// A scheduler that limits how many run can let those go on for which they wait: a
// task, or room.
func TestScheduler_Yielder(t *testing.T) {
	s := &single{out: map[core.Job]bool{}}
	e := engineFor(t, core.WithWorkers(2), core.WithQueueCapacity(2), core.WithScheduler(s))
	ctx := soon(t)
	var tree func(depth int) core.TaskFunc[int]
	tree = func(depth int) core.TaskFunc[int] {
		return core.Func(func(ctx context.Context) (int, error) {
			sum := 1
			for range depth {
				f, err := core.Submit(ctx, e, tree(depth-1)) // may have to wait for room
				if err != nil {
					return 0, err
				}
				n, err := f.Await(ctx)
				if err != nil {
					return 0, err
				}
				sum += n
			}
			return sum, nil
		})
	}
	n, err := core.Run(ctx, e, tree(4))
	if want := 1 + 4*(1+3*(1+2*(1+1))); n != want || err != nil {
		t.Fatalf("%d, %v; want %d", n, err, want)
	}
	if err := e.WaitIdle(ctx); err != nil {
		t.Fatal(err)
	}
	if s.yielded == 0 || s.yielded != s.resumed || s.running != 0 || len(s.out) != 0 {
		t.Errorf("%d yielded, %d resumed, %d running, %d out", s.yielded, s.resumed, s.running, len(s.out))
	}

	// Those that fill the queue wait for room, and nobody else could make it.
	fill := core.Func(func(ctx context.Context) (int, error) {
		for range 10 {
			if err := e.GoContext(ctx, func() {}); err != nil {
				return 0, err
			}
		}
		return 0, nil
	})
	if _, err := core.Run(ctx, e, fill); err != nil {
		t.Fatal(err)
	}
}

func TestWithScheduler_Error(t *testing.T) {
	fails := func() (*line, error) { return nil, errTooMuch }
	_, err := core.New(core.WithScheduler(fails()))
	if !errors.Is(err, errTooMuch) || !errors.Is(err, core.ErrConfig) {
		t.Fatalf("New: %v", err)
	}
	works := func() (*line, error) { return new(line), nil }
	e := engineFor(t, core.WithScheduler(works()))
	if n, err := core.Run(soon(t), e, value(3)); n != 3 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
}

// A worker tells of an end when it asks for its next job, and where it does not ask,
// because it is to start nothing, or because a hook keeps it, before that.
func TestScheduler_ToldOfAnEndAtOnce(t *testing.T) {
	for _, how := range []string{"pause", "resize", "hook"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &counting{out: map[core.Job]int{}}
				e := engineFor(t, core.WithWorkers(2), core.WithScheduler(c))
				release, hooked := make(chan struct{}), make(chan struct{})
				if how == "hook" {
					if _, err := e.AddHooks(core.Hooks{Ended: func(core.EndInfo) { <-hooked }}); err != nil {
						t.Fatal(err)
					}
				}
				for range 2 {
					if err := e.Go(func() { <-release }); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				switch how {
				case "pause":
					if err := e.Pause(); err != nil {
						t.Fatal(err)
					}
				case "resize":
					if err := e.Resize(1); err != nil {
						t.Fatal(err)
					}
				}
				close(release)
				synctest.Wait()
				for job, n := range c.out {
					if n != 0 {
						t.Errorf("the scheduler was not told of the end of %v", job)
					}
				}
				if err := e.Resume(); err != nil && how == "pause" {
					t.Fatal(err)
				}
				close(hooked)
				if err := e.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
