package flow

import (
	"context"
	"math/bits"
	"runtime"
	"sync/atomic"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/internal/point"
)

// A branch is a stack of parts. The owner pushes and pops at the top, as a call does. The
// oldest parts, from tail to split, are public: thieves take the one at the tail. The
// others, from split to top, are the owner's alone, who pushes and pops them without any
// atomic step but a load. This is the split deque of Lace (van Dijk, van de Pol, "Lace:
// non-blocking split deque for work-stealing", 2014).
//
//	taken        public          private
//	[ ... ) tail [ ... ) split [ ... ) top
//
// tail and split are one word, so a thief (tail+1) and the owner (split moves) cannot
// both have a part. The owner keeps a few parts public, and one more for each goroutine
// that looks for some: it counts at each push and each end of a part. In a balanced tree
// the oldest parts are the largest, and the owner works above them for long, so a part is
// published seldom unless somebody wants it. The price is that an owner whose calls take
// long keeps its youngest parts to itself for that time; those of Each are all public.
//
// A part that was taken is waited for by its owner, who meanwhile takes parts of the
// thief (leapfrogging: Wagner, Calder, 1993), which are parts of what it waits for: what
// a plain call would run at this place too, so it is free to hold a lock meanwhile. If
// there are none the owner sleeps, its slot in the engine goes to other work, and the
// thief wakes it when it publishes parts.
//
// Nobody waits in a ring: a part waits for parts that were begun after it, which it
// consists of, or which run above it on the same goroutine.
//
// What breaks if steps are swapped:
//
//   - take moves the tail before it reads the part, and never by a plain store: or two
//     goroutines have it. So does reclaim with the split. collect may store both, since
//     nothing is public then.
//   - expose moves the split when the part is written, and looks for empty seats and
//     sleepers afterwards; a helper leaves its seat, and an owner notes that it sleeps,
//     before the last look for parts. Or a part is public and nobody comes.
//   - run ends the part as its last step, when all of it has been dropped; after that the
//     part belongs to its owner again.

// Branch is the strand of a [Divide] that calls fn. It belongs to that call: its methods
// may be called by the goroutine on which fn was called, until fn returns.
type Branch[A, R any] struct {
	fn      func(*Branch[A, R], A) (R, error)
	parts   []part[A, R] // the chunk that holds the top, or another
	low     int          // index of parts[0]
	top     int
	split   int // as in ends
	invites int // how often it has asked for helpers
	d       *division[A, R]
	ctx     context.Context
	inside  *part[A, R]   // the part of another that is run here, the innermost
	signal  chan struct{} // wakes the owner: the part that it waits for has ended, or has parts
	chunks  [chunks]atomic.Pointer[[]part[A, R]]

	_    [64]byte // what thieves write, apart from what the owner writes all the time
	ends ends
	_    [64]byte
}

// ends is tail and split in one word, 32 bits each.
type ends struct{ word atomic.Uint64 }

type bounds uint64

func between(tail, split int) bounds { return bounds(uint64(tail)<<32 | uint64(uint32(split))) }

func (v bounds) tail() int     { return int(v >> 32) }
func (v bounds) split() int    { return int(uint32(v)) }
func (v bounds) public() int32 { return int32(uint32(v) - uint32(v>>32)) }

func (e *ends) load() bounds                { return bounds(e.word.Load()) }
func (e *ends) store(v bounds)              { e.word.Store(uint64(v)) }
func (e *ends) replace(old, by bounds) bool { return e.word.CompareAndSwap(uint64(old), uint64(by)) }

// part is an argument whose call has been put off.
type part[A, R any] struct {
	arg A

	// What follows is of a part that was taken.
	state atomic.Uint32
	thief atomic.Pointer[Branch[A, R]]
	value R
	err   error
	fault *fault
	owner *Branch[A, R] // for the thief
	under *part[A, R]   // what the thief runs below it
}

// The states of a part that was taken:
//
//	open   -> wanted    the owner, before it sleeps
//	wanted -> open      who wakes it, or the owner itself
//	either -> ended     the thief
//	either -> returned  the thief, if it must not run the part
//	ended, returned -> open  the owner, when it removes the part
const (
	partOpen uint32 = iota // also if it was not taken at all
	partWanted
	partEnded
	partReturned
)

// A branch's parts are in chunks, of which each holds as many as all before it: nothing
// moves, since thieves hold pointers.
const (
	firstChunk = 32
	chunks     = 27 // 2^31 parts
)

func newBranch[A, R any](d *division[A, R], b *Branch[A, R]) {
	b.d, b.fn = d, d.fn
	b.signal = make(chan struct{}, 1)
}

// Context returns the context of the task that runs this branch: give it to whatever
// waits or may be cancelled. It ends when the context given to [Divide] does.
func (b *Branch[A, R]) Context() context.Context { return b.ctx }

// Both returns fn(x) and fn(y). fn(x) is called here, fn(y) here afterwards unless
// another worker has taken it meanwhile. The error is that of fn(x), or else of fn(y);
// after an error of fn(x), fn(y) is not called any more, or its result is dropped.
func (b *Branch[A, R]) Both(x, y A) (rx, ry R, err error) {
	i := b.push(y)
	if rx, err = b.fn(b, x); err != nil {
		b.drop(i).again()
		return rx, ry, err
	}
	if b.top == i+1 && i >= b.split {
		b.top = i
		if b.d.want.Load() > b.ends.load().public() {
			b.publish()
		}
		ry, err = b.fn(b, y)
		return rx, ry, err
	}
	ry, err = b.join(i, y)
	return rx, ry, err
}

// Each returns fn of each argument, in their order. The first is called here, the others
// here and by whoever takes them. After an error, the first in the order of args, there are
// no results; further arguments are not called, or their results are dropped.
func (b *Branch[A, R]) Each(args ...A) ([]R, error) {
	results := make([]R, len(args))
	if len(args) == 0 {
		return results, nil
	}
	base := b.top
	for i := len(args) - 1; i > 0; i-- {
		b.push(args[i])
	}
	if n := b.top - b.split; n > 0 && len(b.d.seats) > 1 {
		b.expose(n)
	}
	for i, arg := range args {
		var err error
		if i == 0 {
			results[i], err = b.fn(b, arg)
		} else {
			results[i], err = b.join(base+len(args)-1-i, arg)
		}
		if err != nil {
			b.drop(base).again()
			return nil, err
		}
	}
	return results, nil
}

// push puts a part on the top and returns its index.
func (b *Branch[A, R]) push(arg A) int {
	i := b.top
	if uint(i-b.low) >= uint(len(b.parts)) {
		b.seek(i)
	}
	b.parts[i-b.low].arg = arg
	b.top = i + 1
	if b.d.want.Load() > b.ends.load().public() {
		b.publish()
	}
	return i
}

// publish makes as many private parts public as are wanted, the oldest.
func (b *Branch[A, R]) publish() {
	want := int(b.d.want.Load() - b.ends.load().public())
	if want = min(want, b.top-b.split); want > 0 {
		b.expose(want)
	}
}

// expose makes n private parts public.
func (b *Branch[A, R]) expose(n int) {
	for {
		v := b.ends.load()
		point.At(point.Publish)
		if !point.Fail(point.Publish) && b.ends.replace(v, between(v.tail(), b.split+n)) {
			break
		}
	}
	b.split += n
	point.At(point.Invite)
	b.d.invite(b, n)
	for p := b.inside; p != nil; p = p.under {
		if p.state.Load() == partWanted && p.state.CompareAndSwap(partWanted, partOpen) {
			p.owner.wake()
		}
	}
}

// wake is for the goroutine of b, which sleeps or is about to. A signal too many does no
// harm: it looks again.
func (b *Branch[A, R]) wake() {
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

// join ends the part i, which has the argument arg: here, or by waiting for who has taken
// it. Those above it are dropped.
func (b *Branch[A, R]) join(i int, arg A) (R, error) {
	b.drop(i + 1).again()
	if i >= b.split || b.reclaim(i) {
		b.top = i
		return b.fn(b, arg)
	}
	ran, fault, value, err := b.collect(i)
	if !ran {
		return b.fn(b, arg)
	}
	fault.again()
	return value, err
}

// drop removes the parts from i on. It waits for those that were taken, and returns the
// first fault of them.
func (b *Branch[A, R]) drop(i int) (first *fault) {
	for b.top > i {
		if b.top > b.split {
			b.top = max(i, b.split)
			continue
		}
		last := b.top - 1
		if b.reclaim(last) {
			b.top = last
			continue
		}
		if _, fault, _, _ := b.collect(last); first == nil {
			first = fault
		}
	}
	return first
}

// settle is drop that does not break off if a part that it takes while it waits calls
// Goexit.
func (b *Branch[A, R]) settle(i int) (first *fault) {
	defer func() {
		if b.top > i {
			b.settle(i)
		}
	}()
	return b.drop(i)
}

// reclaim makes the newest public part i private. It reports false if it was taken.
func (b *Branch[A, R]) reclaim(i int) bool {
	for {
		v := b.ends.load()
		if v.tail() > i {
			return false
		}
		point.At(point.Reclaim)
		if !point.Fail(point.Reclaim) && b.ends.replace(v, between(v.tail(), i)) {
			b.split = i
			return true
		}
	}
}

// collect waits for the newest part, i, which was taken, and removes it. It reports false
// if it was returned as it was.
func (b *Branch[A, R]) collect(i int) (ran bool, fault *fault, value R, err error) {
	p := b.at(i)
	b.wait(p)
	ran = p.state.Load() == partEnded
	value, err, fault = p.value, p.err, p.fault
	var zero R
	p.value, p.err, p.fault = zero, nil, nil
	p.thief.Store(nil)
	p.state.Store(partOpen)
	b.top, b.split = i, i
	b.ends.store(between(i, i)) // all parts before it were taken too, and there is none after it
	return ran, fault, value, err
}

// over reports whether the thief has done with p.
func (p *part[A, R]) over() bool { return p.state.Load() >= partEnded }

// wait returns when p is over.
func (b *Branch[A, R]) wait(p *part[A, R]) {
	if p.over() {
		return
	}
	b.d.want.Add(1)
	defer b.d.want.Add(-1)
	for look := 0; !p.over(); look++ {
		if thief := p.thief.Load(); thief != nil && b.take(thief, p) {
			look = 0
			continue
		}
		point.Yield(point.LookOn)
		if look < looks() {
			runtime.Gosched()
			continue
		}
		b.d.invite(b, 1) // in the place of one that the engine has cancelled in its queue
		b.sleep(p)
	}
}

// sleep returns when p is over, or has parts that can be taken, or at any time.
func (b *Branch[A, R]) sleep(p *part[A, R]) {
	if !p.state.CompareAndSwap(partOpen, partWanted) && p.state.Load() != partWanted {
		return
	}
	// First the note, then the last look: who publishes a part after it wakes.
	point.At(point.LastLook)
	if thief := p.thief.Load(); thief != nil && thief.ends.load().public() > 0 {
		p.state.CompareAndSwap(partWanted, partOpen)
		return
	}
	core.Blocking(b.ctx, func() { <-b.signal })
}

// take takes a part of from and runs it. It reports whether there was one. If it is for
// the wait for p, it takes only what is a part of p, which from runs or has run.
func (b *Branch[A, R]) take(from *Branch[A, R], p *part[A, R]) bool {
	for {
		v := from.ends.load()
		if v.public() == 0 {
			return false
		}
		point.At(point.TakePart)
		if point.Fail(point.TakePart) || !from.ends.replace(v, between(v.tail()+1, v.split())) {
			continue
		}
		taken := from.at(v.tail())
		if p != nil && p.over() { // then from has gone on, perhaps to what has nothing to do with p
			taken.end(partReturned, from)
			return false
		}
		taken.thief.Store(b)
		b.run(taken, from)
		return true
	}
}

// end tells the owner that p, which was taken, is over. From then on it is the owner's.
func (p *part[A, R]) end(state uint32, owner *Branch[A, R]) {
	point.At(point.EndPart)
	if p.state.Swap(state) == partWanted {
		owner.wake()
	}
}

// run calls fn for a part that was taken from owner.
func (b *Branch[A, R]) run(p *part[A, R], owner *Branch[A, R]) {
	base, returned, settled := b.top, false, false
	p.owner, p.under = owner, b.inside
	b.inside = p
	b.d.want.Add(-1)
	defer func() {
		if !settled && p.fault == nil {
			p.fault = new(fault) // a part that was taken meanwhile has called Goexit
		}
		b.inside = p.under
		p.owner, p.under = nil, nil
		b.d.want.Add(1)
		p.end(partEnded, owner)
	}()
	defer func() {
		if !returned {
			p.fault = newFault(b.d.engine.Name(), recover())
		}
		if fault := b.settle(base); p.fault == nil {
			p.fault = fault
		}
		settled = true
	}()
	p.value, p.err = b.fn(b, p.arg)
	returned = true
}

// whole calls fn for the argument given to Divide.
func (b *Branch[A, R]) whole(ctx context.Context, arg A) (R, error) {
	b.ctx = ctx
	defer b.settle(0)
	return b.fn(b, arg)
}

// at returns the part i, which any goroutine may ask for once it is public.
func (b *Branch[A, R]) at(i int) *part[A, R] {
	k, low := chunkOf(i)
	return &(*b.chunks[k].Load())[i-low]
}

// seek makes parts the chunk that holds i.
func (b *Branch[A, R]) seek(i int) {
	k, low := chunkOf(i)
	chunk := b.chunks[k].Load()
	if chunk == nil {
		parts := make([]part[A, R], max(low, firstChunk))
		chunk = &parts
		b.chunks[k].Store(chunk)
	}
	b.parts, b.low = *chunk, low
}

// chunkOf returns the number of the chunk that holds i, and the index of its first part.
func chunkOf(i int) (k, low int) {
	k = bits.Len(uint(i) / firstChunk)
	if k > 0 {
		low = firstChunk << (k - 1)
	}
	return k, low
}
