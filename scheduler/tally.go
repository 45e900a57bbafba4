package scheduler

import "github.com/uptutu/goman/core"

// tally counts the workers that jobs occupy. Those that were popped have each a worker
// of their own, unless they wait inside. Those that were claimed run on the worker of
// who waits for them, and do not count.
//
// A job may leave a scheduler twice, by a claim and by its dead entry, and is completed
// as often, so what counts is the balance.
type tally struct {
	running int
	inline  map[core.Job]int      // claimed and not completed
	away    map[core.Job]struct{} // popped, but without a worker
}

func (t *tally) started() { t.running++ }

func (t *tally) claimed(job core.Job) {
	if t.inline == nil {
		t.inline = make(map[core.Job]int)
	}
	t.inline[job]++
}

func (t *tally) completed(job core.Job) {
	if n := t.inline[job]; n > 0 {
		if delete(t.inline, job); n > 1 {
			t.inline[job] = n - 1
		}
	} else if _, ok := t.away[job]; ok {
		delete(t.away, job)
	} else {
		t.running--
	}
}

func (t *tally) yielded(job core.Job) {
	if _, ok := t.away[job]; ok || t.inline[job] > 0 {
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
