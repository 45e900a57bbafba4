package scheduler

import "github.com/uptutu/goman/core"

// tally counts the workers that jobs occupy. Those that were popped have each a worker
// of their own, unless they wait inside. Those that were claimed run on the worker of
// who waits for them, and do not count.
//
// Functions may run several times at once, but are never claimed, and never wait as a
// task.
type tally struct {
	running int
	inline  map[core.Job]struct{} // claimed and not completed
	away    map[core.Job]struct{} // popped, but without a worker
}

func (t *tally) started(core.Job) { t.running++ }

func (t *tally) claimed(job core.Job) {
	if t.inline == nil {
		t.inline = make(map[core.Job]struct{})
	}
	t.inline[job] = struct{}{}
}

func (t *tally) isInline(job core.Job) bool {
	_, ok := t.inline[job]
	return ok
}

func (t *tally) completed(job core.Job) {
	if t.isInline(job) {
		delete(t.inline, job)
	} else if _, ok := t.away[job]; ok {
		delete(t.away, job)
	} else {
		t.running--
	}
}

func (t *tally) yielded(job core.Job) {
	if _, ok := t.away[job]; ok || t.isInline(job) {
		return
	}
	if t.away == nil {
		t.away = make(map[core.Job]struct{})
	}
	t.away[job] = struct{}{}
	t.running--
}

func (t *tally) resumed(job core.Job) {
	if _, ok := t.away[job]; ok {
		delete(t.away, job)
		t.running++
	}
}
