package scheduler

import "github.com/uptutu/goman/core"

// reserve counts the workers that each level of a Priority occupies, so that some are
// left for the levels above. The zero reserve keeps none and counts nothing.
type reserve struct {
	active bool
	limit  [levels]int // how many workers a level and those below it may occupy
	tally  [levels]tally
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

// note passes on what happens to a job of the level.
func (r *reserve) note(level int, job core.Job, what func(*tally, core.Job)) {
	if r.active {
		what(&r.tally[level], job)
	}
}
