package middleware

import "github.com/uptutu/goman/core"

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
func recall(job core.Job, policy any) any {
	if k, ok := job.Value(policy).(kept); ok && k.era == era(job) {
		return k.value
	}
	return nil
}

// keep keeps value with job for policy, which is not nil.
func keep(job core.Job, policy, value any) { job.SetValue(policy, kept{era(job), value}) }

// forget drops what policy keeps with job.
func forget(job core.Job, policy any) { job.SetValue(policy, nil) }

// beginEra makes all policies forget what they have kept with job. Those around the one that
// calls it know what that was, and keep it anew when they pass the wish on.
func beginEra(job core.Job) { job.SetValue(eraKey{}, era(job)+1) }
