// Package middleware puts policies around tasks: timeouts, retries, circuit breakers, limits,
// hedges, fallbacks, caches, and functions of your own.
//
// A policy that does not depend on the type of the result is an object with a method
// Intercept, which is a [core.Interceptor]. It can be put around every task of an engine,
// and around the tasks of one type:
//
//	retry, err := middleware.NewRetry(middleware.RetryConfig{Attempts: 5})
//	breaker, err := middleware.NewBreaker(middleware.BreakerConfig{})
//
//	engine, err := core.New(core.WithInterceptors(retry.Intercept, breaker.Intercept)) // all tasks
//	remove, err := engine.Intercept(retry.Intercept)                                   // from now on
//	fetch, err := middleware.Decorate[Page](retry.Intercept, breaker.Intercept)        // func(Task[Page]) Task[Page]
//
// All of these are one and the same policy: the object has the state, so an open [Breaker] is
// open for all engines and decorators that it is given to, and whoever has it can ask for its
// state. A policy that needs the result has a method Decorate instead: [Fallback], [Hedge],
// [Cache]. [Check] makes errors of results, so that a Retry can go by them.
//
// A policy is made by its New function, may be used by any number of goroutines, and cannot
// be changed afterwards. In its configuration zero stands for the default that the field
// names. What can never be right is refused with an error that matches [core.ErrInvalid].
// Functions in a configuration are called on the goroutines of tasks, for many at a time; one
// that panics fails the task.
//
// # Order
//
// Policies are named from the outside in, as interceptors are. What is around sees what is
// within as one run:
//
//	Timeout, Retry      all runs and the waits between them have to end in time
//	Retry, Timeout      each run has to end in time
//	Retry, Breaker      each run is counted; an open breaker delays the next run
//	Breaker, Retry      only what becomes of the last run is counted
//	Retry, RateLimit    each run takes a permit
//	Bulkhead, Retry     the place is free while the task waits for its next run
//	Fallback, Retry     answers when the retries are over
//	Retry, Fallback     the first run is the last: the fallback has answered
//	Retry, Hedge        what all runs of a hedge fail with is one failure
//	Hedge, Retry        each run of a hedge is repeated by itself, and waits in place
//	Retry, Cache        the tasks of a key share each run
//	Cache, Retry        they share all runs; the one that runs waits in place
//	Log, Retry          a line for each run; so has BeforeAfter a call for each
//
// Decorators are within the interceptors of the engine. Innermost of all, around the task, a
// panic becomes an error: every policy sees it as one, gives back what it holds, and counts it.
// A runtime.Goexit passes through all of them, which give back what they hold, too.
//
// # Waiting
//
// No wait holds a worker up. There are two kinds:
//
//   - The task asks to be run again, by [core.Again]. It leaves its goroutine and is queued
//     once more after the wait, with the same future, key and priority. Meanwhile it can be
//     cancelled, and Shutdown hands it back. It costs a timer. The next run goes through
//     everything around it anew, so this is seen from outside: see the order above. A Retry
//     does it unless RetryConfig.InPlace is set, a Breaker with BreakerConfig.Readmit, a limit
//     with Waiting.Every.
//   - The task stays on its goroutine, in [core.Blocking]. Its worker does other work. It is
//     within everything that is around it, so a Timeout goes on, a Bulkhead keeps its place
//     taken; and it costs a goroutine, some 4 kB. A limit does it with Waiting.Max.
//
// Without either, a limit fails at once with a *[DeniedError]. Plain functions, given to
// Engine.Go, cannot be queued again and know no context: a limit that has them wait
// holds their worker up, and a Retry leaves them alone.
//
// A policy remembers in the task what has to outlive a run, such as the number of attempts;
// see [core.Job.SetValue].
//
// # Parts
//
// A task that executes a decorated one calls it as a function: it returns when all is over.
// There every wait is of the second kind, since the first would repeat the task as a whole.
// The same holds within a [Hedge] and a [Cache]. Decorators of this package pass on whether
// they are the whole of their job or a part of it; yours do so if they are a
// [core.JobExecutor], or else what is within them is a part.
//
// # What is kept, and what is not
//
// The circuit breaker, bulkhead and adaptive limiter are those of [failsafe-go], asked for
// permits before a run. Its executor is not used: it lets panics through, which loses permits,
// its retry sleeps on the worker, and its timeout does not match context.DeadlineExceeded.
// Delays are those of [backoff]. No type of either shows in the interface of this package.
//
// Time is the monotonic clock: nothing changes if the clock of the machine is set.
//
// Nothing here is started or stored at package level, and no policy has a goroutine or a
// timer while no task is within.
//
// [failsafe-go]: https://github.com/failsafe-go/failsafe-go
// [backoff]: https://github.com/cenkalti/backoff
package middleware
