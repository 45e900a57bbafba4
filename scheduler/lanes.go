package scheduler

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"

	"github.com/uptutu/goman/core"
)

// lane is the jobs of a key.
type lane struct {
	key     string
	hash    uint64
	next    *lane // in the same chain
	waiting ring[core.Job]
	out     []place // of those that may start or have started
	places  [1]place
	moved   bool // it is listed by Sweep
}

// place is a job that has left the line of its lane, until it is completed.
type place struct {
	job  core.Job
	away bool // it waits inside, without a worker
}

// lanes finds the lane of a key: a hash table with chains, which run through the lanes.
// Lanes come and go with nearly every job, which is what a map is slowest at: it cleans
// up after those that have gone by building itself anew. See BenchmarkScheduler. Its
// memory follows the number of lanes both ways.
type lanes struct {
	chains []*lane // a power of two
	count  int
	seed   maphash.Seed
	spare  sync.Pool // lanes without a key
}

// A table that is filled and emptied again and again is not to be resized each time.
const minChains = 256

func newLane() any {
	l := new(lane)
	l.out = l.places[:0]
	return l
}

func newLanes() lanes {
	return lanes{chains: make([]*lane, minChains), seed: maphash.MakeSeed(), spare: sync.Pool{New: newLane}}
}

// chain returns where the chain of a hash begins.
func (t *lanes) chain(hash uint64) **lane { return &t.chains[hash&uint64(len(t.chains)-1)] }

func (t *lanes) hash(key string) uint64 { return maphash.String(t.seed, key) }

// find returns the lane of key, or nil.
func (t *lanes) find(key string) *lane { return t.look(key, t.hash(key)) }

func (t *lanes) look(key string, hash uint64) *lane {
	for l := *t.chain(hash); l != nil; l = l.next {
		if l.hash == hash && l.key == key {
			return l
		}
	}
	return nil
}

// add makes the lane of key, which has none.
func (t *lanes) add(key string, hash uint64) *lane {
	if t.count == len(t.chains) {
		t.resize(2 * t.count)
	}
	t.count++
	l := t.spare.Get().(*lane)
	l.key, l.hash = key, hash
	t.link(l)
	return l
}

// remove takes l out, which is empty.
func (t *lanes) remove(l *lane) {
	p := t.chain(l.hash)
	for *p != l {
		p = &(*p).next
	}
	*p = l.next
	t.count--
	if len(t.chains) > minChains && t.count < len(t.chains)/16 {
		t.resize(len(t.chains) / 4)
	}
	l.key, l.next = "", nil
	if cap(l.out) == 1 && len(l.waiting.buffer) <= ringMin {
		t.spare.Put(l)
	}
}

func (t *lanes) link(l *lane) {
	p := t.chain(l.hash)
	l.next, *p = *p, l
}

func (t *lanes) resize(chains int) {
	old := t.chains
	t.chains = make([]*lane, max(chains, minChains))
	for _, l := range old {
		for l != nil {
			next := l.next
			t.link(l)
			l = next
		}
	}
}

// sorted returns the lanes in the order of their keys.
func (t *lanes) sorted() []*lane {
	list := make([]*lane, 0, t.count)
	for _, l := range t.chains {
		for ; l != nil; l = l.next {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, func(a, b *lane) int { return cmp.Compare(a.key, b.key) })
	return list
}
