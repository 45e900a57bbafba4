package middleware

import (
	"context"

	"github.com/uptutu/goman/core"
)

// kept is what a policy keeps with a job from one run to the next.
//
// A policy that asks to be run again is not always heard: what is around it may make an error
// of the wish, and a Retry around that begins a new attempt. What was kept within is then of
// the attempt before. So each attempt of a Retry is an era, and what was kept in another one
// has been forgotten.
type kept struct {
	era   int
	value any
}

// eraKey is the key of the era of a job, an int.
type eraKey struct{}

func era(job core.Job) int {
	n, _ := job.Value(eraKey{}).(int)
	return n
}

// recall returns what policy has last kept with job in this era, or nil.
func recall(ctx context.Context, job core.Job, policy any) any {
	if k, ok := job.Value(policy).(kept); ok && k.era == era(job) && repeatable(ctx, job) {
		return k.value
	}
	return nil
}

// keep keeps value with job for policy, which is not nil. Around a part of a task nothing
// is kept: a run of the task may have many parts, and none begins where another has ended.
func keep(ctx context.Context, job core.Job, policy, value any) {
	if repeatable(ctx, job) {
		job.SetValue(policy, kept{era(job), value})
	}
}

// forget drops what policy keeps with job.
func forget(ctx context.Context, job core.Job, policy any) {
	if job.Value(policy) != nil && repeatable(ctx, job) {
		job.SetValue(policy, nil)
	}
}

// beginEra makes all policies forget what they have kept with job. Those around the one that
// calls it know what that was, and keep it anew when they pass the wish on.
func beginEra(job core.Job) { job.SetValue(eraKey{}, era(job)+1) }

// repeatable reports whether a wish to be run again is heard, and repeats no more than what
// is within: in a task of an engine, but not around a part of it.
func repeatable(ctx context.Context, job core.Job) bool {
	if job.IsZero() || core.JobOf(ctx) != job {
		return false
	}
	part, _ := ctx.Value(partKey{}).(core.Job)
	return part != job
}

// partKey is the key of the job of which a part is run, a core.Job, in the context that
// handlers around the part are given.
type partKey struct{}
