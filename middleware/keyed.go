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
	// Most is how many keys are remembered. Beyond that the one that was used least
	// recently is forgotten, with what its limit knew, unless a task is within.
	// Default: 10,000.
	Most int
}

func (k Keys) validate(name string) error {
	if k.Most < 0 {
		return invalidf("%s.Keys.Most is %d, and must not be negative", name, k.Most)
	}
	if k.Most > 0 && k.Of == nil {
		return invalidf("%s.Keys.Most is %d, but Keys.Of is nil, so that there are no keys", name, k.Most)
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
	order  list.List                // the most recently used first
}

// place is the V of one key.
type place[V any] struct {
	key   string
	value V
	users int // guarded by the mutex of keyed
}

func newKeyed[V any](k Keys, fresh func() V) *keyed[V] {
	return &keyed[V]{of: k.Of, most: cmp.Or(k.Most, 10_000), make: fresh, places: make(map[string]*list.Element)}
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
	} else if k.of != nil {
		k.order.MoveToFront(at)
	}
	p := at.Value.(*place[V])
	p.users++
	k.forget()
	return p
}

func (k *keyed[V]) leave(p *place[V]) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p.users--
	k.forget()
}

// forget drops the oldest that nobody uses. Those that are used are at the front in the
// usual case, so it does not look far.
func (k *keyed[V]) forget() {
	for at := k.order.Back(); at != nil && k.order.Len() > k.most; {
		p, before := at.Value.(*place[V]), at.Prev()
		if p.users == 0 {
			k.order.Remove(at)
			delete(k.places, p.key)
		}
		at = before
	}
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
