package coretest

import (
	"fmt"
	"strings"
	"time"

	"github.com/uptutu/goman/core"
)

// Kind says what an [Event] is about.
type Kind uint8

// The kinds. Each is the hook of the same name; see core.Hooks.
const (
	Accepted Kind = iota + 1 // a task was let in
	Rejected                 // a submission was refused
	Started                  // a task begins to run, for the first time or again
	Retried                  // a task has asked to be run again
	Panicked                 // a task has panicked; Ended follows
	Ended                    // a task has ended
	Changed                  // the engine's life or settings changed
)

// String returns the name of k in lower case.
func (k Kind) String() string {
	names := [...]string{"", "accepted", "rejected", "started", "retried", "panicked", "ended", "changed"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Event is something that happened to an engine.
type Event struct {
	// Seq is the number of the event, from 1, in the order in which the Recorder
	// was told. For one task Accepted may come after Started, and even after Ended;
	// see core.Hooks.
	Seq uint64
	// Kind is what happened.
	Kind Kind
	// Name is the name of the task: "" for Changed, and for a refused task to which
	// none was given.
	Name string
	// Job is the task inside the engine; zero for Rejected and Changed.
	Job core.Job
	// Attempt is how often the task had asked to be run again: 1 the first time
	// that it is Retried.
	Attempt int
	// After is the delay that a Retried task has asked for.
	After time.Duration
	// Outcome is how an Ended task has ended.
	Outcome core.Outcome
	// Err is the error of an Ended task, or nil; the *core.RefusedError of a
	// Rejected one; the *core.PanicError of a Panicked one; the cause of a Retried
	// one, or nil.
	Err error
	// Change is what has Changed.
	Change core.Change
}

// String describes e on one line.
func (e Event) String() string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%d %v", e.Seq, e.Kind)
	if e.Name != "" {
		fmt.Fprintf(b, " %s", e.Name)
	}
	if e.Attempt > 0 {
		fmt.Fprintf(b, " #%d", e.Attempt)
	}
	switch e.Kind {
	case Retried:
		fmt.Fprintf(b, " after %v", e.After)
	case Ended:
		fmt.Fprintf(b, " %v", e.Outcome)
	case Changed:
		fmt.Fprintf(b, " %v", e.Change)
	}
	if e.Err != nil {
		fmt.Fprintf(b, ": %v", e.Err)
	}
	return b.String()
}
