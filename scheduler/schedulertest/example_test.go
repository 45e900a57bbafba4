package schedulertest_test

import (
	"testing"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/scheduler/schedulertest"
)

// stack is a scheduler of one's own.
type stack struct{ jobs []core.Job }

func (s *stack) Push(job core.Job) { s.jobs = append(s.jobs, job) }

func (s *stack) Pop(int) (job core.Job, ok bool) {
	n := len(s.jobs)
	if n == 0 {
		return job, false
	}
	job, s.jobs = s.jobs[n-1], s.jobs[:n-1]
	return job, true
}

func (s *stack) Len() int { return len(s.jobs) }

// In a test of your own.
func ExampleRun() {
	test := func(t *testing.T) {
		schedulertest.Run(t, schedulertest.Spec{
			New:   func() (core.Scheduler, error) { return new(stack), nil },
			Model: schedulertest.LIFO,
		})
	}
	_ = test // go test calls it
}

func TestStack(t *testing.T) {
	schedulertest.Run(t, schedulertest.Spec{
		New:   func() (core.Scheduler, error) { return new(stack), nil },
		Model: schedulertest.LIFO,
	})
}
