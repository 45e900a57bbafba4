package queuetest

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/uptutu/goman/queue"
)

// Queue is what the suite tests: any type with the four methods of [queue.Queue].
// A queue with other names for them needs an adapter of a few lines.
type Queue = queue.Queue[*Item]

// MaxCost is the highest [Item.Cost] that the suite uses.
const MaxCost = 8

// Item is what the suite puts into a queue. A queue or its adapter may read the
// exported fields, and must not change them.
type Item struct {
	// ID tells the items of one queue apart.
	ID int
	// Rank is what Priority goes by: the smallest first. It is any int, the extremes
	// included, or from 0 to Spec.Ranks less one if that is not 0.
	Rank int
	// Key and Cost are for Fair: whose item it is, and what serving it costs, from
	// 1 to MaxCost.
	Key, Cost int
	// Due is for Delayed: the time before which it must not leave, with a reading of the
	// monotonic clock. It may be past.
	Due time.Time

	// note is plain memory that the producer writes before the push and the consumer
	// after the pop: the race detector sees whether the queue orders the two.
	note uint64
	// producer and number are whose item it is and which of them.
	producer, number int
}

// Order is the order in which items leave.
type Order int

const (
	// FIFO is the order in which they came.
	FIFO Order = iota
	// LIFO is the reverse. With a Stealer the thieves' end is FIFO.
	LIFO
	// Priority is that of Item.Rank, the smallest first. While a pop is under way an
	// item that is there the whole time must not be passed over for a worse one.
	Priority
	// Delayed is that of Item.Due, and nothing leaves before it is due. The clock is
	// time.Now; the suite runs such a queue in testing/synctest bubbles.
	Delayed
	// Fair is FIFO for items of one Key, and among keys what Spec.Fairness says.
	Fair
)

// Access is how many goroutines may use an end of the queue at the same time.
type Access int

const (
	// Many is any number of goroutines.
	Many Access = iota
	// One is one goroutine at a time, though not always the same one.
	One
)

// Answer is what it means that a call reports false.
type Answer int

const (
	// Exact is linearizable: at one moment of the call the queue was empty (or full).
	Exact Answer = iota
	// Loose is Exact if no other call is under way at any moment of the call, and
	// means nothing otherwise. The classic ring of slots with sequence numbers is such
	// a queue: a producer that was stopped half-way hides what others pushed after it.
	Loose
)

// Slack is by how much a queue may miss its order. The error of a pop is the number
// of items that were there and should have gone first. The zero value is none.
type Slack struct {
	// Max is the highest error that is allowed, or math.MaxInt if there is no limit.
	Max int
	// Mean and P999 are what the mean and the 99.9th percentile of the error must
	// not exceed with SlackDepth items in the queue. Zero: not checked.
	Mean float64
	P999 int
}

// SlackDepth is how many items are in the queue while Slack.Mean and Slack.P999
// are measured.
const SlackDepth = 1000

// Spec describes a queue. New alone describes a bounded FIFO queue for any number
// of goroutines with exact answers.
type Spec struct {
	// New makes an empty queue. For an Unbounded one the capacity is a hint, which
	// it need not take.
	New func(capacity int) Queue
	// NewAt is New with counters that start as if that many items had gone through,
	// modulo what they hold: the suite gives starts that wrap around soon, for
	// counters of 16, 31, 32, 63 and 64 bits. Optional.
	NewAt func(capacity int, start uint64) Queue
	// NewBlocking makes a queue whose calls wait. Optional; New may then be nil.
	NewBlocking func(capacity int) Blocking
	// Closed is the error of a closed Blocking. Default: any error that is not one
	// of a context.
	Closed error

	// Order is the order in which items leave.
	Order Order
	// Stable promises FIFO among items of one Rank, or of one Due. Such of different
	// producers are equal only if neither push returned before the other began.
	Stable bool
	// Ranks is how many levels a Priority queue has. Default: any number.
	Ranks int
	// Slack is by how much FIFO or Priority may be missed.
	Slack Slack
	// Tick is the resolution of a Delayed queue: an item may leave that much late, and
	// items that are due within one Tick may leave in any order. At most an hour.
	Tick time.Duration
	// Fairness is the most by which, in any interval in which two keys have items
	// all the time, their served costs may differ, each divided by the key's weight.
	// Default: not checked.
	Fairness float64
	// Weight is that of a key: 1 or more, for the keys 0 to 4. Default: 1 for all.
	Weight func(key int) int

	// Producers and Consumers are who may push and pop. A queue that is a Stealer
	// must have One producer: it is the owner, and only it pops; all others steal.
	Producers, Consumers Access
	// Sequential says that a queue is not for concurrent use at all.
	Sequential bool
	// Empty is what TryPop's false means, Full what TryPush's does, and Missed what
	// TrySteal's does.
	Empty, Full, Missed Answer

	// Unbounded says that TryPush never reports false, for as many items as a test can
	// push.
	Unbounded bool
	// Capacities are those to be tested. Default: 1, 2, 3, 4, 5, 8, 13.
	Capacities []int
	// Round is the Cap of a queue that was made with a capacity. Default: the same, or
	// math.MaxInt if it is Unbounded.
	Round func(capacity int) int
	// NoLen says that Len is not implemented.
	NoLen bool
	// Keeps is how many popped items the queue may still refer to. Default: none.
	Keeps int
	// Shrinks says that an Unbounded queue returns memory when it is drained.
	Shrinks bool

	// Points makes f the function that the queue calls at its synchronisation steps,
	// nil for none. It need not call it inside critical sections, where it must not.
	// Each f may be called by several goroutines at once, and may end the calling
	// goroutine with runtime.Goexit if it goes round for ever. Optional, and worth a
	// lot: without it the suite can only yield between calls.
	Points func(f func())
}

// Stealer is a queue with a second end, from which any goroutine may take.
type Stealer interface {
	// TrySteal removes the item that came first. See Spec.Missed.
	TrySteal() (*Item, bool)
}

// BatchPusher is a queue that takes several items at once.
type BatchPusher interface {
	// PushAll pushes a prefix of items and returns its length: all of them, or
	// as many as there is room for. It is as if they were pushed one after the
	// other, though calls of others may come between.
	PushAll(items []*Item) int
}

// BatchPopper is a queue that gives several items at once.
type BatchPopper interface {
	// PopAll pops items into a prefix of into, one after the other, and returns its
	// length: zero only if TryPop would report false.
	PopAll(into []*Item) int
}

// BatchStealer is a Stealer that gives several items at once.
type BatchStealer interface {
	// StealAll steals items into a prefix of into, one after the other, and returns
	// its length, which may be smaller than what is there.
	StealAll(into []*Item) int
}

// Remover is a queue from which an item in its midst can be taken.
type Remover interface {
	// Remove takes the item out, and reports false if it is not there.
	Remove(item *Item) bool
}

// Updater is a Priority queue in which the place of an item can be changed.
type Updater interface {
	// Update gives an item the place of its Rank, which has just been changed, and
	// reports false if it is not there. Among equals it counts as pushed when it was.
	Update(item *Item) bool
}

// Timer is a Delayed queue that knows when it has to be looked at again.
type Timer interface {
	// NextDue returns when the next item is due, within a Tick, and false if there is
	// none.
	NextDue() (time.Time, bool)
}

// validate reports what is wrong with a description.
func (s *Spec) validate() error {
	var errs []error
	wrong := func(bad bool, text string) {
		if bad {
			errs = append(errs, errors.New("queuetest: "+text))
		}
	}
	wrong(s.New == nil && s.NewBlocking == nil, "a Spec needs New or NewBlocking")
	wrong(s.Order < FIFO || s.Order > Fair, "Order is not one of the constants")
	for _, a := range []Access{s.Producers, s.Consumers} {
		wrong(a < Many || a > One, "Producers and Consumers are Many or One")
	}
	for _, a := range []Answer{s.Empty, s.Full, s.Missed} {
		wrong(a < Exact || a > Loose, "Empty, Full and Missed are Exact or Loose")
	}
	wrong(slices.ContainsFunc(s.Capacities, func(n int) bool { return n < 1 }), "Capacities are at least 1")
	wrong(s.Slack != Slack{} && s.Order != FIFO && s.Order != Priority, "Slack is for FIFO and Priority")
	wrong(s.Ranks != 0 && s.Order != Priority, "Ranks is for Priority")
	wrong(s.Ranks < 0 || s.Tick < 0 || s.Slack.Max < 0 || s.Slack.P999 < 0 || s.Keeps < 0, "a number is negative")
	wrong(!(s.Fairness >= 0) || !(s.Slack.Mean >= 0), "a number is negative, or none")
	wrong(s.Tick > time.Hour, "Tick is longer than an hour")
	for key := range keys {
		wrong(s.Weight != nil && s.Weight(key) < 1, "Weight of a key is less than 1")
	}
	wrong((s.Fairness != 0 || s.Weight != nil) && s.Order != Fair, "Fairness and Weight are for Fair")
	wrong(s.Shrinks && !s.Unbounded, "Shrinks is for Unbounded")
	if s.New != nil {
		_, steals := s.New(s.capacities()[0]).(Stealer)
		wrong(steals && s.Producers != One, "a Stealer has One producer, its owner")
	}
	return errors.Join(errs...)
}

func (s *Spec) capacities() []int {
	if len(s.Capacities) > 0 {
		return s.Capacities
	}
	return []int{1, 2, 3, 4, 5, 8, 13}
}

// wantCap is the Cap of a queue that was made with a capacity.
func (s *Spec) wantCap(capacity int) int {
	switch {
	case s.Round != nil:
		return s.Round(capacity)
	case s.Unbounded:
		return math.MaxInt
	}
	return capacity
}

// exactOrder reports whether one order is right, and no other.
func (s *Spec) exactOrder() bool { return s.Slack == Slack{} }

// linear reports whether there is a sequential object to compare histories with.
func (s *Spec) linear() bool {
	return (s.Order == FIFO || s.Order == LIFO) && s.exactOrder()
}

func (s *Spec) weight(key int) float64 {
	if s.Weight == nil {
		return 1
	}
	return float64(s.Weight(key))
}

// keys is how many keys the items of a Fair queue have.
const keys = 5

// ranks is how many ranks the items of a concurrent history have at most.
const ranks = 8
