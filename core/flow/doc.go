// Package flow combines futures of package core.
//
//	All     every value, in order, or the error of the first that failed
//	Settle  every value and every error
//	Any     the first that succeeds
//	Race    the first that ends
//
// All of them take futures of one result type and of any number of engines, and may be
// called inside a task with the task's context: then they hold no worker up. All and
// Settle wait as [core.Future.Await] does, one future after the other. Any and Race
// wait as [core.AwaitAny] does, which runs no task here and finds no ring of waits. The
// context bounds the wait and touches no task, but for the option [CancelRest].
//
// What an empty list means follows from what each function promises: All and Settle
// have nothing to wait for and return an empty list, Any and Race can never have a
// winner and return [ErrNone].
package flow
