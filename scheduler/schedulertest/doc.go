// Package schedulertest is a conformance suite for schedulers: goman's own and the
// user's.
//
//	func TestMine(t *testing.T) {
//		schedulertest.Run(t, schedulertest.Spec{
//			New:   func() (core.Scheduler, error) { return new(mine), nil },
//			Model: schedulertest.FIFO,
//			Bound: func(queued int) int { return queued },
//		})
//	}
//
// Without an engine, in random sequences of calls that the engine might make:
//
//	Conservation   what is pushed comes out, and Len is 0 then
//	ExactlyOnce    no job is handed out twice, and none that was not pushed
//	Len            counts what is stored
//	Order          Pop returns a job that the model would have let start
//	WorkConserving Pop returns one if the model has one
//	Completion     both of these, with many jobs that have started and not ended
//	Claim          a job that may not start is not allowed to; a holder has not ended
//	Sweep          each entry is asked about once, what is dropped never comes out
//	Waits          tasks that wait inside hold nothing up for good
//	Resize         whatever the number of workers, all come out in the end
//	Bound          a job waits no longer than the Spec says, whoever else comes
//	Nesting        an inner scheduler is told all that it asks to be told
//
// With an engine, under cancellation, waits inside tasks, tasks that run again, resizes
// and pauses:
//
//	Engine/ExactlyOnce each task runs once, and the scheduler is told of each end once
//	Engine/Full        the reject policies resolve exactly one loser
//	Engine/Close       what is left is handed back
//
// For core's built-in scheduler, and any other that can be reached through an engine
// alone, leave New out: then the last three run, and Order with one worker if there is
// a model.
//
// A failure tells the seed; GOMAN_SCHEDULERTEST_SEED=n repeats it, and
// GOMAN_SCHEDULERTEST_SCALE=x makes x times as many rounds.
package schedulertest
