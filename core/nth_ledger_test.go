package core_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/uptutu/goman/core"
)

// What was submitted in a run, and what became of it.

// entry is a submission and what became of it.
type entry struct {
	run    *nthRun
	name   string
	want   []error // what its result may be, nil for success
	most   int32   // how often it may start
	parent bool    // its error may be that of a task below
	starts atomic.Int32
	mine   atomic.Bool // the bomb has gone off in it

	// Guarded by run.mu.
	answered bool // or else the submitter was lost
	refusal  error
	future   *core.Future[int]
}

// add notes a submission before it is made.
func (r *nthRun) add(name string, want ...error) *entry {
	if len(want) == 0 {
		want = []error{nil}
	}
	e := &entry{run: r, name: name, want: want, most: 1}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		e.want = append(slices.Clone(want), core.ErrUndone, core.ErrAbandoned, context.Canceled)
	}
	r.entries = append(r.entries, e)
	return e
}

// below is add for a task whose error may be that of a task below.
func (r *nthRun) below(name string, want ...error) *entry {
	e := r.add(name, want...)
	e.parent = true
	return e
}

// answer notes what the engine said.
func (e *entry) answer(f *core.Future[int], err error) (*core.Future[int], error) {
	e.run.mu.Lock()
	defer e.run.mu.Unlock()
	e.answered, e.refusal, e.future = true, err, f
	return f, err
}

func (e *entry) task(body func(ctx context.Context) (int, error)) *nthTask { return &nthTask{e, body} }

// function is a plain function that is accounted for.
func (e *entry) function(body func()) func() {
	return func() {
		e.starts.Add(1)
		_ = e.run.b.call("function")
		if body != nil {
			body()
		}
	}
}

func (e *entry) get() *core.Future[int] {
	e.run.mu.Lock()
	defer e.run.mu.Unlock()
	return e.future
}

// answers notes what the engine said to a batch: no more than one refusal.
func answers(entries []*entry, futures []*core.Future[int], err error) {
	for i, e := range entries {
		switch {
		case i < len(futures):
			_, _ = e.answer(futures[i], nil)
		case i == len(futures):
			_, _ = e.answer(nil, err)
		default:
			_, _ = e.answer(nil, errNotAsked)
		}
	}
}

// errNotAsked: the submission of a batch had ended before.
var errNotAsked = errors.New("not asked")

// account compares what the submitters were told with what has run, with the results
// and with the figures.
func (r *nthRun) account(s core.Stats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var accepted, refused, lost, succeeded uint64
	for _, e := range r.entries {
		starts := e.starts.Load()
		switch {
		case !e.answered:
			lost++
			if starts > e.most {
				r.errorf("%s has started %d times", e.name, starts)
			}
		case e.refusal == errNotAsked:
			if starts != 0 {
				r.errorf("%s was not accepted and has started", e.name)
			}
		case e.refusal != nil:
			refused++
			if starts != 0 {
				r.errorf("%s was refused and has started %d times: %v", e.name, starts, e.refusal)
			}
			if !allowed(e.refusal, append([]error{core.ErrQueueFull, core.ErrDiscarded, core.ErrClosed}, e.want...)) && !r.explains(e.refusal) {
				r.errorf("%s was refused: %v", e.name, e.refusal)
			}
		default:
			accepted++
			if e.future != nil && e.judge(starts) {
				succeeded++
			}
			if e.future == nil && starts > e.most {
				r.errorf("%s has started %d times", e.name, starts)
			}
		}
	}
	if s.Accepted < accepted || s.Accepted > accepted+lost {
		r.errorf("%d were accepted and %d lost: %+v", accepted, lost, s)
	}
	if n := s.Rejected.Total(); n < refused || n > refused+lost {
		r.errorf("%d were refused and %d lost: %+v", refused, lost, s)
	}
	if calls := s.Accepted + s.Rejected.Total(); calls > accepted+refused+lost {
		r.errorf("%d calls: %+v", accepted+refused+lost, s)
	}
	if s.Succeeded < succeeded {
		r.errorf("%d have succeeded: %+v", succeeded, s)
	}
	if !r.b.fired.Load() && lost != 0 {
		r.errorf("%d submitters were lost, and nothing has failed", lost)
	}
}

// judge demands that the future of an accepted task has a result that is expected, or
// that the bomb explains. It reports whether it succeeded.
func (e *entry) judge(starts int32) bool {
	r := e.run
	if !e.future.IsDone() {
		r.errorf("%s: its future is not resolved", e.name)
		return false
	}
	v, err := e.future.Get()
	want := e.want
	if r.c.discards {
		want = append(slices.Clone(want), core.ErrDiscarded)
	}
	if r.b.site.loses {
		want = append(slices.Clone(want), core.ErrUndone, context.Canceled) // and those who wait for it
	}
	if !allowed(err, want) && !r.explains(err) {
		r.errorf("%s: %v", e.name, err)
	}
	if e.mine.Load() && !r.explains(err) && !errors.Is(err, core.ErrAbandoned) {
		r.errorf("%s: it was hit, and its result is %d, %v", e.name, v, err)
	}
	if err == nil && (v != 1 || starts < 1) || starts > e.most {
		r.errorf("%s: %d, %v after %d starts of %d", e.name, v, err, starts, e.most)
	}
	unstarted := errors.Is(err, core.ErrDiscarded) || errors.Is(err, core.ErrQueueTimeout) || errors.Is(err, core.ErrUndone)
	if unstarted && !e.parent && starts > e.most-1 {
		r.errorf("%s: %v after %d starts", e.name, err, starts)
	}
	return err == nil
}
