package core

import (
	"context"
	"testing"
	"unsafe"
)

// What the package's use of unsafe relies on. An index that is not 0 does not
// compile.
var (
	_ = [1]int{}[unsafe.Sizeof(func() {})-unsafe.Sizeof(uintptr(0))]                    // a function is one word
	_ = [1]int{}[unsafe.Sizeof(any(nil))-2*unsafe.Sizeof(uintptr(0))]                   // an interface is two
	_ = [1]int{}[unsafe.Sizeof(context.Context(nil))-unsafe.Sizeof(words{})]            // with methods, too
	_ = [1]int{}[unsafe.Sizeof(contextRef{})-unsafe.Sizeof(words{})]                    // and what keeps its words
	_ = [1]int{}[unsafe.Sizeof(Job{})-unsafe.Sizeof(uintptr(0))]                        // a job is one word
	_ = [1]int{}[unsafe.Offsetof(Future[int]{}.record)]                                 // a Future begins with its record
	_ = [1]int{}[unsafe.Offsetof(Future[[3]string]{}.record)]                           // whatever it holds
	_ = [1]int{}[unsafe.Alignof(record{})%2]                                            // the lowest bit of its address is free
	_ = [1]int{}[unsafe.Sizeof(taskContext{})-unsafe.Sizeof(record{})]                  // a record is its context
	_ = [1]int{}[unsafe.Sizeof((*record)(nil))-unsafe.Sizeof((*Future[struct{}])(nil))] // pointers to them are alike
)

// What an interface holds is what unsafe finds in its two words.
func TestLayout_Words(t *testing.T) {
	x := new(int)
	for name, v := range map[string]any{"pointer": x, "map": map[int]int{1: 1}, "channel": make(chan int), "function": t.Name} {
		w := *(*words)(unsafe.Pointer(&v))
		if w.data == nil || w.kind == nil {
			t.Errorf("%s: %v", name, w)
		}
	}
	v := any(x)
	if w := *(*words)(unsafe.Pointer(&v)); w.data != unsafe.Pointer(x) {
		t.Error("a pointer is not the data word itself")
	}
	called := 0
	fn := func() { called++ }
	if v = any(fn); (*words)(unsafe.Pointer(&v)).data != *(*unsafe.Pointer)(unsafe.Pointer(&fn)) {
		t.Error("a function in an interface has another word")
	}
	jobOfFunc(fn).call()
	if called != 1 {
		t.Error("the word of a function does not call it")
	}
}

// A padded slot begins and ends with a cache line.
func TestLayout_PaddedSlots(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("on 32 bits the allocator puts a header before each: go test ./core on a system of 64 bits")
	}
	for range 100 {
		if s := newSlot(0); uintptr(unsafe.Pointer(s))%128 != 0 {
			t.Fatalf("a padded slot of %d bytes begins at %p", paddedSize, s)
		}
	}
	if size := unsafe.Sizeof(paddedSlot{}); size%128 != 0 {
		t.Errorf("a padded slot has %d bytes", size)
	}
}

// The sizes that doc.go tells: of the record of a task, and of what a task that has
// a context of its own has besides; and of the rest, which most tasks never need.
func TestLayout_Sizes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the sizes are told for 64 bits")
	}
	type own struct {
		Future[int]
		_ origin
	}
	if future, whole := unsafe.Sizeof(Future[int]{}), unsafe.Sizeof(own{}); future != 40 || whole != 80 {
		t.Errorf("%d and %d bytes", future, whole)
	}
	if extra := unsafe.Sizeof(extra{}); extra != 176 { // which is a class of the allocator
		t.Errorf("%d bytes", extra)
	}
}

// Check compares what is counted apart: an engine whose counters are wrong is found
// out.
func TestStats_CheckIsNoTautology(t *testing.T) {
	e, err := New(WithWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Stats().Check(); err != nil {
		t.Error(err)
	}
	e.outside.tally.started++ // a start of nothing
	if err := e.Stats().Check(); err == nil {
		t.Error("nobody has noticed")
	}
	e.outside.tally.started--
	if err := e.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
