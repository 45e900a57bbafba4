package middleware

import "time"

// windowSteps is in how many steps a window goes on.
const windowSteps = 10

// window counts the runs of the last period, one step of it being under way. It goes by the
// monotonic clock, so that it is the same to it if the clock of the machine is set.
type window struct {
	begin time.Time // of all steps
	step  time.Duration
	head  int64 // the number of the present step, or of the last in which there was a run
	steps [windowSteps]tally
}

// tally is how many runs there were, and how many of them have failed.
type tally struct{ runs, failures int }

// newWindow makes a window of period, which is at least 10 ns.
func newWindow(period time.Duration) *window {
	return &window{begin: time.Now(), step: period / windowSteps}
}

// add counts a run that has ended, and returns the sum of the period.
func (w *window) add(failed bool) (sum tally) {
	now := int64(time.Since(w.begin) / w.step)
	for ; w.head < now; w.head++ {
		if now-w.head > windowSteps {
			w.head = now - windowSteps
		}
		w.steps[(w.head+1)%windowSteps] = tally{}
	}
	at := &w.steps[now%windowSteps]
	at.runs++
	if failed {
		at.failures++
	}
	for _, s := range w.steps {
		sum.runs += s.runs
		sum.failures += s.failures
	}
	return sum
}

// clear forgets all runs.
func (w *window) clear() { w.steps = [windowSteps]tally{} }
