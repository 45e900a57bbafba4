package queuetest

import (
	"fmt"
	"testing"

	"github.com/uptutu/goman/queue"
)

// BenchmarkPeers moves items from producers to consumers, who yield the processor when
// there is no room, or nothing: through goman's queues, a buffered channel, and those of
// others that have the same order. The capacity is 1,024 where there is one.
func BenchmarkPeers(b *testing.B) {
	made := func(q Queue, err error) Queue {
		if err != nil {
			b.Fatal(err)
		}
		return q
	}
	many := map[string]func() Queue{
		"chan":            func() Queue { return newChannel(benchCapacity) },
		"xsync.MPMCQueue": func() Queue { return newXsyncMPMC(benchCapacity) },
		"MPMC":            func() Queue { q, err := queue.NewMPMC[*Item](benchCapacity); return made(q, err) },
		"Unbounded":       func() Queue { return queue.NewUnbounded[*Item]() },
	}
	for _, n := range []int{1, 2, 4, 8, 64} {
		peers(b, fmt.Sprintf("%dx%d", n, n), &Spec{Unbounded: true}, n, n, many)
	}
	peers(b, "spsc", &Spec{Producers: One, Consumers: One}, 1, 1, map[string]func() Queue{
		"chan":            many["chan"],
		"xsync.SPSCQueue": func() Queue { return newXsyncSPSC(benchCapacity) },
		"SPSC":            func() Queue { q, err := queue.NewSPSC[*Item](benchCapacity); return made(q, err) },
	})
	one := map[string]func() Queue{
		"chan":            many["chan"],
		"gammazero.Deque": func() Queue { return &ends{} },
		"Deque":           func() Queue { return queue.NewDeque[*Item]() },
	}
	for who, fresh := range one {
		b.Run("single/"+who, func(b *testing.B) { benchSingle(b, &Spec{}, fresh()) })
	}
}

func peers(b *testing.B, shape string, s *Spec, producers, consumers int, all map[string]func() Queue) {
	s.New = newChannel
	roles := s.crowd(producers, consumers)
	for who, fresh := range all {
		b.Run(shape+"/"+who, func(b *testing.B) { benchCrowd(b, s, fresh(), roles, producers) })
	}
}
