// Package timetable submits tasks to an engine when they are due: at a time, after a
// delay, every period, or by a cron expression.
//
// A [Timetable] serves one engine. [At] and [After] return a [Delayed], the result of one
// task; [Every] and [Cron] return an [Entry], which comes again until it is stopped.
// [Rules] say what becomes of runs that were missed, and of runs that overlap.
//
// A task that waits for its time costs an entry in a queue: no goroutine, no timer of its
// own, no place in the engine's queue. Times are exact in a bubble of testing/synctest.
package timetable
