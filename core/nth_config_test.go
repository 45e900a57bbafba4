package core_test

import (
	"time"

	"github.com/uptutu/goman/core"
)

// nthConfig is one kind of engine that the load is run with.
type nthConfig struct {
	name      string
	workers   int
	options   []core.Option
	scheduler bool     // of the user's
	bare      bool     // without hooks and interceptors
	onPanic   bool     // in place of the logger
	asks      bool     // OnFull chooses the policy
	discards  bool     // the policy may give up what was accepted
	base      bool     // a base context of the user's
	contexts  string   // the kind of contexts of the user's: see nthAlien
	many      bool     // many cancelled tasks, so that dead entries are swept
	stop      string   // Shutdown, forced, Close, or inside
	only      []string // the sites of interest
}

var nthConfigs = []*nthConfig{
	{name: "1 worker", workers: 1, stop: "Shutdown", options: []core.Option{core.WithQueueCapacity(6)}},
	{name: "3 workers", workers: 3, contexts: "caller", onPanic: true, stop: "forced", options: []core.Option{core.WithQueueCapacity(5)}},
	{name: "1 worker, bare", workers: 1, bare: true, stop: "inside",
		options: []core.Option{core.WithQueueCapacity(6), core.WithAcceptChildren()}},
	{name: "3 workers, bare", workers: 3, bare: true, contexts: "alien", stop: "Close",
		options: []core.Option{core.WithPrealloc(), core.WithQueueCapacity(6)}},
	{name: "1 worker, asks", workers: 1, asks: true, discards: true, stop: "Close", options: []core.Option{core.WithQueueCapacity(2)},
		only: []string{"Execute", "function", "OnFull", "hook Accepted", "hook Rejected", "hook Ended", "hook Changed", "context's Done", "context's Err"}},
	{name: "3 workers, asks", workers: 3, asks: true, discards: true, onPanic: true, stop: "Shutdown",
		options: []core.Option{core.WithQueueCapacity(2), core.WithAcceptChildren()},
		only:    []string{"Execute", "function", "OnFull", "hook Accepted", "hook Rejected", "hook Ended", "hook Changed"}},
	{name: "1 worker, base context, limits", workers: 1, base: true, contexts: "alien", stop: "forced",
		options: []core.Option{core.WithQueueCapacity(6), core.WithQueueLimit(time.Hour), core.WithRunLimit(time.Hour)},
		only: []string{"Execute", "function", "base Value", "base Err", "base Done", "base Deadline", "context's Done", "context's Deadline",
			"Is", "after next"}},
	{name: "1 worker, scheduler", workers: 1, scheduler: true, stop: "Shutdown", options: []core.Option{core.WithQueueCapacity(6)}},
	{name: "3 workers, scheduler", workers: 3, scheduler: true, bare: true, discards: true, stop: "forced", contexts: "caller",
		options: []core.Option{core.WithQueueCapacity(3), core.WithReject(core.RejectDisplaceLowest)}},
	{name: "1 worker, scheduler, discards", workers: 1, scheduler: true, discards: true, stop: "Close",
		options: []core.Option{core.WithQueueCapacity(2), core.WithReject(core.RejectDiscardOldest), core.WithAcceptChildren()},
		only: []string{"Execute", "Push", "Push, stored", "Pop", "Pop, taken", "Completed", "Claim", "Claim, taken", "Sweep", "Sweep, half",
			"Sweep, done", "Resized", "hook Ended"}},
	{name: "1 worker, scheduler, sweeps", workers: 1, scheduler: true, many: true, bare: true, stop: "Shutdown",
		options: []core.Option{core.WithQueueCapacity(100)}, only: []string{"Len", "Sweep", "Sweep, half", "Sweep, done"}},
}
