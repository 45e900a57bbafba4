// Package core runs typed tasks on a bounded number of workers.
//
// An [Engine] runs tasks; a [Task] is a piece of work with a result; a [Future]
// is the result of a task that was accepted. One engine runs tasks of any
// number of result types side by side, without type assertions, and a task may
// wait for other tasks of its own engine, at any depth and with a single
// worker. The package imports the standard library only, starts nothing and
// stores nothing at package level.
//
//	engine, err := core.New(core.WithWorkers(8), core.WithQueueCapacity(10_000))
//	if err != nil {
//		return err
//	}
//	defer engine.Shutdown(ctx)
//
//	future, err := core.Submit(ctx, engine, core.Func(func(ctx context.Context) (int, error) {
//		return count(ctx)
//	}))
//	if err != nil {
//		return err // it was refused, and will never run
//	}
//	n, err := future.Await(ctx)
//
// # Words
//
// A task is what the user writes, a job is a task inside the engine, see [Job].
// Admission lets a job into the queue or refuses it. The scheduler orders the
// queue. A worker claims a job, which can happen once, and runs it. The future
// is resolved, once, with a value and an error. A slot is the right to run one
// task: an engine with n workers has n slots, and goroutines borrow them.
//
// # Submission
//
// The ways in differ in who waits for what:
//
//	Submit        returns a future; waits for room in the queue under the default policy
//	TrySubmit     never waits for room
//	SubmitAll     a batch: one reservation of room and one wake-up for many tasks
//	Run           Submit and Await in one call
//	Engine.Go     a plain function, fire and forget
//	Engine.GoAll  a batch of them
//
// [SubmitWith], [TrySubmitWith], [SubmitAllWith] and [RunWith] take attributes too,
// [Engine.GoContext] a context, and [Engine.TryGo] and [TrySubmitAll] never wait.
//
// They are functions and not methods where a method would need a type parameter
// of its own. [Func] makes a task of a function; any type with an Execute method
// is one.
//
// A submission has one of two answers. Either there is a future and no error:
// then the task was accepted and the future will be resolved, whatever happens.
// Or there is an error and no future: then the task never runs. The error is a
// [*RefusedError] that matches [ErrInvalid], [ErrClosed], [ErrQueueFull], or the
// cause and the own error of the context. Arguments are checked first, then the
// engine, then the context.
//
// The context given to Submit has two uses, one after the other. It bounds the
// wait for room; then it governs the task: its values and its cancellation reach
// the task's own context. To submit a task that outlives the request which it
// came from, submit it with [context.WithoutCancel], or, inside a task, with
// [Detach].
//
// # Futures
//
// [Future.Await] waits for the result or for the end of a context,
// [Future.GetWithTimeout] for a time, [Future.Get] without a bound,
// [Future.Done] is a channel for select, and [Future.OnDone] calls a function.
// All of them may be used by any number of goroutines, and all of them see the
// same result. Giving up a wait does not touch the task; [Future.Cancel] does. A
// wait that was given up returns a [*WaitError], which tells it from the result of a
// task that was cancelled. [AwaitAny] waits for the first of several futures; package
// core/flow has All, Settle, Any and Race, and Divide and Map for work without futures.
//
// The error of a future is what the task returned, or, if it did not come to
// that, one of the errors of this package. Sentinels answer [errors.Is], typed
// errors [errors.As]:
//
//	ErrPanicked       it panicked; *PanicError has the value and the stack
//	ErrGoexit         it called runtime.Goexit
//	context.Canceled  it was cancelled; *CancelError tells when and why
//	ErrQueueTimeout   it waited for too long; *TimeoutError
//	ErrTaskTimeout    it ran for too long; *TimeoutError
//	ErrDiscarded      it was given up because the queue was full
//	ErrSkipped        an interceptor did not let it run
//	ErrUndone         the engine ended before it was started, or started again
//	ErrAbandoned      the engine ended, and it ignored that
//
// # Attributes
//
// [Attributes] give a task a name, a priority, a key, a tenant, labels, limits
// and a reject policy. They are a plain struct, passed by value to [SubmitWith].
// A task may bring its own by implementing [Named], [Prioritized], [Keyed],
// [Tenanted], [Labeled] or [Limited]. What the caller gives wins over what the
// task brings, and that over the engine's defaults.
//
// Priority, key and tenant are for schedulers, hooks and reject policies to look
// at. The built-in scheduler looks at none of them.
//
// # Waiting inside a task
//
// A task that waits for tasks of its own engine, with its own context, does not
// hold a worker up. There are three rules:
//
//   - The awaited task is still queued: the waiter claims it and runs it at once,
//     on its own goroutine. No other task ever runs there, so a task may hold a
//     mutex while it waits, as long as what it waits for does not need it.
//   - The awaited task runs elsewhere, or its scheduler does not let it start
//     now: the waiter hands its slot over to other work, sleeps, and takes a slot
//     back before any new task starts.
//   - The wait would close a ring of tasks that wait for each other: it returns a
//     [*DeadlockError] that names them, and the others can go on.
//
// The engine knows who waits by the context: pass the one that Execute was given,
// or one derived from it, to Submit, Run and Await. With a derived context that
// can end earlier the first rule does not apply, because the waiter could not
// leave a task that it runs itself; the second one does. It holds too for
// [Submit] and [Engine.GoContext] where they wait for room: a task is not stopped
// by the full queue of its own engine. (A scheduler that holds jobs back until
// others have ended can still make a ring with a full queue: tasks that wait for
// room which only the tasks behind them could make.)
//
// [Blocking] does the same for a wait that no engine knows of: a channel, a lock, the
// network.
//
// A task that waits for a task of another engine hands its slot over and never
// runs the other's work. Outside of tasks a waiter whose context cannot end may
// run the awaited task on its own goroutine, if a slot is idle and the tasks of
// the engine have proved to be tiny; see [Future.Await].
//
// # Policies and limits
//
// The queue is bounded: [DefaultQueueCapacity] tasks unless
// [Config.QueueCapacity] says otherwise, without a bound only by asking for it.
// When it is full a [RejectPolicy] decides, of the task or else of the engine:
// wait for room, which is the default, fail, run the task on the goroutine of
// the caller, give up the newest or the oldest or a less urgent task, or ask a
// function. The future of a task that is given up fails with [ErrDiscarded].
//
// A task has two clocks. [Attributes.QueueLimit] bounds the time from admission
// to start: a task over it fails and never starts. [Attributes.RunLimit] bounds
// the time it runs: then its context ends, and the future is resolved when the
// task returns. Go cannot stop a goroutine from outside, so a task that ignores
// its context goes on; it is counted as Overdue meanwhile, and
// [TimeoutError.Late] says that its result came late. The result is not thrown
// away.
//
// # Panics and Goexit
//
// A panic ends the task and nothing else. The future fails with a [*PanicError],
// and the panic is reported at once, to the hooks, and to [Config.OnPanic] or else
// the logger, even if nobody awaits the future. [PanicCrash] lets it crash the process
// instead. A task that calls [runtime.Goexit], as testing.T.FailNow does, fails
// with [ErrGoexit] and costs no worker. Where it ran on the goroutine of a task
// that waits for it, it ends that task too, as a plain call would: both futures
// say so.
//
// A panic of an interceptor counts as one of the task that it wraps. A panic of a
// hook, a callback, a scheduler or a policy function is contained and logged: it
// harms neither a task's future nor a worker. (A scheduler that fails to take a task
// has refused it.)
//
// # Running again
//
// A task, or an interceptor, that returns [Again] asks to be run again after a
// delay. The worker does other work meanwhile. The same task is then queued with
// the same future and the same attributes. [Attempt] tells which run it is.
//
// # Stopping
//
// [Engine.Shutdown] refuses new work, runs what is queued, and returns nil once
// all has been run and the engine has no goroutine left. Its context bounds
// that. When it ends the engine stops by force: what has not started is handed
// back, the contexts of running tasks end with [ErrShutdown] as their cause, and
// those that do not return within [Config.CancelGrace] are abandoned. The
// [*ShutdownError] is the report: the undone tasks, which [Undone.Resubmit] hands
// to another engine, and the names and stacks of those that ignore their
// context. [Engine.Close] stops by force from the beginning.
//
// Tasks are refused like everybody else once Shutdown has begun, unless
// [Config.AcceptChildren] is set. [Engine.Pause] and [Engine.Resume] hold the
// start of tasks, [Engine.WaitIdle] waits for the end of all that was accepted
// and closes nothing.
//
// # Statistics
//
// [Engine.Stats] is exact at one instant:
//
//	Accepted = Queued + Running + Ended()
//
// holds in every snapshot, even under load, and [Stats.Check] says so: what runs is
// counted apart from what has started and ended. What was refused is counted by
// reason in [Rejections], which is read just after that instant. Ended tasks are counted by
// [Outcome].
//
// # Interceptors and hooks
//
// An [Interceptor] wraps the execution of every job: it can look, change the
// context, repeat, or refuse. [Hooks] are told what happens and change nothing.
// Both are given to [New], or added and removed while the engine runs by
// [Engine.Intercept] and [Engine.AddHooks].
// [Job.SetValue] keeps something with a task from one run to the next; [JobOf] finds
// the job from inside, and a [JobExecutor] is told whether it is the whole of it.
// Module goman/middleware has interceptors for retries, timeouts, limits and more.
//
// # Settings
//
// [Config] holds every setting with its default and its range; its zero value is
// valid. Options such as [WithWorkers] are its everyday face, [WithConfig] takes
// a whole one. [New] reports all faults at once. [Engine.Reconfigure] changes
// several live settings as one step, [Engine.Config] reads them back.
//
// # Schedulers
//
// The built-in scheduler steals work. Tasks from outside start in nearly the
// order in which they came: workers take them in order, in batches of at most
// 64. What a task submits goes to its own worker, newest first, where idle
// workers take the oldest. To use another order, pass a [Scheduler]: three
// methods, called one at a time. It may also be a [Completer], a
// [Claimer], a [Sweeper], a [Resizer], a [WakerSetter], a [Refuser] or a [Yielder].
// The module goman/scheduler has priorities, fair shares, deadlines and lanes.
//
// # What is promised
//
//   - Each accepted task starts at most once for each attempt, and its future is
//     resolved exactly once.
//   - What happened before a submission is seen by the task. What the task did is
//     seen by whoever saw its future resolved, and by the callers to whom
//     Shutdown or WaitIdle has returned nil.
//   - At most Workers tasks run at a time; tasks that wait inside do not count.
//     There are two exceptions: [RejectCallerRuns] outside a task runs the task
//     beside the workers, and tasks that run when the number is reduced go on.
//   - A task that was cancelled before it started never starts.
//   - Nothing starts between the return of Pause and the call of Resume (it has started
//     when [Stats] counts it as running; see [Engine.Pause]), nor once
//     [Engine.IsClosed] reports true.
//   - All exported functions and methods may be called by any number of
//     goroutines, also from tasks, hooks and callbacks. The methods of a user's
//     scheduler alone must not call the engine.
//   - No lock is held while a task, hook, interceptor, callback or policy function
//     runs.
//
// # What is not promised
//
//   - Order: with more than one worker the order of starting is not the order of
//     running, and the built-in scheduler keeps no strict order at all.
//   - [Future.Get] and Await with a foreign context do not know that they are
//     called inside a task. They hold the worker up, and if all workers do that,
//     the engine stands still.
//   - Goroutines that a task starts and gives its context share its slot. Their
//     calls use it one at a time, and a wait of theirs hands it over although the
//     task itself goes on. They are not counted as running.
//   - Such a wait counts as a wait of the task: one that closes a ring through it is
//     refused with [ErrDeadlock], although the task itself might have gone on. So is
//     a wait with a context that could still end.
//   - A task's context ends when the task returns, and then has lost the
//     submitter's values: for what outlives the task, use [Detach]. Tasks that it
//     has submitted are not ended by that; they go on under the context that it
//     was submitted with.
//   - A task that calls [runtime.LockOSThread] should unlock it. What it has
//     forgotten is undone when the worker next sleeps, not before the next task.
//   - A plain function, given to [Engine.Go], has no record: no future, no
//     attributes, no context and no way to cancel it. Of the limits only the
//     engine's defaults apply to it: they are measured, but a function without a
//     context cannot obey.
//   - An engine that is never shut down is collected once nobody refers to it and
//     its goroutines have ended, as they do when idle. Those that [Config.MinIdle] or
//     a negative [Config.IdleTimeout] keep do not end. Queued tasks run all the
//     same.
//   - Tasks live in memory. They do not survive the process.
//
// # Memory and cost
//
// Submit allocates the future and nothing else; the future carries its job and
// the task's context inside. That of an int takes 48 bytes if it was submitted with
// [context.Background], otherwise 80, and 48 for each task in [SubmitAll]. Attributes,
// limits, callbacks and a wait that sleeps allocate more. [Engine.Go] allocates nothing. A queued job takes one word in
// the queue. A resolved future keeps its value and its error alive, but neither
// the task nor its context; the futures of one [SubmitAll] keep each other's
// values alive. A task that waits inside keeps its goroutine, so an engine has as
// many as workers and waiting tasks; a task that runs on its waiter's goroutine
// takes as much stack as a call. An engine starts its goroutines when there is
// work, and ends them when they have been idle for [Config.IdleTimeout]. An idle
// engine does not tick.
//
// BenchmarkGo, BenchmarkAwait and BenchmarkTree measure the three ways of
// use; beside them stand a channel with workers and plain goroutines. A task of a
// few instructions costs more to hand over than to call: do not submit what you
// can call.
//
// # Testing
//
// An engine can be used inside a bubble of [testing/synctest], where limits and
// delays pass at once and exactly. Make it in the bubble and end it there:
//
//	synctest.Test(t, func(t *testing.T) {
//		engine, err := core.New(core.WithRunLimit(time.Hour))
//		if err != nil {
//			t.Fatal(err)
//		}
//		defer engine.Shutdown(t.Context())
//
//		_, err = core.Run(t.Context(), engine, core.Func(func(ctx context.Context) (int, error) {
//			<-ctx.Done() // an hour passes
//			return 0, ctx.Err()
//		}))
//		if !errors.Is(err, core.ErrTaskTimeout) {
//			t.Error(err)
//		}
//	})
//
// In a bubble synctest.Wait returns when no worker has anything to do but to wait.
package core
