package point

// Site is the name of a synchronisation step.
type Site uint8

// The sites, in the order of a task's journey. A site stands before the step it
// names, unless its comment says otherwise. What may fail there without the engine
// being wrong is said too: see [Fail].
const (
	Begin  Site = iota // a goroutine begins
	Actor              // a step of a test's own
	Locked             // a mutex was found taken (a loop)

	// Admission.
	Admit        // before a job is stored or refused
	Stored       // after it was stored, before it is visible
	AdmitChild   // before a child is stored in its parent's slot
	BlockedAdmit // before a submitter lines up for room
	BlockedWake  // after it was let in or sent away
	WatchRoom    // between two looks for room (a loop)
	Evict        // before a job is given up for another

	// Parking and waking.
	Notify   // before the look whether a worker must be woken
	Seat     // before the seat of the searcher is taken; for a worker it may fail: somebody has it
	LeaveIt  // before the seat is left
	Announce // before a slot is announced as idle
	Recheck  // after that, before the second look for work
	Park     // after that, before the sleep
	Wake     // after it
	Watch    // between two looks for work before the sleep (a loop)
	Expire   // before goroutines that were idle for long are ended

	// Work.
	Take      // before a job is taken from the slot's own places
	Share     // before a batch is taken from the shared queue; may fail: nothing visible
	Search    // before another slot is looked into
	Steal     // before half of it is stolen; may fail: look again
	Claim     // between the look at the state and the step from queued to running; may fail: it has changed
	Retire    // the same for the step from queued or delayed to resolving
	Start     // after the claim, before the task is called
	Returned  // after the task has returned, before its slot is released
	Credit    // before a slot's units of capacity are returned
	Borrow    // before a goroutine outside takes an idle slot
	Unborrow  // before it gives it back
	EnterCall // the same for the step by which a task's slot is reserved for a call
	ExitCall  // before that is undone

	// Futures.
	Resolve        // between the look at the state and the step that publishes a result; may fail: it has changed
	AnnounceResult // after that, before those who wait are told
	Observe        // before somebody registers for a result
	AwaitSleep     // before the sleep for a result
	AwaitWake      // after it
	Callback       // before an OnDone function is called
	CancelIt       // before a future is cancelled
	Limit          // when a limit of a task has passed, before that has an effect

	// Waiting inside a task.
	Inline   // before the awaited task is claimed by who awaits it
	Ring     // before the look for a ring of waits
	HandOver // before a slot is given away for a wait
	TakeBack // before it is asked back
	Resumed  // after it was given back

	// Running again.
	Delay   // before a task is put aside to be run again
	Readmit // before it is queued again

	// Parts of a division (core/flow).
	Publish  // between the look at a branch's ends and the step that makes parts public; may fail: they have moved
	Invite   // after that, before the look for empty seats and for sleepers
	TakePart // between the look and the step by which a part is taken; may fail: it is gone
	Reclaim  // the same for the owner who takes it back
	LookOn   // between two looks for parts (a loop)
	LastLook // after a seat was left or a sleep noted, before the last look
	EndPart  // before a part is said to be over

	// The engine's life.
	Resize    // before the number of slots changes
	Pause     // before nothing may start
	Resume    // before it may again
	Drain     // before nothing is accepted any more
	HandBack  // before what was not run is handed back
	Force     // before the forced stop
	Abandon   // before running tasks are given up
	CheckIdle // before the look whether all is done
	CloseLot  // before the goroutines are ended
	Gone      // before a goroutine counts as ended
	Finish    // before Shutdown may return

	sites
)

// Sites is how many sites there are.
const Sites = int(sites)

var names = [sites]string{
	Begin: "begin", Actor: "actor", Locked: "locked",
	Admit: "admit", Stored: "stored", AdmitChild: "admitChild", BlockedAdmit: "blockedAdmit",
	BlockedWake: "blockedWake", WatchRoom: "watchRoom", Evict: "evict",
	Notify: "notify", Seat: "seat", LeaveIt: "leaveIt", Announce: "announce", Recheck: "recheck", Park: "park",
	Wake: "wake", Watch: "watch", Expire: "expire",
	Take: "take", Share: "share", Search: "search", Steal: "steal", Claim: "claim", Retire: "retire", Start: "start",
	Returned: "returned", Credit: "credit", Borrow: "borrow", Unborrow: "unborrow",
	EnterCall: "enterCall", ExitCall: "exitCall",
	Resolve: "resolve", AnnounceResult: "announceResult", Observe: "observe", AwaitSleep: "awaitSleep",
	AwaitWake: "awaitWake", Callback: "callback", CancelIt: "cancel", Limit: "limit",
	Inline: "inline", Ring: "ring", HandOver: "handOver", TakeBack: "takeBack", Resumed: "resumed",
	Delay: "delay", Readmit: "readmit",
	Publish: "publish", Invite: "invite", TakePart: "takePart", Reclaim: "reclaim", LookOn: "lookOn",
	LastLook: "lastLook", EndPart: "endPart",
	Resize: "resize", Pause: "pause", Resume: "resume", Drain: "drain", HandBack: "handBack", Force: "force",
	Abandon: "abandon", CheckIdle: "checkIdle", CloseLot: "closeLot", Gone: "gone", Finish: "finish",
}

// String returns the site's name.
func (s Site) String() string {
	if s >= sites {
		return "unknown"
	}
	return names[s]
}
