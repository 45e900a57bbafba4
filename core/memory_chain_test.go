package core_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"weak"

	"github.com/uptutu/goman/core"
)

func TestMemory_ChildsFuturePinsNoParent(t *testing.T) {
	e := engineFor(t, core.WithWorkers(1))
	child, parent := func() (child *core.Future[int], parent weak.Pointer[cargo]) {
		f := must(t, e, core.Func(func(ctx context.Context) (*cargo, error) {
			var err error
			if child, err = core.Submit(ctx, e, value(1)); err != nil {
				return nil, err
			}
			_, err = child.Await(ctx)
			return new(cargo), err
		}))
		v, err := f.Get()
		if err != nil {
			t.Fatal(err)
		}
		return child, weak.Make(v)
	}()
	idle(t, e)
	if !gone(parent) {
		t.Error("a resolved future keeps its parent's value alive")
	}
	runtime.KeepAlive(child)
}

func TestMemory_ChainPinsNoForefathers(t *testing.T) {
	const depth = 4
	for _, how := range []string{"own", "derived", "batch", "returned"} {
		for kept := range depth {
			t.Run(fmt.Sprint(how, kept), func(t *testing.T) {
				e := engineFor(t, core.WithWorkers(2))
				var values [depth]weak.Pointer[cargo]
				var future *core.Future[*cargo]
				var all sync.WaitGroup
				var descend func(level int) core.Task[*cargo]
				descend = func(level int) core.Task[*cargo] {
					all.Add(1)
					return core.Func(func(ctx context.Context) (*cargo, error) {
						defer all.Done()
						c := new(cargo)
						values[level] = weak.Make(c)
						if level+1 == depth {
							return c, nil
						}
						if how == "derived" {
							ctx = context.WithValue(ctx, ctxKey("level"), level)
						}
						var f *core.Future[*cargo]
						var err error
						if how == "batch" {
							var fs []*core.Future[*cargo]
							if fs, err = core.SubmitAll(ctx, e, []core.Task[*cargo]{descend(level + 1)}); err == nil {
								f = fs[0]
							}
						} else {
							f, err = core.Submit(ctx, e, descend(level+1))
						}
						if err != nil {
							return nil, err
						}
						if level+1 == kept {
							future = f
						}
						if how == "returned" {
							return c, nil
						}
						_, err = f.Await(ctx)
						return c, err
					})
				}
				func() {
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					f, err := core.Submit(ctx, e, descend(0))
					if err != nil {
						t.Fatal(err)
					}
					if kept == 0 {
						future = f
					}
					all.Wait()
				}()
				idle(t, e)
				for level, v := range values {
					if level != kept && !gone(v) {
						t.Errorf("the future of level %d keeps the value of level %d", kept, level)
					}
				}
				runtime.KeepAlive(future)
			})
		}
	}
}

func TestMemory_ChainDoesNotGrow(t *testing.T) {
	e := engineFor(t, core.WithWorkers(2))
	done := make(chan int64, 1)
	var step func(n int) core.Task[*cargo]
	step = func(n int) core.Task[*cargo] {
		return core.Func(func(ctx context.Context) (*cargo, error) {
			if n == 0 {
				done <- heap()
				return nil, nil
			}
			_, err := core.Submit(ctx, e, step(n-1))
			return new(cargo), err
		})
	}
	base := heap()
	must(t, e, step(1000))
	if grown := receive(t, done, "end") - base; grown > 100*(1<<16) {
		t.Errorf("1000 tasks that have returned take %d bytes", grown)
	}
}
