// Package flow spreads one piece of work over an engine of package core, and combines
// futures.
//
//	Divide   a function that divides its argument and conquers the parts
//	Map      a function of each item of a list, with results
//	ForEach  the same without results
//	ForN     the same of each number below n
//
//	All      every value, in order, or the error of the first that failed
//	Settle   every value and every error
//	Any      the first that succeeds
//	Race     the first that ends
//
// # Parts and items
//
// Divide, Map, ForEach and ForN call a function on the caller's part of the engine and on
// as many other workers as have nothing to do: a part or an item is no task, so it costs
// nanoseconds and no allocation. They may be called inside a task with its context, on an
// engine of one worker too, and end as plain calls would: with the first error in order,
// however fast the others were. What they promise about panics, contexts and the end is
// said at [Divide] and [Map]. Use a future for each piece ([core.SubmitAll] and All) if it
// needs attributes, hooks or a result of its own.
//
// # Futures
//
// The others take futures of one result type and of any number of engines, and may be
// called inside a task with the task's context: then they hold no worker up. All and
// Settle wait as [core.Future.Await] does, one future after the other. Any and Race
// wait as [core.AwaitAny] does, which runs no task here and finds no ring of waits. The
// context bounds the wait and touches no task, but for the option [CancelRest].
//
// What an empty list means follows from what each function promises: All and Settle
// have nothing to wait for and return an empty list, Any and Race can never have a
// winner and return [ErrNone].
package flow
