package queuetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"
)

// checkLinear asks porcupine whether the calls of a history can be put in an order
// that respects time and in which a simple queue would have answered the same.
func (h *history) checkLinear() error {
	ids := map[*Item]byte{}
	var lives [256]life
	ops := make([]porcupine.Operation, 0, len(h.events))
	for _, e := range h.events {
		if e.kind == length || !e.ok && h.excused(e) {
			continue // it would be right anywhere, and porcupine would try everything
		}
		call := linearCall{kind: e.kind, ok: e.ok}
		if e.kind == push || e.ok {
			id, known := ids[e.item]
			if !known {
				id = byte(len(ids))
				ids[e.item] = id
			}
			call.id = id
			if e.kind != push {
				lives[id].out = e
			} else if lives[id].in = e; !known {
				lives[id].out = event{kind: push, call: never, ret: never, worker: -2}
			}
		}
		ops = append(ops, porcupine.Operation{Input: call, Call: e.call, Return: e.ret, ClientId: e.worker + 1})
	}
	if len(ids) > 256 {
		return fmt.Errorf("a history of %d items is too long", len(ids))
	}
	switch porcupine.CheckOperationsTimeout(h.model(&lives), ops, linearTime) {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("a history of %d calls was not decided within %v", len(ops), linearTime)
	}
	return errors.New("there is no order of the calls in which these answers are right")
}

// linearTime is how long porcupine may think about one history, which takes it a
// millisecond as a rule.
const linearTime = 20 * time.Second

// linearCall is a call with its answer. In an Operation it stands for both.
type linearCall struct {
	kind kind
	ok   bool
	id   byte
}

// model is a queue whose state is a string of what is in it. Two pushes at the same
// time leave open who was first until both items have left. Porcupine would try all
// such orders, exponentially many; the model knows how items are going to leave,
// and refuses at once what cannot come to a good end.
func (h *history) model(lives *[256]life) porcupine.Model {
	unbounded, capacity, stack := h.s.Unbounded, h.cap, h.s.Order == LIFO
	return porcupine.Model{
		Init: func() any { return "" },
		Step: func(state, input, _ any) (bool, any) {
			in, call := state.(string), input.(linearCall)
			switch {
			case call.kind == push && call.ok:
				return (unbounded || len(in) < capacity) && mayFollow(in, call.id, lives, stack), in + string([]byte{call.id})
			case call.kind == push:
				return !unbounded && len(in) == capacity, in
			case !call.ok:
				return in == "", in
			case in == "":
				return false, in
			case stack && call.kind == pop:
				last := len(in) - 1
				return in[last] == call.id, in[:last]
			}
			return in[0] == call.id, in[1:]
		},
	}
}

// life is when an item came and how it left; the kind of out is push if it has not.
type life struct{ in, out event }

// mayFollow reports whether an item can be pushed behind those that are there, so
// that all can leave in the calls in which they did.
func mayFollow(there string, id byte, lives *[256]life, stack bool) bool {
	next := &lives[id]
	for _, other := range []byte(there) {
		below := &lives[other]
		switch {
		case next.in.endsBefore(below.in):
			return false // of one batch, in the wrong order
		case !stack || below.out.kind == steal && next.out.kind == steal:
			if next.out.endsBefore(below.out) {
				return false
			}
		case below.out.kind == steal: // the other leaves at the other end
		case below.out.endsBefore(next.out):
			return false
		}
	}
	return true
}

// endsBefore reports whether e is certain to be before other: its call ends before
// the other begins, or both are of one batch, which moves items in their order.
func (e *event) endsBefore(other event) bool {
	return e.ret < other.call || e.worker == other.worker && e.call == other.call && e.place < other.place
}

// short reports whether porcupine can take a history: each item needs a
// byte of its own.
func (h *history) short() bool {
	items := 0
	for _, e := range h.events {
		if e.kind == push {
			items++
		}
	}
	return items <= 256
}

// checks are those of a history, by the name of their property.
func (h *history) checks() map[string]error {
	failed := map[string]error{}
	note := func(property string, err error) {
		if err != nil {
			failed[property] = err
		}
	}
	if h.cut != "" {
		note("Progress", errors.New(h.cut))
		return failed
	}
	for _, e := range h.events {
		if e.kind == push && !e.ok && h.s.Unbounded {
			note("Full", fmt.Errorf("%v, in a queue without limit", e))
		}
	}
	all, err := h.stays()
	note("Conservation", err)
	if err == nil {
		if !h.s.Unbounded {
			note("Bound", h.checkBound(all))
			note("Full", h.checkFull(all))
		}
		note("Len", h.checkLen(all))
		note("Empty", h.checkEmpty(all))
		note("Order", h.checkOrder(all))
	}
	// A history with one of these failures is not linearizable, and porcupine would take
	// exponential time to find that out.
	if h.s.linear() && h.short() {
		err := errors.Join(failed["Conservation"], failed["Bound"], failed["Full"], failed["Empty"], failed["Order"])
		if err == nil {
			err = h.checkLinear()
		}
		note("Linearizable", err)
	}
	return failed
}
