package main

import (
	"context"

	"github.com/uptutu/goman/core"
)

var background = context.Background()

// gomanPool is an engine as its users have it.
type gomanPool struct {
	*core.Engine
	one  core.Task[int]
	many []core.Task[int]
}

func startGoman(workers int) pool {
	return startEngine(core.WithWorkers(max(workers, 1)), core.WithQueueCapacity(queueSize))
}

func startEngine(options ...core.Option) *gomanPool {
	p := &gomanPool{Engine: must(core.New(options...)), one: value(1)}
	for i := range askSize {
		p.many = append(p.many, value(i))
	}
	return p
}

// value is a task that returns n.
func value(n int) core.Task[int] {
	return core.Func(func(context.Context) (int, error) { return n, nil })
}

func (p *gomanPool) Submit(fn func()) { check(p.Go(fn)) }
func (p *gomanPool) Close()           { check(p.Shutdown(background)) }

func (p *gomanPool) SubmitAll(fns []func()) {
	_, err := p.GoAll(background, fns)
	check(err)
}

func (p *gomanPool) Ask() int {
	return must(must(core.Submit(background, p.Engine, p.one)).Await(background))
}

func (p *gomanPool) AskAll() (sum int) {
	for _, f := range must(core.SubmitAll(background, p.Engine, p.many)) {
		sum += must(f.Await(background))
	}
	return sum
}
