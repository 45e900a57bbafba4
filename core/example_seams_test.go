package core_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/uptutu/goman/core"
)

// monthly is a task with a type of its own. It brings its name and its priority.
type monthly struct {
	month int
}

func (r monthly) Execute(context.Context) (string, error) { return fmt.Sprint("month ", r.month), nil }
func (r monthly) Name() string                            { return fmt.Sprintf("report-%02d", r.month) }
func (r monthly) Priority() core.Priority                 { return core.High }

// A type of your own is a Task; the type of its result is inferred.
func ExampleTask() {
	ctx := context.Background()
	engine, err := core.New(core.WithHooks(core.Hooks{
		Started: func(job core.Job) { fmt.Println(job.Name(), job.Priority()) },
	}))
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	text, err := core.Run(ctx, engine, monthly{month: 7})
	fmt.Println(text, err)
	// Output:
	// report-07 high
	// month 7 <nil>
}

// An interceptor wraps the execution of every job of an engine.
func ExampleInterceptor() {
	ctx := context.Background()
	trace := func(next core.Handler) core.Handler {
		return func(ctx context.Context, job core.Job) error {
			fmt.Println("begin", job.Name())
			err := next(ctx, job) // a panic of the task arrives here as an error
			fmt.Println("end", job.Name(), errors.Is(err, core.ErrPanicked))
			return err
		}
	}
	engine, err := core.New(core.WithInterceptors(trace), core.WithOnPanic(func(*core.PanicError) {}))
	if err != nil {
		log.Fatal(err)
	}
	core.Run(ctx, engine, monthly{month: 7})

	// While the engine runs interceptors are added by Intercept.
	guard := func(next core.Handler) core.Handler {
		return func(ctx context.Context, job core.Job) error {
			panic("nothing passes")
		}
	}
	remove, err := engine.Intercept(guard)
	if err != nil {
		log.Fatal(err)
	}
	core.Run(ctx, engine, monthly{month: 8})
	remove()
	engine.Shutdown(ctx)
	// Output:
	// begin report-07
	// end report-07 false
	// begin report-08
	// end report-08 true
}

// An interceptor that repeats what fails counts the failures with the task: variables of its
// own would count those of all tasks, and end with the run.
func ExampleJob_SetValue() {
	type failures struct{} // a key that nobody else can have
	ctx := context.Background()
	twice := func(next core.Handler) core.Handler {
		return func(ctx context.Context, job core.Job) error {
			err := next(ctx, job)
			n, _ := job.Value(failures{}).(int)
			if err != nil && n < 2 {
				job.SetValue(failures{}, n+1)
				return core.Again(0, err)
			}
			job.SetValue(failures{}, nil)
			return err
		}
	}
	engine, err := core.New(core.WithInterceptors(twice))
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	failed, err := core.Run(ctx, engine, core.Func(func(ctx context.Context) (int, error) {
		n, _ := core.JobOf(ctx).Value(failures{}).(int)
		if n < 2 {
			return 0, errors.New("not yet")
		}
		return n, nil
	}))
	fmt.Println(failed, err)
	// Output: 2 <nil>
}

// A task that wraps another sees its panic as an error, and has the last word.
func ExampleContain() {
	ctx := context.Background()
	fragile := core.Func(func(context.Context) (int, error) { panic("oh") })
	err := core.Contain(ctx, func() error {
		_, err := fragile.Execute(ctx)
		return err
	})
	fmt.Println(err, errors.Is(err, core.ErrPanicked))
	// Output: core: panicked: oh true
}

// twice is a task that has another one repeated if it fails: in the engine's queue where it
// is all that a job runs, and at once where it is a part of another task.
type twice struct{ task core.Task[int] }

func (t twice) ExecuteJob(ctx context.Context, job core.Job) (int, error) {
	v, err := t.task.Execute(ctx)
	if err != nil && job.Attempt() == 0 {
		return v, core.Again(time.Millisecond, err)
	}
	return v, err
}

func (t twice) Execute(ctx context.Context) (int, error) {
	v, err := t.task.Execute(ctx)
	if err != nil {
		return t.task.Execute(ctx)
	}
	return v, err
}

// A task that wraps another one knows whether it is the whole of a job.
func ExampleJobExecutor() {
	ctx := context.Background()
	engine, err := core.New()
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Shutdown(ctx)

	runs := 0
	flaky := twice{core.Func(func(context.Context) (int, error) {
		if runs++; runs%2 == 1 {
			return 0, errors.New("not yet")
		}
		return runs, nil
	})}
	v, err := core.Run(ctx, engine, core.Task[int](flaky))
	fmt.Println(v, err)

	v, err = core.Run(ctx, engine, core.Func(func(ctx context.Context) (int, error) {
		return flaky.Execute(ctx) // a part of this task
	}))
	fmt.Println(v, err)
	// Output:
	// 2 <nil>
	// 4 <nil>
}

// Hooks are told what happens to each job.
func ExampleHooks() {
	ctx := context.Background()
	engine, err := core.New(core.WithWorkers(1), core.WithHooks(core.Hooks{
		Accepted: func(job core.Job) { fmt.Println("accepted", job.Name()) },
		Rejected: func(info core.RejectInfo) { fmt.Println("rejected", errors.Is(info.Err, core.ErrInvalid)) },
		Started:  func(job core.Job) { fmt.Println("started", job.Name()) },
		Ended: func(end core.EndInfo) {
			fmt.Println("ended", end.Job.Name(), end.Outcome, end.Err)
		},
	}))
	if err != nil {
		log.Fatal(err)
	}
	engine.Pause() // for the sake of the example: nothing starts before it was accepted
	core.Submit(ctx, engine, monthly{month: 7})
	core.Submit(ctx, engine, core.Task[int](nil))
	engine.Shutdown(ctx)
	// Output:
	// accepted report-07
	// rejected true
	// started report-07
	// ended report-07 succeeded <nil>
}

// urgentFirst is a whole scheduler: the most urgent job starts first, and of
// equal ones the one that came first. The engine calls its methods one at a
// time, so it needs no lock.
type urgentFirst struct {
	levels [core.Critical + 1][]core.Job
	count  int
}

func (s *urgentFirst) Push(job core.Job) {
	s.levels[job.Priority()] = append(s.levels[job.Priority()], job)
	s.count++
}

func (s *urgentFirst) Pop(int) (core.Job, bool) {
	for p := core.Critical; p >= core.Low; p-- {
		if jobs := s.levels[p]; len(jobs) > 0 {
			job := jobs[0]
			jobs[0] = core.Job{} // forget it, so that it can be collected
			s.levels[p], s.count = jobs[1:], s.count-1
			return job, true
		}
	}
	return core.Job{}, false
}

func (s *urgentFirst) Len() int { return s.count }

// A scheduler of your own decides which queued job starts next.
func ExampleScheduler() {
	ctx := context.Background()
	engine, err := core.New(core.WithWorkers(1), core.WithScheduler(new(urgentFirst)))
	if err != nil {
		log.Fatal(err)
	}
	engine.Pause() // for the sake of the example: all are queued before one starts
	for _, p := range []core.Priority{core.Low, core.Normal, core.Critical, core.High, core.Critical} {
		core.SubmitWith(ctx, engine, core.Attributes{Priority: p}, core.Func(func(context.Context) (int, error) {
			fmt.Println(p)
			return 0, nil
		}))
	}
	engine.Shutdown(ctx)
	// Output:
	// critical
	// critical
	// high
	// normal
	// low
}

// serial runs the jobs of one key one after another. It is told of each job's
// end, and has a say where a waiter would run a job out of turn. To keep the
// order of a key where jobs are cancelled or discarded it would have to be a
// core.Sweeper too.
type serial struct {
	lanes map[string][]core.Job // the first of each lane is ready or runs
	ready []core.Job
	count int
}

func (s *serial) Push(job core.Job) {
	lane := s.lanes[job.Key()]
	if len(lane) == 0 {
		s.ready = append(s.ready, job)
	}
	s.lanes[job.Key()] = append(lane, job)
	s.count++
}

func (s *serial) Pop(int) (core.Job, bool) {
	if len(s.ready) == 0 {
		return core.Job{}, false
	}
	job := s.ready[0]
	s.ready, s.count = s.ready[1:], s.count-1
	return job, true
}

func (s *serial) Len() int { return s.count }

// Completed makes the next job of the lane ready.
func (s *serial) Completed(job core.Job) {
	lane := s.lanes[job.Key()]
	if len(lane) < 2 {
		delete(s.lanes, job.Key())
		return
	}
	s.lanes[job.Key()] = lane[1:]
	s.ready = append(s.ready, lane[1])
}

// Claim lets no job start but by Pop. Its holder is the job before it.
func (s *serial) Claim(job core.Job) (holder core.Job, ok bool) {
	if lane := s.lanes[job.Key()]; len(lane) > 0 && lane[0] != job {
		return lane[0], false
	}
	return core.Job{}, false
}

// A Completer can keep jobs back until others have ended: here those of one key
// run one at a time, on any number of workers.
func ExampleCompleter() {
	ctx := context.Background()
	engine, err := core.New(core.WithWorkers(4), core.WithScheduler(&serial{lanes: map[string][]core.Job{}}))
	if err != nil {
		log.Fatal(err)
	}
	var balance int // no lock: all who use it have one key
	for i := range 1000 {
		core.SubmitWith(ctx, engine, core.Attributes{Key: "account 1"}, core.Func(func(context.Context) (int, error) {
			balance += i
			return balance, nil
		}))
	}
	engine.Shutdown(ctx)
	fmt.Println(balance)
	// Output: 499500
}

type requestKey struct{}

// What a task starts and does not wait for needs a context that outlives it.
func ExampleDetach() {
	engine, err := core.New()
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.WithValue(context.Background(), requestKey{}, "request 17")

	var outlives sync.WaitGroup
	ended := make(chan struct{})
	core.Run(ctx, engine, core.Func(func(ctx context.Context) (int, error) {
		detached := core.Detach(ctx)
		outlives.Go(func() {
			<-ended
			fmt.Println("the task's:", ctx.Err(), ctx.Value(requestKey{}))
			fmt.Println("detached:", detached.Err(), detached.Value(requestKey{}))
		})
		return 0, nil
	}))
	close(ended)
	outlives.Wait()
	engine.Shutdown(context.Background())
	// Output:
	// the task's: context canceled <nil>
	// detached: <nil> request 17
}
