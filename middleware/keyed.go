package middleware

import (
	"cmp"
	"container/list"
	"sync"

	"github.com/uptutu/goman/core"
)

// Keys makes a limit one for each key. The zero Keys is none: one limit for all.
type Keys struct {
	// Of returns the key of a job, such as core.Job.Key. Default: all have the key "".
	Of func(core.Job) string
	// Max is how many keys are remembered. Beyond that the one that was used least
	// recently is forgotten, with what its limit knew, unless a task is within.
	// Default: 10,000.
	Max int
}

func (k Keys) validate(name string) error {
	if k.Max < 0 {
		return invalidf("%s.Keys.Max is %d, and must not be negative", name, k.Max)
	}
	if k.Max > 0 && k.Of == nil {
		return invalidf("%s.Keys.Max is %d, but Keys.Of is nil, so that there are no keys", name, k.Max)
	}
	return nil
}

// keyed holds a V for each key. All go through one mutex, twice for each run: it is held for
// a look into a map.
type keyed[V any] struct {
	of   func(core.Job) string
	most int
	make func() V

	mu     sync.Mutex
	places map[string]*list.Element // of *place[V]
	unused int                      // how many have no users
	order  list.List                // the most recently used first
}

// place is the V of one key.
type place[V any] struct {
	key   string
	value V
	users int // guarded by the mutex of keyed
}

func newKeyed[V any](k Keys, fresh func() V) *keyed[V] {
	return &keyed[V]{of: k.Of, most: cmp.Or(k.Max, 10_000), make: fresh, places: make(map[string]*list.Element)}
}

// enter returns the place of job, which is kept until leave is called.
func (k *keyed[V]) enter(job core.Job) *place[V] {
	key := ""
	if k.of != nil {
		key = k.of(job)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	at, ok := k.places[key]
	if !ok {
		at = k.order.PushFront(&place[V]{key: key, value: k.make()})
		k.places[key] = at
		k.unused++
	} else if k.of != nil {
		k.order.MoveToFront(at)
	}
	p := at.Value.(*place[V])
	if p.users++; p.users == 1 {
		k.unused--
	}
	k.forget()
	return p
}

func (k *keyed[V]) leave(p *place[V]) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p.users--; p.users == 0 {
		k.unused++
		if k.unused == 1 && k.order.Len() > k.most { // the usual case while more than most are used
			k.drop(k.places[p.key])
		}
	}
	k.forget()
}

// forget drops the oldest that nobody uses, if there are too many. It passes over those that
// are used, and moves them to the front, so that the next time it does not look far.
func (k *keyed[V]) forget() {
	for at := k.order.Back(); k.unused > 0 && k.order.Len() > k.most; {
		before := at.Prev()
		if at.Value.(*place[V]).users == 0 {
			k.drop(at)
		} else {
			k.order.MoveToFront(at)
		}
		at = before
	}
}

// drop drops a place that nobody uses.
func (k *keyed[V]) drop(at *list.Element) {
	k.order.Remove(at)
	delete(k.places, at.Value.(*place[V]).key)
	k.unused--
}

// find returns the V of key, if there is one.
func (k *keyed[V]) find(key string) (v V, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at, there := k.places[key]; there {
		return at.Value.(*place[V]).value, true
	}
	return v, false
}

// keys returns the keys that are remembered, the most recently used first.
func (k *keyed[V]) keys() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys := make([]string, 0, k.order.Len())
	for at := k.order.Front(); at != nil; at = at.Next() {
		keys = append(keys, at.Value.(*place[V]).key)
	}
	return keys
}
