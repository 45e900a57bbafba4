package core

import (
	"reflect"
	"sync/atomic"
	"unsafe"
)

// What the tasks of one type have in common.

// kindOf returns what e knows of tasks of the type of task.
func kindOf[T any](e *Engine, task Task[T]) *kind {
	word := (*words)(unsafe.Pointer(&task)).kind
	place := &e.kinds[uintptr(word)/32%kindPlaces]
	if k := place.Load(); k != nil && k.task == word {
		return k
	}
	return e.findKind(place, word, func() *kind { return newKind(e, task) })
}

func newKind[T any](e *Engine, task Task[T]) *kind {
	_, told := task.(JobExecutor[T])
	k := &kind{engine: e, brings: brings(task), told: told}
	k.origin.kind = k
	var b body = (*Future[T])(nil)
	k.body = (*words)(unsafe.Pointer(&b)).kind
	k.task = (*words)(unsafe.Pointer(&task)).kind
	k.name = reflect.TypeOf(task).String()
	if _, plain := any(task).(funcTask); plain {
		k.name = "func()" // as without a record
	}
	return k
}

// kindPlaces is how many kinds are found without a lock.
const kindPlaces = 64

// findKind looks for a kind among all, or makes it. An engine knows as many as the
// program has types of tasks.
func (e *Engine) findKind(place *atomic.Pointer[kind], word unsafe.Pointer, make func() *kind) *kind {
	e.kindLock.Lock()
	defer e.kindLock.Unlock()
	k := e.allKinds[word]
	if k == nil {
		k = make()
		e.allKinds[word] = k
	}
	place.Store(k)
	return k
}
