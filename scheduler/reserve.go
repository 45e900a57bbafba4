package scheduler

import "github.com/uptutu/goman/core"

// reserve counts the workers that each level of a Priority occupies, so that some are
// left for the levels above. The zero reserve keeps none and counts nothing.
//
// Only jobs that were popped count, since each of those has a worker of its own; one
// that was claimed runs on the worker of another job.
type reserve struct {
	active bool
	limit  [levels]int // how many workers a level and those below it may occupy
	tally  [levels]tally
	inline map[core.Job]int // claimed and not completed
}

func (r *reserve) resized(workers int, reserved [levels]int) {
	left := workers
	for i := levels - 1; i >= 0; i-- {
		r.limit[i] = max(left, 1)
		left -= reserved[i]
		r.active = r.active || reserved[i] > 0
	}
}

// allows reports whether a job of the level may take a worker.
func (r *reserve) allows(level int) bool {
	if !r.active {
		return true
	}
	running := 0
	for i := range levels {
		running += r.tally[i].running
		// The highest level is never held back: the engine has as many workers as
		// it has.
		if i >= level && i < levels-1 && running >= r.limit[i] {
			return false
		}
	}
	return true
}

func (r *reserve) started(level int) {
	if r.active {
		r.tally[level].started()
	}
}

func (r *reserve) claimed(job core.Job) {
	if !r.active {
		return
	}
	if r.inline == nil {
		r.inline = make(map[core.Job]int)
	}
	r.inline[job]++
}

func (r *reserve) completed(level int, job core.Job) {
	if !r.active {
		return
	}
	switch n := r.inline[job]; {
	case n == 0:
		r.tally[level].completed(job)
	case n == 1:
		delete(r.inline, job)
	default:
		r.inline[job] = n - 1
	}
}

func (r *reserve) yielded(level int, job core.Job) {
	if r.active && r.inline[job] == 0 {
		r.tally[level].yielded(job)
	}
}

func (r *reserve) resumed(level int, job core.Job) {
	if r.active {
		r.tally[level].resumed(job)
	}
}
